//! The places of all followed files. The spool's position is that of its newest record, in one file; those of the others are a fact (see
//! [`crate::platform::facts`]), written each time before a record of another file follows, and when a file is opened. Both are in RAM
//! that outlives the process, so a crash of the program loses neither; and the fact is never ahead of the records, which are flushed
//! before it.
//!
//! After a power cut the position is as old as the newest record on the card, and the fact as old as the last orderly end: lines are
//! read again, and have the ids they had.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::source::lines::place::{Place, path_crc};
use crate::source::{Feed, Stopped};

/// The fact's name.
const FACT: &str = "lines.places";

/// What is known of one followed file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Right after the last line of it that was handed over.
    pub place: Place,
    /// Where the file was when it was opened, behind all links; `None` if that is not known.
    pub real: Option<PathBuf>,
}

/// The same, as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    name: String,
    real: String,
    place: String,
}

/// The places of all followed files, by the CRC of their names.
#[derive(Debug, Default)]
pub struct Places {
    entries: BTreeMap<u32, (String, Entry)>,
    /// Whose place the spool's position is.
    newest: Option<u32>,
    /// Whether an end was seen since the fact was written.
    is_news: bool,
}

impl Places {
    /// What an earlier run left: its fact, and the newest record's position, of those the later.
    pub fn open(feed: &Feed) -> Self {
        let text: String = feed.state.get(FACT).unwrap_or_default();
        let written: Vec<Written> = serde_json::from_str(&text).unwrap_or_default();
        let mut places = Self::default();
        for Written { name, real, place } in written {
            if let Some(place) = Place::parse(place.as_bytes()) {
                let real = Some(real.into());
                let entry = Entry { place, real };
                places.entries.insert(place.path_crc(), (name, entry));
            }
        }
        if let Some(place) = Place::parse(&feed.position()) {
            let crc = place.path_crc();
            places.newest = Some(crc);
            let no_name = || (String::new(), Entry { place, real: None });
            let (_, entry) = places.entries.entry(crc).or_insert_with(no_name);
            let order = |place: &Place| (place.turn(), place.offset());
            if order(&entry.place) < order(&place) {
                // A file that was moved on from is not where the one before it was.
                if entry.place.turn() != place.turn() {
                    entry.real = None;
                }
                entry.place = place;
            }
        }
        places
    }

    /// What is known of the file with that name.
    pub fn of(&self, path: &Path) -> Option<&Entry> {
        Some(&self.entries.get(&path_crc(path))?.1)
    }

    /// The names of all that something is known of.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        let names = self.entries.values().map(|(name, _)| name);
        names.filter(|name| !name.is_empty()).map(Path::new)
    }

    /// A record of the file with that name's `crc` follows. That of another would take the place of its position in the spool.
    pub fn turn_to(&mut self, crc: u32, feed: &Feed) -> Result<(), Stopped> {
        if self.newest != Some(crc) {
            if self.newest.is_some() {
                self.save(feed)?;
            }
            self.newest = Some(crc);
        }
        Ok(())
    }

    /// So far was read.
    pub fn moved(&mut self, place: &Place) {
        if let Some((_, entry)) = self.entries.get_mut(&place.path_crc()) {
            entry.place = *place;
        }
    }

    /// So far was read, and that is all there is.
    pub fn seen(&mut self, place: &Place) {
        if let Some((_, entry)) = self.entries.get_mut(&place.path_crc()) {
            self.is_news |= entry.place.seen_ms() != place.seen_ms();
            entry.place = *place;
        }
    }

    /// Writes down when files were last written to, as far as they were read: after a record, whose position cannot know it.
    pub fn save_news(&mut self, feed: &Feed) -> Result<(), Stopped> {
        if self.is_news {
            self.save(feed)?;
        }
        Ok(())
    }

    /// A file was opened under this name.
    pub fn opened(&mut self, path: &Path, entry: Entry, feed: &Feed) -> Result<(), Stopped> {
        let name = path.to_string_lossy().into_owned();
        self.entries.insert(entry.place.path_crc(), (name, entry));
        self.save(feed)
    }

    /// The file with that name is followed no more.
    pub fn forget(&mut self, path: &Path) {
        self.entries.remove(&path_crc(path));
    }

    fn save(&mut self, feed: &Feed) -> Result<(), Stopped> {
        if feed.stop.asked() {
            return Err(Stopped);
        }
        feed.flush();
        let written = self.entries.values().map(|(name, entry)| Written {
            name: name.clone(),
            real: entry
                .real
                .as_deref()
                .map_or_else(String::new, |real| real.to_string_lossy().into_owned()),
            place: entry.place.position().as_str().to_owned(),
        });
        let written: Vec<_> = written.collect();
        // Texts can always be written.
        let text = serde_json::to_string(&written).unwrap_or_default();
        feed.state.set(FACT, text);
        self.is_news = false;
        Ok(())
    }
}
