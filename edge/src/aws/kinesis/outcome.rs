//! What a response means for the records that were sent: a pure function of status, error header and body.
//!
//! Only [`Class::Delivered`] and [`Class::Impossible`] remove a record from the queue. The codes are those of the Kinesis Data Streams API
//! Reference: PutRecord and PutRecords, section Errors, and Common Errors.

mod text;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, SeqAccess, Visitor};
use text::Text;

use crate::aws::kinesis::wire::Wire;
use crate::aws::kinesis::{Class, MAX_RECORDS, Renew};
use crate::platform::crc32c;

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every record was accepted. PutRecord has a sequence number.
    Delivered(SequenceNumber),
    /// PutRecords accepted some: one class for each record, in their order, and the first problem.
    Partly(Box<heapless::Vec<Class, MAX_RECORDS>>, Problem),
    /// No record is known to be accepted.
    Failed(Class, Problem),
}

/// A sequence number of Kinesis: up to 128 digits. Empty for PutRecords.
pub type SequenceNumber = heapless::String<128>;

/// A problem that the server reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Kinesis's error code, or one of this program's if there is none.
    pub code: String,
    /// Its message. May be empty.
    pub message: String,
}

impl Problem {
    /// Whether the explanation names one of these members, in whatever letters and with whatever spaces: Kinesis says "Value '' at
    /// 'records.3.member.partitionKey' failed to satisfy constraint", others "Partition Key is too long".
    pub fn names(&self, members: &[&str]) -> bool {
        let message = self.message.to_ascii_lowercase().replace(' ', "");
        members.iter().any(|member| message.contains(member))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => f.write_str(&self.code),
            message => write!(f, "{}: {message}", self.code),
        }
    }
}

/// The code of a response that cannot be parsed.
pub const UNREADABLE: &str = "UnreadableAnswer";

/// Parses the response to a call with `sent` records, in the format `wire`. `error_type` is the header `x-amzn-errortype`, if there is one.
pub fn read(
    wire: Wire,
    status: u16,
    error_type: Option<&str>,
    body: &[u8],
    sent: usize,
) -> Outcome {
    match status {
        200 if sent == 1 => read_one(wire, body),
        200 => read_many(wire, body, sent),
        _ => read_error(wire, status, error_type, body),
    }
}

/// The shards that accepted the records of a call, in their order, each as a hash of its name. 0 if the response names none.
pub fn shards(wire: Wire, body: &[u8]) -> heapless::Vec<u32, MAX_RECORDS> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Many<'a> {
        #[serde(borrow, default)]
        shard_id: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        records: Vec<One<'a>>,
    }
    // Not the same type again: records in records in records would take the stack.
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct One<'a> {
        #[serde(borrow, default)]
        shard_id: Option<Cow<'a, str>>,
    }
    let hash = |name: &Option<Cow<'_, str>>| {
        let name = name.as_deref();
        name.map_or(0, |name| crc32c::of(name.as_bytes()).max(1))
    };
    match parse::<Many<'_>>(wire, body) {
        Some(answer) if answer.records.is_empty() => {
            std::iter::once(hash(&answer.shard_id)).collect()
        }
        Some(Many { records, .. }) => {
            let names = records.iter().take(MAX_RECORDS);
            names.map(|one| hash(&one.shard_id)).collect()
        }
        None => heapless::Vec::new(),
    }
}

/// Whether this response to a call in CBOR may mean that the server does not know CBOR. Kinesis does. Many stand-ins do not, and each reports it in
/// its own way.
pub fn is_unlike_cbor(status: u16, outcome: &Outcome) -> bool {
    let Outcome::Failed(_, problem) = outcome else {
        return false;
    };
    let code = problem.code.as_str();
    matches!(status, 404 | 415 | 501)
        || matches!(
            code,
            "SerializationException" | "UnknownOperationException" | UNREADABLE
        )
        // An error without a code.
        || matches!(status, 400 | 500) && code.starts_with(NO_CODE_BUT_STATUS)
}

