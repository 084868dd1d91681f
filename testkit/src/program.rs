//! Programs under test: a board with its card, its RAM and its environment, and what runs on it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use crate::PATIENCE;
use crate::process::{Process, Scratch};
#[cfg(feature = "services")]
use crate::x_api::{BEARER_TOKEN, CONSUMER_KEY, CONSUMER_SECRET};

/// A board: a folder that is its card, one that is its RAM, and the environment a user would set. It outlives the programs that run on it.
#[derive(Debug)]
pub struct Board {
    program: Vec<OsString>,
    arguments: Vec<OsString>,
    environment: BTreeMap<String, OsString>,
    secrets: Vec<String>,
    aloud: bool,
    card: Scratch,
    ram: Scratch,
}

impl Board {
    /// A board with `program`, a command, that reads nothing and sends nowhere yet. Its card is a new folder in `parent`.
    ///
    /// # Errors
    /// The folders cannot be made.
    pub fn new_in(parent: &Path, program: &[OsString]) -> anyhow::Result<Self> {
        let card = Scratch::new_in(parent)?;
        // Where there is no tmpfs, the program sees that its RAM is none, and does without.
        let ram = Scratch::new_in(Path::new("/dev/shm")).or_else(|_| Scratch::new_in(parent))?;
        let mut board = Self {
            program: program.to_vec(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            secrets: Vec::new(),
            aloud: false,
            card,
            ram,
        };
        let (spool, ram) = (board.spool(), board.ram().to_owned());
        board
            .set("HEADWATER_SPOOL", spool)
            .set("HEADWATER_ENV_FILE", "/none")
            .set("RUNTIME_DIRECTORY", ram)
            .set("PATH", std::env::var_os("PATH").unwrap_or_default());
        Ok(board)
    }

    /// Sets an environment variable.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// The same board with an environment variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.set(name, value);
        self
    }

    /// Takes an environment variable away.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.environment.remove(name);
        self
    }

    /// Adds an argument for every start.
    pub fn argument(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.arguments.push(argument.into());
        self
    }

    /// A program that says `secret` fails its test.
    pub fn hide(&mut self, secret: &str) -> &mut Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// Prints what the programs say, as `.ci/run` searches it for secrets.
    #[must_use]
    pub fn aloud(mut self) -> Self {
        self.aloud = true;
        self
    }

    /// Reads the simulated X API at `url`.
    #[cfg(feature = "services")]
    pub fn reads_x(&mut self, url: &str) -> &mut Self {
        self.set("X_API_URL", url)
            .set("TWITTER_API_CONSUMER_KEY", CONSUMER_KEY)
            .set("TWITTER_API_CONSUMER_SECRET", CONSUMER_SECRET)
            .hide(CONSUMER_SECRET)
            .hide(BEARER_TOKEN)
    }

    /// Where its files are that survive a power cut.
    pub fn card(&self) -> &Path {
        self.card.path()
    }

    /// Where its files are that survive a program.
    pub fn ram(&self) -> &Path {
        self.ram.path()
    }

    /// The spool's file.
    pub fn spool(&self) -> PathBuf {
        self.card().join("spool")
    }

    /// Where a program that is told so may write its figures.
    pub fn metrics_file(&self) -> PathBuf {
        self.card().join("metrics.prom")
    }

    /// The program's figures by name, as it wrote them last to the metrics file; those with labels add up.
    pub fn metrics(&self) -> BTreeMap<String, u64> {
        let text = fs::read_to_string(self.metrics_file()).unwrap_or_default();
        let mut metrics = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.rsplit_once(' ')
                && let Ok(value) = value.parse::<f64>()
            {
                let name = name.split('{').next().unwrap_or(name);
                *metrics.entry(name.to_owned()).or_default() += value as u64;
            }
        }
        metrics
    }

    /// The program with the board's arguments and `args`, not started yet. Nothing of this process's environment reaches it but PATH.
    pub fn command(&self, args: &[&str]) -> Command {
        let (program, first) = self.program.split_first().expect("a program");
        let mut command = Command::new(program);
        command
            .args(first)
            .args(&self.arguments)
            .args(args)
            .current_dir(self.card())
            .env_clear()
            .envs(&self.environment);
        command
    }

    /// What a program says that ends by itself.
    ///
    /// # Panics
    /// The program cannot be started.
    pub fn output(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        let output = command.stdin(Stdio::null()).output().expect("it starts");
        if self.aloud {
            print!("{}", String::from_utf8_lossy(&output.stdout));
            print!("{}", String::from_utf8_lossy(&output.stderr));
        }
        output
    }

    /// Starts the program.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&self, args: &[&str]) -> anyhow::Result<Program> {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let said = Arc::new(Said::default());
        let child = process.child();
        let input = child.stdin.take();
        let stdout = child.stdout.take().context("no standard output")?;
        let stderr = child.stderr.take().context("no standard error")?;
        let listeners = vec![
            said.clone().listen(stdout, self.aloud),
            said.clone().listen(stderr, self.aloud),
        ];
        Ok(Program {
            process,
            input,
            said,
            listeners,
            secrets: self.secrets.clone(),
        })
    }
}

