//! What happens to a log: it grows, is rotated, cut short, copied and deleted.

use super::*;

impl World {
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("logs/log")
    }

    /// Every uncompressed file, and not the link.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.join("logs")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| !path.is_symlink() && path.extension().is_none_or(|it| it != "gz"));
        files.sort();
        files
    }

    pub(super) fn touch(&self, path: &Path) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(self.clock.clock.wall()).unwrap();
    }

    pub(super) fn make_anew(&mut self) {
        let log = self.log();
        if !log.exists() {
            if self.layout == Layout::Link {
                let target = self.folder.join(format!("logs/app-{}.log", self.rotations));
                File::create(&target).unwrap();
                let _ = fs::remove_file(&log);
                symlink(target, &log).unwrap();
            } else {
                File::create(&log).unwrap();
            }
            self.begun = false;
            self.touch(&log);
        }
    }

    pub(super) fn append(&mut self, count: u64, begins_another: bool) {
        self.make_anew();
        let mut text = String::new();
        if std::mem::take(&mut self.begun) {
            text.push_str("-ended\n");
        }
        for _ in 0..count {
            // Of many lengths, so that files differ in theirs.
            let more = "x".repeat(usize::try_from(Random::new(self.next).below(199)).unwrap());
            text.push_str(&format!("line {} {more}x\n", self.next));
            self.next += 1;
        }
        if begins_another {
            text.push_str(&format!("begun {}", self.next));
            self.next += 1;
            self.begun = true;
        }
        let mut file = File::options().append(true).open(self.log()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.touch(&self.log());
        self.note(format!("append {text:?}").replace("xxx", ""));
    }

    /// Names the file that has the log's name now as a rotated one.
    pub(super) fn rotate(&mut self, makes_anew: bool) {
        if !self.log().exists() {
            return;
        }
        self.rotations += 1;
        match self.layout {
            Layout::Link => {
                fs::remove_file(self.log()).unwrap();
                self.make_anew();
            }
            Layout::Numbered | Layout::Dated => {
                let to = self.rotated_name();
                fs::rename(self.log(), to).unwrap();
                if makes_anew {
                    self.make_anew();
                }
            }
        }
        self.note(format!("rotate, new log at once: {makes_anew}"));
    }

    /// Makes room for the next rotated file, and returns its name.
    pub(super) fn rotated_name(&mut self) -> PathBuf {
        if self.layout == Layout::Dated {
            return self
                .folder
                .join(format!("logs/log-{}", 20_260_100 + self.rotations));
        }
        let folder = self.folder.join("logs");
        for number in (1..=self.rotations).rev() {
            for ending in ["", ".gz"] {
                let from = folder.join(format!("log.{number}{ending}"));
                let to = folder.join(format!("log.{}{ending}", number + 1));
                if from.exists() {
                    fs::rename(from, to).unwrap();
                }
            }
        }
        folder.join("log.1")
    }

    pub(super) fn copy_and_truncate(&mut self) {
        if self.layout == Layout::Link || !self.log().exists() {
            return;
        }
        self.rotations += 1;
        let to = self.rotated_name();
        fs::copy(self.log(), &to).unwrap();
        self.touch(&to);
        File::create(self.log()).unwrap();
        self.touch(&self.log());
        self.begun = false;
        self.note("copytruncate");
    }

    /// Compresses or deletes a rotated file.
    pub(super) fn remove_one(&mut self, random: &mut Random, how: &'static str) {
        let current = fs::canonicalize(self.log()).ok();
        let mut files = self.files();
        files.retain(|path| Some(path) != current.as_ref());
        if files.is_empty() {
            return;
        }
        let at = usize::try_from(random.below(files.len() as u64)).unwrap();
        let path = &files[at];
        let lines = lines_of(path);
        // What came and went between two looks, or while nobody looked, leaves no trace but perhaps a missing number.
        let stored: BTreeSet<_> = self.stored().0.into_iter().collect();
        let was_seen = lines.iter().any(|line| stored.contains(line.trim_end()));
        let gone_how = match how {
            "deleted" if self.program.is_some() || !was_seen => "never seen",
            how => how,
        };
        self.gone.entry(gone_how).or_default().extend(lines);
        if how == "compressed" {
            let mut name = path.clone().into_os_string();
            name.push(".gz");
            let length = u32::try_from(fs::metadata(path).unwrap().len()).unwrap();
            let mut packed = b"not to be unpacked".to_vec();
            packed.extend_from_slice(&length.to_le_bytes());
            fs::write(&name, packed).unwrap();
            keep_time(path, Path::new(&name));
        }
        fs::remove_file(path).unwrap();
        let shown = path.file_name().unwrap().to_owned();
        self.note(format!("{how}: {}", shown.display()));
    }

    /// As a log in RAM at a reboot: the same content and times, other inodes. The program does not run.
    pub(super) fn copy_away_and_back(&mut self) {
        self.stop();
        for path in self.files() {
            let away = self.folder.join("away").join(path.file_name().unwrap());
            fs::copy(&path, &away).unwrap();
            keep_time(&path, &away);
            fs::remove_file(&path).unwrap();
            fs::copy(&away, &path).unwrap();
            keep_time(&away, &path);
        }
        self.note("cp -a away and back");
    }
}

fn keep_time(from: &Path, to: &Path) {
    let time = fs::metadata(from).unwrap().modified().unwrap();
    let file = File::options().write(true).open(to).unwrap();
    file.set_modified(time).unwrap();
}
