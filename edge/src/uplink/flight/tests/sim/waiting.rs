//! The queue of a simulation.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::post::record::Record;
use crate::spool::{Run, Seq};
use crate::uplink::queue::Queue;

/// Records that wait, as a spool would show them.
pub struct Waiting {
    /// The partition key and data of each, from the first on, around and around.
    posts: Rc<[(String, Vec<u8>)]>,
    first: usize,
    /// How many were read so far.
    pub read: Cell<Seq>,
    gone: RefCell<Vec<bool>>,
    head: Cell<Seq>,
}

impl Waiting {
    /// With these posts, all of which were read.
    pub fn new(posts: Vec<(String, Vec<u8>)>) -> Self {
        let count = posts.len();
        Self::part(&posts.into(), 0, count)
    }

    /// With `count` of these posts, all of which were read, from `first` on; after the last comes the first again.
    pub fn part(posts: &Rc<[(String, Vec<u8>)]>, first: usize, count: usize) -> Self {
        Self {
            posts: Rc::clone(posts),
            first,
            read: Cell::new(count as Seq),
            gone: RefCell::new(vec![false; count]),
            head: Cell::new(0),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.head.get() == self.gone.borrow().len() as Seq
    }

    /// How many were read and are not gone.
    pub fn len(&self) -> usize {
        let (head, read) = (self.head.get() as usize, self.read.get() as usize);
        let gone = &self.gone.borrow()[head..read];
        gone.iter().filter(|gone| !**gone).count()
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
            let index = (self.first + seq as usize) % self.posts.len();
            let (partition_key, data) = &self.posts[index];
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
