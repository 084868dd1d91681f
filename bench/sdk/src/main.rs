//! The job of headwater as a loop on `aws-sdk-kinesis`: each line of standard input becomes a record.
//!
//! `sdk 1` sends one PutRecord a line, `sdk 500` collects that many for each PutRecords. Nothing is queued, parsed or kept; a failure ends
//! it. `--persist` tries again instead, for ever: a call that failed, and of a PutRecords those records that were refused. `AWS_ENDPOINT_URL`
//! names the server, `SSL_CERT_FILE` whom it trusts.

use std::io::{BufRead, stdin};
use std::time::Duration;

use anyhow::{Context, ensure};
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_sdk_kinesis::{Client, Config};

const STREAM: &str = "posts";

/// How long it waits before it tries again, beside what the SDK waits.
const PAUSE: Duration = Duration::from_millis(200);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: sdk RECORDS-A-CALL [--persist]";
    let per_call: usize = arguments.next().context(usage)?.parse()?;
    let persists = match arguments.next().as_deref() {
        None => false,
        Some("--persist") => true,
        Some(_) => anyhow::bail!(usage),
    };
    let access_key = std::env::var("AWS_ACCESS_KEY_ID").unwrap_or("AKIDEXAMPLE".to_owned());
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(std::env::var("AWS_ENDPOINT_URL")?)
        .credentials_provider(Credentials::new(access_key, "secret", None, None, "bench"))
        .build();
    let client = Client::from_conf(config);
    let mut lines = stdin().lock().lines();
    let mut sent = 0;
    loop {
        let batch: Vec<String> = lines.by_ref().take(per_call).collect::<Result<_, _>>()?;
        let count = batch.len();
        let numbered = (sent..).map(key).zip(batch);
        let mut records: Vec<_> = numbered
            .map(|(key, line)| (key, Blob::new(line)))
            .collect();
        if records.is_empty() {
            return Ok(());
        }
        loop {
            let result = match per_call {
                1 => put_one(&client, &records).await,
                _ => put_many(&client, &mut records).await,
            };
            match result {
                Ok(()) => break,
                Err(error) if !persists => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        sent += count;
    }
}

/// As long as the key headwater gives a line: a ULID.
fn key(number: usize) -> String {
    format!("{number:026}")
}

async fn put_one(client: &Client, records: &[(String, Blob)]) -> anyhow::Result<()> {
    for (key, data) in records {
        let call = client.put_record().stream_name(STREAM);
        let call = call.partition_key(key).data(data.clone());
        call.send().await?;
    }
    Ok(())
}

/// After an error, `records` are those that did not arrive, as far as the answer says.
async fn put_many(client: &Client, records: &mut Vec<(String, Blob)>) -> anyhow::Result<()> {
    let mut call = client.put_records().stream_name(STREAM);
    for (key, data) in &*records {
        let entry = PutRecordsRequestEntry::builder()
            .partition_key(key)
            .data(data.clone());
        call = call.records(entry.build()?);
    }
    let answer = call.send().await?;
    let mut results = answer.records().iter();
    records.retain(|_| results.next().is_none_or(|result| result.error_code().is_some()));
    ensure!(records.is_empty(), "not all arrived");
    Ok(())
}
