//! What the tests and tools of headwater share.

pub mod link;
pub mod shards;
#[cfg(feature = "services")]
pub mod stream;
