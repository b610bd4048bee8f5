//! The first format, in which manifests were written until state had one form: an operator's state
//! lay flat in its entry, a committable in its pending commit, and bytes of splits were arrays of
//! numbers.

use serde_json::{Map, Value};

use super::{FORMAT, Manifest};

/// Reads a manifest of the first format.
pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, serde_json::Error> {
    let mut manifest: Value = serde_json::from_slice(bytes)?;
    if let Some(format) = manifest.get_mut("format") {
        *format = FORMAT.into();
    }
    for operator in operators(&mut manifest) {
        nest(operator, "state", &["segments", "items", "splits", "counts"]);
        operator.remove("objects");
    }
    let pending = manifest.get_mut("pending").and_then(Value::as_array_mut);
    for commit in pending.into_iter().flatten().filter_map(Value::as_object_mut) {
        nest(commit, "committable", &["sink", "payload"]);
        commit.remove("objects");
    }
    serde_json::from_value(manifest)
}

fn operators(manifest: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let operators = manifest.get_mut("operators").and_then(Value::as_object_mut);
    operators.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut)
}

/// Moves fields of a map into a map of their own.
fn nest(map: &mut Map<String, Value>, into: &str, fields: &[&str]) {
    let nested: Map<String, Value> =
        fields.iter().filter_map(|name| map.remove_entry(*name)).collect();
    map.insert(into.to_owned(), nested.into());
}
