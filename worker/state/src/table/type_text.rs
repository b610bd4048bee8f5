//! Types as text, for what is stored. The names are Weir's own, so that no dependency can change
//! what is written.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, FieldRef, TimeUnit};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::canonical;

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
        DataType::List(item) => format!("list({})", to_text(item.data_type())),
        DataType::Map(entries, _) => {
            format!("map({})", texts(&canonical::parts(entries.data_type())))
        }
        DataType::Struct(fields) => {
            let named = |field: &FieldRef| {
                format!("\"{}\" {}", field.name().replace('"', "\"\""), to_text(field.data_type()))
            };
            format!("struct({})", fields.iter().map(named).collect::<Vec<_>>().join(","))
        }
        other => PLAIN
            .iter()
            .find(|(_, plain)| plain == other)
            .map_or_else(|| other.to_string(), |(name, _)| (*name).to_owned()),
    }
}

fn texts(types: &[&DataType]) -> String {
    types.iter().map(|part| to_text(part)).collect::<Vec<_>>().join(",")
}

/// The type of a text. Parts of types that are made of others may be NULL, keys of maps aside, and
/// are named as Arrow names them: how they are stored is the same whatever they are.
pub(crate) fn from_text(mut text: &str) -> Option<DataType> {
    let data_type = take(&mut text)?;
    text.is_empty().then_some(data_type)
}

/// Takes a type off the front.
fn take(text: &mut &str) -> Option<DataType> {
    let name = text.find(['(', ',', ')']).map_or(*text, |end| &text[..end]);
    let is_nested = matches!(name, "list" | "map" | "struct");
    if !is_nested {
        let end =
            if text[name.len()..].starts_with('(') { text.find(')')? + 1 } else { name.len() };
        let (plain, rest) = text.split_at(end);
        *text = rest;
        return plain_type(plain);
    }
    *text = text[name.len()..].strip_prefix('(')?;
    let data_type = match name {
        "list" => DataType::List(Arc::new(ArrowField::new_list_field(take(text)?, true))),
        "map" => {
            let key = take(text)?;
            *text = text.strip_prefix(',')?;
            let pair = vec![
                ArrowField::new("key", key, false),
                ArrowField::new("value", take(text)?, true),
            ];
            let entries = ArrowField::new("entries", DataType::Struct(pair.into()), false);
            DataType::Map(Arc::new(entries), false)
        }
        _ => {
            let mut fields = Vec::new();
            while !text.starts_with(')') {
                if !fields.is_empty() {
                    *text = text.strip_prefix(',')?;
                }
                let name = take_name(text)?;
                *text = text.strip_prefix(' ')?;
                fields.push(ArrowField::new(name, take(text)?, true));
            }
            DataType::Struct(fields.into())
        }
    };
    *text = text.strip_prefix(')')?;
    Some(data_type)
}

/// Takes a quoted name off the front.
fn take_name(text: &mut &str) -> Option<String> {
    let mut name = String::new();
    loop {
        let (part, rest) = text.strip_prefix('"')?.split_once('"')?;
        name.push_str(part);
        *text = rest;
        if !rest.starts_with('"') {
            return Some(name);
        }
        name.push('"');
    }
}

/// The type of a text that is not made of others.
fn plain_type(text: &str) -> Option<DataType> {
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
        let item =
            |of: &DataType| DataType::List(Arc::new(ArrowField::new_list_field(of.clone(), true)));
        let names = ["", "a", "a b", "\"", "a\"\"b,(", "ß)"];
        let fields = names.iter().zip(types.iter().rev());
        let fields = fields.map(|(name, of)| ArrowField::new(*name, of.clone(), true));
        let row = DataType::Struct(fields.collect());
        let map = from_text("map(utf8,list(timestamp(ms,UTC)))").unwrap();
        types.extend([DataType::Struct([].into()), item(&row), item(&map), row, map]);
        for data_type in types {
            crate::canonical::Shape::of(&data_type).unwrap();
            assert_eq!(from_text(&to_text(&data_type)), Some(data_type));
        }
        for wrong in [
            "",
            "int7",
            "timestamp(h)",
            "decimal(1)",
            "time32(s,s)",
            "timestamp(ms",
            "list()",
            "list(int8",
            "list(int8))",
            "map(int8)",
            "struct(a int8)",
            "struct(\"a\"int8)",
            "struct(\"a int8)",
            "int8,int8",
        ] {
            assert_eq!(from_text(wrong), None, "{wrong}");
        }
    }
}
