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

/// The oldest Python version that MiniStack supports.
const OLDEST_PYTHON: (u32, u32) = (3, 10);

/// Timeout for its start. Usually it takes half a second.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running MiniStack, empty at first. When dropped it ends, with the functions that it runs and its files.
#[derive(Debug)]
pub struct MiniStack {
    address: SocketAddr,
    // Dropped in this order: the files are removed after the process that uses them has ended.
    process: Process,
    folder: Scratch,
}

impl MiniStack {
    /// Installs it if necessary, and starts it on a free port. It verifies signatures and IAM policies. `test`/`test` is the account's root.
    ///
    /// # Errors
    /// If it cannot be installed, or does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_ahead(Duration::ZERO)
    }

    /// The same with a clock that is this far ahead in calls to Kinesis. The `Date` header is not changed: [`testkit::chaos`] does that.
    ///
    /// # Errors
    /// If it cannot be installed, or does not start.
    pub fn start_ahead(ahead: Duration) -> anyhow::Result<Self> {
        let python = install()?;
        let folder = Scratch::new_in(&target_dir()?)?;
        // It inherits the listening socket as its standard input, so no other process can take the port meanwhile.
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
                // The address at which the functions that it runs reach it.
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

    /// Its URL, the same for every service.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its socket address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The log of it and of the functions in it.
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

/// The Python environment with MiniStack. It is installed if it is missing or has other versions.
///
/// # Errors
/// If there is no Python, or PyPI cannot be reached.
pub fn install() -> anyhow::Result<PathBuf> {
    let target = target_dir()?;
    let environment = target.join("ministack");
    let python = environment.join("bin/python");
    // A file that lists what is installed. It is written last.
    let marker = environment.join("installed");

    // The lock is held until the end, so that two runs do not install at the same time.
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

/// Cargo's target directory, in which this program was built, and in which it creates its files.
///
/// # Errors
/// If this program is not in a target directory of cargo.
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

/// The Python that the variable PYTHON names, else the first one in PATH that is new enough.
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

/// Runs a command to its end. The last line of its standard error becomes the error.
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
