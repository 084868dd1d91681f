//! Who the board is to AWS, and whether that one may write to the stream.
//!
//! The producer may put records and nothing else, so whether the stream exists cannot simply be asked. It is asked with a record that Kinesis
//! must refuse: its hash key lies just outside the range. That is found out after the signature, the permission and the stream were looked at, so
//! an `InvalidArgumentException` means that all three are right, and nothing was written. A server that is not Kinesis may not look at hash
//! keys, and take the record: it has no data, and this says so.

use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use aws_credential_types::Credentials;

use crate::aws::clock::ServerClock;
use crate::aws::credentials::{Keychain, Provider};
use crate::aws::kinesis::client::Client;
use crate::aws::kinesis::outcome::{self, Outcome, Problem};
use crate::aws::kinesis::request::Call;
use crate::aws::kinesis::{Class, Renew};
use crate::aws::sign::Signer;
use crate::commands::check::Verdict::{self, Bad, Doubtful, Good, Untested};
use crate::commands::check::network::Offset;
use crate::net::endpoint::Endpoint;
use crate::net::roots::Roots;
use crate::net::{agent, explain};
use crate::settings::Config;

const SILENCE: Duration = Duration::from_secs(10);

/// 2^128: one more than the largest hash key.
const NO_HASH_KEY: &str = "340282366920938463463374607431768211456";

/// Asks AWS, and remembers what it learned on the way.
pub struct Asker {
    client: Client,
    roots: Roots,
    stream: String,
    region: String,
    host: String,
    time: ServerClock,
    /// What to do when AWS does not accept the credentials.
    advice: String,
    credentials: Option<Credentials>,
}

impl Asker {
    /// For the stream of `config`, when the server's time is known to be so.
    pub fn new(config: &Config, time: Option<Offset>) -> Self {
        Self {
            client: Client::new(&config.endpoint, &config.region, config.roots.clone()),
            roots: config.roots.clone(),
            stream: config.stream.clone(),
            region: config.region.clone(),
            host: config.endpoint.authority().to_owned(),
            time: time.map(|time| time.clock).unwrap_or_default(),
            advice: config.provider.advice(),
            credentials: None,
        }
    }

    /// Who the board is: `sts:GetCallerIdentity` needs no permission.
    pub fn identity(&mut self, provider: Provider, sts: Option<&Endpoint>) -> Verdict {
        let from = provider.to_string();
        let credentials = match Keychain::new(provider).get(self.now()) {
            Ok(credentials) => credentials,
            Err(error) => return Bad(format!("{error:#}")),
        };
        let verdict = match sts {
            None => Untested(format!(
                "there are some of {from}; no server is named that knows whose (AWS_ENDPOINT_URL_STS)"
            )),
            Some(sts) => match self.caller(&credentials, sts) {
                Ok(arn) => Good(format!("{arn}, by {from}")),
                Err(error) => Bad(format!("{error:#}")),
            },
        };
        self.credentials = Some(credentials);
        verdict
    }

    fn caller(&self, credentials: &Credentials, sts: &Endpoint) -> anyhow::Result<String> {
        let host = sts.authority();
        let url = format!("{sts}/");
        let body = "Action=GetCallerIdentity&Version=2011-06-15";
        const FORM: &str = "application/x-www-form-urlencoded";
        let mut signer = Signer::new(sts, &self.region, "sts", FORM);
        let signature = signer.sign(None, body.as_bytes(), credentials, self.now())?;
        let mut request = agent::agent(sts, self.roots.client_config(), SILENCE)
            .post(&url)
            .header("content-type", FORM)
            .header("x-amz-date", &signature.date)
            .header("authorization", signature.authorization);
        if let Some(token) = signature.token {
            request = request.header("x-amz-security-token", token);
        }
        let mut answer = request
            .send(body)
            .map_err(|error| anyhow::anyhow!(explain::explain(&error, host)))?;
        let text = answer
            .body_mut()
            .read_to_string()
            .context("an answer that cannot be read")?;
        let code = between(&text, "<Code>", "</Code>").unwrap_or("no reason");
        ensure!(
            answer.status() == 200,
            "{host} does not accept them ({code}): {}",
            self.advice
        );
        let arn = between(&text, "<Arn>", "</Arn>");
        Ok(arn
            .with_context(|| format!("{host} does not say whose they are"))?
            .to_owned())
    }

