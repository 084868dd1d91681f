//! `credential_process`: a program of the user's that prints credentials as JSON, as the AWS SDKs and CLI define it.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use aws_credential_types::Credentials;
use serde::Deserialize;

use crate::aws::credentials::Parts;

/// The longest part of the program's complaint that is worth repeating.
const COMPLAINT_CHARS: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// Runs `command` in a shell and reads what it prints. A program that hangs holds the queue, and nothing else: its own timeout is its own.
pub fn fetch(command: &str) -> anyhow::Result<Credentials> {
    let run = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .output();
    let output = run.context("credential_process could not be started")?;
    if !output.status.success() {
        let complaint: String = String::from_utf8_lossy(&output.stderr)
            .trim()
            .chars()
            .take(COMPLAINT_CHARS)
            .collect();
        bail!("credential_process failed ({}): {complaint}", output.status);
    }
    parse(&output.stdout)
        .context("credential_process printed no credentials: run it by hand and look")
}

fn parse(json: &[u8]) -> anyhow::Result<Credentials> {
    // The parser's own words could quote a secret.
    let document: Document = serde_json::from_slice(json)
        .ok()
        .context("that is not the JSON it should print")?;
    let Document {
        access_key_id,
        secret_access_key,
        session_token,
        expiration,
    } = document;
    Parts {
        access_key_id,
        secret_access_key,
        session_token,
        expiration,
    }
    .into_credentials("credential_process")
}
