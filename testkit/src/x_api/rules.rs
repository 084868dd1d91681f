//! The rules of a filtered stream: what they may say, and which posts they let through.
//!
//! Space is AND, `OR` binds less tightly, `-` negates, quotes make a phrase, parentheses group. Matching ignores case, not accents.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::State;
use super::wire::iso_8601;
use crate::http::Answer;
use crate::posts::Post;

/// The longest rule, in characters.
pub const MAX_RULE_CHARS: usize = 1024;

/// The most rules of one account.
const MAX_RULES: usize = 1000;

/// One rule, as the server keeps it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Decimal.
    pub id: String,
    /// As its owner wrote it.
    pub value: String,
    /// The owner's label.
    pub tag: Option<String>,
    condition: Condition,
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// If `value` is no rule of X's language. The error is what X answers in `details`.
    pub fn parse(id: String, value: &str, tag: Option<String>) -> Result<Self, String> {
        if value.chars().count() > MAX_RULE_CHARS {
            return Err(format!(
                "Rules must be at most {MAX_RULE_CHARS} characters long"
            ));
        }
        let mut parser = Parser { rest: value };
        let condition = parser.any()?;
        if !parser.rest.trim().is_empty() {
            return Err(format!(
                "no viable alternative at input '{}'",
                parser.rest.trim()
            ));
        }
        if !condition.stands_alone() {
            return Err("Rules must contain at least one positive, standalone operator".to_owned());
        }
        Ok(Self {
            id,
            value: value.to_owned(),
            tag,
            condition,
        })
    }

    /// Whether the stream carries `post` because of this rule.
    pub fn matches(&self, post: &Post) -> bool {
        self.condition.holds(post)
    }
}

#[derive(Clone, Debug)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// A word or phrase, in lower case.
    Text(String),
    From(String),
    Lang(String),
    Sample(u64),
    /// No simulated post is one.
    Retweet,
}

impl Condition {
    fn holds(&self, post: &Post) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(post)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(post)),
            Self::Not(part) => !part.holds(post),
            Self::Text(words) => occurs(words, &post.text.to_lowercase()),
            Self::From(username) => post.author.username.eq_ignore_ascii_case(username),
            Self::Lang(lang) => post.lang == lang,
            Self::Sample(percent) => post.id % 100 < *percent,
            Self::Retweet => false,
        }
    }

    /// Whether it selects posts by itself, and not only narrows a choice.
    fn stands_alone(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().any(Self::stands_alone),
            Self::Any(parts) => parts.iter().all(Self::stands_alone),
            Self::Text(_) | Self::From(_) => true,
            Self::Not(_) | Self::Lang(_) | Self::Sample(_) | Self::Retweet => false,
        }
    }
}

/// Whether `words` occur in `text` and do not begin or end within a longer word. Scripts that put no space between words have no such ends.
fn occurs(words: &str, text: &str) -> bool {
    let joins = |left: Option<char>, right: Option<char>| {
        let part = |c: char| c.is_alphanumeric() && !spaceless(c);
        left.is_some_and(part) && right.is_some_and(part)
    };
    text.match_indices(words).any(|(at, found)| {
        let (before, after) = (&text[..at], &text[at + found.len()..]);
        !joins(before.chars().next_back(), words.chars().next())
            && !joins(words.chars().next_back(), after.chars().next())
    })
}