/// What a program said so far, on either output.
#[derive(Debug, Default)]
struct Said {
    text: Mutex<String>,
    changed: Condvar,
}

impl Said {
    fn listen(self: Arc<Self>, stream: impl Read + Send + 'static, aloud: bool) -> JoinHandle<()> {
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if aloud {
                    println!("{line}");
                }
                self.text().push_str(&(line + "\n"));
                self.changed.notify_all();
            }
        })
    }

    fn text(&self) -> MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A program that runs. Killed when dropped.
#[derive(Debug)]
pub struct Program {
    process: Process,
    input: Option<ChildStdin>,
    said: Arc<Said>,
    listeners: Vec<JoinHandle<()>>,
    secrets: Vec<String>,
}

impl Program {
    /// Writes lines to its standard input.
    ///
    /// # Panics
    /// It does not read any more.
    pub fn write(&mut self, lines: &[&str]) {
        let input = self.input.as_mut().expect("its input is open");
        let text = lines.join("\n") + "\n";
        input.write_all(text.as_bytes()).expect("it reads");
    }

    /// Its standard input, to write to elsewhere; `None` the second time.
    pub fn input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    /// Waits until it has said `part`.
    ///
    /// # Panics
    /// It does not say it for a long time.
    pub fn wait_for(&self, part: &str) {
        let (said, _) = self
            .said
            .changed
            .wait_timeout_while(self.said.text(), PATIENCE, |said| !said.contains(part))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(said.contains(part), "{part:?} was never said:\n{said}");
    }

    /// The lines it said so far, on either output.
    pub fn said(&self) -> Vec<String> {
        self.said.text().lines().map(str::to_owned).collect()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// How it ended, if it did within `at_most`; all it said has been heard then.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn wait(&mut self, at_most: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let status = self.process.wait(at_most)?;
        if status.is_some() {
            for listener in self.listeners.drain(..) {
                // It cannot panic, and there would be nothing to do about it.
                let _ = listener.join();
            }
        }
        Ok(status)
    }

    /// The same, after SIGTERM.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn stop(&mut self, at_most: Duration) -> anyhow::Result<Option<ExitStatus>> {
        self.signal(Signal::TERM);
        self.wait(at_most)
    }

    /// Ends its input, and waits for its end: whether it went well, and all it said.
    ///
    /// # Panics
    /// It does not end for a long time.
    pub fn end(mut self) -> (bool, String) {
        drop(self.input.take());
        let status = self.wait(PATIENCE).expect("the system tells");
        let said = self.said.text().clone();
        let status = status.unwrap_or_else(|| panic!("it does not end; it said:\n{said}"));
        (status.success(), said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let said = self.said();
        let tells = |line: &&String| self.secrets.iter().any(|secret| line.contains(secret));
        let leak = said.iter().position(|line| tells(&line));
        assert_eq!(leak, None, "this line of the program's has a secret");
    }
}
