//! Who the board is to AWS, and whether that one may write to the stream.
//!
//! The producer may put records and nothing else, so whether the stream exists cannot simply be asked. It is asked with a record that Kinesis
//! must refuse: its hash key lies just outside the range. That is found out after the signature, the permission and the stream were looked at, so
//! an `InvalidArgumentException` means that all three are right, and nothing was written. A server that is not Kinesis may not look at hash
//! keys, and take the record: it has no data, and this says so.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use aws_credential_types::Credentials;
use minicbor::{Encoder, encode};
use serde_json::json;

use crate::aws::clock::ServerClock;
use crate::aws::credentials::{Keychain, Provider};
use crate::aws::kinesis::client::Client;
use crate::aws::kinesis::outcome::{self, Outcome, Problem};
use crate::aws::kinesis::request::Call;
use crate::aws::kinesis::wire::Wire;
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

const DESCRIBE_STREAM: &str = "Kinesis_20131202.DescribeStreamSummary";

/// What the server did with the record that must be refused.
enum Answered {
    Taken,
    Refused(Class, Problem),
    Unreadable,
}

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
    /// The stream was found to be in order, with calls in JSON.
    takes_json: bool,
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
            takes_json: false,
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
        let mut signer = Signer::new(sts, &self.region, "sts");
        let signature = signer.sign(FORM, None, body.as_bytes(), credentials, self.now())?;
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
        let mut verdict = Untested(String::new());
        for call in [Call::PutRecord, Call::PutRecords] {
            verdict = match self.put(call, Wire::Json, &credentials) {
                Ok((_, outcome)) => self.verdict(call, outcome),
                Err(bad) => bad,
            };
            if !matches!(verdict, Good(_)) {
                break;
            }
        }
        self.takes_json = matches!(verdict, Good(_));
        verdict
    }

    /// Whether the stream takes records of so many bytes. Kinesis tells those who may ask for it, which the board need not be allowed to.
    pub fn record_size(&mut self, wanted: usize) -> Verdict {
        let credentials = self.credentials.clone().filter(|_| self.takes_json);
        let Some(credentials) = credentials else {
            return Untested("the stream has to be in order first".to_owned());
        };
        let body = json!({"StreamName": self.stream}).to_string();
        let now = self.now();
        let answer = self.client.call(
            DESCRIBE_STREAM,
            Wire::Json,
            body.as_bytes(),
            &credentials,
            now,
        );
        let told = match answer {
            Ok(answer) if answer.status == 200 => record_bytes(answer.body),
            Ok(_) => None,
            Err(broken) => return Bad(explain::explain(&broken.error, &self.host)),
        };
        let wanted_kib = wanted >> 10;
        match told {
            None => Untested(format!(
                "whether '{}' takes records of {wanted_kib} KiB, these credentials may not ask (kinesis:DescribeStreamSummary): 'aws kinesis describe-stream-summary' says MaxRecordSizeInKiB",
                self.stream
            )),
            Some(told) if told >= wanted => Good(format!(
                "'{}' takes records of {} KiB",
                self.stream,
                told >> 10
            )),
            Some(told) => Bad(format!(
                "'{}' takes records of {} KiB, and larger ones would be set aside: lower --max-record-size, or raise the stream's MaxRecordSizeInKiB to {wanted_kib} ('aws kinesis update-max-record-size')",
                self.stream,
                told >> 10
            )),
        }
    }

    /// Whether the server takes calls in CBOR; `wanted` if the run is to send it.
    pub fn cbor(&mut self, wanted: bool) -> Verdict {
        let credentials = self.credentials.clone().filter(|_| self.takes_json);
        let Some(credentials) = credentials else {
            return Untested("the stream has to be in order first".to_owned());
        };
        let host = self.host.clone();
        for call in [Call::PutRecord, Call::PutRecords] {
            match self.put(call, Wire::Cbor, &credentials) {
                // Read as CBOR and refused for the hash key, or taken by a server that does not look at that.
                Ok((Wire::Cbor, Answered::Refused(_, problem))) if names_the_hash_key(&problem) => {
                }
                Ok((Wire::Cbor, Answered::Taken)) => {}
                Ok(_) if wanted => {
                    return Doubtful(format!(
                        "{host} does not take CBOR: a run will find out and send JSON; leave --wire cbor out"
                    ));
                }
                Ok(_) => {
                    return Good(format!(
                        "{host} does not take CBOR, and JSON is what is sent"
                    ));
                }
                Err(bad) => return bad,
            }
        }
        Good(match wanted {
            true => format!("{host} takes CBOR, and that is what is sent"),
            false => format!("{host} takes CBOR: --wire cbor may be switched on"),
        })
    }

    /// Sends the record that must be refused: how the answer is written, and what it says.
    fn put(
        &mut self,
        call: Call,
        wire: Wire,
        credentials: &Credentials,
    ) -> Result<(Wire, Answered), Verdict> {
        let now = self.now();
        let body = refusable(call, wire, &self.stream);
        let answer = self.client.put(call, wire, &body, credentials, now);
        let answer = answer.map_err(|broken| Bad(explain::explain(&broken.error, &self.host)))?;
        let error_type = answer.error_type.as_deref();
        let outcome = match outcome::read(answer.wire, answer.status, error_type, answer.body, 1) {
            _ if answer.status == 200 => Answered::Taken,
            Outcome::Failed(class, problem) => Answered::Refused(class, problem),
            _ => Answered::Unreadable,
        };
        Ok((answer.wire, outcome))
    }

    fn verdict(&self, call: Call, answered: Answered) -> Verdict {
        let Self {
            stream,
            region,
            host,
            ..
        } = self;
        let there = format!("'{stream}' in {region} exists and may be written to");
        match answered {
            Answered::Taken => Good(format!(
                "{there}; {host}, which is not Kinesis, took an empty record for that"
            )),
            // The record's own fault was looked at, and so all else is right: the signature, the permission, the stream.
            Answered::Refused(_, problem) if names_the_hash_key(&problem) => Good(there),
            Answered::Refused(class, problem) => {
                refusal(class, &problem, call, stream, region, host, &self.advice)
            }
            Answered::Unreadable => Untested(format!("{host} gave no answer that can be read")),
        }
    }

    fn now(&self) -> SystemTime {
        self.time.at(SystemTime::now())
    }
}

