//! The Lambda function's process: Lambda's runtime API around [`cloud::Function`].

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aws_lambda_events::kinesis::KinesisEvent;
use aws_lambda_events::streams::KinesisEventResponse;
use chrono::Utc;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use tokio::time::Instant;

use cloud::Function;
use cloud::config::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let config = Config::read(|name| std::env::var(name).ok())?;
    let function = &config.function();
    let service = service_fn(move |event| handle(function, event));
    lambda_runtime::run(service)
        .await
        .map_err(anyhow::Error::from_boxed)
}

/// One batch. The answer names the first record that must come again. If that is the batch's
/// first, the invocation fails instead: the same to Lambda, and its alarm on errors rings.
async fn handle(
    function: &Function,
    event: LambdaEvent<KinesisEvent>,
) -> Result<KinesisEventResponse, Error> {
    let LambdaEvent {
        payload: KinesisEvent { records, .. },
        context,
        ..
    } = event;
    let outcome = function.process(&records, deadline(&context)).await;
    let shard = records
        .first()
        .and_then(cloud::shard_id)
        .unwrap_or_default();
    let name = &context.env_config.function_name;
    println!(
        "{}",
        outcome.report.line(
            name,
            &context.request_id,
            shard,
            Utc::now(),
            &outcome.troubles
        )
    );
    let mut answer = KinesisEventResponse::default();
    match outcome.again_from {
        None => {}
        Some(0) => return Err(outcome.troubles.join("; ").into()),
        Some(n) => answer.add_failure(&records[n].kinesis.sequence_number),
    }
    Ok(answer)
}

fn deadline(context: &Context) -> Instant {
    let left = SystemTime::UNIX_EPOCH + Duration::from_millis(context.deadline);
    Instant::now() + left.duration_since(SystemTime::now()).unwrap_or_default()
}
