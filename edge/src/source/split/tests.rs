use proptest::prelude::*;

use super::*;

/// Gives at most one of its pieces a read.
struct Pieces<'a>(Vec<&'a [u8]>);

impl<'a> Pieces<'a> {
    /// `bytes` cut at `places`.
    fn new(bytes: &'a [u8], mut places: Vec<usize>) -> Self {
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut rest = bytes;
        for place in places.into_iter().rev() {
            let (before, piece) = rest.split_at(place.min(rest.len()));
            pieces.push(piece);
            rest = before;
        }
        pieces.push(rest);
        pieces.retain(|piece| !piece.is_empty());
        Self(pieces)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.last_mut() else {
            return Ok(0);
        };
        let count = piece.read(buffer)?;
        if piece.is_empty() {
            self.0.pop();
        }
        Ok(count)
    }
}

#[derive(Debug, PartialEq)]
enum Seen {
    Line(String, u64),
    TooLong(u64),
}

fn see(next: Next<'_>) -> Option<Seen> {
    match next {
        Next::Line { line, taken, .. } => {
            let line = String::from_utf8(line.to_vec()).expect("a whole character");
            Some(Seen::Line(line, taken))
        }
        Next::TooLong(taken) => Some(Seen::TooLong(taken)),
        Next::End => None,
    }
}

fn all(max: usize, reader: &mut impl Read) -> Vec<Seen> {
    let mut lines = LineSplitter::new(max);
    let mut seen = Vec::new();
    while let Some(line) = see(lines.next(reader).unwrap()) {
        seen.push(line);
    }
    seen.extend(lines.rest().and_then(see));
    seen
}

const STREAM: &str = "{\"text\":\"ピザ 🍕 é\"}\r\n\r\n{\"text\":\"second\"}\r\nthird\n";

fn expected() -> [Seen; 4] {
    [
        Seen::Line("{\"text\":\"ピザ 🍕 é\"}".to_owned(), 27),
        Seen::Line(String::new(), 2),
        Seen::Line("{\"text\":\"second\"}".to_owned(), 19),
        Seen::Line("third".to_owned(), 6),
    ]
}

#[test]
fn a_stream_cut_at_any_one_byte_gives_the_same_lines() {
    for place in 0..=STREAM.len() {
        let mut pieces = Pieces::new(STREAM.as_bytes(), vec![place]);
        assert_eq!(all(64, &mut pieces), expected(), "cut at byte {place}");
    }
}

#[test]
fn a_line_too_long_is_skipped_to_its_end_and_counted() {
    let stream = format!("one\n{}\nthree\n{}", "x".repeat(100), "y".repeat(20));
    for max in [8, 9, 16] {
        let seen = all(max, &mut stream.as_bytes());
        let expected = [
            Seen::Line("one".to_owned(), 4),
            Seen::TooLong(101),
            Seen::Line("three".to_owned(), 6),
            Seen::TooLong(20),
        ];
        assert_eq!(seen, expected, "a buffer of {max} bytes");
    }
}

#[test]
fn the_longest_line_fills_the_buffer_with_its_newline() {
    let fits = [Seen::Line("1234567".to_owned(), 8)];
    assert_eq!(all(8, &mut "1234567\n".as_bytes()), fits);
    assert_eq!(all(8, &mut "12345678\n".as_bytes()), [Seen::TooLong(9)]);
}

#[test]
fn a_reader_that_has_nothing_now_is_read_again_later() {
    let mut lines = LineSplitter::new(64);
    assert_eq!(lines.next(&mut "ha".as_bytes()).unwrap(), Next::End);
    assert_eq!(lines.next(&mut "lf".as_bytes()).unwrap(), Next::End);
    let line = lines.next(&mut "\n".as_bytes()).unwrap();
    assert_eq!(see(line), Some(Seen::Line("half".to_owned(), 5)));
}

#[test]
fn what_is_forgotten_leaves_no_trace() {
    let mut lines = LineSplitter::new(8);
    assert_eq!(lines.next(&mut "0123456789".as_bytes()).unwrap(), Next::End);
    assert_eq!(lines.clear(), 10);
    let line = lines.next(&mut "new\n".as_bytes()).unwrap();
    assert_eq!(see(line), Some(Seen::Line("new".to_owned(), 4)));
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_gives_the_same_lines(
        places in prop::collection::vec(0..=STREAM.len(), 0..12),
        max in 30_usize..80,
    ) {
        let mut pieces = Pieces::new(STREAM.as_bytes(), places);
        prop_assert_eq!(all(max, &mut pieces), expected());
    }

    #[test]
    fn every_byte_of_any_stream_is_taken_once(
        stream in "[a-é\r\n]{0,200}",
        places in prop::collection::vec(0_usize..200, 0..12),
        max in 16_usize..64,
    ) {
        let mut pieces = Pieces::new(stream.as_bytes(), places);
        let mut lines = LineSplitter::new(max);
        let mut taken = 0;
        loop {
            let next = lines.next(&mut pieces).unwrap();
            if next == Next::End {
                break;
            }
            taken += next.taken();
        }
        taken += lines.rest().map_or(0, |rest| rest.taken());
        prop_assert_eq!(taken, stream.len() as u64);
    }
}
