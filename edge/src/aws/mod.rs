//! What an AWS service asks of a caller: who it is, and what time it is; and the one service the board calls, Kinesis.

pub mod clock;
pub mod credentials;
pub mod kinesis;
pub mod partition;
pub mod sign;
