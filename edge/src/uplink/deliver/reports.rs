//! The board's reports in the loop: each goes with a call of posts, and no post is held up by it.

use std::time::Duration;

use crate::aws::kinesis::Class;
use crate::aws::kinesis::outcome::Problem;
use crate::post::record::Record;
use crate::uplink::deliver::{Step, Uplink};
use crate::uplink::flight::Flight;

impl Uplink {
    /// Puts the board's report, if one is due, before the posts: so the next call carries it, however small it is.
    pub(super) fn take_report(&self, flight: &mut Flight, now: Duration) {
        let Some(outbox) = &self.outbox else { return };
        let has_company = self.spool.wait(Duration::ZERO);
        if let Some((number, report)) = outbox.due(now, has_company) {
            let record = Record {
                partition_key: outbox.board(),
                data: report.as_bytes(),
            };
            flight.take_report(number, record, now);
        }
    }

    /// Removes the report in the batch from the outbox.
    fn settle_report(&self, flight: &Flight) {
        if let Some(outbox) = &self.outbox {
            outbox.settle(flight.report);
        }
    }

    pub(super) fn report_arrived(&self, flight: &Flight) {
        self.counters.reports.add(1);
        self.settle_report(flight);
    }

    /// Handles a refused call that carries the board's report, in the record at `index`: it is sent again without the report.
    pub(super) fn refused_with_report(
        &self,
        flight: &mut Flight,
        index: usize,
        posts: usize,
        problem: Problem,
    ) -> Step {
        self.settle_report(flight);
        if flight.batch.packs() {
            self.put_all_back(flight);
        } else {
            debug_assert_eq!(index, 0, "it goes first");
            flight.batch.drop_first(1);
            flight.maybe_arrived = flight.maybe_arrived.saturating_sub(1);
        }
        match posts {
            0 => self.hold(Class::Refused, problem),
            _ => Step::Go,
        }
    }
}
