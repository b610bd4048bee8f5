//! What the control protocol carries as JSON: one form, from the task to the manifest and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// As it travels. Names, numbers and bytes always encode.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Several of a kind.
pub(crate) fn encode_all<'a, T: Serialize + 'a>(
    values: impl IntoIterator<Item = &'a T>,
) -> Vec<Vec<u8>> {
    values.into_iter().map(encode).collect()
}

/// Reads several of a kind.
///
/// # Errors
/// When one is not what it should be.
pub(crate) fn decode_all<T: DeserializeOwned>(
    json: &[Vec<u8>],
) -> Result<Vec<T>, serde_json::Error> {
    json.iter().map(|json| serde_json::from_slice(json)).collect()
}
