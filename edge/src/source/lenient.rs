//! Lenient reading of JSON whose format may change: a value of an unexpected type counts as missing, of members with the same name the last one
//! counts, and an unpaired surrogate becomes U+FFFD.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A string, borrowed from the input if it has no escapes; empty if the input is no string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'a> Text<'a> {
    /// The string that `json` is.
    pub fn of(json: &'a RawValue) -> Self {
        let inner = inner(json.get());
        if !inner.contains('\\') {
            return Self(Cow::Borrowed(inner));
        }
        let mut text = String::new();
        unescape(inner, &mut text);
        Self(Cow::Owned(text))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::of)
    }
}

/// An id: a string, or a number with all its digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Id<'a>(Text<'a>);

impl Deref for Id<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(match json.get().as_bytes() {
            [b'-' | b'0'..=b'9', ..] => Text(Cow::Borrowed(json.get())),
            _ => Text::of(json),
        }))
    }
}

/// A type that is read from an object, member by member.
pub trait Object<'de>: Default {
    /// Reads the value of the member `name` from `members`. Values that are not needed must be read with [`skip`].
    ///
    /// # Errors
    /// If the input is not valid JSON.
    fn member<A: MapAccess<'de>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error>;
}

/// Skips the value of a member.
///
/// # Errors
/// If the input is not valid JSON.
pub fn skip<'de, A: MapAccess<'de>>(members: &mut A) -> Result<(), A::Error> {
    members.next_value::<IgnoredAny>().map(drop)
}

/// Reads an object from `json`. A valid value of another type reads as the default.
///
/// # Errors
/// If `json` is not valid JSON.
pub fn object<'de, T: Object<'de>>(json: &'de [u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let object = deserializer.deserialize_map(Any::<Maybe<T>>(PhantomData))?;
    deserializer.end()?;
    Ok(object.0.unwrap_or_default())
}

/// An object; `None` if the input is no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maybe<T>(pub Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Object<'de>> Kind<'de> for Maybe<T> {
    fn of_object<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        let mut object = T::default();
        while let Some(name) = members.next_key::<Text<'de>>()? {
            object.member(&name, &mut members)?;
        }
        Ok(Self(Some(object)))
    }
}

impl<'de, T: Object<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// The first `N` elements of an array. Empty if the input is no array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First<T, const N: usize>(pub heapless::Vec<T, N>);

impl<T, const N: usize> Default for First<T, N> {
    fn default() -> Self {
        Self(heapless::Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Kind<'de> for First<T, N> {
    fn of_array<A: SeqAccess<'de>>(mut elements: A) -> Result<Self, A::Error> {
        let mut first = Self::default();
        while !first.0.is_full() {
            let Some(element) = elements.next_element()? else {
                return Ok(first);
            };
            // Cannot fail: there is room.
            let _ = first.0.push(element);
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first)
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for First<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// A type that is read from an object or an array. A value of any other type reads as the default.
trait Kind<'de>: Default {
    fn of_object<A: MapAccess<'de>>(mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<&RawValue, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn of_array<A: SeqAccess<'de>>(mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

/// Reads a value of any type.
struct Any<K>(PhantomData<K>);

impl<'de, K: Kind<'de>> Visitor<'de> for Any<K> {
    type Value = K;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<K, A::Error> {
        K::of_object(members)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<K, A::Error> {
        K::of_array(elements)
    }

    fn visit_str<E>(self, _: &str) -> Result<K, E> {
        Ok(K::default())
    }

    fn visit_unit<E>(self) -> Result<K, E> {
        Ok(K::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<K, E> {
        Ok(K::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<K, E> {
        Ok(K::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<K, E> {
        Ok(K::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<K, E> {
        Ok(K::default())
    }
}

/// All elements of an array. Empty if the input is no array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct All<T>(pub Vec<T>);

impl<T> Default for All<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Kind<'de> for All<T> {
    fn of_array<A: SeqAccess<'de>>(mut elements: A) -> Result<Self, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element()? {
            all.push(element);
        }
        Ok(Self(all))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for All<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// `line` as JSON, if it is valid JSON. Its first and last byte exclude most lines of a log, for which the parser would allocate an error.
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

/// The text of the JSON string `raw`, quotes included: borrowed from `raw` if it has no escapes, else written to `buffer`.
pub fn unescaped<'a>(raw: &'a str, buffer: &'a mut String) -> &'a str {
    let inner = inner(raw);
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return inner;
    }
    buffer.clear();
    unescape(inner, buffer);
    buffer
}

/// The text between the quotes of the JSON string `raw`, with its escapes; empty if `raw` is no string.
fn inner(raw: &str) -> &str {
    let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    inner.unwrap_or_default()
}

/// Appends `escaped`, the text between the quotes of a JSON string, with its escapes decoded.
fn unescape(mut escaped: &str, text: &mut String) {
    while let Some(at) = memchr::memchr(b'\\', escaped.as_bytes()) {
        text.push_str(&escaped[..at]);
        let (char, rest) = first_escape(&escaped[at + 1..]);
        text.push(char);
        escaped = rest;
    }
    text.push_str(escaped);
}

/// Decodes the escape at the start of `text`, without its backslash, and returns the rest of the text too. An invalid escape, or an unpaired
/// surrogate, becomes U+FFFD.
fn first_escape(text: &str) -> (char, &str) {
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

/// Decodes the hexadecimal digits of a `\uXXXX`; a surrogate takes a second one (RFC 8259, section 7, "Strings").
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
