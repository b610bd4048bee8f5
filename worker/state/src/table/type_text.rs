//! Types as text, for what is stored. The names are Weir's own, so that no dependency can change
//! what is written.

use arrow::datatypes::{DataType, TimeUnit};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

const PLAIN: [(&str, DataType); 19] = [
    ("boolean", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("utf8", DataType::Utf8),
    ("large_utf8", DataType::LargeUtf8),
    ("utf8_view", DataType::Utf8View),
    ("binary", DataType::Binary),
    ("large_binary", DataType::LargeBinary),
    ("binary_view", DataType::BinaryView),
    ("date32", DataType::Date32),
    ("date64", DataType::Date64),
];
const UNITS: [(&str, TimeUnit); 4] = [
    ("s", TimeUnit::Second),
    ("ms", TimeUnit::Millisecond),
    ("us", TimeUnit::Microsecond),
    ("ns", TimeUnit::Nanosecond),
];

/// The text of a type that state can hold.
pub(crate) fn to_text(data_type: &DataType) -> String {
    let unit = |unit: &TimeUnit| UNITS.iter().find(|(_, u)| u == unit).map_or("", |(name, _)| name);
    match data_type {
        DataType::Timestamp(u, None) => format!("timestamp({})", unit(u)),
        DataType::Timestamp(u, Some(zone)) => format!("timestamp({},{zone})", unit(u)),
        DataType::Time32(u) => format!("time32({})", unit(u)),
        DataType::Time64(u) => format!("time64({})", unit(u)),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        other => PLAIN
            .iter()
            .find(|(_, plain)| plain == other)
            .map_or_else(|| other.to_string(), |(name, _)| (*name).to_owned()),
    }
}

/// The type of a text.
pub(crate) fn from_text(text: &str) -> Option<DataType> {
    if let Some((_, plain)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Some(plain.clone());
    }
    let (name, arguments) = text.strip_suffix(')')?.split_once('(')?;
    let (first, second) = match arguments.split_once(',') {
        Some((first, second)) => (first, Some(second)),
        None => (arguments, None),
    };
    let unit = || UNITS.iter().find(|(name, _)| *name == first).map(|(_, unit)| *unit);
    Some(match (name, second) {
        ("timestamp", zone) => DataType::Timestamp(unit()?, zone.map(Into::into)),
        ("time32", None) => DataType::Time32(unit()?),
        ("time64", None) => DataType::Time64(unit()?),
        ("decimal", Some(scale)) => DataType::Decimal128(first.parse().ok()?, scale.parse().ok()?),
        _ => return None,
    })
}

pub(super) fn serialize<S: Serializer>(data_type: &DataType, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&to_text(data_type))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DataType, D::Error> {
    let text = String::deserialize(from)?;
    from_text(&text).ok_or_else(|| D::Error::custom(format!("there is no type {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_state_holds_comes_back_from_its_text() {
        let mut types: Vec<DataType> = PLAIN.iter().map(|(_, plain)| plain.clone()).collect();
        for (_, unit) in UNITS {
            types.push(DataType::Timestamp(unit, None));
            types.push(DataType::Timestamp(unit, Some("Europe/Zürich".into())));
        }
        types.push(DataType::Time32(TimeUnit::Second));
        types.push(DataType::Time64(TimeUnit::Nanosecond));
        types.push(DataType::Decimal128(38, -3));
        for data_type in types {
            crate::canonical::Shape::of(&data_type).unwrap();
            assert_eq!(from_text(&to_text(&data_type)), Some(data_type));
        }
        for wrong in ["", "int7", "timestamp(h)", "decimal(1)", "time32(s,s)", "timestamp(ms"] {
            assert_eq!(from_text(wrong), None, "{wrong}");
        }
    }
}
