//! JSON of a server that may change its mind: what has an unexpected type reads as if it were not
//! there.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A string, borrowed from the input where it holds no escape; empty where the input has something
/// else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Text::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
        }

        deserializer.deserialize_any(TextVisitor)
    }
}

/// The first `N` elements of an array; the others are read over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First<T, const N: usize>(pub heapless::Vec<T, N>);

impl<T, const N: usize> Default for First<T, N> {
    fn default() -> Self {
        Self(heapless::Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for First<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstVisitor<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for FirstVisitor<T, N> {
            type Value = First<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut first = First::default();
                while !first.0.is_full() {
                    let Some(element) = seq.next_element()? else {
                        return Ok(first);
                    };
                    // It was just seen to have room.
                    let _ = first.0.push(element);
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(first)
            }
        }

        deserializer.deserialize_seq(FirstVisitor(PhantomData))
    }
}

/// The JSON that `line` is, if it is. One look at its ends spares most lines of a log a parser's
/// error, which costs an allocation.
pub fn json(line: &str) -> Option<&RawValue> {
    let bytes = line.trim_ascii().as_bytes();
    let may_be = match (bytes.first()?, bytes.last()?) {
        (b'{', b'}') | (b'[', b']') | (b'"', b'"') => true,
        (b't' | b'f', b'e') | (b'n', b'l') => true,
        (b'-' | b'0'..=b'9', last) => last.is_ascii_digit(),
        _ => false,
    };
    may_be.then(|| serde_json::from_str(line).ok())?
}

/// The text of a string in JSON, its quotes included in `raw`: `raw` itself where it holds no
/// escape, else written to `buffer`.
pub fn unescaped<'a>(raw: &'a str, buffer: &'a mut String) -> &'a str {
    let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    let mut rest = inner.unwrap_or_default();
    let Some(first) = memchr::memchr(b'\\', rest.as_bytes()) else {
        return rest;
    };
    buffer.clear();
    let mut next = Some(first);
    while let Some(at) = next {
        buffer.push_str(&rest[..at]);
        let (char, after) = escaped(&rest[at + 1..]);
        buffer.push(char);
        rest = after;
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    buffer.push_str(rest);
    buffer
}

/// The character of the escape at the start of `text`, its backslash taken off, and what follows.
/// What is no escape, or half of a character, becomes U+FFFD.
fn escaped(text: &str) -> (char, &str) {
    let mut chars = text.chars();
    let char = match chars.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some(char @ ('"' | '\\' | '/')) => char,
        Some('u') => return utf16(chars.as_str()),
        _ => char::REPLACEMENT_CHARACTER,
    };
    (char, chars.as_str())
}

/// A character by its number in UTF-16, which may take a second `\uXXXX`.
fn utf16(text: &str) -> (char, &str) {
    let unit = |text: &str| u16::from_str_radix(text.get(..4)?, 16).ok();
    let Some(first) = unit(text) else {
        return (char::REPLACEMENT_CHARACTER, text);
    };
    let rest = &text[4..];
    let pair = rest
        .strip_prefix("\\u")
        .and_then(|second| Some((unit(second)?, &second[4..])));
    let mut units = [first, 0];
    let (units, after_pair) = match pair {
        Some((second, after)) => {
            units[1] = second;
            (&units[..], after)
        }
        None => (&units[..1], rest),
    };
    let char = char::decode_utf16(units.iter().copied())
        .next()
        .and_then(Result::ok)
        .unwrap_or(char::REPLACEMENT_CHARACTER);
    (
        char,
        if char.len_utf16() == 2 {
            after_pair
        } else {
            rest
        },
    )
}

#[cfg(test)]
mod tests;
