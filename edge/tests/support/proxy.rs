//! An HTTP proxy for what is encrypted.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy that connects anyone to anywhere on this machine, and notes where to.
pub fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let targets = Arc::new(Mutex::new(Vec::new()));
    let noted = targets.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut request = BufReader::new(client.try_clone().unwrap());
            let mut first = String::new();
            request.read_line(&mut first).unwrap();
            let mut line = String::new();
            while request.read_line(&mut line).unwrap() > 2 {}
            let target = first.split(' ').nth(1).unwrap().to_owned();
            let server = TcpStream::connect(target.replace("localhost", "127.0.0.1")).unwrap();
            noted.lock().unwrap().push(target);
            (&client)
                .write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
                .unwrap();
            let (mut up, mut down) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut request, &mut up));
            let mut server = server;
            std::thread::spawn(move || std::io::copy(&mut server, &mut down));
        }
    });
    (url, targets)
}
