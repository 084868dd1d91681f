//! The real `headwater`, on a board that puts to the local AWS.

use std::ffi::OsString;

use aws_credential_types::Credentials;
use testkit::program::Board;

use crate::deploy::Stack;
use crate::ministack::target_dir;

/// A board with `program`, a command, that writes its metrics file and puts to nowhere yet.
///
/// # Errors
/// The board's folders cannot be made.
pub fn board(program: &[OsString]) -> anyhow::Result<Board> {
    let mut board = Board::new_in(&target_dir()?, program)?;
    let metrics = board.metrics_file();
    board.argument("--metrics-file").argument(metrics);
    Ok(board)
}

/// Has `board` put to `stack`'s stream, by way of `endpoint`, as whom `key` names.
pub fn puts_to(board: &mut Board, stack: &Stack, endpoint: &str, key: &Credentials) {
    board
        .set("AWS_STREAM_NAME", &stack.stream)
        .set("AWS_REGION", &stack.region)
        .set("AWS_ENDPOINT_URL_KINESIS", endpoint)
        .set("AWS_ACCESS_KEY_ID", key.access_key_id())
        .set("AWS_SECRET_KEY", key.secret_access_key())
        .hide(key.secret_access_key());
}