    /// Whether the stream exists and takes records from this board.
    pub fn stream(&mut self) -> Verdict {
        let Some(credentials) = self.credentials.clone() else {
            return Untested("there are no credentials to ask with".to_owned());
        };
        let stream = serde_json::Value::from(self.stream.as_str());
        let record = format!(
            r#""PartitionKey":"headwater check","Data":"","ExplicitHashKey":"{NO_HASH_KEY}""#
        );
        let bodies = [
            (
                Call::PutRecord,
                format!(r#"{{"StreamName":{stream},{record}}}"#),
            ),
            (
                Call::PutRecords,
                format!(r#"{{"StreamName":{stream},"Records":[{{{record}}}]}}"#),
            ),
        ];
        let mut verdict = Untested(String::new());
        for (call, body) in bodies {
            verdict = self.put(call, &body, &credentials);
            if !matches!(verdict, Good(_)) {
                break;
            }
        }
        verdict
    }

    fn put(&mut self, call: Call, body: &str, credentials: &Credentials) -> Verdict {
        let now = self.now();
        let Self {
            client,
            stream,
            region,
            host,
            ..
        } = self;
        let answer = match client.put(call, body.as_bytes(), credentials, now) {
            Ok(answer) => answer,
            Err(broken) => return Bad(explain::explain(&broken.error, host)),
        };
        let there = format!("'{stream}' in {region} exists and may be written to");
        let outcome = outcome::read(answer.status, answer.error_type.as_deref(), answer.body, 1);
        let (class, problem) = match outcome {
            _ if answer.status == 200 => {
                return Good(format!(
                    "{there}; {host}, which is not Kinesis, took an empty record for that"
                ));
            }
            Outcome::Failed(class, problem) => (class, problem),
            _ => return Untested(format!("{host} gave no answer that can be read")),
        };
        // The record's own fault was looked at, and so all else is right: the signature, the permission, the stream.
        match names_the_hash_key(&problem) {
            true => Good(there),
            false => refusal(class, &problem, call, stream, region, host, &self.advice),
        }
    }

    fn now(&self) -> SystemTime {
        self.time.at(SystemTime::now())
    }
}

fn names_the_hash_key(problem: &Problem) -> bool {
    let message = problem.message.to_ascii_lowercase().replace(' ', "");
    message.contains("explicithashkey")
}

fn refusal(
    class: Class,
    problem: &Problem,
    call: Call,
    stream: &str,
    region: &str,
    host: &str,
    advice: &str,
) -> Verdict {
    let name = match call {
        Call::PutRecord => "kinesis:PutRecord",
        Call::PutRecords => "kinesis:PutRecords",
    };
    match (problem.code.as_str(), class) {
        ("ResourceNotFoundException", _) => Bad(format!(
            "there is no stream '{stream}' in {region}: create it, or correct AWS_STREAM_NAME or AWS_REGION"
        )),
        ("AccessDeniedException" | "AccessDenied", _) => Bad(format!(
            "these credentials may not write to '{stream}': allow {name} on it"
        )),
        (_, Class::Renew(Renew::Credentials)) => Bad(format!(
            "the credentials are not accepted ({}): {advice}",
            problem.code
        )),
        (_, Class::Renew(Renew::Clock)) => Bad(format!(
            "the signature is not accepted, so the secret key is wrong: {advice}"
        )),
        (_, Class::Retry | Class::Throttled) => Doubtful(format!(
            "{host} is in trouble ({problem}): the program will try again, and so may you"
        )),
        (_, Class::Refused | Class::Impossible) => Bad(format!(
            "{host} refuses every record ({problem}): check AWS_STREAM_NAME, AWS_REGION and the endpoint, or a proxy's limits"
        )),
        _ => Bad(format!("{host} refuses ({problem})")),
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = text.split_once(start)?.1;
    Some(rest.split_once(end)?.0)
}
