//! Unicode for the filter: when two texts are spelled the same, and when two neighbours belong to
//! one word. Nothing here allocates.

use std::array;
use std::iter::Take;
use std::str::Chars;

use icu_properties::CodePointMapData;
use icu_properties::props::WordBreak;
use unicode_normalization::char::{canonical_combining_class, decompose_canonical};

/// As many characters as the canonical decomposition of one has at most.
const MAX_PARTS: usize = 4;

const DOT_ABOVE: char = '\u{307}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';

/// A text in the form in which texts are compared, character by character: decomposed (NFD), without
/// case, and without what does not show. Marks keep the order they have in the text; see
/// [`Self::has_marks`].
#[derive(Clone, Debug)]
pub struct Folded<'t> {
    text: Chars<'t>,
    /// What is left of a character that was decomposed.
    parts: Take<array::IntoIter<char, MAX_PARTS>>,
    /// The last character given out that is no mark.
    base: char,
}

impl<'t> Folded<'t> {
    pub fn new(text: &'t str) -> Self {
        Self {
            text: text.chars(),
            parts: ['\0'; MAX_PARTS].into_iter().take(0),
            base: '\0',
        }
    }

    /// The text after what was given out; `None` in the midst of a character.
    pub fn rest(mut self) -> Option<&'t str> {
        let mut ahead = self.clone();
        while self.base == 'i' && ahead.part() == Some(DOT_ABOVE) {
            self = ahead.clone();
        }
        (self.parts.len() == 0).then_some(self.text.as_str())
    }

    /// Reads over white space.
    pub fn skip_white_space(&mut self) {
        let mut ahead = self.clone();
        while ahead.next().is_some_and(char::is_whitespace) {
            *self = ahead.clone();
        }
    }

    /// Reads over the marks that come next: whether they are `marks`, which are in canonical order.
    /// Marks of different classes, such as one above and one below, mean the same in any order.
    pub fn has_marks(&mut self, marks: &[char]) -> bool {
        let found = self.clone().take_while(|&char| class(char) > 0);
        let len = found.clone().count();
        let same = marks.chunk_by(|a, b| class(*a) == class(*b)).all(|group| {
            let of_class = |char: &char| class(*char) == class(group[0]);
            found.clone().filter(of_class).eq(group.iter().copied())
        });
        if len > 0 {
            self.nth(len - 1);
        }
        same && len == marks.len()
    }

    /// The next part of a character, without its case.
    #[inline(never)]
    fn part(&mut self) -> Option<char> {
        loop {
            if let Some(part) = self.parts.next() {
                return Some(fold(part));
            }
            match self.text.next()? {
                char if char.is_ascii() => return Some(char.to_ascii_lowercase()),
                char if is_invisible(char) => {}
                char => self.parts = decomposed(char),
            }
        }
    }
}

impl Iterator for Folded<'_> {
    type Item = char;

    #[inline(never)]
    fn next(&mut self) -> Option<char> {
        loop {
            let part = self.part()?;
            // Some programs make `i` and a dot of the Turkish İ; the dot is there already.
            if part == DOT_ABOVE && self.base == 'i' {
                continue;
            }
            if class(part) == 0 {
                self.base = part;
            }
            return Some(part);
        }
    }
}

/// A keyword's text as [`Folded`] gives it, its marks in canonical order.
pub fn folded(text: &str) -> Vec<char> {
    let text = text.trim_matches([ZERO_WIDTH_JOINER, ZERO_WIDTH_NON_JOINER]);
    let mut folded: Vec<char> = Folded::new(text).collect();
    for marks in folded.split_mut(|char| class(*char) == 0) {
        marks.sort_by_key(|char| class(*char));
    }
    folded
}

/// How many marks `text` begins with.
pub fn leading_marks(text: &[char]) -> usize {
    text.iter().take_while(|&&char| class(char) > 0).count()
}

/// The canonical combining class: 0 for all that is no mark, and for marks that keep their place.
fn class(char: char) -> u8 {
    if char < '\u{300}' {
        0
    } else {
        class_of_mark(char)
    }
}

// Text is ASCII for the most part: the tables are looked into from one place each, away from its way.
#[inline(never)]
fn class_of_mark(char: char) -> u8 {
    canonical_combining_class(char)
}

#[inline(never)]
fn decomposed(char: char) -> Take<array::IntoIter<char, MAX_PARTS>> {
    let (mut parts, mut len) = (['\0'; MAX_PARTS], 0);
    decompose_canonical(char, |part| {
        parts[len] = part;
        len += 1;
    });
    parts.into_iter().take(len)
}

