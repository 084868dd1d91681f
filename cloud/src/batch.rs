//! Splits the batch into portions, which are unpacked, decoded, and sorted by what to do.
//!
//! With packs, a batch of 6 MB can hold a hundred thousand posts and more, so it is never decoded as a
//! whole. A portion is as many records as hold 1 MiB of posts.

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};

use crate::boards::report::BoardReport;
use crate::decode::decode;
use crate::failures::Failure;
use crate::item::Write;
use crate::lambda::Record;
use crate::pack;
use crate::store::Pending;

/// Bytes of posts at which a portion ends. A single record holds no more.
const PORTION_BYTES: usize = pack::MAX_BYTES;

/// The most lines of a pack that go to the failure queue one by one. If there are more, the whole record
/// goes there once: a pack of a million bad lines must not become a million messages.
const MAX_FAILURES_OF_A_PACK: usize = 100;

/// The bytes of one post, and their origin.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The record that they are, or are a line of.
    pub record: &'a Record,
    /// The record's index in the batch.
    pub position: usize,
    /// In a pack, the line's number from 1.
    pub line: Option<usize>,
    /// The bytes.
    pub data: &'a [u8],
}

/// A record's posts, not decoded yet.
#[derive(Debug)]
pub struct Content<'a> {
    record: &'a Record,
    position: usize,
    /// The posts, and when they arrived; or why they can't be read.
    posts: Result<(Posts<'a>, DateTime<Utc>), String>,
}

#[derive(Debug)]
enum Posts<'a> {
    One(&'a [u8]),
    Pack(Vec<u8>),
}

/// The posts of the next portion, which begins with the record at `from`.
pub fn portion(records: &[Record], from: usize) -> Vec<Content<'_>> {
    let mut contents = Vec::new();
    let mut bytes = 0;
    for (position, record) in records.iter().enumerate().skip(from) {
        if bytes >= PORTION_BYTES {
            break;
        }
        let posts = read(record).map_err(|reason| format!("{reason:#}"));
        bytes += match &posts {
            Ok((Posts::One(data), _)) => data.len(),
            Ok((Posts::Pack(text), _)) => text.len(),
            Err(_) => 0,
        };
        contents.push(Content {
            record,
            position,
            posts,
        });
    }
    contents
}

fn read(record: &Record) -> Result<(Posts<'_>, DateTime<Utc>)> {
    let data = record
        .data
        .as_deref()
        .context("a record without data in base64")?;
    let arrived_at = record
        .arrived_at
        .context("a record without the time of its arrival in the stream")?;
    let posts = if pack::is_pack(data) {
        Posts::Pack(pack::unpack(data)?)
    } else {
        Posts::One(data)
    };
    Ok((posts, arrived_at))
}

/// A decoded portion, sorted by what is to be done with its posts.
#[derive(Debug, Default)]
pub struct Portion<'a> {
    /// Changes to the table.
    pub changes: Vec<Pending<'a>>,
    /// Posts that can't be stored.
    pub failures: Vec<Failure<'a>>,
    /// How many posts and events there are in all, reports of boards left out.
    pub read: usize,
    /// Number of records that are packs.
    pub packs: usize,
    /// Number of events that are not posts.
    pub ignored: usize,
    /// The boards' reports, which count as no posts.
    pub reports: Vec<BoardReport>,
    /// When the board read the first of the posts.
    pub oldest_read_at: Option<DateTime<Utc>>,
}

impl<'a> Portion<'a> {
    /// Decodes all of it. Posts expire so long after their arrival, or never.
    pub fn decode(contents: &'a [Content<'a>], time_to_live: Option<TimeDelta>) -> Self {
        let mut portion = Self::default();
        for content in contents {
            portion.add(content, time_to_live);
        }
        portion
    }

    fn add(&mut self, content: &'a Content<'a>, time_to_live: Option<TimeDelta>) {
        let whole = Entry {
            record: content.record,
            position: content.position,
            line: None,
            data: content.record.data.as_deref().unwrap_or_default(),
        };
        match &content.posts {
            Ok((Posts::One(_), arrived_at)) => {
                if let Err(reason) = self.decode_entry(whole, *arrived_at, time_to_live) {
                    self.failures
                        .push(Failure::new(whole, 1, &format!("{reason:#}")));
                }
            }
            Ok((Posts::Pack(text), arrived_at)) => {
                self.packs += 1;
                let mut failures = Vec::new();
                let mut failed = 0;
                for (n, data) in pack::lines(text).enumerate() {
                    let line = Some(n + 1);
                    let entry = Entry {
                        line,
                        data,
                        ..whole
                    };
                    if let Err(reason) = self.decode_entry(entry, *arrived_at, time_to_live) {
                        failed += 1;
                        if failed <= MAX_FAILURES_OF_A_PACK {
                            failures.push(Failure::new(entry, 1, &format!("{reason:#}")));
                        }
                    }
                }
                if failed <= MAX_FAILURES_OF_A_PACK {
                    self.failures.extend(failures);
                } else {
                    let first: &Failure = &failures[0];
                    let reason = format!(
                        "{failed} lines of this pack can't be stored, the others are; the first, line {}: {}",
                        first.entry.line.unwrap_or_default(),
                        first.reason
                    );
                    self.failures.push(Failure::new(whole, failed, &reason));
                }
            }
            Err(reason) => {
                self.read += 1;
                self.packs += usize::from(pack::is_pack(whole.data));
                self.failures.push(Failure::new(whole, 1, reason));
            }
        }
    }

    fn decode_entry(
        &mut self,
        entry: Entry<'a>,
        arrived_at: DateTime<Utc>,
        time_to_live: Option<TimeDelta>,
    ) -> Result<()> {
        let report = BoardReport::parse(entry.data, arrived_at).transpose();
        if let Some(Ok(report)) = report {
            self.reports.push(report);
            return Ok(());
        }
        self.read += 1;
        if let Some(Err(reason)) = report {
            return Err(reason);
        }
        let Some(mut write) = decode(entry.data, arrived_at)? else {
            self.ignored += 1;
            return Ok(());
        };
        // The board's clock may be years behind, so its time must not decide on expiry.
        write.expire(time_to_live.map(|time| arrived_at + time));
        if let Write::Put(item) = &write {
            let read_at = item.read_at();
            self.oldest_read_at = Some(self.oldest_read_at.map_or(read_at, |at| at.min(read_at)));
        }
        self.changes.push(Pending { entry, write });
        Ok(())
    }
}
