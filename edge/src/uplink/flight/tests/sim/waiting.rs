//! The queue of a simulation.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use crate::post::record::Record;
use crate::spool::{Run, Seq};
use crate::uplink::queue::Queue;

/// Records that wait, as a spool would show them.
pub struct Waiting {
    /// The partition key and data of each, by their numbers.
    posts: Vec<(String, Vec<u8>)>,
    /// How many were read so far.
    pub read: Cell<Seq>,
    gone: RefCell<Vec<bool>>,
    head: Cell<Seq>,
}

impl Waiting {
    /// With these posts, all of which were read.
    pub fn new(posts: Vec<(String, Vec<u8>)>) -> Self {
        Self {
            read: Cell::new(posts.len() as Seq),
            gone: RefCell::new(vec![false; posts.len()]),
            head: Cell::new(0),
            posts,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.head.get() == self.posts.len() as Seq
    }

    fn let_go(&self, seqs: impl Iterator<Item = Seq>) {
        let mut gone = self.gone.borrow_mut();
        seqs.for_each(|seq| gone[seq as usize] = true);
        let head = self.head.get() as usize;
        let passed = gone[head..].iter().take_while(|gone| **gone).count();
        self.head.set((head + passed) as Seq);
    }
}

impl Queue for Waiting {
    fn head(&self) -> Seq {
        self.head.get()
    }

    fn peek(&self, visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        self.peek_from(self.head(), visit);
    }

    fn peek_from(&self, from: Seq, mut visit: impl FnMut(Seq, Record<'_>) -> ControlFlow<()>) {
        for seq in from.max(self.head())..self.read.get() {
            let (partition_key, data) = &self.posts[seq as usize];
            let record = Record {
                partition_key,
                data,
            };
            let gone = self.gone.borrow()[seq as usize];
            if !gone && visit(seq, record).is_break() {
                return;
            }
        }
    }

    fn ack(&self, below: Seq) {
        self.let_go(self.head()..below);
    }

    fn ack_each(&self, seqs: impl IntoIterator<Item = Seq>) {
        self.let_go(seqs.into_iter());
    }

    fn next(&self) -> Seq {
        self.read.get()
    }

    fn newest_run(&self) -> Option<Run> {
        None
    }

    fn begin_run(&self, _: Seq) -> bool {
        false
    }
}
