//! The rule that tells X which posts to send. X keeps rules between runs: rules of this program's earlier keywords are removed, those of other
//! programs, which have other tags, are kept.

use log::info;
use serde::Deserialize;
use serde_json::json;
use ureq::http::Method;

use crate::post::filter::TAG_PREFIX;
use crate::source::x::client::Client;
use crate::source::x::outcome::ApiError;
use crate::source::x::settings::Settings;

const PATH: &str = "/2/tweets/search/stream/rules";

/// A rule as X lists it.
#[derive(Debug, Deserialize)]
struct Rule {
    id: String,
    value: String,
    #[serde(default)]
    tag: Option<String>,
}

/// How the rules of X must be changed.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    /// The ids of rules to delete.
    delete: Vec<String>,
    /// The id of the rule, if X has it.
    has: Option<String>,
}

/// Whether X has the rule of `client`'s keyword, and no other of this program.
///
/// # Errors
/// If X refuses to list its rules, or cannot be asked.
pub fn fit(client: &Client<'_>) -> Result<bool, ApiError> {
    let change = compare(list(client)?, client.settings);
    Ok(change.has.is_some() && change.delete.is_empty())
}

/// Makes the rule of `client`'s keyword the only one of this program. Returns its id, if X gives it.
///
/// # Errors
/// If X refuses the rule, or cannot be asked.
pub fn reconcile(client: &Client<'_>) -> Result<Option<String>, ApiError> {
    let change = compare(list(client)?, client.settings);
    if !change.delete.is_empty() {
        info!(
            "removing {} rules of earlier keywords from X",
            change.delete.len()
        );
        let body = json!({"delete": {"ids": change.delete}});
        client.ask(Method::POST, PATH, Some(body.to_string()))?;
    }
    if change.has.is_some() {
        return Ok(change.has);
    }
    let id = add(client)?;
    info!(
        "X has the rule {}; it takes about 20 s to follow it",
        client.settings.rule()
    );
    Ok(id)
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

fn compare(rules: Vec<Rule>, settings: &Settings) -> Change {
    let (value, tag) = (settings.rule(), settings.filter.tag());
    let mut change = Change {
        delete: Vec::new(),
        has: None,
    };
    for rule in rules {
        let has = rule.tag.as_deref().unwrap_or_default();
        if has == tag && rule.value == value {
            change.has = Some(rule.id);
        } else if has.starts_with(TAG_PREFIX) {
            change.delete.push(rule.id);
        }
    }
    change
}

/// Adds the rule, and returns its id. If the rule exists already, with any tag, that is a success.
fn add(client: &Client<'_>) -> Result<Option<String>, ApiError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Added {
        data: Vec<Named>,
        errors: Vec<Refusal>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named {
        id: Option<String>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        id: Option<String>,
        title: String,
        detail: String,
        details: Vec<String>,
    }
    let filter = &client.settings.filter;
    let body = json!({"add": [{"value": client.settings.rule(), "tag": filter.tag()}]});
    let body = client.ask(Method::POST, PATH, Some(body.to_string()))?;
    let added: Added = serde_json::from_str(&body).unwrap_or_default();
    let ids = added.data.iter().map(|rule| &rule.id);
    let ids = ids.chain(added.errors.iter().map(|refusal| &refusal.id));
    let id = ids.flatten().next().cloned();
    let is_serious = |refusal: &Refusal| refusal.title != "DuplicateRule";
    match added.errors.into_iter().find(is_serious) {
        None => Ok(id),
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
