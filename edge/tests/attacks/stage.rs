//! Where the attacks play: a server that can be told to refuse, and folders that other users may write to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use testkit::kinesis::{Kinesis, Reply};
use testkit::program::Board;

/// A line with this in it is one that Kinesis can never take.
pub const POISON: &str = "poison";

/// A server that takes everything but poison, while it is not told to fail.
pub struct Server {
    pub kinesis: Kinesis,
    pub fails: Arc<AtomicBool>,
}

impl Server {
    pub fn new(fails: bool) -> Self {
        let fails = Arc::new(AtomicBool::new(fails));
        let kinesis = Kinesis::start({
            let fails = fails.clone();
            move |_, call| match fails.load(Ordering::SeqCst) {
                true => Reply::error(500, "InternalFailure"),
                false if call.puts.iter().any(|put| put.data.contains(POISON)) => {
                    Reply::refusal("data")
                }
                false => Reply::Accept,
            }
        });
        Self { kinesis, fails }
    }

    pub fn heal(&self) {
        self.fails.store(false, Ordering::SeqCst);
    }

    /// The lines it took.
    pub fn lines(&self) -> Vec<String> {
        let text = |data: String| {
            let envelope: Value = serde_json::from_str(&data).unwrap();
            envelope["line"].as_str().unwrap().to_owned()
        };
        self.kinesis.data().into_iter().map(text).collect()
    }
}

/// Another user of the machine.
pub const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// Why this machine cannot play what needs root, if it cannot; said by who skips for it.
pub fn cannot_be_root() -> bool {
    let allowed = rustix::process::geteuid().is_root()
        && Command::new("unshare")
            .args(["-m", "sh", "-c", &format!("{NOBODY} true")])
            .status()
            .is_ok_and(|status| status.success());
    if !allowed {
        println!("skipped: this needs root, mount namespaces (unshare) and setpriv");
    }
    !allowed
}

/// A folder that every user may write to, without the kernel's help for sticky ones.
pub fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
}

/// Runs `script`, in which `"$@"` is the board's program with these arguments, in a mount namespace of its own whose /dev/shm is empty, and
/// with no folder in RAM of the program's own.
pub fn in_namespace(board: &Board, args: &[&str], script: &str, input: &[u8]) -> Output {
    let mut program = board.command(args);
    program.env_remove("RUNTIME_DIRECTORY");
    let shm = "mount -t tmpfs -o mode=1777 none /dev/shm";
    let mut command = Command::new("unshare");
    command.args([
        "-m",
        "sh",
        "-c",
        &format!("{shm} || exit 99; {script}"),
        "sh",
    ]);
    command.arg(program.get_program()).args(program.get_args());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that ends early does not read it.
    let _ = std::io::Write::write_all(&mut stdin, input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stderr));
    output
}
