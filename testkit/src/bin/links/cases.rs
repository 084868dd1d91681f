//! What is measured: links and streams, and what is demanded of headwater on each.

use std::time::Duration;

use testkit::link::Conditions;
use testkit::shards::Limits;

use crate::judge::{self, Judge};
use testkit::contenders::{Contender, Kind};

/// One link and one stream, and the posts that go there.
#[derive(Clone, Debug)]
pub struct Case {
    /// For `--only`.
    pub name: &'static str,
    /// For people.
    pub says: &'static str,
    /// The way of each board.
    pub link: Conditions,
    /// The stream's.
    pub shards: Vec<Limits>,
    /// How many boards there are.
    pub boards: usize,
    /// Each board's posts.
    pub posts: usize,
    /// Between two posts; without it all are there at the start.
    pub pace: Option<Duration>,
    /// Whether each board's program is killed in the middle, and started again.
    pub kill: bool,
    /// After that the programs are killed.
    pub limit: Duration,
    /// Nothing else runs meanwhile, as it needs the processor.
    pub alone: bool,
    /// What is demanded of headwater.
    pub judge: Judge,
}

impl Case {
    /// Whether it makes sense with this program.
    pub fn suits(&self, contender: &Contender) -> bool {
        match contender.kind {
            Kind::Headwater => !contender.is_baseline || !self.kill,
            // A loop that keeps nothing has nothing to be killed for, and one that collects 500 posts has none after minutes.
            Kind::Loop(per_call) => !self.kill && (self.pace.is_none() || per_call == 1),
        }
    }

    /// Posts of all boards.
    pub fn all_posts(&self) -> u64 {
        (self.posts * self.boards) as u64
    }
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let secs = Duration::from_secs;
    let hot = || {
        [
            vec![Limits {
                records: 5.0,
                ..Limits::default()
            }],
            vec![Limits::default(); 3],
        ]
        .concat()
    };
    let drains = |name, says, link, posts, limit, judge| Case {
        name,
        says,
        link: described(link),
        shards: vec![Limits::NONE],
        boards: 1,
        posts,
        pace: None,
        kill: false,
        limit: secs(limit),
        alone: false,
        judge,
    };
    vec![
        drains(
            "cut-150k",
            "each connection cut after 150 KB, 50 kB/s",
            "flaky",
            3_000,
            120,
            judge::cut_link,
        ),
        drains(
            "cut-8k",
            "each connection cut after 8 KB, 50 kB/s",
            "rate=50000,cut-bytes=8000",
            200,
            120,
            judge::drains,
        ),
        drains(
            "cut-5s",
            "each connection cut after 5 s, 5 kB/s",
            "rate=5000,cut-after=5",
            100,
            180,
            judge::drains,
        ),
        drains(
            "40-kbit",
            "40 kbit/s behind a buffer of 300 kB",
            "2g",
            500,
            190,
            judge::slow_link,
        ),
        drains(
            "100-kbit",
            "100 kbit/s behind a buffer of 300 kB",
            "2g,rate=12500",
            500,
            150,
            judge::slow_link,
        ),
        Case {
            shards: vec![Limits::default()],
            alone: true,
            ..drains(
                "shard",
                "one shard of 1,000 records/s",
                "wire",
                20_000,
                60,
                judge::one_shard,
            )
        },
        Case {
            shards: vec![Limits::default()],
            alone: true,
            boards: 4,
            ..drains(
                "boards",
                "four boards on one shard of 1,000 records/s",
                "wire",
                5_000,
                60,
                judge::four_boards,
            )
        },
        Case {
            shards: hot(),
            alone: true,
            ..drains(
                "hot",
                "four shards, one of them at 5 records/s",
                "wire",
                20_000,
                40,
                judge::hot_shard,
            )
        },
        Case {
            shards: hot(),
            kill: true,
            alone: true,
            ..drains(
                "hot-kill",
                "the same, with kill -9 in the middle",
                "wire",
                20_000,
                60,
                judge::hot_shard_killed,
            )
        },
        drains(
            "satellite",
            "700 ms each way, 1% lost, 64 kB/s",
            "satellite",
            1_000,
            240,
            judge::no_slower,
        ),
        drains(
            "3g",
            "150 ms each way, 100 kB/s",
            "3g",
            3_000,
            120,
            judge::no_slower,
        ),
        Case {
            alone: true,
            ..drains(
                "wire",
                "no limit but the machine's",
                "wire",
                100_000,
                60,
                judge::no_slower,
            )
        },
        Case {
            pace: Some(secs(60)),
            ..drains(
                "minute",
                "a post a minute, a certificate chain of 4 KB",
                "wire",
                4,
                210,
                judge::post_a_minute,
            )
        },
    ]
}

/// The links above are well described: a test sees to it.
fn described(link: &str) -> Conditions {
    link.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_is_understood_and_every_name_is_used_once() {
        let cases = cases();
        let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
        let wires = cases
            .iter()
            .filter(|case| case.link == Conditions::default())
            .count();
        assert_eq!(wires, 6, "a link that is not understood would be a wire");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len());
    }
}
