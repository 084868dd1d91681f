//! The table.

use std::fmt::{self, Write};
use std::path::Path;
use std::{fs, io, thread};

use crate::cases::Case;
use crate::run::Outcome;
use testkit::contenders::{Contender, Kind};

/// One line of the table: a program in a case.
#[derive(Clone, Debug)]
pub struct Row {
    program: &'static str,
    all: u64,
    outcome: Outcome,
    /// What it missed; `None` if nothing is demanded of it.
    missed: Option<Vec<String>>,
}

impl Row {
    /// Judges an outcome, if it is that of the headwater in question.
    pub fn new(
        case: &Case,
        contender: &Contender,
        outcome: &Outcome,
        before: Option<&Outcome>,
    ) -> Self {
        let judged = contender.kind == Kind::Headwater && !contender.is_baseline;
        Self {
            program: contender.name,
            all: case.all_posts(),
            missed: judged.then(|| (case.judge)(case, outcome, before)),
            outcome: outcome.clone(),
        }
    }

    /// Whether nothing was missed.
    pub fn holds(&self) -> bool {
        self.missed.as_ref().is_none_or(Vec::is_empty)
    }

    fn cells(&self) -> [String; 8] {
        let Outcome {
            counts,
            bytes,
            took,
            ended,
            ..
        } = &self.outcome;
        let each = |total: f64, digits: usize| match counts.delivered {
            0 => "-".to_owned(),
            delivered => format!("{:.digits$}", total / delivered as f64),
        };
        let seconds = match ended {
            true => format!("{:.1}", counts.last().as_secs_f64()),
            false => format!("> {:.0}", took.as_secs_f64()),
        };
        let verdict = match &self.missed {
            None => "".to_owned(),
            Some(missed) if missed.is_empty() => "holds".to_owned(),
            Some(missed) => format!("misses: {}", missed.join("; ")),
        };
        [
            self.program.to_owned(),
            format!("{} of {}", counts.delivered, self.all),
            seconds,
            each(counts.sent as f64, 2),
            counts.twice.to_string(),
            counts.needless.to_string(),
            each(*bytes as f64, 0),
            verdict,
        ]
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cells().join(" | "))
    }
}

/// The table in Markdown.
pub fn table(rows: &[(&Case, Vec<Row>)]) -> String {
    let mut table = "\
| | program | posts delivered | seconds | sent a post | twice | needless | bytes a post | |
|---|---|---:|---:|---:|---:|---:|---:|---|
"
    .to_owned();
    for (case, rows) in rows {
        for (index, row) in rows.iter().enumerate() {
            let says = if index == 0 {
                format!("**{}**: {}", case.name, case.says)
            } else {
                String::new()
            };
            // Writing to memory does not fail.
            let _ = writeln!(table, "| {says} | {} |", row.cells().join(" | "));
        }
    }
    table
}

/// Writes bench/results/links.md.
pub fn write(rows: &[(&Case, Vec<Row>)]) -> io::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/results/links.md");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = thread::available_parallelism()?;
    let text = format!(
        "\
# Over bad links, into busy streams

Written by `bench/links`; each record has 570 bytes, and all programs ran in one run on one machine ({cores} cores, Linux {}).
What the link does is in [`testkit/src/link`](../../testkit/src/link/mod.rs), what the stream does in
[`testkit/src/stream`](../../testkit/src/stream/mod.rs).

- *seconds*: until the last post arrived; with `>`, the program had not ended when it was stopped.
- *sent a post*: how often a record was sent, in calls that came whole, for each that was delivered.
- *twice*: records accepted again. *needless*: records sent again although the program had read that they were accepted.
- *bytes a post*: all that crossed the link, both ways, TLS included.
- The loops keep nothing and try again for ever. Nothing is demanded of them.

{}",
        kernel.trim(),
        table(rows)
    );
    fs::write(path, text)
}
