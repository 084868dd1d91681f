//! From the spool to Kinesis.
//!
//! A record leaves the spool in two ways only: Kinesis has it, or Kinesis can never take it and it stands in the dead-letter file. All else,
//! whatever happens, ends in another attempt.
//!
//! | file | holds |
//! |---|---|
//! | `deliver` | the loop: take what may go, send it, act on the answer |
//! | `flight` | what it remembers from call to call; `fill`: which records the next one carries; `settle`: what its answer lets go of |
//! | `queue` | the spool, as the loop sees it |
//! | `fresh`, `flight/halves` | fresh posts before the backlog: which they are, and a call of both |
//! | `flow` | how much one call carries |
//! | `pace` | what a metered link may carry |
//! | `lanes` | which records may go while a part of the stream is throttled |
//! | `window` | the records that wait while others pass them |
//! | `suspects` | whether a refusal is a record's own fault |
//! | `order` | strict order: the sequence number of the record before |
//! | `backoff` | how long to wait after a failure |
//! | `dead_letter` | where a record goes that Kinesis can never take |
//! | `explain` | what the user reads of all that |

mod backoff;
mod dead_letter;
mod deliver;
mod explain;
mod flight;
pub mod flow;
mod fresh;
pub mod lanes;
mod order;
pub mod pace;
mod queue;
mod suspects;
mod window;

pub use dead_letter::DeadLetters;
pub use deliver::Uplink;
pub use explain::Target;
