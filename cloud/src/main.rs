//! The Lambda function's process: Lambda's runtime API around [`cloud::Function`].

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use chrono::Utc;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use tokio::time::Instant;

use cloud::Function;
use cloud::boards::watch::Watch;
use cloud::config::{self, Config, WatchConfig};
use cloud::lambda::{Answer, Event};
use cloud::report::line_of_look;
use serde_json::Value;

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
    let variable = |name: &str| std::env::var(name).ok();
    if config::is_watch(variable) {
        let watch = &WatchConfig::read(variable)?.watch();
        let service = service_fn(move |event| look(watch, event));
        return lambda_runtime::run(service)
            .await
            .map_err(anyhow::Error::from_boxed);
    }
    let config = Config::read(variable)?;
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

/// One look at the boards; what the schedule sends is of no matter. If not all is told, the invocation fails, and its alarm rings.
async fn look(watch: &Watch, event: LambdaEvent<Value>) -> Result<(), Error> {
    let context = event.context;
    let now = Utc::now();
    let look = watch.look(now, deadline(&context)).await?;
    let function = &context.env_config.function_name;
    println!(
        "{}",
        line_of_look(&look, function, &context.request_id, now)
    );
    look.trouble.map_or(Ok(()), |trouble| Err(trouble.into()))
}

fn deadline(context: &Context) -> Instant {
    let left = SystemTime::UNIX_EPOCH + Duration::from_millis(context.deadline);
    Instant::now() + left.duration_since(SystemTime::now()).unwrap_or_default()
}
