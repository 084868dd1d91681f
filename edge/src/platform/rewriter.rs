//! A file that is replaced again and again, by a thread of its own: where the card it lies on does not answer, nobody else waits.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::platform::file::{Readers, replace};

/// What is to be written next; what was not written by then is left out.
#[derive(Debug, Default)]
struct Pending {
    content: Option<Vec<u8>>,
    ended: bool,
}

/// The way to the thread.
#[derive(Debug)]
pub struct Rewriter {
    next: Arc<(Mutex<Pending>, Condvar)>,
    /// Nothing comes over it.
    done: Receiver<()>,
}

impl Rewriter {
    /// Starts the thread, for the file at `path`.
    pub fn start(path: PathBuf) -> io::Result<Self> {
        let next = Arc::new((Mutex::default(), Condvar::new()));
        let (tell, done) = channel();
        thread::Builder::new().name("metrics".to_owned()).spawn({
            let next = next.clone();
            move || {
                write(&path, &next);
                drop(tell);
            }
        })?;
        Ok(Self { next, done })
    }

    /// Writes `content` as soon as it can be.
    pub fn replace(&self, content: Vec<u8>) {
        let (next, changed) = &*self.next;
        next.lock().unwrap_or_else(PoisonError::into_inner).content = Some(content);
        changed.notify_one();
    }

    /// Waits for the last content to be written, `at_most` long.
    pub fn end(&self, at_most: Duration) {
        let (next, changed) = &*self.next;
        next.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        changed.notify_one();
        // The thread's end ends the channel.
        let _ = self.done.recv_timeout(at_most);
    }
}

fn write(path: &Path, next: &(Mutex<Pending>, Condvar)) {
    let (next, changed) = next;
    loop {
        let next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = changed
            .wait_while(next, |next| next.content.is_none() && !next.ended)
            .unwrap_or_else(PoisonError::into_inner);
        let Some(content) = next.content.take() else {
            return;
        };
        drop(next);
        if let Err(error) = replace(path, &content, Readers::Everyone) {
            log::warn!(
                "the metrics file {} cannot be written ({error}); delivery goes on",
                path.display()
            );
        }
    }
}
