//! What an answer means for the records that were sent: a pure function of status, error header and body.
//!
//! Only [`Class::Delivered`] and [`Class::Impossible`] let go of a record. Codes are those of the Kinesis API reference (PutRecord,
//! PutRecords, common errors).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};

use crate::aws::kinesis::{Class, MAX_RECORDS, Renew};

/// What became of a whole call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every record arrived. Holds the sequence number a PutRecord got.
    Delivered(SequenceNumber),
    /// PutRecords took some of them: one class a record, in their order, and the first failure's words.
    Partly(Box<heapless::Vec<Class, MAX_RECORDS>>, Problem),
    /// None arrived, or none can be told to have arrived.
    Failed(Class, Problem),
}

/// A sequence number as Kinesis gives it: up to 128 digits. Empty where the call gives none.
pub type SequenceNumber = heapless::String<128>;

/// What the server said went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Kinesis's error code, or one of our own words where it gave none.
    pub code: String,
    /// Its explanation; may be empty.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => f.write_str(&self.code),
            message => write!(f, "{}: {message}", self.code),
        }
    }
}

/// Reads the answer to a call with `sent` records. `error_type` is the header `x-amzn-errortype`, where there is one.
pub fn read(status: u16, error_type: Option<&str>, body: &[u8], sent: usize) -> Outcome {
    match status {
        200 if sent == 1 => read_one(body),
        200 => read_many(body, sent),
        _ => read_error(status, error_type, body),
    }
}

/// The class of an error code, alone or for one record of PutRecords; `None` for a code not in the reference.
pub fn classify(code: &str) -> Option<Class> {
    Some(match code {
        "ProvisionedThroughputExceededException"
        | "InternalFailure"
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
        | "ValidationException" => Class::Impossible,
        _ => return None,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordAnswer<'a> {
    #[serde(borrow)]
    sequence_number: Cow<'a, str>,
}

fn read_one(body: &[u8]) -> Outcome {
    let answer = parse::<PutRecordAnswer<'_>>(body);
    match answer.and_then(|answer| SequenceNumber::try_from(answer.sequence_number.as_ref()).ok()) {
        Some(number) if !number.is_empty() => Outcome::Delivered(number),
        _ => not_an_answer(body),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordsAnswer {
    records: PerRecord,
}

fn read_many(body: &[u8], sent: usize) -> Outcome {
    match parse(body) {
        Some(PutRecordsAnswer { records }) if records.classes.len() == sent => {
            match records.first_problem {
                None => Outcome::Delivered(SequenceNumber::new()),
                Some(problem) => Outcome::Partly(Box::new(records.classes), problem),
            }
        }
        _ => not_an_answer(body),
    }
}

/// `body` as an answer, if it is one. Looked at as text once as a whole, not string by string.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    serde_json::from_str(std::str::from_utf8(body).ok()?).ok()
}

/// A 200 that Kinesis did not write, or only half of one that it did. The records may have arrived: sending them again is right.
fn not_an_answer(body: &[u8]) -> Outcome {
    let what = if body.is_empty() {
        "an empty answer"
    } else {
        "an answer that is cut short or not from Kinesis (a log-in page of the network?)"
    };
    Outcome::Failed(
        Class::Retry,
        Problem {
            code: "UnreadableAnswer".into(),
            message: what.into(),
        },
    )
}

fn read_error(status: u16, error_type: Option<&str>, body: &[u8]) -> Outcome {
    #[derive(Deserialize, Default)]
    struct Error {
        #[serde(default, rename = "__type")]
        kind: Option<String>,
        #[serde(default, alias = "Message")]
        message: Option<String>,
    }
    let error = parse::<Error>(body).unwrap_or_default();
    let code = error
        .kind
        .as_deref()
        .or(error_type)
        .map(bare_code)
        .unwrap_or_default();
    let class = classify(code).unwrap_or(match status {
        408 | 429 | 500..=599 => Class::Retry,
        413 => Class::Impossible,
        // A redirect is never Kinesis's: something between here and there answered.
        300..=399 => Class::Retry,
        _ => Class::Hold,
    });
    let code = if code.is_empty() {
        format!("HTTP status {status}")
    } else {
        code.to_owned()
    };
    Outcome::Failed(
        class,
        Problem {
            code,
            message: error.message.unwrap_or_default(),
        },
    )
}

/// The code without the namespace before `#` and the address after `:` that some services put around it.
fn bare_code(text: &str) -> &str {
    let text = text.rsplit('#').next().unwrap_or(text);
    text.split(':').next().unwrap_or(text)
}

/// The `Records` of a PutRecords answer, read without an allocation for each.
#[derive(Default)]
struct PerRecord {
    classes: heapless::Vec<Class, MAX_RECORDS>,
    first_problem: Option<Problem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecordAnswer<'a> {
    #[serde(borrow, default)]
    error_code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error_message: Option<Cow<'a, str>>,
    #[serde(default)]
    sequence_number: Option<IgnoredAny>,
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
                        .map_err(|_| serde::de::Error::invalid_length(MAX_RECORDS + 1, &self))?;
                }
                Ok(records)
            }
        }
        deserializer.deserialize_seq(Records)
    }
}

impl PerRecord {
    fn take(&mut self, answer: RecordAnswer<'_>) -> Class {
        let code = match (&answer.error_code, &answer.sequence_number) {
            (None, Some(_)) => return Class::Delivered,
            (None, None) => "NoSequenceNumber",
            (Some(code), _) => code,
        };
        self.first_problem.get_or_insert_with(|| Problem {
            code: code.to_owned(),
            message: answer
                .error_message
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
        });
        match classify(code) {
            // The call itself was well-formed and accepted: what names one of its records is never a reason to drop it.
            Some(Class::Impossible) => Class::Hold,
            Some(class) => class,
            None if answer.error_code.is_none() => Class::Retry,
            None => Class::Hold,
        }
    }
}

#[cfg(test)]
mod tests;
