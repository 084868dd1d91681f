//! Small facts that outlive the process and are not posts: how long to wait before the next reconnect, today's count of posts, how far
//! the clock is off. A fact is a name and a short text. Losing one costs a little politeness, never a post.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use log::debug;

use crate::platform::file::{Readers, read_own, replace};

/// A few facts take a few hundred bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The facts, in a JSON object kept twice: in RAM that outlives the process, rewritten at every change, and beside the spool on the card,
/// rewritten by [`Facts::save`] alone, so that a healthy hour writes nothing to flash.
#[derive(Debug)]
pub struct Facts {
    facts: Mutex<BTreeMap<String, String>>,
    ram: Option<PathBuf>,
    card: Option<PathBuf>,
}

impl Facts {
    /// Reads the copy in `ram`, else that on the `card`. A file that is missing, unreadable or not this user's is a state without facts.
    pub fn open(ram: Option<PathBuf>, card: Option<PathBuf>) -> Self {
        let read = |path: &PathBuf| serde_json::from_slice(&read_own(path, MAX_BYTES).ok()?).ok();
        let facts = ram.iter().chain(&card).find_map(read).unwrap_or_default();
        Self {
            facts: Mutex::new(facts),
            ram,
            card,
        }
    }

    /// The fact called `name`, read as a `T`; `None` if there is none, or none that can be read so.
    pub fn get<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)?
            .parse()
            .ok()
    }

    /// Remembers a fact across a crash of the program.
    pub fn set(&self, name: &str, value: impl ToString) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.insert(name.to_owned(), value.to_string());
        self.write(&facts, self.ram.as_deref());
    }

    /// Remembers all facts across a power cut: one small write to the card.
    pub fn save(&self) {
        self.write(
            &self.facts.lock().unwrap_or_else(PoisonError::into_inner),
            self.card.as_deref(),
        );
    }

    fn write(&self, facts: &BTreeMap<String, String>, path: Option<&Path>) {
        let Some(path) = path else { return };
        let facts = serde_json::to_vec(facts).unwrap_or_default();
        if let Err(error) = replace(path, &facts, Readers::Owner) {
            debug!(
                "the state in {} could not be written: {error}",
                path.display()
            );
        }
    }
}