/// One character without its case: capital, then small, which brings together letters with several
/// small forms, such as σ and ς. What Unicode writes with several characters in the other case
/// keeps its own: ß is not ss. The apostrophes are one character here.
#[inline(never)]
fn fold(char: char) -> char {
    match char {
        _ if char.is_ascii() => return char.to_ascii_lowercase(),
        // As typed by phones, in Hawaiian and Ukrainian, in Hebrew, and in full width.
        '\u{2018}' | '\u{2019}' | '\u{2bb}' | '\u{2bc}' | '\u{5f3}' | '\u{ff07}' => return '\'',
        // The case of the iota below would be a letter.
        _ if class(char) > 0 => return char,
        _ => {}
    }
    let mut upper = char.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper.to_lowercase().next().unwrap_or(upper),
        _ => char,
    }
}

/// Whether a word goes on from the end of `before` to `first`, the first character after it.
pub fn joins_before(before: &str, first: char) -> bool {
    if is_regional(first) {
        // Two of them are a flag.
        return before
            .chars()
            .rev()
            .take_while(|&char| is_regional(char))
            .count()
            % 2
            == 1;
    }
    let glued = before.ends_with(ZERO_WIDTH_JOINER);
    let base = before
        .chars()
        .rev()
        .find(|&char| !is_invisible(char) && !extends(char));
    base.is_some_and(|base| joined(base, first, glued))
}

/// Whether the last word of `text`, as [`folded`] gives it, goes on in `after`.
pub fn joins_after(text: &[char], after: &str) -> bool {
    let base = text.iter().rev().find(|&&char| !extends(char));
    let Some(&last) = base.or(text.last()) else {
        return false;
    };
    let is_half_flag = text
        .iter()
        .rev()
        .take_while(|&&char| is_regional(char))
        .count()
        % 2
        == 1;
    let mut glued = false;
    for char in after.chars() {
        match char {
            ZERO_WIDTH_JOINER => glued = true,
            ZERO_WIDTH_NON_JOINER => {}
            _ if is_invisible(char) => {}
            _ => return is_half_flag && is_regional(char) || joined(last, char, glued),
        }
    }
    false
}

/// Whether two neighbours belong to one word; a zero width joiner may stand between them.
fn joined(left: char, right: char, glued: bool) -> bool {
    if extends(right) {
        return true;
    }
    if is_word(left) && is_word(right) {
        return !is_unspaced(left) && !is_unspaced(right);
    }
    glued && is_symbol(left) && is_symbol(right)
}

/// A letter, a digit or the underscore.
pub fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// What belongs to the letter or emoji before it: accents, vowel signs, joiners, skin tones, and the
/// vowels and finals of Hangul in pieces.
#[inline(never)]
pub fn extends(char: char) -> bool {
    !char.is_ascii()
        && (matches!(char, '\u{1160}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7fb}')
            || matches!(word_break(char), WordBreak::Extend | WordBreak::ZWJ))
}

/// What shows not at all, or changes no more than how its neighbour is drawn: soft hyphens, marks
/// of direction, variation selectors.
#[inline(never)]
fn is_invisible(char: char) -> bool {
    !char.is_ascii()
        && (matches!(char, '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
            || word_break(char) == WordBreak::Format)
}

/// Letters of the scripts that are written without spaces, or glue particles to their words.
#[inline(never)]
fn is_unspaced(char: char) -> bool {
    if char.is_ascii() {
        return false;
    }
    matches!(char,
        '\u{0f00}'..='\u{0fff}'     // Tibetan
        | '\u{1100}'..='\u{11ff}'   // Hangul letters
        | '\u{3100}'..='\u{31bf}'   // Bopomofo and Hangul letters
        | '\u{a000}'..='\u{a4cf}'   // Yi
        | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{ffa0}'..='\u{ffdc}'   // narrow Hangul
    )
        // Where words cannot be told apart without a dictionary, Unicode gives letters no class.
        || char.is_alphabetic()
            && matches!(word_break(char), WordBreak::Other | WordBreak::Katakana)
}

/// The letters whose pairs are flags.
fn is_regional(char: char) -> bool {
    matches!(char, '\u{1f1e6}'..='\u{1f1ff}')
}

/// What a zero width joiner makes one emoji of.
fn is_symbol(char: char) -> bool {
    !char.is_ascii() && !char.is_alphanumeric() && !char.is_whitespace()
}

#[inline(never)]
fn word_break(char: char) -> WordBreak {
    CodePointMapData::<WordBreak>::new().get(char)
}
