//! Text that others wrote, and that a person reads on a terminal or in the journal.

/// Whether `c` steers what shows it: a control character, or one that turns the direction of the text around it, so that a line reads other
/// than it is.
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with a blank for each character that [`steers`].
pub fn neutral(text: &str) -> String {
    text.replace(steers, " ")
}
