//! The rule that tells X which posts to send. X keeps rules between runs: those of this program's
//! earlier keywords go, those of others, which have other tags, stay.

use log::info;
use serde::Deserialize;
use serde_json::json;
use ureq::http::Method;

use crate::post::filter::{Filter, TAG_PREFIX};
use crate::source::x::client::Client;
use crate::source::x::outcome::ApiError;

const PATH: &str = "/2/tweets/search/stream/rules";

/// A rule as X lists it.
#[derive(Debug, Deserialize)]
struct Rule {
    id: String,
    value: String,
    #[serde(default)]
    tag: Option<String>,
}

/// What X holds and what it should hold, compared.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    delete: Vec<String>,
    add: bool,
}

/// Whether X holds the rule of `client`'s keyword, and no other of this program.
pub fn fit(client: &Client<'_>) -> Result<bool, ApiError> {
    let change = compare(list(client)?, &client.settings.filter);
    Ok(!change.add && change.delete.is_empty())
}

/// Makes `client`'s keyword the one rule of this program.
pub fn reconcile(client: &Client<'_>) -> Result<(), ApiError> {
    let filter = &client.settings.filter;
    let change = compare(list(client)?, filter);
    if !change.delete.is_empty() {
        info!(
            "removing {} rules of earlier keywords from X",
            change.delete.len()
        );
        let body = json!({"delete": {"ids": change.delete}});
        client.ask(Method::POST, PATH, Some(body.to_string()))?;
    }
    if change.add {
        add(client, filter)?;
        info!(
            "X has the rule {}; it takes about 20 s to follow it",
            filter.rule()
        );
    }
    Ok(())
}

fn list(client: &Client<'_>) -> Result<Vec<Rule>, ApiError> {
    #[derive(Deserialize)]
    struct Listed {
        #[serde(default)]
        data: Option<Vec<Rule>>,
    }
    let body = client.ask(Method::GET, PATH, None)?;
    let listed: Listed = serde_json::from_str(&body)
        .map_err(|error| ApiError::Server(format!("X answered no list of rules: {error}")))?;
    Ok(listed.data.unwrap_or_default())
}

fn compare(rules: Vec<Rule>, filter: &Filter) -> Change {
    let (value, tag) = (filter.rule(), filter.tag());
    let mut change = Change {
        delete: Vec::new(),
        add: true,
    };
    for rule in rules {
        let has = rule.tag.as_deref().unwrap_or_default();
        if has == tag && rule.value == value {
            change.add = false;
        } else if has.starts_with(TAG_PREFIX) {
            change.delete.push(rule.id);
        }
    }
    change
}

/// Adds the rule. One that is there already, under whatever tag, is a success.
fn add(client: &Client<'_>, filter: &Filter) -> Result<(), ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Added {
        errors: Vec<Refusal>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        title: String,
        detail: String,
        details: Vec<String>,
    }
    let body = json!({"add": [{"value": filter.rule(), "tag": filter.tag()}]});
    let body = client.ask(Method::POST, PATH, Some(body.to_string()))?;
    let added: Added = serde_json::from_str(&body).unwrap_or_default();
    let is_serious = |refusal: &Refusal| refusal.title != "DuplicateRule";
    match added.errors.into_iter().find(is_serious) {
        None => Ok(()),
        Some(refusal) => {
            let mut said = refusal.details;
            said.extend([refusal.detail, refusal.title]);
            let why = said.into_iter().find(|words| !words.is_empty());
            Err(ApiError::Person(format!(
                "X does not accept the keyword '{}' as a rule ({}): start headwater with another",
                filter.keyword(),
                why.unwrap_or_default()
            )))
        }
    }
}
