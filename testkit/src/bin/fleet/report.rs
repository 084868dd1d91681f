//! What a run came to, and whether it is as demanded.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use testkit::contenders::{Contender, Kind};
use testkit::shards::Limits;
use testkit::stream::ledger::Second;

use crate::plot;
use crate::run::{Outcome, Plan, Return};

/// What is demanded: a figure and the most it may be.
struct Demand {
    says: String,
    is: f64,
    at_most: f64,
}

/// The figures of a run.
pub struct Report {
    text: String,
    svg: String,
    holds: bool,
}

impl Report {
    /// Judges an outcome; figures that depend on time may be `slack` times what is demanded.
    pub fn new(plan: &Plan, contender: &Contender, outcome: &Outcome, slack: f64) -> Self {
        let demands = demands(plan, outcome, slack);
        let is_judged = contender.kind == Kind::Headwater;
        let mut text = format!(
            "{}: {} boards, {} shards, a post of 570 bytes a second each, outages of {} s: {} posts in {:.0?}\n\n\
             | figure | measured | at most | |\n|---|---:|---:|---|\n",
            contender.name,
            plan.boards,
            plan.shards,
            plan.outage.as_secs(),
            outcome.fed,
            outcome.span.1 - outcome.span.0,
        );
        for demand in &demands {
            let verdict = match (is_judged, demand.holds()) {
                (false, _) => "",
                (true, true) => "holds",
                (true, false) => "**missed**",
            };
            let Demand { says, is, at_most } = demand;
            // Writing to memory does not fail.
            let _ = writeln!(text, "| {says} | {is:.2} | {at_most:.2} | {verdict} |");
        }
        for (name, value) in notes(plan, outcome) {
            let _ = writeln!(text, "| {name} | {value} | | |");
        }
        let limit = plan.shards as f64 * Limits::default().records;
        Self {
            text,
            svg: plot::svg(outcome, limit).unwrap_or_default(),
            holds: !is_judged || demands.iter().all(Demand::holds),
        }
    }

    /// For people.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether nothing was missed.
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// Writes `fleet.md` and `fleet.svg`.
    ///
    /// # Errors
    ///
    /// They cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join("fleet.svg"), &self.svg)?;
        let text = format!(
            "# A fleet and its return\n\n{}\n![](fleet.svg)\n",
            self.text
        );
        fs::write(folder.join("fleet.md"), text)
    }
}

impl Demand {
    fn holds(&self) -> bool {
        self.is <= self.at_most
    }
}

fn demands(plan: &Plan, outcome: &Outcome, slack: f64) -> Vec<Demand> {
    let demand = |says: &str, is, at_most| Demand {
        says: says.to_owned(),
        is,
        at_most,
    };
    let counts = &outcome.counts;
    let calls = online(outcome).map(|second| second.calls as f64);
    let (mean, worst) = (mean(calls.clone()), calls.fold(0.0, f64::max));
    let mut all = vec![
        demand(
            "posts that did not arrive",
            (outcome.fed - counts.delivered.min(outcome.fed)) as f64,
            0.0,
        ),
        demand(
            "records sent for each accepted",
            counts.sent_per_delivered(),
            1.2,
        ),
        demand(
            "calls in the worst second, beside the mean",
            worst / mean,
            3.0 * slack,
        ),
        demand(
            "memory of all boards, GB",
            outcome.fleet.memory as f64 / 1e9,
            8.0 * plan.boards as f64 / 1_000.0,
        ),
    ];
    // A third alone is back sooner than the pauses between its attempts, which are ten seconds at most, let it be even.
    if let Some(back) = outcome.returns.first() {
        let (slowest, average) = slowest_and_mean(back);
        all.push(demand(
            "return of all: time beside the least possible",
            slowest / back.least.as_secs_f64(),
            1.25 * slack,
        ));
        all.push(demand(
            "return of all: slowest board beside the mean",
            slowest / average,
            1.5 * slack,
        ));
    }
    all
}

/// What is told without a limit.
fn notes(plan: &Plan, outcome: &Outcome) -> Vec<(String, String)> {
    let seconds = &outcome.counts.seconds;
    let connections: u64 = seconds.iter().map(|second| second.connections).sum();
    let mut all = Vec::new();
    for (back, whose) in outcome.returns.iter().zip(["all", "a third"]) {
        let (slowest, average) = slowest_and_mean(back);
        let first = back.outage.1.as_secs() as usize;
        let at_first = seconds.get(first..first + 2).unwrap_or_default();
        let calls = at_first
            .iter()
            .map(|second| second.calls)
            .max()
            .unwrap_or_default();
        let new = at_first
            .iter()
            .map(|second| second.connections)
            .max()
            .unwrap_or_default();
        all.push((
            format!("return of {whose}: posts that waited; the least possible, the mean board, the slowest"),
            format!("{}; {:.1} s, {average:.1} s, {slowest:.1} s", back.backlog, back.least.as_secs_f64()),
        ));
        all.push((
            format!("return of {whose}: calls and connections in its first second"),
            format!("{calls}, {new}"),
        ));
    }
    let span = (outcome.span.1 - outcome.span.0).as_secs_f64();
    let calls = online(outcome).map(|second| second.calls as f64);
    all.extend([
        (
            "calls a second, on average while the network stands".to_owned(),
            format!("{:.0}", mean(calls)),
        ),
        ("connections".to_owned(), connections.to_string()),
        (
            "processor time of a board, of a core".to_owned(),
            format!(
                "{:.3} %",
                100.0 * outcome.fleet.cpu / span / plan.boards as f64
            ),
        ),
        (
            "memory of a board, MB".to_owned(),
            format!(
                "{:.2}",
                outcome.fleet.memory as f64 / 1e6 / plan.boards as f64
            ),
        ),
        (
            "processor time of the stream and the feeder, of a core".to_owned(),
            format!("{:.1} %", 100.0 * outcome.stand_in.cpu / span),
        ),
    ]);
    all
}

/// The seconds in which the network of all boards stood, from the first post to the last.
fn online(outcome: &Outcome) -> impl Iterator<Item = &Second> + Clone {
    let span = (outcome.span.0.as_secs() + 1)..outcome.span.1.as_secs();
    let whole = outcome.counts.seconds.iter().zip(0..);
    let stands = move |second: u64| {
        let within =
            |back: &Return| (back.outage.0.as_secs()..back.outage.1.as_secs()).contains(&second);
        span.contains(&second) && !outcome.returns.iter().any(within)
    };
    whole.filter_map(move |(counts, second)| stands(second).then_some(counts))
}

/// In seconds; a board that never caught up makes them endless.
fn slowest_and_mean(back: &Return) -> (f64, f64) {
    let seconds = |done: &Option<Duration>| done.map_or(f64::INFINITY, |done| done.as_secs_f64());
    let done = back.done.iter().map(seconds);
    (done.clone().fold(0.0, f64::max), mean(done))
}

fn mean(figures: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = figures.fold((0.0, 0), |(sum, count), figure| (sum + figure, count + 1));
    sum / f64::from(count.max(1))
}
