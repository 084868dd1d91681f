//! The keyword: which posts are wanted, on the board and as a rule of X.
//!
//! A keyword is one or more terms, and a text must hold all of them. A term is a word, or several
//! between double quotes: a phrase, whose words follow one another with any white space between.
//! Terms match whole words and ignore case, in every script; accents count.
//!
//! Chinese, Japanese, Thai and their like put no spaces between words, and Korean glues its
//! particles on. Next to a letter of such a script every place counts as the edge of a word: `ピザ`
//! is found in `ピザ屋`, and `pizza` in `今日はpizzaを食べた`, but not in `pizzas`. The edge of a term that
//! is no letter or digit, as in `#pizza`, `C++` or an emoji, may touch anything.

use std::fmt;

use memchr::memchr2_iter;

/// The longest rule X takes, in characters.
const MAX_RULE_CHARS: usize = 1024;

/// What the tags of this program's own rules begin with.
pub const TAG_PREFIX: &str = "headwater:";

/// A keyword, read and found valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    keyword: String,
    terms: Vec<Term>,
}

/// One word or phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// As the user wrote it, its white space collapsed.
    written: String,
    /// What the text is compared with.
    folded: Vec<char>,
}

/// Why a keyword cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It holds no word.
    Empty,
    /// A phrase begins and does not end.
    OpenQuote,
    /// X takes no rule this long; holds its length in characters.
    TooLong(usize),
}

impl Filter {
    /// Reads a keyword as the user wrote it: `pizza`, `neapolitan pizza`, `"deep dish" chicago`.
    pub fn parse(keyword: &str) -> Result<Self, Invalid> {
        if keyword.matches('"').count() % 2 == 1 {
            return Err(Invalid::OpenQuote);
        }
        let mut terms = Vec::new();
        for (index, part) in keyword.split('"').enumerate() {
            let is_phrase = index % 2 == 1;
            if is_phrase {
                terms.extend(Term::new(part));
            } else {
                terms.extend(part.split_whitespace().filter_map(Term::new));
            }
        }
        let filter = Self {
            keyword: keyword.split_whitespace().collect::<Vec<_>>().join(" "),
            terms,
        };
        match filter.rule().chars().count() {
            _ if filter.terms.is_empty() => Err(Invalid::Empty),
            len if len > MAX_RULE_CHARS => Err(Invalid::TooLong(len)),
            _ => Ok(filter),
        }
    }

    /// Whether `text` holds every term. Allocates nothing.
    pub fn matches(&self, text: &str) -> bool {
        self.terms.iter().all(|term| term.is_in(text))
    }

    /// The keyword as a rule of X: a space is AND, quotes make a phrase. What X would read as an
    /// operator stands in quotes.
    pub fn rule(&self) -> String {
        let terms: Vec<String> = self.terms.iter().map(Term::rule).collect();
        terms.join(" ")
    }

    /// The tag of that rule, by which it is known again.
    pub fn tag(&self) -> String {
        format!("{TAG_PREFIX}{}", self.keyword)
    }

    /// The keyword as the user wrote it.
    pub fn keyword(&self) -> &str {
        &self.keyword
    }
}

impl Term {
    fn new(written: &str) -> Option<Self> {
        let written = written.split_whitespace().collect::<Vec<_>>().join(" ");
        let folded = written.chars().map(fold).collect();
        (!written.is_empty()).then_some(Self { written, folded })
    }

    fn is_in(&self, text: &str) -> bool {
        let Some(&first) = self.folded.first() else {
            return true;
        };
        match first {
            // These have further forms beyond ASCII: ı, ſ and the Kelvin sign.
            'i' | 's' | 'k' | '\u{80}'.. => text
                .char_indices()
                .any(|(at, char)| fold(char) == first && self.is_at(text, at)),
            _ => {
                let (small, capital) = (first as u8, first.to_ascii_uppercase() as u8);
                memchr2_iter(small, capital, text.as_bytes()).any(|at| self.is_at(text, at))
            }
        }
    }

