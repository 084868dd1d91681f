//! Files of blocks: the stage in RAM, the card on flash.

pub mod card;
pub mod ring;
pub mod stage;
pub mod storage;
