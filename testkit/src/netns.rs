//! Two network namespaces of this machine with a real kernel queue between them: `tc` gives each direction a rate.
//!
//! It needs root and Debian's iproute2. Nothing of it is seen by, or reaches, the machine's own network.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Two namespaces, joined by a pair of network devices. Dropped, both are gone.
#[derive(Debug)]
pub struct Namespaces {
    board: String,
    server: String,
}

impl Namespaces {
    /// The server's address, as the board sees it.
    pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));

    /// Makes them, with `kbit` a second each way behind a queue of `queue_bytes`.
    ///
    /// # Errors
    ///
    /// Why this machine does not let it, in words: no `ip` or `tc`, not root, or a kernel without namespaces or the queue.
    pub fn new(kbit: u32, queue_bytes: u32) -> Result<Self, String> {
        let [board, server] =
            ["board", "server"].map(|side| format!("headwater-{}-{side}", std::process::id()));
        // From here on what was made is taken away again, however this ends.
        let made = Self { board, server };
        for name in [&made.board, &made.server] {
            run(&format!("ip netns add {name}"))?;
        }
        let (board, server) = (&made.board, &made.server);
        run(&format!(
            "ip -n {board} link add uplink type veth peer name downlink netns {server}"
        ))?;
        for (namespace, device, address) in [
            (board, "uplink", "10.77.0.1".to_owned()),
            (server, "downlink", Self::SERVER.to_string()),
        ] {
            run(&format!(
                "ip -n {namespace} address add {address}/24 dev {device}"
            ))?;
            run(&format!("ip -n {namespace} link set lo up"))?;
            run(&format!("ip -n {namespace} link set {device} up"))?;
            run(&format!(
                "tc -n {namespace} qdisc add dev {device} root tbf rate {kbit}kbit burst 1600 limit {queue_bytes}"
            ))?;
        }
        Ok(made)
    }

    /// Does `work` in the board's namespace; what it opens or starts stays there.
    pub fn on_the_board<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(&self.board, work)
    }

    /// Does `work` in the server's namespace; what it opens or starts stays there.
    pub fn on_the_server<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(&self.server, work)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.board, &self.server] {
            // One that was never made is none to take away.
            let _ = run(&format!("ip netns delete {name}"));
        }
    }
}

/// In a thread of its own: a thread that moved does not come back.
fn within<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let moved = scope.spawn(|| {
            let file = File::open(format!("/run/netns/{namespace}"))
                .expect("the namespace has a name in the file system");
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(file.as_fd(), network)
                .expect("who made the namespace may enter it");
            work()
        });
        match moved.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Runs a command, none of whose words has a space.
fn run(command: &str) -> Result<(), String> {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .output();
    let output = output.map_err(|error| format!("'{command}': {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("'{command}': {}", said.trim())),
    }
}
