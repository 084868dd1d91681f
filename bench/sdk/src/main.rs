//! The job of headwater as a loop on `aws-sdk-kinesis`: each line of standard input becomes a record.
//!
//! `sdk 1` sends one PutRecord a line, `sdk 500` collects that many for each PutRecords. Nothing is queued, parsed or kept; a failure ends
//! it. `AWS_ENDPOINT_URL` names the server, `SSL_CERT_FILE` whom it trusts.

use std::io::{BufRead, stdin};

use anyhow::{Context, ensure};
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_sdk_kinesis::{Client, Config};

const STREAM: &str = "posts";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let per_call: usize = std::env::args()
        .nth(1)
        .context("usage: sdk RECORDS-A-CALL")?
        .parse()?;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(std::env::var("AWS_ENDPOINT_URL")?)
        .credentials_provider(Credentials::new(
            "AKIDEXAMPLE",
            "secret",
            None,
            None,
            "bench",
        ))
        .build();
    let client = Client::from_conf(config);
    let mut lines = stdin().lock().lines();
    let mut sent = 0;
    loop {
        let batch: Vec<String> = lines.by_ref().take(per_call).collect::<Result<_, _>>()?;
        match batch.len() {
            0 => return Ok(()),
            _ if per_call == 1 => put_one(&client, sent, batch).await?,
            _ => put_many(&client, sent, batch).await?,
        }
        sent += per_call;
    }
}

/// As long as the key headwater gives a line: a ULID.
fn key(number: usize) -> String {
    format!("{number:026}")
}

async fn put_one(client: &Client, first: usize, lines: Vec<String>) -> anyhow::Result<()> {
    for line in lines {
        let call = client.put_record().stream_name(STREAM);
        let call = call.partition_key(key(first)).data(Blob::new(line));
        call.send().await?;
    }
    Ok(())
}

async fn put_many(client: &Client, first: usize, lines: Vec<String>) -> anyhow::Result<()> {
    let mut call = client.put_records().stream_name(STREAM);
    for (index, line) in lines.into_iter().enumerate() {
        let entry = PutRecordsRequestEntry::builder()
            .partition_key(key(first + index))
            .data(Blob::new(line));
        call = call.records(entry.build()?);
    }
    let answer = call.send().await?;
    ensure!(answer.failed_record_count() == Some(0), "not all arrived");
    Ok(())
}
