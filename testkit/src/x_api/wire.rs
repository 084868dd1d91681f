//! A post as the filtered stream writes it.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::rules::Rule;
use crate::http::Request;
use crate::posts::{Author, Post, SHORT_POST_CHARS};

/// Which fields the client asked for, and under which names they travel.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    post: Vec<String>,
    user: Vec<String>,
    /// Whether authors come along.
    pub(super) with_author: bool,
    /// The names X is moving to, in the place of those with "tweet".
    renamed: bool,
}

impl Fields {
    pub(super) fn of(request: &Request, renamed: bool) -> Self {
        let list = |names: [&str; 2]| -> Vec<String> {
            let asked = names.iter().find_map(|name| request.query(name));
            asked
                .unwrap_or_default()
                .split(',')
                .map(str::to_owned)
                .collect()
        };
        Self {
            post: list(["tweet.fields", "post.fields"]),
            user: list(["user.fields", "user.fields"]),
            with_author: list(["expansions", "expansions"])
                .iter()
                .any(|name| name == "author_id"),
            renamed,
        }
    }

    /// One line of the stream, with the line end. Every seventh post comes in ASCII, its other characters escaped, which means the same.
    pub(super) fn line(&self, post: &Post, rules: &[&Rule]) -> Vec<u8> {
        let mut json = json!({ "data": self.data(post) });
        let matching = rules
            .iter()
            .map(|rule| json!({ "id": rule.id, "tag": rule.tag }));
        json["matching_rules"] = matching.collect();
        if self.with_author {
            json["includes"] = json!({ "users": [self.user(post.author)] });
        }
        let mut line = json.to_string();
        if post.id.is_multiple_of(7) {
            line = escape_non_ascii(&line);
        }
        line += "\r\n";
        line.into_bytes()
    }

    /// The post itself.
    pub(super) fn data(&self, post: &Post) -> Value {
        let name = |tweet, post| if self.renamed { post } else { tweet };
        let id = post.id.to_string();
        let author_id = post.author.id.to_string();
        let asks = |field: &str| self.post.iter().any(|asked| asked == field);

        let mut data = json!({ "id": id, "text": escape_html(&short_text(&post.text)) });
        data[name("edit_history_tweet_ids", "edit_history_post_ids")] = json!([id]);
        if asks("author_id") || self.with_author {
            data["author_id"] = json!(author_id);
        }
        if asks("created_at") {
            data["created_at"] = json!(iso_8601(post.created_at));
        }
        if asks("lang") {
            data["lang"] = json!(post.lang);
        }
        if (asks("note_tweet") || asks("note_post")) && is_long(&post.text) {
            data[name("note_tweet", "note_post")] = json!({ "text": escape_html(&post.text) });
        }
        data
    }

    /// Its author, as `includes` has it.
    pub(super) fn user(&self, author: &Author) -> Value {
        let mut user = json!({
            "id": author.id.to_string(),
            "username": author.username,
            "name": author.name,
        });
        if self.user.iter().any(|field| field == "created_at") {
            user["created_at"] = json!("2009-03-21T20:50:14.000Z");
        }
        user
    }
}

fn is_long(text: &str) -> bool {
    text.chars().count() > SHORT_POST_CHARS
}

/// The text as the `text` field has it: cut, with an ellipsis, when it is long.
fn short_text(text: &str) -> String {
    if is_long(text) {
        let mut short: String = text.chars().take(SHORT_POST_CHARS - 1).collect();
        short.push('…');
        short
    } else {
        text.to_owned()
    }
}

/// X writes these three characters as HTML does.
fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn escape_non_ascii(json: &str) -> String {
    let mut escaped = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped += &format!("\\u{unit:04x}");
            }
        }
    }
    escaped
}

/// Such as `2026-01-15T10:35:00.000Z`.
pub(super) fn iso_8601(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}
