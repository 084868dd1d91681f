//! The places of all followed files. The spool's position is the place of the newest record, in one file. The places of the other files are a fact
//! (see [`crate::platform::facts`]), which is written before each record of another file, and when a file is opened. Both are in RAM that
//! outlives the process, so a crash of the program loses neither. The records are flushed before the fact, so it is never ahead of them.
//!
//! After a power cut the position is that of the newest record on the card, and the fact that of the last orderly end: lines are read again, and get
//! the same ids as before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::source::lines::place::{Place, path_crc};
use crate::source::{Feed, Stopped};

/// The name of the fact.
const FACT: &str = "lines.places";

/// What is known about one followed file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The place after the last line that was passed on.
    pub place: Place,
    /// The file's path when it was opened, without links; `None` if it is not known.
    pub real: Option<PathBuf>,
}

/// An [`Entry`] in the fact.
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
    /// The name, as a CRC, whose place is the spool's position.
    newest: Option<u32>,
    /// Whether a file's end was read since the fact was written.
    is_news: bool,
}

impl Places {
    /// The places of an earlier run: those of its fact, or the newest record's position where that is later.
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
                // It is another file, whose path is not that of the entry.
                if entry.place.turn() != place.turn() {
                    entry.real = None;
                }
                entry.place = place;
            }
        }
        places
    }

    /// What is known about the file with this name.
    pub fn of(&self, path: &Path) -> Option<&Entry> {
        Some(&self.entries.get(&path_crc(path))?.1)
    }

    /// The names of all known files.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        let names = self.entries.values().map(|(name, _)| name);
        names.filter(|name| !name.is_empty()).map(Path::new)
    }

    /// Prepares for a record of the file with this name's `crc`: if the last record was another file's, writes the fact, because the spool's position
    /// will not hold that file's place any more.
    ///
    /// # Errors
    /// If the program is ending.
    pub fn turn_to(&mut self, crc: u32, feed: &Feed) -> Result<(), Stopped> {
        if self.newest != Some(crc) {
            if self.newest.is_some() {
                self.save(feed)?;
            }
            self.newest = Some(crc);
        }
        Ok(())
    }

    /// Notes how far a file was read.
    pub fn moved(&mut self, place: &Place) {
        if let Some((_, entry)) = self.entries.get_mut(&place.path_crc()) {
            entry.place = *place;
        }
    }

    /// Notes that a file was read to its end, at this place.
    pub fn seen(&mut self, place: &Place) {
        if let Some((_, entry)) = self.entries.get_mut(&place.path_crc()) {
            self.is_news |= entry.place.seen_ms() != place.seen_ms();
            entry.place = *place;
        }
    }

    /// Writes the fact if a file's end was read since: the times of last writes are not in the positions of records.
    ///
    /// # Errors
    /// If the program is ending.
    pub fn save_news(&mut self, feed: &Feed) -> Result<(), Stopped> {
        if self.is_news {
            self.save(feed)?;
        }
        Ok(())
    }

    /// Notes that a file was opened under this name, and writes the fact.
    ///
    /// # Errors
    /// If the program is ending.
    pub fn opened(&mut self, path: &Path, entry: Entry, feed: &Feed) -> Result<(), Stopped> {
        let name = path.to_string_lossy().into_owned();
        self.entries.insert(entry.place.path_crc(), (name, entry));
        self.save(feed)
    }

    /// Removes the file with this name, which is no longer followed.
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
        // Cannot fail: strings can always be written as JSON.
        let text = serde_json::to_string(&written).unwrap_or_default();
        feed.state.set(FACT, text);
        self.is_news = false;
        Ok(())
    }
}
