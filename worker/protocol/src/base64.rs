//! Bytes inside JSON: written as base64 text. What was written as an array of numbers, as manifests
//! of the first format have it, is read as well.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes bytes as text; for `#[serde(with = "weir_protocol::base64")]`.
///
/// # Errors
/// When the serializer fails.
pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

/// Reads what [`serialize`] writes, or an array of numbers.
///
/// # Errors
/// When it is neither.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    deserializer.deserialize_any(TextOrNumbers)
}

struct TextOrNumbers;

impl<'de> Visitor<'de> for TextOrNumbers {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes as base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        STANDARD.decode(text).map(Bytes::from).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Bytes, A::Error> {
        let mut bytes = Vec::with_capacity(numbers.size_hint().unwrap_or(0));
        while let Some(byte) = numbers.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}

/// Bytes that are written as a base64 string.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Blob(#[serde(with = "self")] pub Bytes);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl<T: Into<Bytes>> From<T> for Blob {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_text_and_read_as_text_or_numbers() {
        let blob = Blob::from(vec![105, 116, 101, 109]);
        assert_eq!(serde_json::to_string(&blob).unwrap(), r#""aXRlbQ==""#);
        for written in [r#""aXRlbQ==""#, "[105,116,101,109]"] {
            assert_eq!(serde_json::from_str::<Blob>(written).unwrap(), blob);
        }
        for damaged in [r#""a""#, "[256]", "7"] {
            assert!(serde_json::from_str::<Blob>(damaged).is_err(), "{damaged}");
        }
    }
}
