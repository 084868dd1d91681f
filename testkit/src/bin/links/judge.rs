//! What is demanded of headwater in each case, and what it missed.

use std::time::Duration;

use testkit::shards::Limits;

use crate::cases::Case;
use crate::run::Outcome;

/// What was missed; nothing if all that is demanded holds. The second outcome is that of the headwater from before, if it ran.
pub type Judge = fn(&Case, &Outcome, Option<&Outcome>) -> Vec<String>;

/// Collects what does not hold.
#[derive(Default)]
struct Missed(Vec<String>);

impl Missed {
    fn unless(&mut self, holds: bool, missed: impl FnOnce() -> String) {
        if !holds {
            self.0.push(missed());
        }
    }

    /// All posts arrived, and the program knows it.
    fn unless_drained(&mut self, case: &Case, outcome: &Outcome) {
        let (arrived, all) = (outcome.counts.delivered, case.all_posts());
        self.unless(arrived == all, || format!("{arrived} of {all} arrived"));
        self.unless(outcome.ended, || {
            format!("not done after {} s", outcome.took.as_secs())
        });
    }

    fn unless_sent_at_most(&mut self, outcome: &Outcome, most: f64) {
        let sent = outcome.counts.sent_per_delivered();
        self.unless(sent <= most, || format!("sent {sent:.2} times, not {most}"));
    }
}

/// It drains, whatever it takes within the limit.
pub fn drains(case: &Case, outcome: &Outcome, _: Option<&Outcome>) -> Vec<String> {
    let mut missed = Missed::default();
    missed.unless_drained(case, outcome);
    missed.0
}

/// Within 90 s, at most 5% sent again.
pub fn cut_link(case: &Case, outcome: &Outcome, _: Option<&Outcome>) -> Vec<String> {
    let mut missed = Missed::default();
    missed.unless_drained(case, outcome);
    let last = outcome.counts.last();
    missed.unless(last <= Duration::from_secs(90), || {
        format!("{} s, not 90", last.as_secs())
    });
    let again = outcome.counts.sent - outcome.counts.delivered;
    missed.unless(again * 20 <= outcome.counts.delivered, || {
        format!("{again} sent again, not 5%")
    });
    missed.0
}

/// It drains, and nothing is sent again.
pub fn slow_link(case: &Case, outcome: &Outcome, _: Option<&Outcome>) -> Vec<String> {
    let mut missed = Missed::default();
    missed.unless_drained(case, outcome);
    let again = outcome.counts.sent - outcome.counts.delivered;
    missed.unless(again == 0, || format!("{again} sent again, not 0"));
    missed.0
}

/// 95% of what the shard takes, and hardly a post sent in vain.
pub fn one_shard(case: &Case, outcome: &Outcome, _: Option<&Outcome>) -> Vec<String> {
    let mut missed = Missed::default();
    missed.unless_drained(case, outcome);
    missed.unless_used(outcome, 0.95);
    missed.unless_sent_at_most(outcome, 1.1);
    missed.0
}

/// Together 90% of what the shard takes, the slowest board at half of the mean or more.
pub fn four_boards(case: &Case, outcome: &Outcome, _: Option<&Outcome>) -> Vec<String> {
    let mut missed = Missed::default();
    missed.unless_drained(case, outcome);
    missed.unless_used(outcome, 0.9);
    missed.unless_sent_at_most(outcome, 1.3);
    let boards = outcome.counts.boards.values();
    let rates: Vec<f64> = boards
        .map(|taken| taken.records as f64 / taken.last.as_secs_f64())
        .collect();
    let mean = rates.iter().sum::<f64>() / case.boards as f64;
    let slowest = if rates.len() == case.boards {
        rates.iter().copied().fold(f64::INFINITY, f64::min)
    } else {
        0.0
    };
    missed.unless(slowest * 2.0 >= mean, || {
        format!("the slowest board at {slowest:.0}/s, the mean at {mean:.0}/s")
    });
    missed.0
}

/// The other shards get theirs within 10 s, the hot one gets what it takes.
pub fn hot_shard(case: &Case, outcome: &Outcome, _: Option<&Outcome>) -> Vec<String> {
    let mut missed = Missed::default();
    let [hot, others @ ..] = &outcome.counts.shards[..] else {
        return missed.0;
    };
    let arrived: u64 = others.iter().map(|taken| taken.records).sum();
    // The keys are random: a quarter of them is the hot shard's, give or take five standard deviations.
    let all = case.all_posts() as f64;
    let fewest = all * 0.75 - 5.0 * (all * 0.75 * 0.25).sqrt();
    missed.unless(arrived as f64 >= fewest, || {
        format!("{arrived} to the other shards, of about {:.0}", all * 0.75)
    });
    let last = others
        .iter()
        .map(|taken| taken.last)
        .max()
        .unwrap_or_default();
    missed.unless(last <= Duration::from_secs(10), || {
        format!(
            "the other shards had theirs after {:.0} s, not 10",
            last.as_secs_f64()
        )
    });
    let takes = case.shards[0].records_in(outcome.took).min(all * 0.25);
    missed.unless(hot.records as f64 >= takes * 0.9, || {
        format!("{} to the hot shard, which takes {takes:.0}", hot.records)
    });
    missed.0
}

/// The same, and what its sender knew as delivered is not sent again after the kill.
pub fn hot_shard_killed(case: &Case, outcome: &Outcome, before: Option<&Outcome>) -> Vec<String> {
    let mut missed = Missed(hot_shard(case, outcome, before));
    let (needless, twice) = (outcome.counts.needless, outcome.counts.twice);
    missed.unless(needless == 0, || {
        format!("{needless} sent again that were known to be delivered")
    });
    missed.unless(twice <= 500, || {
        format!("{twice} delivered again, more than a call")
    });
    missed.0
}

/// No slower than before; 10% are the machine's.
pub fn no_slower(case: &Case, outcome: &Outcome, before: Option<&Outcome>) -> Vec<String> {
    let mut missed = Missed::default();
    missed.unless_drained(case, outcome);
    if let Some(before) = before.filter(|before| before.ended) {
        let (now, then) = (
            outcome.counts.last().as_secs_f64(),
            before.counts.last().as_secs_f64(),
        );
        missed.unless(now <= then * 1.1, || {
            format!("{now:.1} s, before {then:.1} s")
        });
    }
    missed.0
}

/// A resumed session where there is a second connection, and at most 3 KB a post.
pub fn post_a_minute(case: &Case, outcome: &Outcome, _: Option<&Outcome>) -> Vec<String> {
    let mut missed = Missed::default();
    missed.unless_drained(case, outcome);
    let beside = |index: usize| {
        outcome
            .carried
            .get(index)
            .map(|carried| carried.wire - carried.plain)
    };
    if let (Some(first), Some(second)) = (beside(0), beside(1)) {
        missed.unless(second * 10 <= first * 4, || {
            format!("the second handshake costs {second} bytes, the first {first}")
        });
    }
    let each = outcome.later_bytes / (case.all_posts() - 1);
    missed.unless(each <= 3_000, || format!("{each} bytes a post, not 3,000"));
    missed.0
}

impl Missed {
    /// The only shard took at least this share of what it could.
    fn unless_used(&mut self, outcome: &Outcome, share: f64) {
        let taken = outcome.counts.shards[0];
        let takes = Limits::default().records_in(taken.last - taken.first);
        let used = taken.records as f64 / takes;
        self.unless(used >= share, || {
            format!(
                "{:.0}% of what the shard takes, not {:.0}%",
                used * 100.0,
                share * 100.0
            )
        });
    }
}
