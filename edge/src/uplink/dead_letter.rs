//! Where a record goes that Kinesis can never accept: a file of JSON lines,
//! `{"at":RFC 3339,"reason":TEXT,"PartitionKey":KEY,"Data":BASE64}`, next to the spool, bounded, the oldest half let go first.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use crate::report;

/// The file and the half before it hold at most this much each.
const MAX_BYTES: u64 = 4 << 20;

/// The dead-letter file.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    /// The file at `path`; made when first needed.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Sets a record aside, synced. `record` is its text in the request: `"PartitionKey":...,"Data":...}`.
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
            fs::rename(&self.path, self.path.with_added_extension("old"))?;
        }
        let at = DateTime::from(at).fmt(Format::DateTime).unwrap_or_default();
        let mut line = format!(
            r#"{{"at":"{at}","reason":{},"#,
            serde_json::Value::from(report::clean(reason))
        )
        .into_bytes();
        line.extend_from_slice(record);
        line.push(b'\n');
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        file.write_all(&line)?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinesis::request::Batch;
    use crate::record::Record;

    #[test]
    fn a_record_set_aside_can_be_read_again_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path().join("dead"));
        let mut batch = Batch::new("posts");
        batch.push(
            1,
            Record {
                partition_key: "cat",
                data: b"{}",
            },
        );
        letters.set_aside(
            "ValidationException: \"no\"",
            batch.first_text(),
            SystemTime::UNIX_EPOCH,
        );

        let line: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("dead")).unwrap()).unwrap();
        let expected = serde_json::json!({
            "at": "1970-01-01T00:00:00Z", "reason": "ValidationException: \"no\"", "PartitionKey": "cat", "Data": "e30="
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn the_file_never_outgrows_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::new(folder.path().join("dead"));
        let record = format!(r#""PartitionKey":"k","Data":"{}"}}"#, "A".repeat(1 << 20));
        for _ in 0..20 {
            letters.set_aside("too large", record.as_bytes(), SystemTime::UNIX_EPOCH);
        }
        let files: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(files.len(), 2);
        assert!(
            files.iter().all(|len| *len <= MAX_BYTES + 1024),
            "{files:?}"
        );
    }
}
