//! All followed files, each in its turn, and what is told of them.

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

/// How often the end of a file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// After how many looks new files are looked for that match a pattern.
const LOOKS_A_SEARCH: u32 = 5;

/// The most files that are followed: each is an open one, and has a place that is written down.
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
    /// Those that may match several names.
    patterns: Vec<PathBuf>,
    tails: Vec<Tail>,
    /// How many of the tails have a name that the user gave: those are waited for.
    named: usize,
    places: Places,
    looks: u32,
    told: Option<String>,
}

impl Follower {
    /// Begins where an earlier run ended.
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
        // All are known before one is read, which may take as long as an outage.
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

    /// Adds the files that match a pattern now. What rotation made of another is read with that one.
    fn search(&mut self) {
        let mut found = BTreeSet::new();
        for pattern in &self.patterns {
            found.extend(
                pattern::matching(pattern)
                    .into_iter()
                    .filter(|path| path.is_file()),
            );
            // One that was rotated away and has no successor yet.
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
        // Said once, and kept in the status while it lasts.
        if self.told.as_ref() != Some(&text) {
            maker.feed.trouble(*level, &text);
            self.told = Some(text);
        }
    }
}

/// Whether the file at `path` is what rotation, or compression, made of one of `all`, or a compressed one.
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

/// What a person reads of a file that cannot be read.
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
                "{shown} may not be read by this user, and nothing of it is read until then: give it the right to, for a log of the system with 'usermod -aG adm headwater' and a restart"
            ),
        ),
        _ => (
            Level::Warn,
            format!(
                "{shown} cannot be read: {error}; trying again, what is in the file stays there"
            ),
        ),
    }
}
