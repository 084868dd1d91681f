//! The queue between the source and the uplink: fixed in size, crash-safe, with few writes to flash.
//!
//! ```text
//! append --> stage (RAM that outlives the process) --> card (flash), for what is not acknowledged by its deadline
//!               \______________ peek, ack ______________/
//! ```
//!
//! # The promise
//!
//! - A record is kept from the moment [`Spool::append`] returns, or [`Spool::flush`] after [`Spool::write`]. From then on a crash of the
//!   program does not lose it, and sends nothing twice except the call in flight.
//! - A power cut loses at most records younger than [`Options::durable_within`]. A source that can reads even those again, because
//!   [`Spool::position`] is then that of the newest record that survived. At most the records acknowledged since the last cursor on the card
//!   are sent again: 5 s of draining, or 1/16 of the card.
//! - Records may be acknowledged out of order, up to [`WINDOW`] above the oldest that waits ([`Spool::ack_each`]). After a crash of the program
//!   none of them is sent again; after a power cut, at most those of the same last seconds.
//! - Further above they may be acknowledged in at most 12 *runs* ([`Spool::begin_run`]), with the same promise, so that posts read after an
//!   outage can go before the backlog. Their room becomes free only when the oldest record that waits is gone.
//! - While records are acknowledged within their deadline nothing is written to flash. A clean shutdown writes one block, so that position and
//!   acknowledgements survive a power cut.
//! - Memory and disk are fixed: a full spool drops or waits ([`WhenFull`]), and every record dropped or lost is counted.
//! - `appended = delivered + waiting + dropped + media_lost + unsynced_lost`, at every moment and across restarts.
//!
//! # The limits
//!
//! - The stage takes [`STAGE_BYTES`]. A record larger than half of that is written to the card and synced before `append` returns; without a
//!   card it is dropped and counted. So is a record larger than half the card.
//! - If the card is slower than the source, the stage fills, and the policy decides. [`WhenFull::DropOldest`] then drops the oldest records that
//!   are only in the stage: records on the card are safe and need no room there.
//! - Drops counted in the last second before a power cut may be missing from the count.
//!
//! # Who does what
//!
//! Three threads share the spool. The lock `state` is held for microseconds, and never during I/O to flash. `committer` is held by the thread
//! that writes to the card, through its `fdatasync`; `reader` by the thread that peeks. So neither a slow card nor a slow visitor blocks the
//! source. Locks are taken in the order `turn`, `committer`, `reader`, `state`.
//!
//! | file | holds |
//! |---|---|
//! | `format` | the format: encoding and decoding, no I/O |
//! | `media` | a file of blocks, and the writers of the two media |
//! | `recover`, `walk` | finding what a ring holds; reading its records |
//! | `queue` | what the threads share: which record waits, when the spool is full, when to commit |
//! | `append`, `peek`, `ack` | adding, reading and acknowledging records |
//! | `committer`, `commit`, `attach` | when records go to the card; how; making, losing and reopening the card's file |
//! | `open`, `look` | opening the spool, to use it or only to read it |

mod ack;
mod append;
mod attach;
mod commit;
mod committer;
pub(crate) mod format;
mod look;
pub(crate) mod media;
mod open;
mod options;
mod peek;
pub(crate) mod queue;
mod recover;
mod stats;
pub(crate) mod walk;

#[cfg(test)]
pub(crate) mod tests;

pub use format::block::Seq;
pub use media::storage::Locked;
pub use options::{MAX_SIZE_BYTES, MIN_SIZE_BYTES, Options, STAGE_BYTES, WhenFull};
pub use queue::acked::WINDOW;
pub use queue::runs::Run;
pub use queue::state::Spool;
pub use stats::{Appended, Destination, Stats};
