//! The pipeline as its users meet it: the real programs, the real template, a local AWS that verifies every signature and permission.

mod boards;
mod carries;
mod crashes;
mod errors;
mod gaps;
mod packs;
mod permissions;
mod soak;
mod stores;
mod x_answers;

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use local::aws::Aws;
use local::binaries::Binaries;
use local::deploy::{self, Stack};
use local::ministack::MiniStack;
use local::producer::{self, puts_to};
use local::tally::{Sent, Tally};
use testkit::program::{Board, Program};

/// How long anything may take that the tests wait for; they take seconds.
const PATIENCE: Duration = Duration::from_secs(150);

/// A local AWS with the function uploaded.
struct Cloud {
    ministack: MiniStack,
    aws: Aws,
}

impl Cloud {
    /// The one that all tests share, each with its own stack. It ends with this process.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Cloud> = OnceLock::new();
        SHARED.get_or_init(|| Self::with(MiniStack::start().unwrap()))
    }

    fn with(ministack: MiniStack) -> Self {
        let aws = Aws::root(&ministack.endpoint());
        deploy::upload(&aws, &binaries().function).unwrap();
        Self { ministack, aws }
    }

    fn stack(&self, name: &str) -> Stack {
        deploy::deploy(&self.aws, name).unwrap()
    }

    /// A board that puts to `stack` by way of `endpoint`.
    fn board(&self, stack: &Stack, endpoint: &str) -> Board {
        let mut board = bare_board();
        let key = stack.producer_key(&self.aws).unwrap();
        puts_to(&mut board, stack, endpoint, &key);
        board
    }

    /// Waits until the table has so many items.
    fn await_items(&self, stack: &Stack, items: usize) {
        // Counting takes the same Python that stores: a large table is asked less often.
        let pause = Duration::from_millis(20 + items as u64 / 20);
        let mut asked = None;
        wait_for(&format!("{items} items in {}", stack.table), || {
            if asked.is_some_and(|at: Instant| at.elapsed() < pause) {
                return false;
            }
            let count = self.aws.count_items(&stack.table).unwrap();
            asked = Some(Instant::now());
            count >= items as u64
        });
    }

    /// Counts once the table has all that was sent.
    fn tally(&self, stack: &Stack, sent: &[Sent]) -> Tally {
        let mut ids: Vec<_> = sent.iter().map(|sent| &sent.id).collect();
        ids.sort();
        ids.dedup();
        self.await_items(stack, ids.len());
        Tally::take(&self.aws, stack, sent, 0).unwrap()
    }
}

fn binaries() -> &'static Binaries {
    static BINARIES: OnceLock<Binaries> = OnceLock::new();
    BINARIES.get_or_init(|| Binaries::build().unwrap())
}

/// A board with the program on it, and no environment yet.
fn bare_board() -> Board {
    producer::board(&[binaries().headwater.clone().into()]).unwrap()
}

fn wait_for(what: &str, mut came: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !came() {
        assert!(
            Instant::now() < deadline,
            "still no {what} after {PATIENCE:?}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Prints what `tell` says if the test fails before this is dropped.
struct OnFailure<F: Fn() -> String>(F);

impl<F: Fn() -> String> Drop for OnFailure<F> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", (self.0)());
        }
    }
}

/// Waits for one line with all of `words` in it.
fn says(producer: &Program, words: &[&str]) {
    let has_all = |line: &String| words.iter().all(|word| line.contains(word));
    let deadline = Instant::now() + PATIENCE;
    while !producer.said().iter().any(has_all) {
        let said = producer.said().join("\n");
        assert!(Instant::now() < deadline, "no line has {words:?}:\n{said}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends a program as systemd does, and demands that it ends well.
fn stop(mut producer: Program) {
    let status = producer.stop(Duration::from_secs(10)).unwrap();
    let said = producer.said().join("\n");
    assert!(
        status.is_some_and(|status| status.success()),
        "{status:?}\n{said}"
    );
}
