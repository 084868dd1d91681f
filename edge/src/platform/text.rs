//! Makes text from outside safe to show on a terminal or in the journal.

/// Whether `c` controls the terminal: a control character, or a bidirectional override, which makes a line read differently from what it is.
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with each character that [`steers`] replaced by a space.
pub fn neutral(text: &str) -> String {
    text.replace(steers, " ")
}
