//! The function's environment, read once, and the AWS clients made from it.
//!
//! The template sets the first three variables, Lambda the others. The endpoints are only set for a local
//! AWS.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use chrono::TimeDelta;

use crate::Function;
use crate::failures::FailureQueue;
use crate::store::Store;

/// The environment variables, as they are.
#[derive(Clone)]
pub struct Config {
    table: String,
    failure_queue_url: String,
    /// 0 for ever.
    days_to_keep: u16,
    region: String,
    credentials: Credentials,
    dynamodb_url: Option<String>,
    sqs_url: Option<String>,
}

impl Config {
    /// Reads variables by name, and names all that are missing at once.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut missing = Vec::new();
        let mut required = |name: &'static str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| {
                    missing.push(name);
                    String::new()
                })
        };
        let table = required("TABLE_NAME");
        let failure_queue_url = required("FAILURE_QUEUE_URL");
        let region = required("AWS_REGION");
        let key = required("AWS_ACCESS_KEY_ID");
        let secret = required("AWS_SECRET_ACCESS_KEY");
        ensure!(
            missing.is_empty(),
            "environment variables are missing: {}; deploy the function with template.yaml",
            missing.join(", ")
        );
        let optional = |name| variable(name).filter(|value| !value.is_empty());
        let days = optional("DAYS_TO_KEEP").unwrap_or_else(|| "0".to_owned());
        let url = |name| optional(name).or_else(|| optional("AWS_ENDPOINT_URL"));
        Ok(Self {
            table,
            failure_queue_url,
            days_to_keep: days.parse().with_context(|| {
                format!("DAYS_TO_KEEP is {days:?}; it must be a whole number of days, or 0")
            })?,
            region,
            credentials: Credentials::new(
                key,
                secret,
                optional("AWS_SESSION_TOKEN"),
                None,
                "environment",
            ),
            dynamodb_url: url("AWS_ENDPOINT_URL_DYNAMODB"),
            sqs_url: url("AWS_ENDPOINT_URL_SQS"),
        })
    }

    /// The function, with its clients. Nothing is connected yet.
    pub fn function(self) -> Function {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .build_https();
        Function {
            store: Store::new(self.dynamodb(http.clone()), self.table.clone()),
            failures: FailureQueue::new(self.sqs(http), self.failure_queue_url.clone()),
            time_to_live: (self.days_to_keep > 0)
                .then(|| TimeDelta::days(self.days_to_keep.into())),
        }
    }

    fn dynamodb(&self, http: SharedHttpClient) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .retry_config(RetryConfig::disabled());
        config.set_endpoint_url(self.dynamodb_url.clone());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    fn sqs(&self, http: SharedHttpClient) -> aws_sdk_sqs::Client {
        let mut config = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .http_client(http)
            .region(aws_sdk_sqs::config::Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .retry_config(RetryConfig::disabled());
        config.set_endpoint_url(self.sqs_url.clone());
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}
