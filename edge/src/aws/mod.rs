//! What calls to AWS need (credentials, the server's time, endpoints, signatures), and the one service that the board calls: Kinesis.

pub mod clock;
pub mod credentials;
pub mod kinesis;
pub mod partition;
pub mod sign;
