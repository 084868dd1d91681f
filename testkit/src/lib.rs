//! What the tests and tools of headwater share.

pub mod link;
pub mod netns;
pub mod shards;
#[cfg(feature = "services")]
pub mod stream;
