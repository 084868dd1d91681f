//! The real program, in an environment of its own: nothing of the machine's settings reaches it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for what must happen before it is called failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The settings of one program.
pub struct Board {
    /// What lies on its card.
    pub card: TempDir,
    /// What lies in its RAM.
    pub ram: TempDir,
    variables: Vec<(String, String)>,
}

impl Board {
    /// One that reads lines, and sends them to the server at `url`.
    pub fn new(url: &str) -> Self {
        let board = Self {
            card: tempfile::tempdir().unwrap(),
            ram: tempfile::tempdir_in("/dev/shm").unwrap(),
            variables: Vec::new(),
        };
        let spool = board.spool().display().to_string();
        let ram = board.ram.path().display().to_string();
        board
            .with("HEADWATER_SPOOL", &spool)
            .with("HEADWATER_SPOOL_SIZE", "1MiB")
            .with("RUNTIME_DIRECTORY", &ram)
            .with("HEADWATER_ENV_FILE", "/none")
            .with("HEADWATER_SOURCE", "lines")
            .with("AWS_REGION", "eu-west-1")
            .with("AWS_STREAM_NAME", "posts")
            .with("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .with("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests")
            .with("AWS_ENDPOINT_URL", url)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn spool(&self) -> PathBuf {
        self.card.path().join("spool")
    }

    /// The program with these arguments, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
        command
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(args);
        command
    }

    /// What the program says that ends by itself.
    pub fn output(&self, args: &[&str]) -> Output {
        let output = self.command(args).stdin(Stdio::null()).output().unwrap();
        heard(&output.stdout);
        heard(&output.stderr);
        output
    }

    /// Starts the program.
    pub fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let listeners = vec![
            listen(child.stdout.take().unwrap(), &said),
            listen(child.stderr.take().unwrap(), &said),
        ];
        Running {
            stdin: child.stdin.take(),
            child,
            said,
            listeners,
        }
    }
}

/// Passes on what a program said: all that the tests and their programs say is searched for secrets (.ci/run).
pub fn heard(output: &[u8]) {
    print!("{}", String::from_utf8_lossy(output));
}

type Said = Arc<(Mutex<String>, Condvar)>;

fn listen(stream: impl Read + Send + 'static, said: &Said) -> JoinHandle<()> {
    let said = said.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            println!("{line}");
            said.0.lock().unwrap().push_str(&(line + "\n"));
            said.1.notify_all();
        }
    })
}

/// A program that runs.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Said,
    listeners: Vec<JoinHandle<()>>,
}

impl Running {
    /// Lines on its standard input.
    pub fn write(&mut self, lines: &[&str]) {
        let stdin = self.stdin.as_mut().unwrap();
        for line in lines {
            writeln!(stdin, "{line}").unwrap();
        }
    }

    /// Waits until it has said `part`.
    pub fn wait_for(&self, part: &str) {
        self.wait_longer_for(part, PATIENCE);
    }

    /// The same, where what must happen takes its time.
    pub fn wait_longer_for(&self, part: &str, patience: Duration) {
        let (said, changed) = &*self.said;
        let waited =
            changed.wait_timeout_while(said.lock().unwrap(), patience, |said| !said.contains(part));
        let said = waited.unwrap().0;
        assert!(said.contains(part), "{part:?} was never said:\n{said}");
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends its input, and waits for its end: whether it went well, and all it said.
    pub fn end(mut self) -> (bool, String) {
        drop(self.stdin.take());
        let went_well = self.child.wait().unwrap().success();
        for listener in self.listeners.drain(..) {
            listener.join().unwrap();
        }
        let said = self.said.0.lock().unwrap().clone();
        (went_well, said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test leaves nothing behind. One that has ended is none to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `headwater status --json` says, if one runs.
pub fn status(board: &Board) -> Option<Value> {
    let output = board.output(&["status", "--json"]);
    serde_json::from_slice(&output.stdout).ok()
}

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
