//! Bytes into lines, in memory of a fixed size. Lines are split at the newline byte before anything
//! is decoded: a character of several bytes may straddle two reads.

use std::io::{self, Read};

/// How much is read at once.
const READ_BYTES: usize = 16 << 10;

/// The lines of a stream of bytes.
#[derive(Debug)]
pub struct LineSplitter {
    /// Never grows. Only what was read into is resident: a short line touches few pages.
    buffer: Box<[u8]>,
    /// What was read and not yet given out.
    start: usize,
    end: usize,
    /// Of what was read, how much is known to hold no newline.
    searched: usize,
    /// Bytes of the line too long for the buffer that is being skipped.
    skipped: u64,
    /// NUL bytes that the line began with.
    nuls: u64,
}

/// What comes next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line without its newline, nor a carriage return before it, nor the NUL bytes that it began with: a writer that goes on where a
    /// file was cut short, and a power cut, leave any number of them.
    Line {
        /// Its bytes.
        line: &'a [u8],
        /// The same with its ending.
        raw: &'a [u8],
        /// How many bytes of the stream it took, its ending and leading NUL bytes counted.
        taken: u64,
    },
    /// A line longer than the buffer: how many bytes of the stream it took.
    TooLong(u64),
    /// No bytes now, or none any more: as the reader has it.
    End,
}

impl Next<'_> {
    /// How many bytes of the stream it took.
    pub fn taken(&self) -> u64 {
        match self {
            Self::Line { taken, .. } | Self::TooLong(taken) => *taken,
            Self::End => 0,
        }
    }
}

impl LineSplitter {
    /// Takes lines of up to `max` bytes, their ending counted.
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

    /// How many bytes were read and not given out.
    pub fn pending(&self) -> u64 {
        (self.end - self.start) as u64 + self.skipped + self.nuls
    }

    /// Forgets what was read and not given out, and how many bytes it was.
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

    /// What was read of a line that has no end yet, taken as a line; `None` if there is nothing.
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

    /// Leaves out the NUL bytes at the beginning of a line, however many there are.
    fn skip_nuls(&mut self) {
        if self.searched == 0 && self.skipped == 0 {
            let line = &self.buffer[self.start..self.end];
            let count = line.iter().take_while(|byte| **byte == 0).count();
            self.start += count;
            self.nuls += count as u64;
        }
    }

    /// Leaves room to read into: moves an unfinished line to the front, and skips one that fills
    /// all.
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
