//! A JSON pointer (RFC 6901) to the partition key in a line of JSON. It is followed without copying any part of the line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::source::lenient::Text;

/// A pointer such as `/sensor/id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// A text that is no JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPointer(String);

impl std::str::FromStr for Pointer {
    type Err = NoPointer;

    fn from_str(text: &str) -> Result<Self, NoPointer> {
        let steps = text
            .strip_prefix('/')
            .ok_or_else(|| NoPointer(text.to_owned()))?;
        let unescaped = |step: &str| step.replace("~1", "/").replace("~0", "~");
        Ok(Self(steps.split('/').map(unescaped).collect()))
    }
}

impl fmt::Display for NoPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is no JSON pointer: write it as /name or /outer/inner",
            self.0
        )
    }
}

impl std::error::Error for NoPointer {}

impl Pointer {
    /// The string, number or boolean that it points to in `json`; `None` if there is none, or it is empty.
    pub fn text_in<'a>(&self, json: &'a RawValue) -> Option<Cow<'a, str>> {
        let mut value = json;
        for step in &self.0 {
            value = Step(step).deserialize(value).ok()??;
        }
        let text = match value.get().as_bytes().first()? {
            b'"' => Text::of(value).0,
            b'{' | b'[' | b'n' => return None,
            _ => Cow::Borrowed(value.get()),
        };
        (!text.is_empty()).then_some(text)
    }
}

/// One step: to the member with this name, or the element with this index.
struct Step<'s>(&'s str);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if *name == *self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let wanted: Option<usize> = self.0.parse().ok();
        let mut found = None;
        let mut index = 0;
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if Some(index) == wanted {
                found = Some(element);
            }
            index += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
