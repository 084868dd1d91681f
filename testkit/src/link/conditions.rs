//! How good a link is, by name or in figures.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a link does to the connections that cross it.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// Bytes a second, in each direction; `None` is as fast as the machine.
    pub rate: Option<u64>,
    /// From one end to the other.
    pub delay: Duration,
    /// The share of TCP segments lost, from 0 to 1.
    pub loss: f64,
    /// Bytes that may wait in front of the bottleneck, in each direction.
    pub buffer_bytes: usize,
    /// When each connection is cut.
    pub cut: Option<Cut>,
    /// How both ends learn of it.
    pub end: End,
}

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Once so many bytes of it have crossed, both directions together.
    Bytes(u64),
    /// So long after it was opened.
    After(Duration),
}

/// How a cut connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With RST: as by a box that has forgotten it.
    Reset,
    /// With FIN: as by a proxy that closes it.
    Close,
}

impl End {
    fn named(name: &str) -> Option<Self> {
        match name {
            "rst" => Some(Self::Reset),
            "fin" => Some(Self::Close),
            _ => None,
        }
    }
}

/// The names of [`Conditions::named`].
pub const NAMES: [&str; 5] = ["2g", "3g", "satellite", "flaky", "wire"];

impl Default for Conditions {
    /// A wire.
    fn default() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            loss: 0.0,
            buffer_bytes: 64_000,
            cut: None,
            end: End::Reset,
        }
    }
}

impl Conditions {
    /// The link called `name`, one of [`NAMES`].
    pub fn named(name: &str) -> Option<Self> {
        let wire = Self::default();
        Some(match name {
            // 40 kbit/s, behind a modem that buffers a minute of it.
            "2g" => Self {
                rate: Some(5_000),
                buffer_bytes: 300_000,
                ..wire
            },
            "3g" => Self {
                rate: Some(100_000),
                delay: Duration::from_millis(150),
                ..wire
            },
            "satellite" => Self {
                rate: Some(64_000),
                delay: Duration::from_millis(700),
                loss: 0.01,
                ..wire
            },
            "flaky" => Self {
                rate: Some(50_000),
                cut: Some(Cut::Bytes(150_000)),
                ..wire
            },
            "wire" => wire,
            _ => return None,
        })
    }

    /// The time from one end to the other and back, without queues.
    pub fn round_trip(&self) -> Duration {
        self.delay * 2
    }
}

/// Why a description is none.
#[derive(Debug)]
pub struct Unclear(String);

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unclear {}

/// `2g`, or figures such as `rate=5000,delay=0.15,loss=0.01,buffer=300000,cut-bytes=8000,end=fin`, or both: what comes later wins. Rates in
/// bytes a second, times in seconds, sizes in bytes.
impl FromStr for Conditions {
    type Err = Unclear;

    fn from_str(text: &str) -> Result<Self, Unclear> {
        let mut conditions = Self::default();
        for part in text.split(',') {
            let Some((name, value)) = part.split_once('=') else {
                conditions = Self::named(part).ok_or_else(|| {
                    Unclear(format!("there is no link '{part}': {}", NAMES.join(", ")))
                })?;
                continue;
            };
            let unclear = || Unclear(format!("'{part}' of a link is not understood"));
            let seconds = || {
                value
                    .parse()
                    .ok()
                    .and_then(|s| Duration::try_from_secs_f64(s).ok())
            };
            let set = match name {
                "rate" => value
                    .parse()
                    .ok()
                    .filter(|rate| *rate > 0)
                    .map(|rate| conditions.rate = Some(rate)),
                "delay" => seconds().map(|delay| conditions.delay = delay),
                "loss" => value
                    .parse()
                    .ok()
                    .filter(|loss| (0.0..1.0).contains(loss))
                    .map(|loss| conditions.loss = loss),
                "buffer" => value
                    .parse()
                    .ok()
                    .filter(|bytes| *bytes > 0)
                    .map(|bytes| conditions.buffer_bytes = bytes),
                "cut-bytes" => value
                    .parse()
                    .ok()
                    .map(|bytes| conditions.cut = Some(Cut::Bytes(bytes))),
                "cut-after" => seconds().map(|after| conditions.cut = Some(Cut::After(after))),
                "end" => End::named(value).map(|end| conditions.end = end),
                _ => None,
            };
            set.ok_or_else(unclear)?;
        }
        Ok(conditions)
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rate {
            Some(rate) => write!(f, "{} kbit/s", rate * 8 / 1_000)?,
            None => write!(f, "no limit of rate")?,
        }
        if !self.delay.is_zero() {
            write!(f, ", {} ms each way", self.delay.as_millis())?;
        }
        if self.loss > 0.0 {
            write!(f, ", {}% lost", self.loss * 100.0)?;
        }
        if self.rate.is_some() {
            write!(f, ", a buffer of {} kB", self.buffer_bytes / 1_000)?;
        }
        match self.cut {
            Some(Cut::Bytes(bytes)) => {
                write!(f, ", each connection cut after {} kB", bytes / 1_000)
            }
            Some(Cut::After(after)) => {
                write!(f, ", each connection cut after {} s", after.as_secs_f64())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_described_by_name_by_figures_or_both() {
        let two_g: Conditions = "2g".parse().unwrap();
        assert_eq!(two_g.to_string(), "40 kbit/s, a buffer of 300 kB");
        let mixed: Conditions = "2g,loss=0.02,delay=0.3,cut-after=5,end=fin"
            .parse()
            .unwrap();
        let expected = Conditions {
            loss: 0.02,
            delay: Duration::from_millis(300),
            cut: Some(Cut::After(Duration::from_secs(5))),
            end: End::Close,
            ..two_g
        };
        assert_eq!(mixed, expected);
        for name in NAMES {
            assert!(name.parse::<Conditions>().is_ok(), "{name}");
        }
    }

    #[test]
    fn what_is_no_link_is_said() {
        for (text, part) in [
            ("4g", "'4g'"),
            ("rate=0", "'rate=0'"),
            ("loss=1", "'loss=1'"),
            ("wire,end=x", "'end=x'"),
            ("delay=-1", "'delay=-1'"),
        ] {
            let error = text.parse::<Conditions>().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
