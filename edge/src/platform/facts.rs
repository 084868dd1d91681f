//! Small facts that outlive the process and are not posts: how long to wait before the next reconnect, today's count of posts, the clock's
//! offset. A fact is a name and a short text. A lost fact costs an early reconnect or a wrong count, never a post.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use log::debug;

use crate::platform::file::{Readers, read_own, replace};

/// The largest file that is read. A few facts take a few hundred bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The facts as a JSON object, in two files. The one in RAM outlives the process and is rewritten at every change. The one beside the spool on
/// the card is rewritten by [`Facts::save`] only, so that a healthy hour writes nothing to flash.
#[derive(Debug)]
pub struct Facts {
    facts: Mutex<BTreeMap<String, String>>,
    ram: Option<PathBuf>,
    card: Option<PathBuf>,
}

impl Facts {
    /// Reads the file in `ram`, else the one on the `card`. A file that is missing, unreadable or another user's counts as empty.
    pub fn open(ram: Option<PathBuf>, card: Option<PathBuf>) -> Self {
        let read = |path: &PathBuf| serde_json::from_slice(&read_own(path, MAX_BYTES).ok()?).ok();
        let facts = ram.iter().chain(&card).find_map(read).unwrap_or_default();
        Self {
            facts: Mutex::new(facts),
            ram,
            card,
        }
    }

    /// The fact `name`, parsed as a `T`. `None` if it is not set or cannot be parsed.
    pub fn get<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)?
            .parse()
            .ok()
    }

    /// Sets the fact `name` in RAM: it survives a crash of the program.
    pub fn set(&self, name: &str, value: impl ToString) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.insert(name.to_owned(), value.to_string());
        self.write(&facts, self.ram.as_deref());
    }

    /// Writes all facts to the card, where they survive a power cut: one small write.
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
