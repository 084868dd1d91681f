//! What the program uses of the machine: time, files, tmpfs, safe text, the request to end.

pub mod crc32c;
pub mod facts;
pub mod file;
pub mod machine;
pub mod rewriter;
pub mod stop;
pub mod text;
pub mod time;
pub mod tmpfs;
pub mod today;
