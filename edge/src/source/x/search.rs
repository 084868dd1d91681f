//! The recent search (X API v2, "Search recent Posts"): its requests, and pages of its responses, converted to the lines that the stream would have
//! sent.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::source::lenient::{self, All, Id, Maybe, Object, Text, skip};
use crate::source::x::gap::Gap;

/// Fewest posts of a page that X accepts in a request.
pub const MIN_PAGE: u64 = 10;

/// Most posts of a page.
pub const MAX_PAGE: u64 = 100;

/// The path that requests at most `size` posts of `gap`, newest first, with the `fields` of the stream. `token` requests a later page.
pub fn path(rule: &str, gap: Gap, size: u64, token: Option<&str>, fields: &str) -> String {
    let Gap { after, until } = gap;
    let mut path = format!(
        "{}&since_id={after}&until_id={until}&max_results={size}&sort_order=recency&{fields}",
        query(rule)
    );
    if let Some(token) = token {
        path.push_str("&next_token=");
        path.extend(utf8_percent_encode(token, NON_ALPHANUMERIC));
    }
    path
}

/// The path that checks whether the plan has the search and accepts the `rule`. It matches no post, so it costs nothing.
pub fn path_of_check(rule: &str) -> String {
    query(&format!("{rule} lang:en -lang:en"))
}

fn query(words: &str) -> String {
    let words = utf8_percent_encode(words, NON_ALPHANUMERIC);
    format!("/2/tweets/search/recent?query={words}")
}

/// One page of posts.
#[derive(Debug)]
pub struct Page<'a> {
    /// The posts, newest first; those without an id last.
    pub posts: Vec<Found<'a>>,
    /// The token of the next page; `None` if this is the last.
    pub next: Option<Text<'a>>,
    includes: Includes<'a>,
}

/// A post of a page.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its id, if it is a number.
    pub id: Option<u64>,
    json: &'a RawValue,
    own: Links<'a>,
}

#[derive(Default)]
struct Answer<'a> {
    data: All<&'a RawValue>,
    includes: Maybe<Includes<'a>>,
    meta: Maybe<Meta<'a>>,
}

/// The objects that posts refer to: lists by their names, in X's order.
#[derive(Debug, Default)]
struct Includes<'a>(Vec<(String, Vec<(&'a RawValue, Links<'a>)>)>);

#[derive(Default)]
struct Meta<'a> {
    next_token: Text<'a>,
}

/// The id of an object, and the ids that it refers to.
#[derive(Debug, Default)]
struct Links<'a> {
    id: Id<'a>,
    author_id: Id<'a>,
    referenced: All<Maybe<Reference<'a>>>,
}

#[derive(Debug, Default)]
struct Reference<'a> {
    id: Id<'a>,
}

impl<'a> Object<'a> for Answer<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "data" => self.data = members.next_value()?,
            "includes" => self.includes = members.next_value()?,
            "meta" => self.meta = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Includes<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        let list: All<&RawValue> = members.next_value()?;
        let list = list.0.into_iter().map(|json| (json, links(json)));
        self.0.push((name.to_owned(), list.collect()));
        Ok(())
    }
}

impl<'a> Object<'a> for Meta<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "next_token" => self.next_token = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Links<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = members.next_value()?,
            "author_id" => self.author_id = members.next_value()?,
            "referenced_tweets" | "referenced_posts" => self.referenced = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

impl<'a> Object<'a> for Reference<'a> {
    fn member<A: MapAccess<'a>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = members.next_value()?,
            _ => skip(members)?,
        }
        Ok(())
    }
}

/// The ids in `json`; none if it is no object.
fn links(json: &RawValue) -> Links<'_> {
    lenient::object(json.get().as_bytes()).unwrap_or_default()
}

impl Links<'_> {
    fn refers_to(&self, id: &str) -> bool {
        let mut referenced = self.referenced.0.iter();
        referenced.any(|one| one.0.as_ref().is_some_and(|one| *one.id == *id))
    }
}

impl<'a> Page<'a> {
    /// Reads a response.
    ///
    /// # Errors
    /// If it is not valid JSON.
    pub fn parse(answer: &'a str) -> serde_json::Result<Self> {
        let answer: Answer<'_> = lenient::object(answer.as_bytes())?;
        let found = |json: &'a RawValue| {
            let own = links(json);
            let id = own.id.parse().ok();
            Found { id, json, own }
        };
        let mut posts: Vec<_> = answer.data.0.into_iter().map(found).collect();
        posts.sort_by_key(|post| std::cmp::Reverse(post.id));
        let token = answer.meta.0.unwrap_or_default().next_token;
        Ok(Self {
            posts,
            next: Some(token).filter(|token| !token.is_empty()),
            includes: answer.includes.0.unwrap_or_default(),
        })
    }

    /// The line that the stream would have sent for `post`. `rules` is the list of rules that matched it, in JSON.
    pub fn line(&self, post: &Found<'_>, rules: &str) -> String {
        let json = post.json.get();
        let mut line = format!("{{\"data\":{json}");
        let mut lists = 0;
        for (name, list) in &self.includes.0 {
            let mut wanted = list
                .iter()
                .filter(|(_, links)| self.concerns(post, links))
                .map(|(json, _)| json.get());
            let Some(first) = wanted.next() else { continue };
            let before = if lists == 0 { ",\"includes\":{" } else { "," };
            lists += 1;
            line.push_str(before);
            let name = serde_json::Value::from(name.as_str());
            line.push_str(&format!("{name}:[{first}"));
            for json in wanted {
                line.push(',');
                line.push_str(json);
            }
            line.push(']');
        }
        if lists > 0 {
            line.push('}');
        }
        line.push_str(&format!(",\"matching_rules\":{rules}}}"));
        line
    }

    /// Whether the object with these `links` is the author of `post`, a post that it refers to, or the author of such a post.
    fn concerns(&self, post: &Found<'_>, links: &Links<'_>) -> bool {
        let id = &*links.id;
        if id.is_empty() {
            return false;
        }
        let mut all = self.includes.0.iter().flat_map(|(_, list)| list);
        *post.own.author_id == *id
            || post.own.refers_to(id)
            || all.any(|(_, other)| *other.author_id == *id && post.own.refers_to(&other.id))
    }
}

#[cfg(test)]
mod tests;
