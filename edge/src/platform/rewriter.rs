//! A file that is replaced repeatedly by a thread of its own: if its card hangs, no other thread waits.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::platform::file::{Readers, replace};

/// The content to write next. A newer one replaces it if it was not written in time.
#[derive(Debug, Default)]
struct Pending {
    content: Option<Vec<u8>>,
    ended: bool,
}

/// What the file and its thread share.
#[derive(Debug)]
pub struct Rewriter {
    next: Arc<(Mutex<Pending>, Condvar)>,
    /// Carries nothing: the thread's end closes it.
    done: Receiver<()>,
}

impl Rewriter {
    /// Starts the thread that writes the file at `path`.
    ///
    /// # Errors
    ///
    /// The system starts no thread.
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

    /// Has the thread write `content`, and returns at once.
    pub fn replace(&self, content: Vec<u8>) {
        let (next, changed) = &*self.next;
        next.lock().unwrap_or_else(PoisonError::into_inner).content = Some(content);
        changed.notify_one();
    }

    /// Waits for the last content to be written, for `at_most` at the longest.
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
