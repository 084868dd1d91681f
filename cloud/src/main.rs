//! The Lambda function's process: Lambda's runtime API around [`cloud::Function`].

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use chrono::Utc;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use tokio::time::Instant;

use cloud::Function;
use cloud::config::Config;
use cloud::lambda::{Answer, Event};

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
async fn handle(function: &Function, event: LambdaEvent<Event>) -> Result<Answer, Error> {
    let LambdaEvent {
        payload: Event { records },
        context,
        ..
    } = event;
    let outcome = function.process(&records, deadline(&context)).await;
    let shard = records.first().map(|record| record.shard_id.as_str());
    let line = outcome.report.line(
        &context.env_config.function_name,
        &context.request_id,
        shard.unwrap_or_default(),
        Utc::now(),
        &outcome.troubles,
    );
    println!("{line}");
    match outcome.again_from {
        None => Ok(Answer::default()),
        Some(0) => Err(outcome.troubles.join("; ").into()),
        Some(n) => Ok(Answer::again_from(&records[n])),
    }
}

fn deadline(context: &Context) -> Instant {
    let left = SystemTime::UNIX_EPOCH + Duration::from_millis(context.deadline);
    Instant::now() + left.duration_since(SystemTime::now()).unwrap_or_default()
}
