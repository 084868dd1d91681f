//! The file for records that Kinesis can never accept, next to the spool: JSON lines of the form
//! `{"at":RFC 3339,"reason":TEXT,"PartitionKey":KEY,"Data":BASE64}`. A full file is renamed to `.old`, and the one before it is lost.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64_simd::STANDARD;

use crate::observe::journal;
use crate::platform::file::{make_private, open_own, replaceable};
use crate::post::record::Record;

/// The most bytes of the file, and of the `.old` one beside it.
const MAX_BYTES: u64 = 4 << 20;

/// The dead-letter file.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    /// The file at `path`, which is made when it is first needed.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Appends a record, as [`text`] gives it, and syncs the file. If that fails, the record is lost, and the log says so.
    pub fn set_aside(&self, reason: &str, record: &[u8], at: SystemTime) {
        let path = self.path.display();
        match self.append(reason, record, at) {
            Ok(()) => log::error!(
                "a record can never be accepted ({reason}); it is set aside in {path} and the rest goes on"
            ),
            Err(error) => log::error!(
                "a record can never be accepted ({reason}), and is lost: {path} cannot be written ({error})"
            ),
        }
    }

    fn append(&self, reason: &str, record: &[u8], at: SystemTime) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|file| file.len() + record.len() as u64 > MAX_BYTES) {
            let old = self.path.with_added_extension("old");
            replaceable(&self.path).and_then(|()| replaceable(&old))?;
            fs::rename(&self.path, old)?;
        }
        let at = DateTime::from(at).fmt(Format::DateTime).unwrap_or_default();
        let mut options = OpenOptions::new();
        let mut file = open_own(&self.path, options.create(true).read(true).append(true))?;
        make_private(&file);
        let len = file.metadata()?.len();
        let mut line = Vec::new();
        if !ends_a_line(&file, len)? {
            // A power cut or a full disk tore the last line: this one begins a new line.
            line.push(b'\n');
        }
        let reason = serde_json::Value::from(journal::clean(reason));
        write!(line, r#"{{"at":"{at}","reason":{reason},"#)?;
        line.extend_from_slice(record);
        line.push(b'\n');
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line is of no use, and takes space on a full disk.
            let _ = file.set_len(len);
        }
        written
    }
}

/// Whether `file`, of `len` bytes, is empty or ends with a newline.
fn ends_a_line(file: &fs::File, len: u64) -> io::Result<bool> {
    let Some(last) = len.checked_sub(1) else {
        return Ok(true);
    };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
}

/// The end of a record's line in the file: `"PartitionKey":KEY,"Data":BASE64}`.
pub fn text(record: Record<'_>) -> Vec<u8> {
    let key = serde_json::Value::from(record.partition_key);
    let mut text = format!(r#""PartitionKey":{key},"Data":""#).into_bytes();
    STANDARD.encode_append(record.data, &mut text);
    text.extend_from_slice(br#""}"#);
    text
}

#[cfg(test)]
mod tests;
