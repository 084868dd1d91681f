//! What the program needs of the machine: time, files, tmpfs, the request to end.

pub mod facts;
pub mod file;
pub mod rewriter;
pub mod stop;
pub mod time;
pub mod tmpfs;
