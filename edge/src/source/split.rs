//! Splits bytes into lines, in a buffer of fixed size. It splits at the newline byte, before the text is decoded, because two reads may share a
//! character.

use std::io::{self, Read};

/// The most bytes of one read.
const READ_BYTES: usize = 16 << 10;

/// The lines of a stream of bytes.
#[derive(Debug)]
pub struct LineSplitter {
    /// Never grows. Pages that no line has reached take no memory.
    buffer: Box<[u8]>,
    /// The bytes of the buffer that were read and not yet returned.
    start: usize,
    end: usize,
    /// How many of these are known to hold no newline.
    searched: usize,
    /// Bytes skipped of a line that is too long for the buffer.
    skipped: u64,
    /// NUL bytes skipped at the beginning of the line.
    nuls: u64,
}

/// What comes next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line without its newline, a carriage return before that, and NUL bytes at its beginning. A power cut leaves any number of NUL bytes; so does
    /// a writer that continues at its old offset in a truncated file.
    Line {
        /// The bytes of the line.
        line: &'a [u8],
        /// The bytes with the line's ending.
        raw: &'a [u8],
        /// How many bytes of the stream the line takes, with its ending and the NUL bytes.
        taken: u64,
    },
    /// A line longer than the buffer, with the bytes of the stream that it takes.
    TooLong(u64),
    /// The reader gave no bytes: for now, or because it is at its end.
    End,
}

impl Next<'_> {
    /// How many bytes of the stream this takes.
    pub fn taken(&self) -> u64 {
        match self {
            Self::Line { taken, .. } | Self::TooLong(taken) => *taken,
            Self::End => 0,
        }
    }
}

impl LineSplitter {
    /// A splitter for lines of up to `max` bytes, with their ending.
    pub fn new(max: usize) -> Self {
        Self {
            buffer: vec![0; max].into_boxed_slice(),
            start: 0,
            end: 0,
            searched: 0,
            skipped: 0,
            nuls: 0,
        }
    }

    /// How many bytes were read and not yet returned.
    pub fn pending(&self) -> u64 {
        (self.end - self.start) as u64 + self.skipped + self.nuls
    }

    /// Discards the bytes that were read and not yet returned, and says how many there were.
    pub fn clear(&mut self) -> u64 {
        let forgotten = self.pending();
        *self = Self {
            buffer: std::mem::take(&mut self.buffer),
            start: 0,
            end: 0,
            searched: 0,
            skipped: 0,
            nuls: 0,
        };
        forgotten
    }

    /// The next line, after as many reads as it needs.
    ///
    /// # Errors
    /// If a read fails. What was read before is kept.
    pub fn next(&mut self, reader: &mut impl Read) -> io::Result<Next<'_>> {
        loop {
            self.skip_nuls();
            let from = self.start + self.searched;
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[from..self.end]) {
                let (start, newline) = (self.start, from + at);
                self.start = newline + 1;
                self.searched = 0;
                let taken = (self.start - start) as u64 + std::mem::take(&mut self.nuls);
                if self.skipped > 0 {
                    return Ok(Next::TooLong(std::mem::take(&mut self.skipped) + taken));
                }
                let line = &self.buffer[start..newline];
                return Ok(Next::Line {
                    line: line.strip_suffix(b"\r").unwrap_or(line),
                    raw: &self.buffer[start..=newline],
                    taken,
                });
            }
            self.searched = self.end - self.start;
            self.make_room();
            let until = self.buffer.len().min(self.end + READ_BYTES);
            match reader.read(&mut self.buffer[self.end..until]) {
                Ok(0) => return Ok(Next::End),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the rest, which has no newline, as a line; `None` if there is none.
    pub fn rest(&mut self) -> Option<Next<'_>> {
        let (start, end, is_too_long) = (self.start, self.end, self.skipped > 0);
        let taken = self.clear();
        if is_too_long {
            return Some(Next::TooLong(taken));
        }
        let line = &self.buffer[start..end];
        (taken > 0).then_some(Next::Line {
            line,
            raw: line,
            taken,
        })
    }

    /// Skips the NUL bytes at the beginning of a line.
    fn skip_nuls(&mut self) {
        if self.searched == 0 && self.skipped == 0 {
            let line = &self.buffer[self.start..self.end];
            let count = line.iter().take_while(|byte| **byte == 0).count();
            self.start += count;
            self.nuls += count as u64;
        }
    }

    /// Makes room for a read: moves an unfinished line to the front, or skips it if it fills the buffer.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() || self.skipped > 0 {
            self.skipped += self.end as u64;
            (self.end, self.searched) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests;
