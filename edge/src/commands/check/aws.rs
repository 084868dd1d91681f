//! Tests the credentials, and whether they may write to the stream.
//!
//! The producer may put records and nothing else, so it cannot call DescribeStream. Instead it sends a record that Kinesis must refuse, because its
//! hash key is just out of range. Kinesis checks the signature, the permission and the stream first, so an `InvalidArgumentException` means that
//! all three are right, and nothing was written. A stand-in for Kinesis may ignore hash keys and accept the record, which has no data: the
//! verdict then says so.

use std::convert::Infallible;
use std::time::SystemTime;

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

/// 2^128: one more than the largest hash key.
const NO_HASH_KEY: &str = "340282366920938463463374607431768211456";

const DESCRIBE_STREAM: &str = "Kinesis_20131202.DescribeStreamSummary";

/// The answer to the record that must be refused.
enum Answered {
    Taken,
    Refused(Class, Problem),
    Unreadable,
}

/// Makes the calls, and keeps what later ones need.
pub struct Asker {
    client: Client,
    roots: Roots,
    stream: String,
    region: String,
    host: String,
    time: ServerClock,
    /// What to do if AWS does not accept the credentials.
    advice: String,
    credentials: Option<Credentials>,
    /// Whether the stream accepts calls in JSON.
    takes_json: bool,
}

impl Asker {
    /// For the stream of `config`. `time` is the clock's offset, if known.
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

    /// Tests the credentials by `sts:GetCallerIdentity`, which needs no permission.
    pub fn identity(&mut self, provider: Provider, sts: Option<&Endpoint>) -> Verdict {
        let from = provider.to_string();
        let credentials = match Keychain::new(provider).get(self.now()) {
            Ok(credentials) => credentials,
            Err(error) => return Bad(format!("{error:#}")),
        };
        let verdict = match sts {
            None => Untested(format!(
                "found credentials from {from}; their owner was not checked: set AWS_ENDPOINT_URL_STS"
            )),
            Some(sts) => match self.caller(&credentials, sts) {
                Ok(arn) => Good(format!("{arn}, from {from}")),
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
        let mut request = agent::agent(sts, self.roots.client_config(), agent::CHECK_SILENCE)
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
            .context("the answer cannot be read")?;
        let code = between(&text, "<Code>", "</Code>").unwrap_or("no reason");
        ensure!(
            answer.status() == 200,
            "{host} does not accept the credentials ({code}): {}",
            self.advice
        );
        let arn = between(&text, "<Arn>", "</Arn>");
        Ok(arn
            .with_context(|| format!("{host} does not name the owner of the credentials"))?
            .to_owned())
    }

    /// Tests whether the stream exists and may be written to.
    pub fn stream(&mut self) -> Verdict {
        let Some(credentials) = self.credentials.clone() else {
            return Untested("there are no credentials to try it with".to_owned());
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

    /// Tests whether the stream accepts records of `wanted` bytes. Only credentials with kinesis:DescribeStreamSummary can ask; a board needs none.
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

    /// Tests whether the server accepts calls in CBOR. `wanted` says whether the run is to send them.
    pub fn cbor(&mut self, wanted: bool) -> Verdict {
        let credentials = self.credentials.clone().filter(|_| self.takes_json);
        let Some(credentials) = credentials else {
            return Untested("not tried, because the stream is not good".to_owned());
        };
        let host = self.host.clone();
        for call in [Call::PutRecord, Call::PutRecords] {
            match self.put(call, Wire::Cbor, &credentials) {
                // Parsed as CBOR: refused for its hash key, or accepted by a server that ignores hash keys.
                Ok((Wire::Cbor, Answered::Refused(_, problem))) if names_the_hash_key(&problem) => {
                }
                Ok((Wire::Cbor, Answered::Taken)) => {}
                Ok(_) if wanted => {
                    return Doubtful(format!(
                        "{host} does not accept CBOR: a run will send JSON instead; leave --wire cbor out"
                    ));
                }
                Ok(_) => {
                    return Good(format!("{host} does not accept CBOR; JSON is used"));
                }
                Err(bad) => return bad,
            }
        }
        Good(match wanted {
            true => format!("{host} accepts CBOR, which is used"),
            false => format!("{host} accepts CBOR: --wire cbor may be switched on"),
        })
    }

    /// Sends the record that must be refused. Returns the format of the answer, and the answer.
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
                "{there}; {host}, which is not Kinesis, accepted an empty record in this test"
            )),
            // Kinesis checks the hash key last, so the signature, the permission and the stream are right.
            Answered::Refused(_, problem) if names_the_hash_key(&problem) => Good(there),
            Answered::Refused(class, problem) => {
                refusal(class, &problem, call, stream, region, host, &self.advice)
            }
            Answered::Unreadable => Untested(format!("the answer of {host} cannot be read")),
        }
    }

    fn now(&self) -> SystemTime {
        self.time.at(SystemTime::now())
    }
}

/// The body of a call with one record without data, whose hash key is out of range. It is written as a
/// [`Batch`](crate::aws::kinesis::request::Batch) would write it.
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
            "{host} failed ({problem}): a run tries again by itself; run the check again"
        )),
        (_, Class::Refused | Class::Impossible) => Bad(format!(
            "{host} refuses every record ({problem}): check AWS_STREAM_NAME, AWS_REGION and the endpoint, or a proxy's limits"
        )),
        _ => Bad(format!("{host} refuses the request ({problem})")),
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = text.split_once(start)?.1;
    Some(rest.split_once(end)?.0)
}
