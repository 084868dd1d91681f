//! A local AWS: MiniStack, pinned in `requirements.txt`, in a Python environment of its own under `target/`.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, str};

use anyhow::{Context, bail, ensure};
use ureq::Agent;

use testkit::process::{Process, Scratch};

const REQUIREMENTS: &str = include_str!("../requirements.txt");

const AHEAD: &str = include_str!("ministack_ahead.py");

/// The oldest Python MiniStack runs on.
const OLDEST_PYTHON: (u32, u32) = (3, 10);

/// How long it may take to answer; usually it takes half a second.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running MiniStack, with nothing in it. Ends, with the functions it runs and its files, when dropped.
#[derive(Debug)]
pub struct MiniStack {
    address: SocketAddr,
    // In this order: the files go once nobody uses them.
    process: Process,
    folder: Scratch,
}

impl MiniStack {
    /// Starts it on a port the system chooses, installed first if need be. It verifies signatures and IAM policies; `test`/`test` is the
    /// account's root.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_ahead(Duration::ZERO)
    }

    /// The same, but with a clock that is so far ahead for those who call Kinesis. Its `Date` is not: that is for [`testkit::chaos`] to say.
    pub fn start_ahead(ahead: Duration) -> anyhow::Result<Self> {
        let python = install()?;
        let folder = Scratch::new_in(&target_dir()?)?;
        // It inherits the listening socket as its standard input, so nobody can take the port in between.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        fs::write(folder.path().join("ministack_ahead.py"), AHEAD)?;
        let log = File::create(folder.path().join("ministack.log"))?;
        let process = Process::spawn(
            Command::new(python)
                .args(["-m", "hypercorn", "ministack_ahead:app", "--bind", "fd://0"])
                .args(["--workers", "0", "--keep-alive", "75"])
                .env_clear()
                .env("PATH", env::var_os("PATH").unwrap_or_default())
                .env("TMPDIR", folder.path())
                .env("GATEWAY_PORT", address.port().to_string())
                // The way back for the functions it runs.
                .env("AWS_ENDPOINT_URL", format!("http://{address}"))
                .env("PYTHONPATH", folder.path())
                .env("CLOCK_AHEAD_SECONDS", ahead.as_secs().to_string())
                .env("AUTH", "true")
                .env("IOT_MTLS_ENABLED", "0")
                .stdin(OwnedFd::from(listener))
                .stdout(log.try_clone()?)
                .stderr(log),
        )?;
        let mut ministack = Self {
            address,
            process,
            folder,
        };
        ministack.await_health()?;
        Ok(ministack)
    }

    /// Where it answers, for every service.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same, for a network to lead to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it and the functions in it have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("ministack.log")).unwrap_or_default()
    }

    fn await_health(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/_ministack/health", self.endpoint());
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .build()
            .new_agent();
        let deadline = Instant::now() + START_TIMEOUT;
        while agent.get(&url).call().is_err() {
            let ended = self.process.wait(Duration::from_millis(50))?;
            if ended.is_some() || Instant::now() > deadline {
                let log = self.log();
                let last = log.lines().last().unwrap_or("it said nothing");
                bail!(
                    "MiniStack does not come up ({last}): remove {}, and run this again",
                    target_dir()?.join("ministack").display()
                );
            }
        }
        Ok(())
    }
}

/// The Python that has MiniStack, which is installed if it is not there yet, or not in the versions wanted.
pub fn install() -> anyhow::Result<PathBuf> {
    let target = target_dir()?;
    let environment = target.join("ministack");
    let python = environment.join("bin/python");
    // It holds what was installed, written once that is complete.
    let marker = environment.join("installed");

    // Held until the end: two runs at once must not install into one another's files.
    let lock = File::create(target.join("ministack.lock"))
        .with_context(|| format!("{} cannot be written", target.display()))?;
    lock.lock()?;
    let installed = fs::read_to_string(&marker).unwrap_or_default();
    if installed == REQUIREMENTS && python.exists() {
        return Ok(python);
    }

    let _ = fs::remove_dir_all(&environment);
    let system_python = find_python()?;
    run(
        Command::new(&system_python)
            .args(["-m", "venv"])
            .arg(&environment),
    )
    .context(
        "Python is here, but without its 'venv' module: install it (Debian, Ubuntu: apt install python3-venv) and run this again",
    )?;
    let requirements = environment.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements),
    )
    .context("MiniStack could not be installed with pip: check that this machine reaches PyPI, and run this again")?;
    fs::write(marker, REQUIREMENTS)?;
    Ok(python)
}

/// Cargo's target directory: where this program was built, and where what it makes belongs.
pub fn target_dir() -> anyhow::Result<PathBuf> {
    let program = env::current_exe().context("this program cannot find itself")?;
    program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map(Path::to_owned)
        .with_context(|| {
            format!(
                "{} does not lie in a target directory of cargo: run it with 'cargo demo'",
                program.display()
            )
        })
}

/// The first Python of the PATH that is new enough; PYTHON names another.
fn find_python() -> anyhow::Result<PathBuf> {
    let candidates = match env::var_os("PYTHON").filter(|python| !python.is_empty()) {
        Some(python) => vec![PathBuf::from(python)],
        None => [
            "python3",
            "python",
            "python3.14",
            "python3.13",
            "python3.12",
            "python3.11",
            "python3.10",
        ]
        .map(PathBuf::from)
        .to_vec(),
    };
    let mut newest = None;
    for python in candidates {
        match python_version(&python) {
            Some(version) if version >= OLDEST_PYTHON => return Ok(python),
            version => newest = newest.max(version),
        }
    }
    let (major, minor) = OLDEST_PYTHON;
    match newest {
        Some((old_major, old_minor)) => bail!(
            "Python {old_major}.{old_minor} is too old for MiniStack: install Python {major}.{minor} or newer, or name one with PYTHON=/path/to/python3"
        ),
        None => bail!(
            "there is no Python: install Python {major}.{minor} or newer (Debian, Ubuntu: apt install python3 python3-venv), or name one with PYTHON=/path/to/python3"
        ),
    }
}

fn python_version(python: &Path) -> Option<(u32, u32)> {
    let output = Command::new(python)
        .args(["-c", "import sys; print(*sys.version_info[:2])"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let (major, minor) = str::from_utf8(&output.stdout)
        .ok()?
        .trim()
        .split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Runs a command to its end. Its last line of complaint becomes the error.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let complaint = [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes))
        .concat();
    let last = complaint.lines().rfind(|line| !line.trim().is_empty());
    ensure!(
        output.status.success(),
        "{}",
        last.unwrap_or("no reason was given")
    );
    Ok(())
}
