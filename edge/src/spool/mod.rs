//! The queue between the source and the uplink: fixed in size, safe from crashes, easy on flash.
//!
//! ```text
//! append --> stage (RAM that outlives the process) --> card (flash), what is not acknowledged by its deadline
//!               \______________ peek, ack ______________/
//! ```
//!
//! # The promise
//!
//! - A record is kept from the moment [`Spool::append`] returns, or [`Spool::flush`] after [`Spool::write`]: a crash of the program
//!   loses nothing and sends nothing twice, but for the call in flight.
//! - A power cut loses at most what is younger than [`Options::durable_within`], and the source reads even that again where it
//!   can: [`Spool::position`] is then that of the newest records that survived. It sends again at most what was acknowledged since
//!   the last cursor on the card: 5 s of draining, or 1/16 of the card.
//! - Records may be acknowledged out of order, up to [`WINDOW`] above the oldest that waits ([`Spool::ack_each`]). A crash of the program
//!   sends none of them again; a power cut, at most those of the same last seconds.
//! - While records are acknowledged within their deadline nothing is written to flash, up to the end: a clean shutdown writes one
//!   block, so that position and acknowledgements outlive the power.
//! - Memory and disk are fixed: a full spool drops or waits by policy ([`WhenFull`]), and every record dropped or lost is counted.
//! - `appended = delivered + waiting + dropped + media_lost + unsynced_lost`, at every moment and across restarts.
//!
//! # The limits
//!
//! - The stage takes [`STAGE_BYTES`]. A record of more than half of that goes to the card at once and is synced before `append`
//!   returns; without a card it is dropped and counted. So is a record of more than half the card.
//! - A card too slow for its source fills the stage, and then the policy decides. Under [`WhenFull::DropOldest`] those that go are
//!   the oldest in the stage: what is on the card already is safe and costs no room there.
//! - A power cut may undo the counting of drops of its last second.
//!
//! # Who does what
//!
//! Three threads meet here. `state` is held for microseconds and never over I/O to flash. `committer` is held by whoever writes to
//! the card, through its `fdatasync`, `reader` by whoever peeks: so a slow card or a slow visitor never holds up the source.
//! Locks are taken in the order `turn`, `committer`, `reader`, `state`.
//!
//! | file | holds |
//! |---|---|
//! | `format` | the bytes, read and written; no I/O |
//! | `media` | a file of blocks, and the two media as they are written |
//! | `recover`, `walk` | what a ring holds; reading its records |
//! | `queue` | which record waits, when the spool is full, when to commit: what the threads share |
//! | `append`, `peek`, `ack` | a record's way in, its reading, and letting go of it |
//! | `committer`, `commit`, `attach` | when records go to the card, how, and having a card to write to |
//! | `open`, `look` | opening the whole, to work with or only to look at |

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
pub use queue::state::Spool;
pub use stats::{Appended, Destination, Stats};
