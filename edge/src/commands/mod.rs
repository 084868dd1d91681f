//! The commands: `headwater KEYWORD`, `headwater check`, `headwater status`, `headwater spool`.

pub mod check;
pub mod run;
pub mod spool;
pub mod status;
