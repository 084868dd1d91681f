//! The real program on a board of its own.

use serde_json::Value;

use testkit::notify::Listener;
use testkit::program::Board;

/// A board whose program reads lines, and sends them to the server at `url`.
pub fn board_to(url: &str) -> Board {
    let program = [env!("CARGO_BIN_EXE_headwater").into()];
    Board::new_in(&std::env::temp_dir(), &program)
        .unwrap()
        .aloud()
        .with("HEADWATER_SPOOL_SIZE", "1MiB")
        .with("HEADWATER_SOURCE", "lines")
        .with("AWS_REGION", "eu-west-1")
        .with("AWS_STREAM_NAME", "posts")
        .with("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests")
        .with("AWS_ENDPOINT_URL", url)
}

/// The same board, whose program tells `listener` how it is, as a service with a watchdog of two seconds does.
pub fn heard_by(listener: &Listener, board: Board) -> Board {
    // Half a second is half a second: signs of life come once a second at most.
    board
        .with("NOTIFY_SOCKET", listener.path())
        .with("WATCHDOG_USEC", "2000000")
}

/// What `headwater status --json` says, if one runs.
pub fn status(board: &Board) -> Option<Value> {
    let output = board.output(&["status", "--json"]);
    serde_json::from_slice(&output.stdout).ok()
}

/// What the program said on both outputs.
pub fn both(output: &std::process::Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