/// The body that carries one record without data, whose hash key is out of range; written as a [`Batch`](crate::aws::kinesis::request::Batch)
/// would.
fn refusable(call: Call, wire: Wire, stream: &str) -> Vec<u8> {
    const KEY: &str = "headwater check";
    match wire {
        Wire::Json => {
            let record = json!({"PartitionKey": KEY, "Data": "", "ExplicitHashKey": NO_HASH_KEY});
            let mut body = match call {
                Call::PutRecord => record,
                Call::PutRecords => json!({"Records": [record]}),
            };
            body["StreamName"] = stream.into();
            body.to_string().into_bytes()
        }
        Wire::Cbor => {
            let mut body = Encoder::new(Vec::new());
            let record = |body: &mut Encoder<Vec<u8>>| -> Result<(), encode::Error<Infallible>> {
                body.str("PartitionKey")?.str(KEY)?;
                body.str("Data")?.bytes(b"")?;
                body.str("ExplicitHashKey")?.str(NO_HASH_KEY)?;
                Ok(())
            };
            let written = match call {
                Call::PutRecord => body
                    .map(4)
                    .and_then(|body| body.str("StreamName")?.str(stream))
                    .and_then(record),
                Call::PutRecords => body
                    .map(2)
                    .and_then(|body| body.str("StreamName")?.str(stream))
                    .and_then(|body| body.str("Records")?.begin_array()?.map(3))
                    .and_then(record)
                    .and_then(|()| body.end().map(drop)),
            };
            debug_assert!(written.is_ok(), "memory takes all that is written to it");
            body.into_writer()
        }
    }
}

/// The largest record of the stream that an answer describes, if it says.
fn record_bytes(answer: &[u8]) -> Option<usize> {
    let answer: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let kib = answer["StreamDescriptionSummary"]["MaxRecordSizeInKiB"].as_u64()?;
    usize::try_from(kib << 10).ok()
}

fn names_the_hash_key(problem: &Problem) -> bool {
    problem.names(&["explicithashkey"])
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
