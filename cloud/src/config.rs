//! The function's environment, read once, and the AWS clients made from it.
//!
//! The template sets what names its own resources and Lambda the others, but for the endpoints,
//! which point at a local AWS.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Credentials, SharedHttpClient};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use chrono::TimeDelta;

use crate::Function;
use crate::boards::table::Boards;
use crate::boards::watch::{self, Topic, Watch};
use crate::failures::FailureQueue;
use crate::store::Store;

/// The environment of the function that stores posts.
#[derive(Clone)]
pub struct Config {
    table: String,
    boards_table: Option<String>,
    failure_queue_url: String,
    /// 0 for ever.
    days_to_keep: u16,
    account: Account,
}

/// That of the same program where it watches over the boards.
#[derive(Clone)]
pub struct WatchConfig {
    boards_table: String,
    silent_after: TimeDelta,
    topic: Option<String>,
    account: Account,
}

/// Whose resources they are, and where.
#[derive(Clone)]
struct Account {
    region: String,
    credentials: Credentials,
    /// Of DynamoDB, SQS and SNS, where they are not AWS's own.
    urls: [Option<String>; 3],
}

/// Whether the environment is the watch's.
pub fn is_watch(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("SILENT_AFTER").is_some_and(|value| !value.is_empty())
}

/// Reads variables, and gathers those that are missing.
struct Variables<F> {
    variable: F,
    missing: Vec<&'static str>,
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn new(variable: F) -> Self {
        Self {
            variable,
            missing: Vec::new(),
        }
    }

    fn optional(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.missing.push(name);
            String::new()
        })
    }

    fn account(&mut self) -> Account {
        let region = self.required("AWS_REGION");
        let key = self.required("AWS_ACCESS_KEY_ID");
        let secret = self.required("AWS_SECRET_ACCESS_KEY");
        let token = self.optional("AWS_SESSION_TOKEN");
        let url = |name| {
            self.optional(name)
                .or_else(|| self.optional("AWS_ENDPOINT_URL"))
        };
        Account {
            region,
            credentials: Credentials::new(key, secret, token, None, "environment"),
            urls: [
                url("AWS_ENDPOINT_URL_DYNAMODB"),
                url("AWS_ENDPOINT_URL_SQS"),
                url("AWS_ENDPOINT_URL_SNS"),
            ],
        }
    }

    fn nothing_is_missing(&self) -> Result<()> {
        ensure!(
            self.missing.is_empty(),
            "environment variables are missing: {}; deploy the function with template.yaml",
            self.missing.join(", ")
        );
        Ok(())
    }
}

impl Config {
    /// Reads variables by name.
    ///
    /// # Errors
    /// Some are missing, all of which are named, or make no sense.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut variables = Variables::new(variable);
        let table = variables.required("TABLE_NAME");
        let failure_queue_url = variables.required("FAILURE_QUEUE_URL");
        let account = variables.account();
        variables.nothing_is_missing()?;
        let days = variables.optional("DAYS_TO_KEEP");
        let days = days.unwrap_or_else(|| "0".to_owned());
        Ok(Self {
            table,
            boards_table: variables.optional("BOARDS_TABLE_NAME"),
            failure_queue_url,
            days_to_keep: days.parse().with_context(|| {
                format!("DAYS_TO_KEEP is {days:?}; it must be a whole number of days, or 0")
            })?,
            account,
        })
    }

    /// The function, with its clients. Nothing is connected yet.
    pub fn function(self) -> Function {
        let http = http();
        let dynamodb = self.account.dynamodb(http.clone());
        let boards = self.boards_table;
        Function {
            boards: boards.map(|table| Boards::new(dynamodb.clone(), table)),
            store: Store::new(dynamodb, self.table),
            failures: FailureQueue::new(self.account.sqs(http), self.failure_queue_url),
            time_to_live: (self.days_to_keep > 0)
                .then(|| TimeDelta::days(self.days_to_keep.into())),
        }
    }
}

impl WatchConfig {
    /// Reads variables by name.
    ///
    /// # Errors
    /// As of [`Config::read`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut variables = Variables::new(variable);
        let boards_table = variables.required("BOARDS_TABLE_NAME");
        let silent_after = variables.required("SILENT_AFTER");
        let account = variables.account();
        variables.nothing_is_missing()?;
        Ok(Self {
            boards_table,
            silent_after: watch::duration(&silent_after)
                .with_context(|| format!("SILENT_AFTER is {silent_after:?}"))?,
            topic: variables.optional("TOPIC_ARN"),
            account,
        })
    }

    /// The watch, with its clients. Nothing is connected yet.
    pub fn watch(self) -> Watch {
        let http = http();
        let account = self.account;
        Watch {
            dynamodb: account.dynamodb(http.clone()),
            table: self.boards_table,
            silent_after: self.silent_after,
            topic: self.topic.map(|arn| Topic {
                sns: account.sns(http),
                arn,
            }),
        }
    }
}

fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// A client of one service, that does not retry: the callers do, within their time.
macro_rules! client {
    ($account:expr, $http:expr, $service:ident, $url:expr) => {{
        let mut config = $service::Config::builder()
            .behavior_version($service::config::BehaviorVersion::latest())
            .http_client($http)
            .region($service::config::Region::new($account.region.clone()))
            .credentials_provider($account.credentials.clone())
            .retry_config(RetryConfig::disabled());
        config.set_endpoint_url($url.clone());
        $service::Client::from_conf(config.build())
    }};
}

impl Account {
    fn dynamodb(&self, http: SharedHttpClient) -> aws_sdk_dynamodb::Client {
        client!(self, http, aws_sdk_dynamodb, self.urls[0])
    }

    fn sqs(&self, http: SharedHttpClient) -> aws_sdk_sqs::Client {
        client!(self, http, aws_sdk_sqs, self.urls[1])
    }

    fn sns(&self, http: SharedHttpClient) -> aws_sdk_sns::Client {
        client!(self, http, aws_sdk_sns, self.urls[2])
    }
}
