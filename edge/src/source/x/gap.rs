//! What the stream missed: a [`Place`] knows up to where posts were read, and the gaps below that.
//!
//! A gap lies between two ids, both exclusive. The search goes through it from its newest post to
//! its oldest, and with each post that is stored the gap ends just before it: the two ids are all
//! there is to know, whoever interrupts whatever.
//!
//! The place rides as a position with each record into the spool, so what it says and what is
//! stored outlive a crash together, and after a power cut the place is that of the newest record
//! that survived: posts may be asked for again then, but none is forgotten. A gap of which nothing
//! is written down yet follows from `newest` alone: a program that starts knows that it was away.
//!
//! Written as `x RULE_CRC NEWEST NOTED[ AFTER-UNTIL]...`, the ids in hexadecimal. What was read under
//! another rule says nothing about this one. Where more gaps are open than fit, the two that are
//! nearest to each other become one: the posts between are read twice, and stored once.

use std::fmt::Write;

use crate::source::x::ids;

/// The gaps that fit in a position.
pub const MAX_GAPS: usize = 6;

/// The longest text of a position: a letter, a CRC, and ids of 16 digits.
pub const MAX_POSITION_BYTES: usize = 1 + 1 + 8 + 2 * (1 + 16) + MAX_GAPS * (1 + 16 + 1 + 16);

/// Posts reach the stream a little out of order: a gap begins so much before the newest one read.
const OVERLAP_MS: u64 = 2_000;

/// Posts that were missed: those between two ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Below the oldest of them.
    pub after: u64,
    /// Above the newest of them.
    pub until: u64,
}

/// Up to where posts were read, and what is missing below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    rule_crc: u32,
    /// All up to this id was read, or lies in a gap; 0 where reading begins with the next post.
    newest: u64,
    /// All below this id was read or lies in a gap, in whatever order posts came.
    noted: u64,
    /// From the oldest to the newest; they do not overlap.
    gaps: heapless::Vec<Gap, MAX_GAPS>,
}

impl Gap {
    /// When its first and its last post may have been written, in ms since 1970.
    pub fn times_ms(&self) -> (u64, u64) {
        (ids::time_ms(self.after), ids::time_ms(self.until))
    }
}

impl Place {
    /// Where an earlier run under the same `rule` was at this `position`.
    pub fn at(position: &[u8], rule: &str) -> Self {
        let rule_crc = crc32c::crc32c(rule.as_bytes());
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

    /// As a position in the spool.
    pub fn position(&self) -> heapless::String<MAX_POSITION_BYTES> {
        let mut text = heapless::String::new();
        // All of it fits.
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

    /// A post of the stream is read, and it is no later than what was missed.
    pub fn read(&mut self, id: u64) {
        self.newest = self.newest.max(id);
    }

    /// What comes from now on until the stream is open again is not wanted.
    pub fn pause(&mut self) {
        self.newest = 0;
    }

    /// Whether reading begins with the next post.
    pub fn is_new(&self) -> bool {
        self.newest == 0
    }

    /// Whether a stream that opens now has missed something if a post later than `id` exists.
    pub fn is_behind(&self, id: u64) -> bool {
        self.newest > 0 && id > self.newest
    }

    /// Notes that nothing was read between the newest post and `until`.
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
            // There is room for one now.
            let _ = self.gaps.push(gap);
        }
    }

    /// Makes one of the two gaps that are nearest to each other.
    fn join_nearest(&mut self) {
        let between = |pair: &[Gap]| pair[1].after.saturating_sub(pair[0].until);
        // The oldest is being filled.
        let pairs = self.gaps.windows(2).enumerate().skip(1);
        let nearest = pairs.min_by_key(|(_, pair)| between(pair));
        if let Some((index, _)) = nearest {
            let later = self.gaps.remove(index + 1);
            self.gaps[index].until = later.until;
        }
    }

    /// The gap to fill next: the oldest, since the search forgets it first.
    pub fn gap(&self) -> Option<Gap> {
        self.gaps.first().copied()
    }

    /// How many there are.
    pub fn gaps(&self) -> usize {
        self.gaps.len()
    }

    /// Of the gap that begins `after` that id, all from `id` on is stored.
    pub fn filled_down_to(&mut self, after: u64, id: u64) {
        if let Some(gap) = self.gaps.iter_mut().find(|gap| gap.after == after) {
            gap.until = gap.until.min(id);
        }
        self.drop_empty();
    }

    /// Nothing of the oldest gap below `id` can be had: what that is, if anything.
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

    /// What was the oldest gap when it began `after` that id is dealt with.
    pub fn close(&mut self, after: u64) {
        self.gaps.retain(|gap| gap.after != after);
    }

    fn drop_empty(&mut self) {
        self.gaps.retain(|gap| gap.after + 1 < gap.until);
    }
}

#[cfg(test)]
mod tests;