    /// Whether this term stands at that place of the text, as a word of its own.
    fn is_at(&self, text: &str, at: usize) -> bool {
        let (Some(&first), Some(&last)) = (self.folded.first(), self.folded.last()) else {
            return true;
        };
        let (before, rest) = text.split_at(at);
        let before = before.chars().next_back();
        !before.is_some_and(|char| joined(char, first))
            && self
                .end_of_match(rest.chars())
                .is_some_and(|after| !after.is_some_and(|char| joined(last, char)))
    }

    /// When `text` begins with this term: the character after it, or `None` inside at the end of
    /// the text.
    fn end_of_match(&self, text: std::str::Chars<'_>) -> Option<Option<char>> {
        let mut text = text.peekable();
        for &wanted in &self.folded {
            let found = text.next()?;
            if wanted == ' ' {
                if !found.is_whitespace() {
                    return None;
                }
                while text.next_if(|char| char.is_whitespace()).is_some() {}
            } else if fold(found) != wanted {
                return None;
            }
        }
        Some(text.next())
    }

    fn rule(&self) -> String {
        let bare = self
            .written
            .strip_prefix(['#', '@', '$'])
            .unwrap_or(&self.written);
        let is_operator = ["OR", "AND", "NOT"].contains(&bare.to_uppercase().as_str());
        if bare.chars().all(is_word) && !bare.is_empty() && !is_operator {
            self.written.clone()
        } else {
            format!("\"{}\"", self.written)
        }
    }
}

/// One character without its case: capital, then small, which brings together letters with several
/// small forms, such as σ and ς. What Unicode writes with several characters in the other case
/// keeps its own: ß is not ss.
fn fold(char: char) -> char {
    if char.is_ascii() {
        return char.to_ascii_lowercase();
    }
    let mut upper = char.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper.to_lowercase().next().unwrap_or(upper),
        _ => char,
    }
}

/// Whether two neighbours belong to one word.
fn joined(left: char, right: char) -> bool {
    is_word(left) && is_word(right) && !is_unspaced(left) && !is_unspaced(right)
}

fn is_word(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_alphanumeric() || char == '_';
    }
    // Accents and the signs that join Indic letters are parts of the letter before them, though no
    // letters themselves.
    let is_mark = matches!(
        char,
        '\u{300}'
            ..='\u{36f}'
                | '\u{94d}'
                | '\u{9cd}'
                | '\u{a4d}'
                | '\u{acd}'
                | '\u{b4d}'
                | '\u{bcd}'
                | '\u{c4d}'
                | '\u{ccd}'
                | '\u{d4d}'
    );
    char.is_alphanumeric() || is_mark
}

/// Letters of the scripts that are written without spaces, or glue particles to their words.
fn is_unspaced(char: char) -> bool {
    matches!(char,
        '\u{0e00}'..='\u{0fff}'     // Thai, Lao, Tibetan
        | '\u{1000}'..='\u{109f}'   // Burmese
        | '\u{1100}'..='\u{11ff}'   // Hangul letters
        | '\u{1780}'..='\u{17ff}'   // Khmer
        | '\u{2e80}'..='\u{a4cf}'   // Han, kana, Bopomofo, Yi
        | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{f900}'..='\u{faff}'   // Han
        | '\u{ff66}'..='\u{ffdc}'   // narrow kana and Hangul
        | '\u{1aff0}'..='\u{1b16f}' // kana
        | '\u{20000}'..='\u{3ffff}' // Han
    )
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the keyword is empty: name what to look for"),
            Self::OpenQuote => f.write_str("a quote in the keyword is not closed"),
            Self::TooLong(len) => write!(
                f,
                "the keyword makes a rule of {len} characters; X takes at most {MAX_RULE_CHARS}"
            ),
        }
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests;
