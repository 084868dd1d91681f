//! The queue as the loop sees it, so that tests can run the loop against a simulated one.

use std::ops::ControlFlow;

use crate::post::record::Record;
use crate::spool::{Run, Seq, Spool};

/// The spool, or the queue of a simulation.
pub trait Queue {
    /// See [`Spool::head`].
    fn head(&self) -> Seq;
    /// See [`Spool::peek`].
    fn peek(&self, visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>);
    /// See [`Spool::peek_from`].
    fn peek_from(&self, from: Seq, visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>);
    /// See [`Spool::ack`].
    fn ack(&self, below: Seq);
    /// See [`Spool::ack_each`].
    fn ack_each(&self, seqs: impl IntoIterator<Item = Seq>);
    /// See [`Spool::next`].
    fn next(&self) -> Seq;
    /// See [`Spool::newest_run`].
    fn newest_run(&self) -> Option<Run>;
    /// See [`Spool::begin_run`].
    fn begin_run(&self, at: Seq) -> bool;
}

impl Queue for Spool {
    fn head(&self) -> Seq {
        Spool::head(self)
    }

    fn peek(&self, visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        Spool::peek(self, visit);
    }

    fn peek_from(&self, from: Seq, visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        Spool::peek_from(self, from, visit);
    }

    fn ack(&self, below: Seq) {
        Spool::ack(self, below);
    }

    fn ack_each(&self, seqs: impl IntoIterator<Item = Seq>) {
        Spool::ack_each(self, seqs);
    }

    fn next(&self) -> Seq {
        Spool::next(self)
    }

    fn newest_run(&self) -> Option<Run> {
        Spool::newest_run(self)
    }

    fn begin_run(&self, at: Seq) -> bool {
        Spool::begin_run(self, at)
    }
}
