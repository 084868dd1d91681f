//! The files of blocks: the stage in RAM and the card on flash.

pub mod card;
pub mod ring;
pub mod stage;
pub mod storage;
