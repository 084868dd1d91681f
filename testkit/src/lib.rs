//! What the tests and tools of headwater share.
