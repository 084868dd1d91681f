//! One JSON line an invocation: what happened, and CloudWatch metrics in its embedded format.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::boards::watch::{Found, Look};

/// The namespace of the metrics; the template's dashboard names it too.
const NAMESPACE: &str = "headwater";

/// The most characters of one thing that is said: a log line must stay a line, and a message a message.
const MAX_CHARACTERS: usize = 300;

/// `text`, cut to 300 characters.
pub fn brief(text: &str) -> String {
    if text.chars().nth(MAX_CHARACTERS).is_none() {
        return text.to_owned();
    }
    let kept = text.chars().take(MAX_CHARACTERS - 1);
    kept.chain(['…']).collect()
}

/// What became of one invocation's batch. Each post counts once:
/// read = stored + repeated + ignored + undecodable + abandoned + unprocessed. Reports are apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Report {
    /// Records in the batch.
    pub records: usize,
    /// Those that are packs, as far as the batch was read.
    pub packs: usize,
    /// Posts and events read: one for a plain record, one for each line of a pack. A record that
    /// can't be unpacked counts as one.
    pub read: usize,
    /// Posts written to the table, or taken out of it.
    pub stored: usize,
    /// Posts left out, since the batch or the table has the same post in a later version.
    pub repeated: usize,
    /// Events that are no posts, such as an account's change of name.
    pub ignored: usize,
    /// Reports of boards, which are no posts.
    pub reports: usize,
    /// Posts that are in the failure queue now.
    pub undecodable: usize,
    /// Posts that neither the table nor the failure queue accepts: the stream alone has them.
    pub abandoned: usize,
    /// Posts read that come again, since the table or the failure queue would not take them, and
    /// with them every record behind the first of them.
    pub unprocessed: usize,
    /// How long the invocation took.
    pub milliseconds: u128,
    /// From the moment a post was read (for X: written) until now: the longest of the batch.
    pub delay_milliseconds: i64,
}

/// The metrics' units. Their names are the report's fields.
const METRICS: [(&str, &str); 12] = [
    ("Records", "Count"),
    ("Packs", "Count"),
    ("Read", "Count"),
    ("Stored", "Count"),
    ("Repeated", "Count"),
    ("Ignored", "Count"),
    ("Reports", "Count"),
    ("Undecodable", "Count"),
    ("Abandoned", "Count"),
    ("Unprocessed", "Count"),
    ("Milliseconds", "Milliseconds"),
    ("DelayMilliseconds", "Milliseconds"),
];

/// The line's fields, in the order in which a person reads them.
#[derive(Serialize)]
struct Line<'a> {
    level: &'static str,
    request: &'a str,
    shard: &'a str,
    #[serde(flatten)]
    report: &'a Report,
    troubles: &'a [String],
    /// The metrics' one dimension.
    #[serde(rename = "FunctionName")]
    function: &'a str,
    #[serde(rename = "_aws")]
    metadata: Value,
}

impl Report {
    /// The line of one invocation. `troubles` is what a person should know of, a sentence each.
    pub fn line(
        &self,
        function: &str,
        request: &str,
        shard: &str,
        now: DateTime<Utc>,
        troubles: &[String],
    ) -> String {
        let level = match (self.unprocessed + self.abandoned, troubles) {
            (1.., _) => "error",
            (0, [_, ..]) => "warn",
            (0, []) => "info",
        };
        let line = Line {
            level,
            request,
            shard,
            report: self,
            troubles,
            function,
            metadata: metadata(now, &METRICS),
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// What makes CloudWatch take the line's numbers as metrics.
fn metadata(now: DateTime<Utc>, metrics: &[(&str, &str)]) -> Value {
    let metrics: Vec<Value> = metrics
        .iter()
        .map(|(name, unit)| json!({"Name": name, "Unit": unit}))
        .collect();
    json!({
        "Timestamp": now.timestamp_millis(),
        "CloudWatchMetrics": [{
            "Namespace": NAMESPACE,
            "Dimensions": [["FunctionName"]],
            "Metrics": metrics,
        }],
    })
}

/// The metrics of the watch over the boards. Their names are the fields of what it [`Found`].
const WATCHED: [(&str, &str); 4] = [
    ("BoardsHeard", "Count"),
    ("BoardsSilent", "Count"),
    ("PostsWaiting", "Count"),
    ("PostsLost", "Count"),
];

/// The line of one look at the boards, by the `function` that watches.
pub fn line_of_look(look: &Look, function: &str, request: &str, now: DateTime<Utc>) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        level: &'static str,
        request: &'a str,
        #[serde(flatten)]
        found: &'a Found,
        silent: &'a [String],
        back: &'a [String],
        troubles: Vec<&'a str>,
        #[serde(rename = "FunctionName")]
        function: &'a str,
        #[serde(rename = "_aws")]
        metadata: Value,
    }
    let line = Line {
        level: match (&look.trouble, look.silent.is_empty()) {
            (Some(_), _) => "error",
            (None, false) => "warn",
            (None, true) => "info",
        },
        request,
        found: &look.found,
        silent: &look.silent,
        back: &look.back,
        troubles: look.trouble.as_deref().into_iter().collect(),
        function,
        metadata: metadata(now, &WATCHED),
    };
    serde_json::to_string(&line).unwrap_or_default()
}