/// Thai, Lao, Khmer, kana, Han and their relatives.
fn spaceless(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while let Some(rest) = self.rest.trim_start().strip_prefix("OR ") {
            self.rest = rest;
            parts.push(self.all()?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Condition::Any(parts),
        })
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with(')') || self.rest.starts_with("OR ") {
                break;
            }
            parts.push(self.one()?);
        }
        match parts.len() {
            0 => Err(format!("no viable alternative at input '{}'", self.rest)),
            1 => Ok(parts.remove(0)),
            _ => Ok(Condition::All(parts)),
        }
    }

    fn one(&mut self) -> Result<Condition, String> {
        if self.skip("-") {
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        if self.skip("(") {
            let inner = self.any()?;
            self.rest = self.rest.trim_start();
            return if self.skip(")") {
                Ok(inner)
            } else {
                Err("missing ')'".to_owned())
            };
        }
        if self.skip("\"") {
            let (phrase, rest) = self.rest.split_once('"').ok_or("missing '\"'")?;
            self.rest = rest;
            return Ok(Condition::Text(phrase.to_lowercase()));
        }
        let end = self.rest.find([' ', ')', '"']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        operator(word)
    }

    fn skip(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

fn operator(word: &str) -> Result<Condition, String> {
    match word.split_once(':') {
        Some(("is", "retweet")) => Ok(Condition::Retweet),
        Some(("from", username)) => Ok(Condition::From(username.to_owned())),
        Some(("lang", lang)) => Ok(Condition::Lang(lang.to_owned())),
        Some(("sample", percent)) => match percent.parse() {
            Ok(percent @ 1..=100) => Ok(Condition::Sample(percent)),
            _ => Err(format!(
                "invalid sample '{percent}': it must be between 1 and 100"
            )),
        },
        Some((operator, _)) if operator.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            Err(format!("Reference to invalid operator '{operator}'"))
        }
        _ => Ok(Condition::Text(word.to_lowercase())),
    }
}

impl State {
    pub(super) fn add_rule(&mut self, value: &str, tag: Option<String>) -> Result<(), String> {
        let id = format!("{}", 1_273_028_376_882_589_696 + self.rules_made);
        self.rules.push(Rule::parse(id, value, tag)?);
        self.rules_made += 1;
        Ok(())
    }

    pub(super) fn list_rules(&self) -> Value {
        let rules: Vec<_> = self.rules.iter().map(rule_json).collect();
        let mut list = json!({ "meta": { "sent": sent_now(), "result_count": rules.len() } });
        if !rules.is_empty() {
            list["data"] = json!(rules);
        }
        list
    }

    pub(super) fn delete_rules(&mut self, ids: &[Value]) -> Value {
        let before = self.rules.len();
        self.rules
            .retain(|rule| !ids.iter().any(|id| id == &rule.id));
        let deleted = before - self.rules.len();
        let summary = json!({ "deleted": deleted, "not_deleted": ids.len() - deleted });
        json!({ "meta": { "sent": sent_now(), "summary": summary } })
    }

    pub(super) fn add_rules(&mut self, rules: &[Value]) -> Answer {
        let (mut data, mut errors, mut invalid) = (Vec::new(), Vec::new(), 0);
        for rule in rules {
            let value = rule["value"].as_str().unwrap_or_default();
            if let Some(same) = self.rules.iter().find(|kept| kept.value == value) {
                errors.push(json!({
                    "value": value,
                    "id": same.id,
                    "title": "DuplicateRule",
                    "type": "https://api.twitter.com/2/problems/duplicate-rules",
                }));
            } else if self.rules.len() >= MAX_RULES {
                errors.push(json!({ "value": value, "title": "RulesCapExceeded" }));
            } else if let Err(detail) =
                self.add_rule(value, rule["tag"].as_str().map(str::to_owned))
            {
                invalid += 1;
                errors.push(json!({
                    "value": value,
                    "details": [detail],
                    "title": "UnprocessableEntity",
                    "type": "https://api.twitter.com/2/problems/invalid-rules",
                }));
            } else {
                data.extend(self.rules.last().map(rule_json));
            }
        }
        let summary = json!({
            "created": data.len(),
            "not_created": errors.len(),
            "valid": rules.len() - invalid,
            "invalid": invalid,
        });
        let status = if data.is_empty() { 200 } else { 201 };
        let mut answer = json!({ "meta": { "sent": sent_now(), "summary": summary } });
        if !data.is_empty() {
            answer["data"] = json!(data);
        }
        if !errors.is_empty() {
            answer["errors"] = json!(errors);
        }
        Answer::json(status, &answer)
    }
}

fn rule_json(rule: &Rule) -> Value {
    match &rule.tag {
        Some(tag) => json!({ "id": rule.id, "value": rule.value, "tag": tag }),
        None => json!({ "id": rule.id, "value": rule.value }),
    }
}

fn sent_now() -> String {
    iso_8601(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn matches(rule: &str, text: &str) -> bool {
        let mut posts = crate::posts::about("", SystemTime::now(), Duration::ZERO);
        let post = Post {
            text: text.to_owned(),
            ..posts.next().unwrap()
        };
        Rule::parse("1".to_owned(), rule, None)
            .unwrap()
            .matches(&post)
    }

    #[test]
    fn a_rule_lets_through_what_x_documents() {
        for (rule, text, expected) in [
            ("pizza", "PIZZA!", true),
            ("pizza", "#pizza", true),
            ("pizza", "pizzas", false),
            ("pizza -is:retweet", "a pizza", true),
            ("pizza napoli", "napoli has pizza", true),
            ("pizza napoli", "just pizza", false),
            ("\"deep dish\"", "a deep dish", true),
            ("\"deep dish\"", "a dish, deep", false),
            ("pizza OR pasta", "some pasta", true),
            ("(pizza OR pasta) -pineapple", "pizza with pineapple", false),
            ("寿司", "今日は寿司を食べた", true),
            ("cafe", "café", false),
        ] {
            assert_eq!(matches(rule, text), expected, "{rule} on {text}");
        }
    }

    #[test]
    fn a_rule_that_says_nothing_or_nonsense_is_refused_with_the_reason() {
        for (rule, reason) in [
            ("", "no viable alternative"),
            ("-pizza", "positive"),
            ("lang:en", "positive"),
            ("(pizza", "missing ')'"),
            ("\"pizza", "missing '\"'"),
            ("pizza wears:hat", "operator 'wears'"),
            (&"x".repeat(1025), "1024"),
        ] {
            let error = Rule::parse("1".to_owned(), rule, None).unwrap_err();
            assert!(error.contains(reason), "{rule}: {error}");
        }
    }
}
