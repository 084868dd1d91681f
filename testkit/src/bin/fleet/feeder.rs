//! Writes every board a post a second, each board at a moment of its own.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::bail;
use testkit::contenders::Contender;

/// Between two posts of a board.
const PERIOD: Duration = Duration::from_secs(1);

/// How often it looks which boards are due.
const TICK: Duration = Duration::from_millis(5);

/// No board gets as many posts.
const POSTS_OF_A_BOARD: usize = 1_000_000;

/// Feeds until it is ended.
#[derive(Debug)]
pub struct Feeder {
    shared: Arc<Shared>,
    feeding: JoinHandle<anyhow::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    fed: Vec<AtomicU64>,
    is_ending: AtomicBool,
}

impl Feeder {
    /// Begins to feed these boards.
    pub fn start<W: Write + Send + 'static>(inputs: Vec<W>, contender: &Contender) -> Self {
        let shared = Arc::new(Shared {
            fed: inputs.iter().map(|_| AtomicU64::new(0)).collect(),
            is_ending: AtomicBool::new(false),
        });
        let feeding = thread::spawn({
            let (shared, contender) = (Arc::clone(&shared), contender.clone());
            move || feed(inputs, &contender, &shared)
        });
        Self { shared, feeding }
    }

    /// How many posts each board was given.
    pub fn fed(&self) -> Vec<u64> {
        let fed = self.shared.fed.iter();
        fed.map(|count| count.load(Ordering::Acquire)).collect()
    }

    /// Ends it: how many posts each board was given.
    ///
    /// # Errors
    ///
    /// A board does not read any more.
    pub fn end(self) -> anyhow::Result<Vec<u64>> {
        self.shared.is_ending.store(true, Ordering::Release);
        match self.feeding.join() {
            Ok(fed) => fed?,
            Err(_) => bail!("the feeder panicked"),
        }
        let fed = self.shared.fed.iter();
        Ok(fed.map(|count| count.load(Ordering::Acquire)).collect())
    }
}

fn feed(mut inputs: Vec<impl Write>, contender: &Contender, shared: &Shared) -> anyhow::Result<()> {
    let started = Instant::now();
    let boards = inputs.len();
    let mut given = 0;
    while !shared.is_ending.load(Ordering::Acquire) {
        let due = started.elapsed().as_secs_f64() / PERIOD.as_secs_f64() * boards as f64;
        while (given as f64) < due {
            let (board, number) = (given % boards, given / boards);
            let post = contender.posts(board * POSTS_OF_A_BOARD + number, 1);
            inputs[board].write_all(post.as_bytes())?;
            shared.fed[board].fetch_add(1, Ordering::Release);
            given += 1;
        }
        thread::sleep(TICK);
    }
    Ok(())
}
