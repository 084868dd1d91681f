//! TCP connections that buffer their output, count what is acknowledged, and fail when nothing moves.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ureq::{Error, Timeout};

use crate::net::meter::{Meter, Still};
use crate::net::unversioned::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};

/// Connects to the first address that answers, unless there is a connection to a proxy already.
#[derive(Debug)]
pub struct Direct(pub Meter);

impl<In: Transport> Connector<In> for Direct {
    type Out = Either<In, Tcp>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(connected) = chained {
            return Ok(Some(Either::A(connected)));
        }
        let share = *details.timeout.after / (details.addrs.len() as u32).max(1);
        let mut result = Err(Error::HostNotFound);
        for address in details.addrs.iter() {
            result = match TcpStream::connect_timeout(address, share) {
                Ok(stream) => {
                    let buffers = LazyBuffers::new(
                        details.config.input_buffer_size(),
                        details.config.output_buffer_size(),
                    );
                    let tcp = Tcp::new(stream, buffers, self.0.clone())?;
                    return Ok(Some(Either::B(tcp)));
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    Err(Error::Timeout(Timeout::Connect))
                }
                Err(error) => Err(error.into()),
            };
        }
        result
    }
}

/// A TCP connection that sends when its buffer is full, or when an answer is awaited.
#[derive(Debug)]
pub struct Tcp {
    stream: TcpStream,
    gathered: Gathered,
    meter: Meter,
}

impl Tcp {
    fn new(stream: TcpStream, buffers: LazyBuffers, meter: Meter) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        let slice = Some(meter.limits().slice());
        stream.set_read_timeout(slice)?;
        stream.set_write_timeout(slice)?;
        let inode = rustix::fs::fstat(&stream).map_err(io::Error::from)?.st_ino;
        #[allow(clippy::useless_conversion)] // It has 32 bits on some targets.
        meter.socket(inode.into());
        Ok(Self {
            stream,
            gathered: Gathered {
                buffers,
                waiting: 0,
            },
            meter,
        })
    }

    fn send(&mut self, patience: &Patience) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.gathered.waiting);
        let mut bytes = &self.gathered.buffers.output()[..waiting];
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(count) => {
                    self.meter.written(count);
                    bytes = &bytes[count..];
                }
                Err(error) => patience.after(error, &self.meter)?,
            }
        }
        Ok(())
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.gathered
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.gathered.waiting += amount;
        match self.gathered.output() {
            [] => self.send(&Patience::new(timeout)),
            _ => Ok(()),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if timeout.after.is_zero() {
            return Err(Error::Timeout(timeout.reason));
        }
        let patience = Patience::new(timeout);
        self.send(&patience)?;
        self.meter.waits();
        self.meter.in_time().map_err(too_long)?;
        let count = loop {
            match self.stream.read(self.gathered.buffers.input_append_buf()) {
                Ok(count) => break count,
                Err(error) => patience.after(error, &self.meter)?,
            }
        };
        self.gathered.buffers.input_appended(count);
        self.meter.read(count);
        Ok(count > 0)
    }

    /// Whether the other end has neither closed the connection nor sent unsolicited data. Costs one system call.
    fn is_open(&mut self) -> bool {
        let mut ready = [PollFd::new(&self.stream, PollFlags::IN | PollFlags::RDHUP)];
        self.gathered.input().is_empty() && poll(&mut ready, Some(&Timespec::default())) == Ok(0)
    }
}

/// The limit for one operation: ureq's while connecting, the meter's during a call.
struct Patience {
    timeout: NextTimeout,
    since: Instant,
}

impl Patience {
    fn new(timeout: NextTimeout) -> Self {
        Self {
            timeout,
            since: Instant::now(),
        }
    }

    /// Checks an operation that failed with `error`. `Ok` means that it is to be tried again.
    fn after(&self, error: io::Error, meter: &Meter) -> Result<(), Error> {
        match error.kind() {
            ErrorKind::Interrupted => Ok(()),
            // Both mean that the slice is over. Which one is returned depends on the system.
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                if self.since.elapsed() >= *self.timeout.after {
                    return Err(Error::Timeout(self.timeout.reason));
                }
                meter.stands_still().map_err(too_long)
            }
            _ => Err(error.into()),
        }
    }
}

fn too_long(still: Still) -> Error {
    Error::Timeout(match still {
        Still::Silence => Timeout::PerWrite,
        Still::Answer => Timeout::RecvResponse,
    })
}

/// Buffers that collect output until it is sent.
#[derive(Debug)]
struct Gathered {
    buffers: LazyBuffers,
    /// Number of bytes at the beginning of the output that are to be sent.
    waiting: usize,
}

impl Buffers for Gathered {
    fn output(&mut self) -> &mut [u8] {
        &mut self.buffers.output()[self.waiting..]
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        let (tmp, output) = self.buffers.tmp_and_output();
        (tmp, &mut output[self.waiting..])
    }

    fn input(&self) -> &[u8] {
        self.buffers.input()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.buffers.input_append_buf()
    }

    fn input_appended(&mut self, amount: usize) {
        self.buffers.input_appended(amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.buffers.input_consume(amount);
    }

    fn can_use_input(&self) -> bool {
        self.buffers.can_use_input()
    }
}