/// The class of an error code, of a call or of one record. `None` for a code that is not in the reference.
pub fn classify(code: &str) -> Option<Class> {
    Some(match code {
        "ProvisionedThroughputExceededException" => Class::Throttled,
        "InternalFailure"
        | "InternalServerError"
        | "InternalServiceError"
        | "InternalFailureException"
        | "KMSThrottlingException"
        | "LimitExceededException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "SlowDown"
        | "Throttling"
        | "ThrottlingException" => Class::Retry,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "UnrecognizedClientException" => Class::Renew(Renew::Credentials),
        "InvalidSignatureException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch" => Class::Renew(Renew::Clock),
        "AccessDenied"
        | "AccessDeniedException"
        | "IncompleteSignature"
        | "KMSAccessDeniedException"
        | "KMSDisabledException"
        | "KMSInvalidStateException"
        | "KMSNotFoundException"
        | "KMSOptInRequired"
        | "NotAuthorized"
        | "OptInRequired"
        | "ResourceInUseException"
        | "ResourceNotFoundException" => Class::Hold,
        "InvalidArgumentException"
        | "SerializationException"
        | "ValidationError"
        | "ValidationException" => Class::Refused,
        _ => return None,
    })
}

/// Whether a refusal is about a record: its partition key, its data, its size.
fn is_about_a_record(problem: &Problem) -> bool {
    let of_the_call = ["streamname", "streamarn", "sequencenumber", "resource"];
    let of_a_record = [
        "partitionkey",
        "explicithashkey",
        "'data'",
        ".data'",
        "recordsize",
    ];
    problem.names(&of_a_record) && !problem.names(&of_the_call)
}

fn read_one(wire: Wire, body: &[u8]) -> Outcome {
    let Some(answer) = parse::<RecordAnswer<'_>>(wire, body) else {
        return unreadable(body);
    };
    match answer.number().map(SequenceNumber::try_from) {
        Ok(Ok(number)) => Outcome::Delivered(number),
        Ok(Err(_)) => unreadable(body),
        // Each response of Kinesis has one of the two.
        Err(failure) if failure.code == NO_NUMBER => unreadable(body),
        Err(failure) => Outcome::Failed(failure.class, failure.into_problem()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordsAnswer {
    records: PerRecord,
}

fn read_many(wire: Wire, body: &[u8], sent: usize) -> Outcome {
    let Some(PutRecordsAnswer { records }) = parse(wire, body) else {
        return unreadable(body);
    };
    let answered = records.classes.len();
    match records.first_problem {
        _ if answered != sent => not_an_answer(format!(
            "an answer about {answered} records to a call with {sent}"
        )),
        None => Outcome::Delivered(SequenceNumber::new()),
        Some(problem) => Outcome::Partly(Box::new(records.classes), problem),
    }
}

/// Parses `body`.
fn parse<'a, T: Deserialize<'a>>(wire: Wire, body: &'a [u8]) -> Option<T> {
    match wire {
        // UTF-8 is checked once for the whole body, not for each string.
        Wire::Json => serde_json::from_str(std::str::from_utf8(body).ok()?).ok(),
        Wire::Cbor => {
            let mut deserializer = minicbor_serde::Deserializer::new(body);
            let answer = T::deserialize(&mut deserializer).ok()?;
            let is_whole = deserializer.decoder().position() == body.len();
            is_whole.then_some(answer)
        }
    }
}

/// A response with status 200 that is not from Kinesis, or incomplete.
fn unreadable(body: &[u8]) -> Outcome {
    not_an_answer(if body.is_empty() {
        "an empty answer".into()
    } else {
        "an answer that is cut short or not from Kinesis (a log-in page of the network?)".into()
    })
}

/// A response with status 200 that says nothing about the records. They may have arrived, so they must be sent again.
fn not_an_answer(message: String) -> Outcome {
    Outcome::Failed(
        Class::Retry,
        Problem {
            code: UNREADABLE.into(),
            message,
        },
    )
}

fn read_error(wire: Wire, status: u16, error_type: Option<&str>, body: &[u8]) -> Outcome {
    #[derive(Deserialize, Default)]
    struct Error<'a> {
        #[serde(borrow, default, rename = "__type")]
        kind: Option<Text<'a>>,
        #[serde(borrow, default, alias = "Message")]
        message: Option<Text<'a>>,
    }
    let error = parse::<Error<'_>>(wire, body).unwrap_or_default();
    let kind = error.kind.as_ref().and_then(Text::get);
    let code = [kind, error_type]
        .into_iter()
        .flatten()
        .map(bare_code)
        .find(|code| !code.is_empty())
        .unwrap_or_default();
    let message = error.message.as_ref().and_then(Text::get);
    let problem = Problem {
        code: if code.is_empty() {
            format!("{NO_CODE_BUT_STATUS} {status}")
        } else {
            code.to_owned()
        },
        message: message.unwrap_or_default().to_owned(),
    };
    let class = match classify(code) {
        Some(Class::Refused) if is_about_a_record(&problem) => Some(Class::Impossible),
        class => class,
    };
    let class = class.unwrap_or(match status {
        408 | 429 | 500..=599 => Class::Retry,
        413 => Class::Refused,
        // Kinesis never redirects: something in between has answered.
        300..=399 => Class::Retry,
        _ => Class::Hold,
    });
    Outcome::Failed(class, problem)
}

/// The code without the namespace before `#` and the address after `:` that some services put around it.
fn bare_code(text: &str) -> &str {
    let text = text.rsplit('#').next().unwrap_or(text);
    text.split(':').next().unwrap_or(text).trim()
}

/// The `Records` of a PutRecords response, parsed without an allocation for each.
#[derive(Default)]
struct PerRecord {
    classes: heapless::Vec<Class, MAX_RECORDS>,
    first_problem: Option<Problem>,
}

/// The code for a record that has neither an error nor a sequence number.
const NO_NUMBER: &str = "NoSequenceNumber";

/// The code for a record whose error has none.
const NO_CODE: &str = "NoErrorCode";

/// The code for an error response that has none, followed by the status.
const NO_CODE_BUT_STATUS: &str = "HTTP status";

/// The part of a response for one record.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordAnswer<'a> {
    #[serde(borrow, default)]
    error_code: Option<Text<'a>>,
    #[serde(borrow, default)]
    error_message: Option<Text<'a>>,
    /// Only a string of digits means that Kinesis has the record.
    #[serde(borrow, default)]
    sequence_number: Option<Text<'a>>,
}

