//! Deploys the real `template.yaml` with the real function, the way a user does to AWS.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use aws_credential_types::Credentials;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::aws::Aws;
use crate::binaries::workspace;

const BUCKET: &str = "headwater-functions";
const KEY: &str = "index.zip";

/// Timeout for creating a stack. Usually it takes a second.
const CREATE_TIMEOUT: Duration = Duration::from_secs(120);

/// The stack's outputs.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The stream the producer puts to.
    pub stream: String,
    /// The table the function stores in.
    pub table: String,
    /// The URL of the queue for what cannot be stored.
    pub failure_queue: String,
    /// The identity of the producer.
    pub producer: String,
    /// The region of everything.
    pub region: String,
    /// The table of boards, where there is one.
    pub boards: Option<String>,
    /// The function that watches over them.
    pub watch: Option<String>,
    /// Where to hear of alarms, where somebody is told of them.
    pub alarm_topic: Option<String>,
}

/// Uploads `function`, the `bootstrap` program, zipped.
///
/// # Errors
/// If the program cannot be read, or S3 refuses it.
pub fn upload(aws: &Aws, function: &Path) -> anyhow::Result<()> {
    let program =
        fs::read(function).with_context(|| format!("{} cannot be read", function.display()))?;
    aws.s3_put(BUCKET, KEY, &zip(&program)?)
        .context("the function cannot be uploaded")
}

/// Creates the stack `name` from `template.yaml` with the uploaded function, and waits until it is complete.
///
/// # Errors
/// If CloudFormation cannot create the stack.
pub fn deploy(aws: &Aws, name: &str) -> anyhow::Result<Stack> {
    deploy_with(aws, name, &[])
}

/// The same, with parameters of the template beside those that name the function.
///
/// # Errors
/// If CloudFormation cannot create the stack.
pub fn deploy_with(aws: &Aws, name: &str, more: &[(&str, String)]) -> anyhow::Result<Stack> {
    change(Aws::create_stack, aws, name, more)
}

/// Gives a stack other parameters, beside those that name the function.
///
/// # Errors
/// If CloudFormation cannot change the stack.
pub fn update_with(aws: &Aws, name: &str, more: &[(&str, String)]) -> anyhow::Result<Stack> {
    change(Aws::update_stack, aws, name, more)
}

/// [`Aws::create_stack`] or [`Aws::update_stack`].
type Begin = fn(&Aws, &str, &str, &[(&str, &str)]) -> anyhow::Result<()>;

fn change(begin: Begin, aws: &Aws, name: &str, more: &[(&str, String)]) -> anyhow::Result<Stack> {
    let template = workspace().join("template.yaml");
    let template = fs::read_to_string(&template)
        .with_context(|| format!("{} cannot be read", template.display()))?;
    let mut parameters = vec![("LambdaS3BucketName", BUCKET), ("LambdaZipfileName", KEY)];
    parameters.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    begin(aws, name, &template, &parameters).context("template.yaml is refused")?;
    let deadline = Instant::now() + CREATE_TIMEOUT;
    loop {
        let state = aws.describe_stack(name)?;
        match state.status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" => {
                let output = |key: &str| {
                    let value = state.outputs.get(key).cloned();
                    value.with_context(|| format!("template.yaml has no output {key}"))
                };
                return Ok(Stack {
                    stream: output("KinesisStreamName")?,
                    table: output("TableName")?,
                    failure_queue: output("FailureQueueUrl")?,
                    producer: output("ProducerUserName")?,
                    region: output("Region")?,
                    boards: state.outputs.get("BoardsTableName").cloned(),
                    watch: state.outputs.get("WatchFunctionName").cloned(),
                    alarm_topic: state.outputs.get("AlarmTopicArn").cloned(),
                });
            }
            "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
                if Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(50));
            }
            status => bail!(
                "template.yaml cannot be deployed: {status} {}",
                state.reason
            ),
        }
    }
}

impl Stack {
    /// A new access key for the producer, as `aws iam create-access-key` makes it.
    ///
    /// # Errors
    /// If IAM makes no key.
    pub fn producer_key(&self, aws: &Aws) -> anyhow::Result<Credentials> {
        aws.create_access_key(&self.producer)
            .context("the producer gets no access key")
    }
}

/// A zip file with the function, uncompressed, because it does not leave this machine.
fn zip(program: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::with_capacity(program.len() + 1024)));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .unix_permissions(0o755);
    zip.start_file("bootstrap", options)?;
    zip.write_all(program)?;
    Ok(zip.finish()?.into_inner())
}
