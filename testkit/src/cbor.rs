//! Converts CBOR to JSON, and back. Kinesis has the same members in both; data is bytes in CBOR and base64 in JSON.
//!
//! It uses a different library than the board, so that the two check each other.

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ciborium::Value as Cbor;
use serde_json::{Map, Value};

/// The content type of Kinesis's CBOR.
pub const CONTENT_TYPE: &str = "application/x-amz-cbor-1.1";

/// The CBOR in `body`, with base64 for bytes.
///
/// # Errors
/// It is no CBOR, or has what JSON has not.
pub fn to_json(body: &[u8]) -> anyhow::Result<Value> {
    let mut rest = body;
    let value: Cbor = ciborium::from_reader(&mut rest)?;
    anyhow::ensure!(rest.is_empty(), "{} bytes stand behind it", rest.len());
    json(value)
}

/// The same in CBOR.
///
/// # Panics
/// A number has a fraction, which none of Kinesis has.
pub fn from_json(value: &Value) -> Vec<u8> {
    let mut body = Vec::new();
    ciborium::into_writer(&cbor(value), &mut body).expect("memory takes all that is written to it");
    body
}

fn json(value: Cbor) -> anyhow::Result<Value> {
    Ok(match value {
        Cbor::Text(text) => text.into(),
        Cbor::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Cbor::Bool(is) => is.into(),
        Cbor::Null => Value::Null,
        Cbor::Integer(number) => i64::try_from(number)?.into(),
        Cbor::Array(values) => {
            Value::Array(values.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        Cbor::Map(members) => {
            let member = |(name, value): (Cbor, Cbor)| {
                let name = name.into_text().ok().context("a name that is no text")?;
                anyhow::Ok((name, json(value)?))
            };
            Value::Object(
                members
                    .into_iter()
                    .map(member)
                    .collect::<Result<Map<_, _>, _>>()?,
            )
        }
        other => bail!("JSON has no {other:?}"),
    })
}

fn cbor(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(is) => Cbor::Bool(*is),
        Value::Number(number) => Cbor::from(number.as_i64().expect("a whole number")),
        Value::String(text) => Cbor::from(text.as_str()),
        Value::Array(values) => Cbor::Array(values.iter().map(cbor).collect()),
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| (Cbor::from(name.as_str()), cbor(value));
            Cbor::Map(members.iter().map(member).collect())
        }
    }
}
