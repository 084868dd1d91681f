//! Following several files in turn, and reporting their troubles.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use log::Level;

use crate::source::Stopped;
use crate::source::lines::Maker;
use crate::source::lines::pattern;
use crate::source::lines::places::Places;
use crate::source::lines::siblings;
use crate::source::lines::tail::Tail;

/// How often the end of a file is checked.
const LOOK: Duration = Duration::from_millis(200);

/// New files that match a pattern are searched once in so many checks.
const LOOKS_A_SEARCH: u32 = 5;

/// Most files that are followed: each is open, and its place is kept.
const MAX_FILES: usize = 128;

/// Follows the files that `inputs` name until the feed is stopped.
pub fn follow(inputs: &[PathBuf], maker: &mut Maker<'_>) {
    let mut follower = Follower::new(inputs, maker);
    loop {
        match follower.round(maker) {
            Ok(true) => {}
            Ok(false) if maker.feed.sleep(LOOK).is_ok() => {}
            Ok(false) | Err(Stopped) => return,
        }
    }
}

/// All followed files.
#[derive(Debug)]
pub struct Follower {
    /// Inputs with `*` or `?`.
    patterns: Vec<PathBuf>,
    tails: Vec<Tail>,
    /// How many of the tails, the first ones, have a name that the user gave: they are kept if the file is gone.
    named: usize,
    places: Places,
    looks: u32,
    told: Option<String>,
}

impl Follower {
    /// Continues where an earlier run ended.
    pub fn new(inputs: &[PathBuf], maker: &Maker<'_>) -> Self {
        let absolutes = inputs
            .iter()
            .map(|input| absolute(input).unwrap_or_else(|_| input.clone()));
        let (patterns, names): (Vec<_>, Vec<_>) =
            absolutes.partition(|input| pattern::is_pattern(input));
        let tails: Vec<_> = names.iter().map(|path| Tail::new(path)).collect();
        Self {
            patterns,
            named: tails.len(),
            tails,
            places: Places::open(maker.feed),
            looks: 0,
            told: None,
        }
    }

    /// Gives each file a turn. Returns whether there may be more to read at once.
    ///
    /// # Errors
    /// If the program is ending.
    pub fn round(&mut self, maker: &mut Maker<'_>) -> Result<bool, Stopped> {
        if maker.feed.stop.asked() {
            return Err(Stopped);
        }
        let mut troubles = Vec::new();
        if self.looks == 0 {
            self.search();
        }
        self.looks = (self.looks + 1) % LOOKS_A_SEARCH;
        if self.tails.len() == MAX_FILES {
            troubles.push((
                Level::Warn,
                format!("{MAX_FILES} files are followed, and no more: name fewer with --input"),
            ));
        }
        if self.tails.is_empty() {
            let shown = self
                .patterns
                .first()
                .map_or_else(PathBuf::new, PathBuf::clone);
            let text = format!("no file matches {} yet: waiting for one", shown.display());
            troubles.push((Level::Warn, text));
        }
        // All files are opened before one is read, because a full spool may make a read wait for hours.
        for tail in &mut self.tails {
            tail.enter(maker.feed, &mut self.places)?;
        }
        let mut is_more = false;
        for tail in &mut self.tails {
            match tail.turn(maker, &mut self.places)? {
                Ok(more) => is_more |= more,
                Err(error) => troubles.push(trouble(tail.path(), &error)),
            }
        }
        for index in (self.named..self.tails.len()).rev() {
            if self.tails[index].is_over() {
                let path = self.tails[index].path().to_owned();
                let result = self.tails.remove(index).end(maker, &mut self.places)?;
                troubles.extend(result.err().map(|error| trouble(&path, &error)));
            }
        }
        self.places.save_news(maker.feed)?;
        self.tell(&troubles, maker);
        Ok(is_more)
    }

    /// Adds the files that match a pattern now. Rotated files are left out: they are read with the file that they were.
    fn search(&mut self) {
        let mut found = BTreeSet::new();
        for pattern in &self.patterns {
            found.extend(
                pattern::matching(pattern)
                    .into_iter()
                    .filter(|path| path.is_file()),
            );
            // A file that was rotated away and has no successor yet.
            let known = self.places.names();
            found.extend(
                known
                    .filter(|name| pattern::matches(pattern, name))
                    .map(Path::to_owned),
            );
        }
        let followed = self.tails.iter().map(|tail| tail.path().to_owned());
        let all: BTreeSet<_> = followed.chain(found.iter().cloned()).collect();
        for path in found {
            let is_new = self.tails.iter().all(|tail| tail.path() != path);
            if is_new && self.tails.len() < MAX_FILES && !is_of_another(&path, &all) {
                self.tails.push(Tail::new(&path));
            }
        }
    }

    fn tell(&mut self, troubles: &[(Level, String)], maker: &Maker<'_>) {
        let Some((level, first)) = troubles.iter().min_by_key(|(level, _)| *level) else {
            if self.told.take().is_some() {
                maker.feed.well();
            }
            return;
        };
        let text = match troubles.len() {
            1 => first.clone(),
            all => format!("{first} (and {} more)", all - 1),
        };
        // It is logged once, and stays in the status while it lasts.
        if self.told.as_ref() != Some(&text) {
            maker.feed.trouble(*level, &text);
            self.told = Some(text);
        }
    }
}

/// Whether the file at `path` is compressed, or is one of `all` after rotation.
fn is_of_another(path: &Path, all: &BTreeSet<PathBuf>) -> bool {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let Some(own) = name(path) else { return true };
    let mut beside = all
        .iter()
        .filter(|other| other.parent() == path.parent() && *other != path);
    siblings::is_packed(&own)
        || beside.any(|other| name(other).is_some_and(|other| siblings::is_rotated(&own, &other)))
}

/// Says, with its level, why a file cannot be read.
pub fn trouble(path: &Path, error: &io::Error) -> (Level, String) {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => (
            Level::Warn,
            format!("{shown} does not exist yet: waiting for it"),
        ),
        io::ErrorKind::PermissionDenied => (
            Level::Error,
            format!(
                "{shown} may not be read by this user, and nothing of it is read until it may: grant the permission (for a system log: 'usermod -aG adm headwater', then restart)"
            ),
        ),
        _ => (
            Level::Warn,
            format!("{shown} cannot be read: {error}; trying again, its lines are read later"),
        ),
    }
}
