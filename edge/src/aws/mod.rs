//! What every AWS service asks of a caller: who it is, and what time it is.

pub mod clock;
pub mod credentials;
pub mod sign;
