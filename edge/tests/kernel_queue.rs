//! The real program over a real kernel queue: two network namespaces, and `tc` with a rate between them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::netns::Namespaces;
use testkit::shards::Limits;
use testkit::stream::{Settings, Stream};

/// Several times what the posts take at the link's rate.
const PATIENCE: Duration = Duration::from_secs(180);

/// Killed when dropped: a failed test leaves nothing behind.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn posts_drain_through_40_kbit_and_none_is_sent_again() {
    // Given a board and a server, 40 kbit/s apart, and a minute's worth of queue between them
    let namespaces = match Namespaces::new(40, 300_000) {
        Ok(namespaces) => namespaces,
        Err(why) => return say_what_is_not_tested(&why),
    };
    let settings = Settings {
        listen: SocketAddr::new(Namespaces::SERVER, 0),
        names: vec![Namespaces::SERVER.to_string()],
        shards: vec![Limits::NONE],
        ..Settings::default()
    };
    let stream = namespaces.on_the_server(|| Stream::start(&settings).unwrap());
    // When the board has 100 posts at once
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..100)
        .map(|number| format!("{}\n", post(number)))
        .collect();
    fs::write(folder.path().join("posts"), lines).unwrap();
    let mut program = namespaces.on_the_board(|| start(folder.path(), &stream));
    let deadline = Instant::now() + PATIENCE;
    let ended = loop {
        match program.0.try_wait().unwrap() {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            ended => break ended,
        }
    };
    // Then all arrive, each was sent once, and the board knows
    let counts = stream.counts();
    assert_eq!((counts.delivered, counts.sent), (100, 100));
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}

/// Also where the output of tests that pass is not shown.
fn say_what_is_not_tested(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "CI is to run this: install iproute2 and run it as root ({why})"
    );
    let said = writeln!(
        io::stderr(),
        "NOT TESTED: delivery over a real kernel queue, as this machine gives no network namespace. Install iproute2 and run it as root. {why}"
    );
    said.unwrap();
}

/// A line of 450 bytes: with what goes with it a record of 570.
fn post(number: usize) -> String {
    let text = format!("pizza number {number}, ").repeat(30);
    format!(r#"{{"id":"{number}","text":"{}"}}"#, &text[..425])
}

fn start(folder: &Path, stream: &Stream) -> Program {
    let authority = folder.join("authority.pem");
    fs::write(&authority, stream.authority()).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_headwater"))
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "AK")
        .env("AWS_SECRET_KEY", "a-secret-of-the-tests")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_STREAM_NAME", "posts")
        .env("AWS_ENDPOINT_URL", format!("https://{}", stream.address()))
        .env("AWS_CA_BUNDLE", authority)
        .env("RUNTIME_DIRECTORY", folder)
        .args(["--source", "lines", "--spool-size", "1MiB", "--spool"])
        .arg(folder.join("spool"))
        .stdin(File::open(folder.join("posts")).unwrap())
        .stdout(Stdio::null())
        .spawn();
    Program(child.unwrap())
}
