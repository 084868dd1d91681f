//! The real `headwater`, run the way a user runs it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use aws_credential_types::Credentials;

use crate::deploy::Stack;
use crate::ministack::target_dir;
use crate::process::{Process, Scratch};
use crate::x_api::{BEARER_TOKEN, CONSUMER_KEY, CONSUMER_SECRET};

/// The board: its files, and the environment a user would set. It outlives the program that runs on it.
#[derive(Debug)]
pub struct Board {
    program: Vec<OsString>,
    arguments: Vec<OsString>,
    environment: BTreeMap<String, OsString>,
    /// What the program must not say.
    secrets: Vec<String>,
    files: Scratch,
    /// RAM that outlives the program.
    _ram: Option<Scratch>,
}

impl Board {
    /// A board with `program`, a command, that puts to nowhere yet.
    pub fn new(program: &[OsString]) -> anyhow::Result<Self> {
        let files = Scratch::new_in(&target_dir()?)?;
        // Where there is none, the program does without.
        let ram = Scratch::new_in(Path::new("/dev/shm")).ok();
        let mut environment = BTreeMap::new();
        if let Some(ram) = &ram {
            environment.insert("RUNTIME_DIRECTORY".to_owned(), ram.path().into());
        }
        let mut board = Self {
            program: program.to_vec(),
            arguments: Vec::new(),
            environment,
            secrets: Vec::new(),
            files,
            _ram: ram,
        };
        let (spool, metrics) = (board.spool(), board.metrics_file());
        board.argument("--spool").argument(spool);
        board.argument("--metrics-file").argument(metrics);
        Ok(board)
    }

    /// Puts to `stack`'s stream, by way of `endpoint`, as whom `key` names.
    pub fn puts_to(&mut self, stack: &Stack, endpoint: &str, key: &Credentials) -> &mut Self {
        self.set("AWS_STREAM_NAME", &stack.stream)
            .set("AWS_REGION", &stack.region)
            .set("AWS_ENDPOINT_URL_KINESIS", endpoint)
            .set("AWS_ACCESS_KEY_ID", key.access_key_id())
            .set("AWS_SECRET_KEY", key.secret_access_key())
            .hide(key.secret_access_key())
    }

    /// Reads the simulated X API at `url`.
    pub fn reads_x(&mut self, url: &str) -> &mut Self {
        self.set("X_API_URL", url)
            .set("TWITTER_API_CONSUMER_KEY", CONSUMER_KEY)
            .set("TWITTER_API_CONSUMER_SECRET", CONSUMER_SECRET)
            .hide(CONSUMER_SECRET)
            .hide(BEARER_TOKEN)
    }

    /// What the program must not say.
    pub fn hide(&mut self, secret: &str) -> &mut Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// Sets an environment variable.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Takes an environment variable away.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.environment.remove(name);
        self
    }

    /// Adds an argument.
    pub fn argument(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.arguments.push(argument.into());
        self
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.files.path()
    }

    /// The spool's file.
    pub fn spool(&self) -> PathBuf {
        self.folder().join("headwater.spool")
    }

    /// The file of the program's counters.
    pub fn metrics_file(&self) -> PathBuf {
        self.folder().join("metrics.prom")
    }

    /// The program's counters by name, as it wrote them last; those with labels add up.
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

    /// Starts the program. Nothing of this process's environment reaches it but PATH.
    pub fn start(&self) -> anyhow::Result<Producer> {
        let (program, first) = self.program.split_first().context("no program was named")?;
        let mut command = Command::new(program);
        command
            .args(first)
            .args(&self.arguments)
            .current_dir(self.folder())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(&self.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        let child = process.child();
        for pipe in [
            child
                .stdout
                .take()
                .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            child
                .stderr
                .take()
                .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ] {
            let (pipe, said) = (pipe.context("a pipe is missing")?, Arc::clone(&said));
            readers.push(thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    said.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(line);
                }
            }));
        }
        Ok(Producer {
            process,
            said,
            readers,
            secrets: self.secrets.clone(),
        })
    }
}

/// The running program. Killed when dropped.
#[derive(Debug)]
pub struct Producer {
    process: Process,
    said: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
    secrets: Vec<String>,
}

impl Producer {
    /// The process, for its standard input.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// How it ended, if it did within `at_most`; all it said has been heard then.
    pub fn wait(&mut self, at_most: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let status = self.process.wait(at_most)?;
        if status.is_some() {
            for reader in self.readers.drain(..) {
                // It cannot panic, and there would be nothing to do about it.
                let _ = reader.join();
            }
        }
        Ok(status)
    }

    /// The same, after SIGTERM.
    pub fn stop(&mut self, at_most: Duration) -> anyhow::Result<Option<ExitStatus>> {
        self.process.terminate();
        self.wait(at_most)
    }

    /// The lines it printed so far, on either output.
    pub fn said(&self) -> Vec<String> {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Producer {
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