/// Why a record was not delivered.
struct Failure<'a> {
    class: Class,
    code: &'a str,
    message: &'a str,
}

impl Failure<'_> {
    fn into_problem(self) -> Problem {
        Problem {
            code: self.code.to_owned(),
            message: self.message.to_owned(),
        }
    }
}

impl RecordAnswer<'_> {
    /// The record's sequence number if it was delivered. An error code wins over a number.
    fn number(&self) -> Result<&str, Failure<'_>> {
        let retry = |code, message| Failure {
            class: Class::Retry,
            code,
            message,
        };
        let message = self.error_message.as_ref().and_then(Text::get);
        let message = message.unwrap_or_default();
        let Some(code) = &self.error_code else {
            let Some(number) = &self.sequence_number else {
                let why = "the answer gives a record neither a number nor an error";
                return Err(retry(NO_NUMBER, why));
            };
            let why = "the answer gives a record a sequence number that is none";
            return number
                .get()
                .and_then(digits)
                .ok_or_else(|| retry("InvalidSequenceNumber", why));
        };
        Err(match (bare_code(code.get().unwrap_or_default()), message) {
            ("", "") => retry(NO_CODE, "the answer gives a record an error without a code"),
            ("", message) => retry(NO_CODE, message),
            (code, message) => Failure {
                class: match classify(code) {
                    // The call itself was accepted, so an error of one record is no reason to drop that record.
                    Some(Class::Refused) | None => Class::Hold,
                    Some(class) => class,
                },
                code,
                message,
            },
        })
    }
}

/// The digits of a sequence number, of which there are 1 to 128.
fn digits(text: &str) -> Option<&str> {
    let is_number = (1..=SequenceNumber::new().capacity()).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(text)
}

impl<'de> Deserialize<'de> for PerRecord {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Records;
        impl<'de> Visitor<'de> for Records {
            type Value = PerRecord;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX_RECORDS} records")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PerRecord, A::Error> {
                let mut records = PerRecord::default();
                while let Some(answer) = seq.next_element::<RecordAnswer<'de>>()? {
                    let class = records.take(answer);
                    records
                        .classes
                        .push(class)
                        .map_err(|_| A::Error::invalid_length(MAX_RECORDS + 1, &self))?;
                }
                Ok(records)
            }
        }
        deserializer.deserialize_seq(Records)
    }
}

impl PerRecord {
    fn take(&mut self, answer: RecordAnswer<'_>) -> Class {
        match answer.number() {
            Ok(_) => Class::Delivered,
            Err(failure) => {
                let class = failure.class;
                self.first_problem
                    .get_or_insert_with(|| failure.into_problem());
                class
            }
        }
    }
}

#[cfg(test)]
mod tests;
