//! The keyword: which posts are wanted. It filters on the board, and becomes a rule of X.
//!
//! A keyword is one or more terms, and a text must contain all of them. A term is a word, or a phrase: several words in double quotes, which
//! follow one another with any white space between. Terms match whole words and ignore case, in every script. Accents count, however they are
//! encoded (é equals e with a combining accent). All shapes of the apostrophe are equal. Invisible characters, such as a soft hyphen or an
//! emoji's variation selector, are ignored.
//!
//! Chinese, Japanese, Thai and similar scripts put no spaces between words, and Korean appends particles. Next to a letter of such a script
//! every position is a word boundary: `ピザ` is found in `ピザ屋`, and `pizza` in `今日はpizzaを食べた`, but not in `pizzas`. Where a term begins or
//! ends with something other than a letter or digit, as in `#pizza`, `C++` or an emoji, no boundary is required there. A letter matches only with
//! its combining marks, and an emoji only with its skin tone and joined parts.

mod letters;

use std::fmt;

use memchr::memchr2_iter;

use self::letters::Folded;

/// The longest rule that X accepts, in characters.
pub const MAX_RULE_CHARS: usize = 1024;

/// Prefix of the tags of this program's own rules.
pub const TAG_PREFIX: &str = "headwater:";

/// A valid keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    keyword: String,
    terms: Vec<Term>,
}

/// One word or phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// The term as the user wrote it, with its white space collapsed.
    written: String,
    /// The term as [`letters::folded`] makes it, for comparing. Never empty.
    folded: Vec<char>,
}

/// Why a keyword is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It contains no word.
    Empty,
    /// A quote is not closed.
    OpenQuote,
    /// Its rule would have this many characters, more than X accepts.
    TooLong(usize),
}

impl Filter {
    /// Parses a keyword: `pizza`, `neapolitan pizza`, `"deep dish" chicago`.
    ///
    /// # Errors
    ///
    /// It contains no word, a quote is not closed, or its rule would be too long for X.
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

    /// Whether `text` contains every term. Allocates nothing.
    pub fn matches(&self, text: &str) -> bool {
        self.terms.iter().all(|term| term.is_in(text))
    }

    /// The keyword as a rule of X: a space is AND, quotes make a phrase. A word that X would read as an operator is quoted.
    pub fn rule(&self) -> String {
        let terms: Vec<String> = self.terms.iter().map(Term::rule).collect();
        terms.join(" ")
    }

    /// The tag of that rule, by which the program recognizes its own.
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
        let folded = letters::folded(&written);
        (!folded.is_empty()).then_some(Self { written, folded })
    }

    fn is_in(&self, text: &str) -> bool {
        let first = self.folded[0];
        if self.begins_in_ascii() {
            let (small, capital) = (first as u8, first.to_ascii_uppercase() as u8);
            return memchr2_iter(small, capital, text.as_bytes()).any(|at| self.is_at(text, at));
        }
        text.char_indices()
            .any(|(at, _)| Folded::new(&text[at..]).next() == Some(first) && self.is_at(text, at))
    }

    /// Whether every match of this term in a text begins with an ASCII byte.
    fn begins_in_ascii(&self) -> bool {
        let has_mark = letters::leading_marks(&self.folded[1..]) > 0;
        // These have other forms beyond ASCII, such as ı, ſ and the Kelvin sign.
        self.folded[0].is_ascii() && !has_mark && !"isk'`;".contains(self.folded[0])
    }

    /// Whether this term is at that position of the text, as a word of its own.
    fn is_at(&self, text: &str, at: usize) -> bool {
        if let Some(is_at) = self.is_at_in_ascii(text.as_bytes(), at) {
            return is_at;
        }
        let (before, rest) = text.split_at(at);
        let Some(after) = self.end_of_match(rest) else {
            return false;
        };
        !letters::joins_before(before, self.folded[0]) && !letters::joins_after(&self.folded, after)
    }

    /// The same, decided from ASCII alone: at nearly every position the second letter differs. `None` if a character beyond ASCII, or a space of
    /// the term, comes first.
    fn is_at_in_ascii(&self, text: &[u8], at: usize) -> Option<bool> {
        let (before, rest) = text.split_at(at);
        for (&wanted, found) in self.folded.iter().zip(rest) {
            if wanted == ' ' || !wanted.is_ascii() || !found.is_ascii() {
                return None;
            }
            if char::from(found.to_ascii_lowercase()) != wanted {
                return Some(false);
            }
        }
        let (first, last) = (self.folded[0], *self.folded.last()?);
        let after = rest.get(self.folded.len());
        let before = before.last();
        if rest.len() < self.folded.len() || [before, after].iter().flatten().any(|b| !b.is_ascii())
        {
            return None;
        }
        let joined = |letter, neighbour: Option<&u8>| {
            letters::is_word(letter) && neighbour.is_some_and(|&b| letters::is_word(char::from(b)))
        };
        Some(!joined(first, before) && !joined(last, after))
    }

    /// The rest of `text` after this term, if `text` begins with it.
    fn end_of_match<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut text = Folded::new(text);
        let mut wanted = &self.folded[..];
        while let Some(&first) = wanted.first() {
            let (marks, others) = wanted.split_at(letters::leading_marks(wanted));
            if !marks.is_empty() {
                wanted = others;
                text.has_marks(marks).then_some(())?;
                continue;
            }
            wanted = &wanted[1..];
            let found = text.next()?;
            if first == ' ' && found.is_whitespace() {
                text.skip_white_space();
            } else if found != first {
                return None;
            }
        }
        text.rest()
    }

    fn rule(&self) -> String {
        let bare = self
            .written
            .strip_prefix(['#', '@', '$'])
            .unwrap_or(&self.written);
        let is_operator = ["OR", "AND", "NOT"].contains(&bare.to_uppercase().as_str());
        let is_letter = |char| letters::is_word(char) || letters::extends(char);
        if bare.chars().all(is_letter) && !bare.is_empty() && !is_operator {
            self.written.clone()
        } else {
            format!("\"{}\"", self.written)
        }
    }
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
