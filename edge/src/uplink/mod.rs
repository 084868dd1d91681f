//! Delivers records from the spool to Kinesis.
//!
//! A record leaves the spool in only two ways: Kinesis acknowledged it, or Kinesis can never accept it and it was written to the dead-letter
//! file. Everything else leads to another attempt.
//!
//! | file | holds |
//! |---|---|
//! | `deliver` | the loop: fill a call, send it, act on the response |
//! | `flight` | the loop's state between calls; `fill`: which records the next call carries; `settle`: which ones its response removes |
//! | `queue` | the spool, as the loop sees it |
//! | `fresh`, `flight/halves` | fresh posts before the backlog: which posts are fresh, and a call half of each |
//! | `flow` | how many bytes one call carries |
//! | `pace` | the limits of a metered link, in bytes a second and a day |
//! | `lanes` | which records may go while some shards are throttled |
//! | `window` | the records that wait while others pass them |
//! | `suspects` | whether a refusal is caused by the record itself |
//! | `order` | strict order: the sequence number of the previous record |
//! | `backoff` | how long to wait after a failure |
//! | `dead_letter` | the file for records that Kinesis can never accept |
//! | `explain` | the messages for the user |

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
