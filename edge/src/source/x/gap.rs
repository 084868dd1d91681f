//! The gaps of the stream: a [`Place`] holds how far posts were read, and the gaps below that.
//!
//! A gap lies between two ids, both exclusive. The search fetches it from the newest post to the oldest, and after each stored post the gap ends just
//! before that post. So the two ids are the whole state, whatever interrupts the search.
//!
//! The place is the position of each record in the spool: a crash loses neither the place nor a record without the other. After a power cut the place
//! is that of the newest record that survived: posts may be fetched again, but none is forgotten. A gap that is not noted yet follows from `newest`:
//! a program that starts knows that posts may have come since.
//!
//! The position is `x RULE_CRC NEWEST NOTED[ AFTER-UNTIL]...`, with ids in hexadecimal. A place of another rule is ignored. If there are more gaps
//! than fit, the two closest ones are joined: the posts between them are fetched twice, and stored once.

use std::fmt::Write;

use crate::platform::crc32c;
use crate::source::x::ids;

/// Most gaps of a position.
pub const MAX_GAPS: usize = 6;

/// Bytes of the longest position: a letter, a CRC, and ids of 16 digits.
pub const MAX_POSITION_BYTES: usize = 1 + 1 + 8 + 2 * (1 + 16) + MAX_GAPS * (1 + 16 + 1 + 16);

/// A gap begins this many ms before the newest post that was read, because the stream is slightly out of order.
const OVERLAP_MS: u64 = 2_000;

/// The posts between two ids, which the stream missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// An id below the oldest of them.
    pub after: u64,
    /// An id above the newest of them.
    pub until: u64,
}

/// How far posts were read, and the gaps below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    rule_crc: u32,
    /// All posts up to this id were read or are in a gap; 0 if reading begins with the next post.
    newest: u64,
    /// The end of the newest gap: later gaps begin no earlier, even if posts come out of order.
    noted: u64,
    /// Oldest first, without overlaps.
    gaps: heapless::Vec<Gap, MAX_GAPS>,
}

impl Gap {
    /// The earliest and the latest time of its posts, in ms since 1970.
    pub fn times_ms(&self) -> (u64, u64) {
        (ids::time_ms(self.after), ids::time_ms(self.until))
    }
}

impl Place {
    /// The place of an earlier run, by its `position`; an empty place if that run had another `rule`.
    pub fn at(position: &[u8], rule: &str) -> Self {
        let rule_crc = crc32c::of(rule.as_bytes());
        Self::parse(position)
            .filter(|place| place.rule_crc == rule_crc)
            .unwrap_or(Self {
                rule_crc,
                newest: 0,
                noted: 0,
                gaps: heapless::Vec::new(),
            })
    }

    fn parse(position: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(position).ok()?.strip_prefix("x ")?;
        let id = |text: &str| u64::from_str_radix(text, 16).ok();
        let mut words = text.split(' ');
        let mut place = Self {
            rule_crc: u32::from_str_radix(words.next()?, 16).ok()?,
            newest: id(words.next()?)?,
            noted: id(words.next()?)?,
            gaps: heapless::Vec::new(),
        };
        for word in words {
            let (after, until) = word.split_once('-')?;
            let (after, until) = (id(after)?, id(until)?);
            place.gaps.push(Gap { after, until }).ok()?;
        }
        Some(place)
    }

    /// The place as a position in the spool.
    pub fn position(&self) -> heapless::String<MAX_POSITION_BYTES> {
        let mut text = heapless::String::new();
        // Cannot fail: all of it fits.
        let Self {
            rule_crc,
            newest,
            noted,
            ..
        } = self;
        let _ = write!(text, "x {rule_crc:x} {newest:x} {noted:x}");
        for Gap { after, until } in &self.gaps {
            let _ = write!(text, " {after:x}-{until:x}");
        }
        text
    }

    /// Notes that a post of the stream is read. The gap before it, if any, must be noted first.
    pub fn read(&mut self, id: u64) {
        self.newest = self.newest.max(id);
    }

    /// Ends reading: posts until the stream is open again are not wanted.
    pub fn pause(&mut self) {
        self.newest = 0;
    }

    /// Whether reading begins with the next post, so that there is no gap before it.
    pub fn is_new(&self) -> bool {
        self.newest == 0
    }

    /// Whether posts up to `id` may have been missed: it is later than the newest that was read.
    pub fn is_behind(&self, id: u64) -> bool {
        self.newest > 0 && id > self.newest
    }

    /// Notes a gap between the newest post that was read and `until`.
    pub fn note(&mut self, until: u64) {
        if !self.is_behind(until) {
            return;
        }
        let overlap = ids::time_ms(self.newest).saturating_sub(OVERLAP_MS);
        let after = ids::first_at(overlap)
            .min(self.newest)
            .max(self.noted.saturating_sub(1));
        self.newest = until - 1;
        self.noted = until;
        let gap = Gap { after, until };
        if let Err(gap) = self.gaps.push(gap) {
            self.join_nearest();
            // Cannot fail: there is room for one now.
            let _ = self.gaps.push(gap);
        }
    }

    /// Joins the two gaps that are closest to each other.
    fn join_nearest(&mut self) {
        let between = |pair: &[Gap]| pair[1].after.saturating_sub(pair[0].until);
        // Not the oldest, which is being filled.
        let pairs = self.gaps.windows(2).enumerate().skip(1);
        let nearest = pairs.min_by_key(|(_, pair)| between(pair));
        if let Some((index, _)) = nearest {
            let later = self.gaps.remove(index + 1);
            self.gaps[index].until = later.until;
        }
    }

    /// The gap to fill next: the oldest, because the search loses it first.
    pub fn gap(&self) -> Option<Gap> {
        self.gaps.first().copied()
    }

    /// How many gaps there are.
    pub fn gaps(&self) -> usize {
        self.gaps.len()
    }

    /// Notes that all posts from `id` on are stored, of the gap that begins at `after`.
    pub fn filled_down_to(&mut self, after: u64, id: u64) {
        if let Some(gap) = self.gaps.iter_mut().find(|gap| gap.after == after) {
            gap.until = gap.until.min(id);
        }
        self.drop_empty();
    }

    /// Removes from the oldest gap all below `id`, which cannot be fetched, and returns it; `None` if there is nothing.
    pub fn give_up_below(&mut self, id: u64) -> Option<Gap> {
        let gap = self.gaps.first_mut().filter(|gap| gap.after < id)?;
        let missed = Gap {
            after: gap.after,
            until: gap.until.min(id),
        };
        gap.after = id;
        self.drop_empty();
        Some(missed)
    }

    /// Removes the gap that begins at `after`.
    pub fn close(&mut self, after: u64) {
        self.gaps.retain(|gap| gap.after != after);
    }

    fn drop_empty(&mut self) {
        self.gaps.retain(|gap| gap.after + 1 < gap.until);
    }
}

#[cfg(test)]
mod tests;
