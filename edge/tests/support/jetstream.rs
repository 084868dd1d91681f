//! A WebSocket server that speaks Jetstream's part.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use headwater::net::endpoint::Endpoint;
use headwater::net::roots::Roots;
use headwater::post::filter::Filter;
use headwater::source::jetstream::Settings;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{Message, WebSocket};

pub const FIRST_US: u64 = 1_763_689_821_000_000;

pub type Socket = WebSocket<TcpStream>;

/// A server that leaves each connection, by its number from 0 and the path asked for, to `handler`.
pub struct JetstreamServer {
    pub endpoint: Endpoint,
    asked: Arc<Mutex<Vec<String>>>,
}

impl JetstreamServer {
    pub fn start(
        handler: impl Fn(usize, Option<u64>, &mut Socket) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let server = Self {
            endpoint: Endpoint::parse(&url, false).unwrap(),
            asked: Arc::default(),
        };
        let asked = server.asked.clone();
        std::thread::spawn(move || {
            for (nth, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let mut path = String::new();
                #[allow(clippy::result_large_err, reason = "tungstenite's own type")]
                let note_path =
                    |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
                        path = request.uri().to_string();
                        Ok(response)
                    };
                let Ok(mut socket) = tungstenite::accept_hdr(stream, note_path) else {
                    continue;
                };
                let cursor = path
                    .split_once("cursor=")
                    .map(|(_, cursor)| cursor.parse().unwrap());
                asked.lock().unwrap().push(path);
                handler(nth, cursor, &mut socket);
            }
        });
        server
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub fn settings(endpoints: &[&JetstreamServer]) -> Settings {
    Settings {
        endpoints: endpoints
            .iter()
            .map(|server| server.endpoint.clone())
            .collect(),
        filter: Filter::parse("pizza").unwrap(),
        roots: Roots::default(),
    }
}

pub fn event(time_us: u64, text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        r#"{{"did":"did:plc:nutr","time_us":{time_us},"kind":"commit","commit":{{"rev":"3m64","operation":"create","collection":"app.bsky.feed.post","rkey":"{time_us}","record":{{"$type":"app.bsky.feed.post","langs":["en"],"text":{text},"facets":[{{"index":{{"byteStart":0}}}}]}},"cid":"bafy"}}}}"#
    )
}

/// Sends, and says whether there was anyone to send to.
pub fn send(socket: &mut Socket, text: String) -> bool {
    socket.send(Message::text(text)).is_ok()
}

/// Reads until the other side is gone.
pub fn wait_for_close(socket: &mut Socket) {
    while socket.read().is_ok() {}
}
