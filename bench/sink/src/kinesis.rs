//! As much of Kinesis's answers as its clients need.

use std::io::Write;
use std::time::SystemTime;

use httpdate::HttpDate;
use memchr::memmem;
use testkit::http::Request;

/// Which call a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Call {
    PutRecord,
    PutRecords,
}

impl Call {
    /// The call that a request is; `None` if it is another one.
    pub fn of(request: &Request) -> Option<Self> {
        match request.operation()? {
            "PutRecord" => Some(Self::PutRecord),
            "PutRecords" => Some(Self::PutRecords),
            _ => None,
        }
    }
}

/// How many records the request carries.
pub fn records(call: Call, body: &[u8]) -> u64 {
    match call {
        Call::PutRecord => 1,
        Call::PutRecords => memmem::find_iter(body, br#""Data":"#).count() as u64,
    }
}

/// Answers, each written over the one before; a body like the last is kept.
#[derive(Default)]
pub struct Answers {
    body: String,
    /// The call the body answers, and its number of records.
    of: Option<(Call, u64)>,
    whole: Vec<u8>,
}

const PLACE: &str = r#"{"SequenceNumber":"49543463076548007577105092703039560359975228518395012686","ShardId":"shardId-000000000000"}"#;

impl Answers {
    /// The answer to a call with so many records.
    pub fn to(&mut self, call: Call, records: u64) -> &[u8] {
        if self.of != Some((call, records)) {
            self.of = Some((call, records));
            self.body = match call {
                Call::PutRecord => PLACE.to_owned(),
                Call::PutRecords => {
                    let places = vec![PLACE; records as usize].join(",");
                    format!(r#"{{"FailedRecordCount":0,"Records":[{places}]}}"#)
                }
            };
        }
        self.whole.clear();
        // Writing to memory does not fail.
        let _ = write!(
            self.whole,
            "HTTP/1.1 200 OK\r\n\
             x-amzn-RequestId: c1ab2e1d-6b3f-9d3e-9f5c-0d8a5a3cbf0e\r\n\
             x-amz-id-2: 9eX1kJ3xWm7mBLTxvCq3WqB7q3m3ZqXl2yO0g6kq3vYb6mD4s6yNqf3K1wVQmO0bT1tQm1l0f5q=\r\n\
             Date: {}\r\n\
             Content-Type: application/x-amz-json-1.1\r\n\
             Content-Length: {}\r\n\r\n{}",
            HttpDate::from(SystemTime::now()),
            self.body.len(),
            self.body
        );
        &self.whole
    }
}
