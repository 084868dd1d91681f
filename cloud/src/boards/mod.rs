//! Which board is silent: the boards' reports, an item each in a table of their own, and the watch over it.
//!
//! ```text
//! report -> the table of boards <- watch, once a minute -> metrics, and one message that names who fell silent
//! ```
//!
//! | attribute | is |
//! |---|---|
//! | `Board` | the board's name: the key |
//! | `SeenAt` | when its newest report arrived in the stream, by the cloud's clock |
//! | `MadeAt`, `Since` | when the board made it, and when its program was started, by the board's clock |
//! | `Version` | the program's version |
//! | `Read`, `Delivered` | posts since that start |
//! | `Waiting`, `OldestSeconds` | posts that wait, and how long the oldest does |
//! | `Lost` | posts lost over the life of the board's queue |
//! | `LagSeconds` | how old what the source gave last was then |
//! | `ClockOffsetSeconds` | how far the board's clock is behind |
//! | `BytesSent`, `FlashBytes` | bytes since that start |
//! | `TemperatureCelsius`, `FreeMiB` | where the board knows them |
//! | `SilentSince` | `SeenAt` of a board that the watch has called silent, until it has called it well |

pub mod report;
pub mod table;
pub mod watch;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item of the table.
pub type Item = HashMap<String, AttributeValue>;
