//! A board's report, as it is in the stream. The program that makes it documents the format: `edge/src/observe/report.rs`. Pure.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::Item;
use crate::item::iso;

/// What no post begins with: X and Jetstream have no such member, and a line is in an envelope with another one.
const MARK: &[u8] = br#"{"headwater_board":"#;

/// The longest name of a board.
const MAX_BOARD_BYTES: usize = 64;

/// The members of a report, by the names they have on the wire.
#[derive(Deserialize)]
struct Members {
    headwater_board: String,
    v: String,
    at: i64,
    up: i64,
    r: u64,
    d: u64,
    #[serde(default)]
    w: u64,
    #[serde(default)]
    l: u64,
    #[serde(default)]
    o: u64,
    #[serde(default)]
    lag: u64,
    #[serde(default)]
    clk: i64,
    #[serde(default)]
    tx: u64,
    #[serde(default)]
    fl: u64,
    t: Option<i64>,
    free: Option<u64>,
}

/// A board's report.
#[derive(Clone, Debug, PartialEq)]
pub struct BoardReport {
    /// The board's name.
    pub board: String,
    /// When it arrived in the stream.
    pub seen_at: DateTime<Utc>,
    /// The other attributes; those that this report does not have are to be removed.
    pub attributes: Vec<(&'static str, Option<AttributeValue>)>,
}

impl BoardReport {
    /// `None` if the record is no report.
    ///
    /// # Errors
    /// It claims to be one and can't be read. Nothing of it is quoted.
    pub fn parse(data: &[u8], arrived_at: DateTime<Utc>) -> Result<Option<Self>> {
        if !data.starts_with(MARK) {
            return Ok(None);
        }
        let Ok(members) = serde_json::from_slice::<Members>(data) else {
            anyhow::bail!("a board's report that this function can't read: deploy a newer one");
        };
        let board = members.headwater_board;
        ensure!(
            is_name(&board),
            "a board's report whose name is not 1 to {MAX_BOARD_BYTES} letters, digits, '.', '_', ':' and '-'"
        );
        let made_at = DateTime::from_timestamp(members.at, 0);
        let since = made_at.zip(TimeDelta::try_seconds(members.up));
        let since = since.and_then(|(made_at, up)| made_at.checked_sub_signed(up));
        let (made_at, since) = made_at
            .zip(since)
            .context("a board's report from a time that no calendar has")?;
        let number = |number: u64| Some(AttributeValue::N(number.to_string()));
        let text = |text: String| Some(AttributeValue::S(text));
        Ok(Some(Self {
            board,
            seen_at: arrived_at,
            attributes: vec![
                ("MadeAt", text(iso(made_at))),
                ("Since", text(iso(since))),
                ("Version", text(members.v)),
                ("Read", number(members.r)),
                ("Delivered", number(members.d)),
                ("Waiting", number(members.w)),
                ("OldestSeconds", number(members.o)),
                ("Lost", number(members.l)),
                ("LagSeconds", number(members.lag)),
                (
                    "ClockOffsetSeconds",
                    Some(AttributeValue::N(members.clk.to_string())),
                ),
                ("BytesSent", number(members.tx)),
                ("FlashBytes", number(members.fl)),
                (
                    "TemperatureCelsius",
                    members.t.map(|t| AttributeValue::N(t.to_string())),
                ),
                ("FreeMiB", members.free.and_then(number)),
            ],
        }))
    }

    /// Its key in the table.
    pub fn key(&self) -> Item {
        key(&self.board)
    }
}

/// A board's key in the table.
pub fn key(board: &str) -> Item {
    Item::from([("Board".to_owned(), AttributeValue::S(board.to_owned()))])
}

/// Names stand in messages to people: nothing in them steers a mail or a terminal.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=MAX_BOARD_BYTES).contains(&name.len()) && name.bytes().all(fits)
}
