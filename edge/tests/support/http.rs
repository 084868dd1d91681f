//! A server on a port of its own that answers each request as the test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::SystemTime;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `POST /path HTTP/1.1`, and the headers, a line each.
    pub head: String,
    pub body: String,
}

impl Request {
    /// Method and path, as in `POST /path`; for a call of Kinesis its name.
    pub fn what(&self) -> String {
        let target = self
            .header("x-amz-target")
            .and_then(|target| target.split('.').nth(1));
        let line = self.head.lines().next().unwrap_or_default();
        target.map_or_else(
            || {
                line.rsplit_once(' ')
                    .map_or("", |(what, _)| what)
                    .to_owned()
            },
            str::to_owned,
        )
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (has, value) = line.split_once(": ")?;
            has.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A status and a body.
pub type Answer = (u16, String);

/// Starts the server: its address. `date` is what its clock shows.
pub fn serve(
    date: fn() -> SystemTime,
    answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || talk(stream, date, &*answer));
        }
    });
    url
}

fn talk(stream: TcpStream, date: fn() -> SystemTime, answer: &dyn Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        let (status, body) = answer(&request);
        let date = httpdate::fmt_http_date(date());
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Length: {length}\r\n\r\n");
        if writer.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut request = Request::default();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        request.head.push_str(&line.replace('\r', ""));
    }
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Some(request)
}
