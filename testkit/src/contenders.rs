//! The programs that the benchmarks compare, and the posts they are given.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As bench/run has them: a post with all that goes with it, as a record's data.
const RECORD_BYTES: usize = 570;

/// The programs to run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The one that is measured.
    pub headwater: PathBuf,
    /// The one from before.
    pub baseline: Option<PathBuf>,
    /// The loops on the AWS SDK (bench/sdk).
    pub loops: Option<PathBuf>,
}

/// A program to compare.
#[derive(Clone, Debug)]
pub struct Contender {
    /// For the table.
    pub name: &'static str,
    /// How it is started.
    pub kind: Kind,
    /// It is the headwater from before.
    pub is_baseline: bool,
    program: PathBuf,
}

/// How a program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads lines, keeps them in a spool.
    Headwater,
    /// A loop on the AWS SDK with so many records a call, which tries again for ever.
    Loop(usize),
}

impl Default for Programs {
    fn default() -> Self {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        Self {
            headwater: target.join("release/headwater"),
            baseline: None,
            loops: Some(target.join("bench/release/sdk")),
        }
    }
}

impl Programs {
    /// All of them, headwater first.
    pub fn contenders(&self) -> Vec<Contender> {
        let headwater = |name, program: &PathBuf, is_baseline| Contender {
            name,
            kind: Kind::Headwater,
            is_baseline,
            program: program.clone(),
        };
        let mut all = vec![headwater("headwater", &self.headwater, false)];
        all.extend(
            self.baseline
                .iter()
                .map(|program| headwater("headwater before", program, true)),
        );
        for (name, per_call) in [("PutRecord loop", 1), ("aws-sdk-kinesis, 500 a call", 500)] {
            let kind = Kind::Loop(per_call);
            all.extend(self.loops.iter().map(|program| Contender {
                name,
                kind,
                is_baseline: false,
                program: program.clone(),
            }));
        }
        all
    }
}

impl Contender {
    /// The command of board number `board`, that sends to `url` and trusts `authority`, with its files in `folder`.
    pub fn command(&self, board: usize, url: &str, authority: &Path, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_ENDPOINT_URL", url)
            .env("AWS_CA_BUNDLE", authority)
            .env("SSL_CERT_FILE", authority)
            // Credentials that sign, and mean nothing; the stream tells the boards apart by them.
            .env("AWS_ACCESS_KEY_ID", access_key(board))
            .env("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests");
        match self.kind {
            Kind::Headwater => command
                .args(["--source", "lines", "pizza"])
                .env("AWS_REGION", "eu-west-1")
                .env("AWS_STREAM_NAME", "posts")
                .env("HEADWATER_SPOOL", folder.join("spool"))
                .env("HEADWATER_SPOOL_SIZE", "32MiB")
                .env("HEADWATER_WHEN_FULL", "block")
                .env("RUNTIME_DIRECTORY", folder)
                .env("HEADWATER_METRICS_FILE", metrics(folder)),
            Kind::Loop(per_call) => command.arg(per_call.to_string()).arg("--persist"),
        };
        command
    }

    /// `count` lines about pizza from number `first` on, no two alike, whose records have [`RECORD_BYTES`].
    pub fn posts(&self, first: usize, count: usize) -> String {
        let line_bytes = match self.kind {
            Kind::Headwater => RECORD_BYTES - envelope_bytes(),
            Kind::Loop(_) => RECORD_BYTES,
        };
        let mut posts = String::with_capacity(count * (line_bytes + 1));
        for number in first as u64..(first + count) as u64 {
            let start = posts.len();
            let (id, author) = (1_990_000_000_000_000_000 + number, number % 997);
            // Writing to memory does not fail.
            let _ = write!(
                posts,
                r#"{{"id":"{id}","author":"user{author}","text":"pizza number {number}, "#
            );
            let end = start + line_bytes - 2;
            while posts.len() < end {
                let _ = write!(
                    posts,
                    r#"with \"{:x}\" on a thin crust, "#,
                    number * 2_654_435_761 % (1 << 32)
                );
            }
            posts.truncate(end);
            // A cut must not leave half of an escape.
            posts.truncate(posts.trim_end_matches('\\').len());
            while posts.len() < end {
                posts.push('.');
            }
            posts.push_str("\"}\n");
        }
        posts
    }
}

/// The access key of board number `board`.
pub fn access_key(board: usize) -> String {
    format!("AKIDBOARD{board}")
}

/// How many posts the headwater with its files in `folder` says it has read.
pub fn posts_read(folder: &Path) -> u64 {
    let metrics = fs::read_to_string(metrics(folder)).unwrap_or_default();
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("headwater_read_total "));
    counted
        .and_then(|count| count.parse().ok())
        .unwrap_or_default()
}

fn metrics(folder: &Path) -> PathBuf {
    folder.join("metrics")
}

/// What headwater wraps a line in.
fn envelope_bytes() -> usize {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let (id, at) = ("0".repeat(26), "2026-01-15T10:35:00.123Z");
    format!(
        r#"{{"headwater":1,"id":"{id}","at":"{at}","from":"{}","line":}}"#,
        host.trim()
    )
    .len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_are_json_of_the_same_length_and_differ() {
        for contender in Programs::default().contenders() {
            let posts = contender.posts(7, 300);
            let lines: Vec<_> = posts.lines().collect();
            assert_eq!(lines.len(), 300);
            assert!(lines.iter().all(|line| line.len() == lines[0].len()));
            assert!(
                lines
                    .iter()
                    .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
            );
            assert!(lines.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}
