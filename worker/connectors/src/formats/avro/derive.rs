//! A table's columns → the schema that Flink derives of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::resolve::inside;
use crate::formats::column::sql_type;

const NAMESPACE: &str = "org.apache.flink.avro.generated";
const RECORD: &str = "record";
const LEGACY: &str = "avro.timestamp_mapping.legacy";

/// The schema of records with these columns, as JSON.
///
/// # Errors
/// When a column's type or name is none of Avro's; the message names column, cause and fix.
pub(super) fn derive(table: &Schema, legacy_timestamps: bool) -> Result<String, String> {
    let mut writer =
        Writer { out: String::new(), names: BTreeSet::new(), legacy: legacy_timestamps };
    writer.record(RECORD, Some(NAMESPACE), table.fields().iter().map(AsRef::as_ref), "")?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    names: BTreeSet<String>,
    legacy: bool,
}

impl Writer {
    fn record<'a>(
        &mut self,
        name: &str,
        namespace: Option<&str>,
        fields: impl Iterator<Item = &'a Field>,
        path: &str,
    ) -> Result<(), String> {
        if !self.names.insert(name.to_owned()) {
            return Err(format!(
                "column `{path}`: two rows have the name '{name}' in Avro, which puts names of columns and fields together by '_'; give one another name"
            ));
        }
        let _ = write!(self.out, "{{\"type\":\"record\",\"name\":\"{name}\"");
        if let Some(namespace) = namespace {
            let _ = write!(self.out, ",\"namespace\":\"{namespace}\"");
        }
        self.out.push_str(",\"fields\":[");
        for (number, field) in fields.enumerate() {
            let column = field.name();
            let path = inside(path, column);
            check_name(column, &path)?;
            if number > 0 {
                self.out.push(',');
            }
            let _ = write!(self.out, "{{\"name\":\"{column}\",\"type\":");
            self.of(field, &format!("{name}_{column}"), &path)?;
            self.out.push_str(if field.is_nullable() { ",\"default\":null}" } else { "}" });
        }
        self.out.push_str("]}");
        Ok(())
    }

    /// A type, with NULL where that may be; `name` is that of a record in it.
    fn of(&mut self, field: &Field, name: &str, path: &str) -> Result<(), String> {
        if field.is_nullable() {
            self.out.push_str("[\"null\",");
        }
        let refused = |why: &str| {
            Err(format!(
                "column `{path}` has the type {}, which 'avro' cannot hold: {why}",
                sql_type(field)
            ))
        };
        let millis = |unit: &TimeUnit| matches!(unit, TimeUnit::Second | TimeUnit::Millisecond);
        match field.data_type() {
            DataType::Boolean => self.out.push_str("\"boolean\""),
            DataType::Int8 | DataType::Int16 | DataType::Int32 => self.out.push_str("\"int\""),
            DataType::Int64 => self.out.push_str("\"long\""),
            DataType::Float32 => self.out.push_str("\"float\""),
            DataType::Float64 => self.out.push_str("\"double\""),
            DataType::Utf8 | DataType::Utf8View => self.out.push_str("\"string\""),
            DataType::Binary => self.out.push_str("\"bytes\""),
            DataType::Decimal128(precision, scale) if *scale >= 0 => {
                let _ = write!(
                    self.out,
                    "{{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":{precision},\"scale\":{scale}}}"
                );
            }
            DataType::Date32 => self.logical("int", "date"),
            DataType::Time32(_) => self.logical("int", "time-millis"),
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                let zone = if zone.is_some() { "_LTZ" } else { "" };
                let most = if self.legacy { 3 } else { 6 };
                return refused(&format!("declare it as TIMESTAMP{zone}({most})"));
            }
            DataType::Timestamp(_, Some(_)) if self.legacy => {
                return refused(&format!(
                    "set '{LEGACY}' = 'false', which maps it to timestamp and TIMESTAMP to local-timestamp; or declare it as TIMESTAMP(3)"
                ));
            }
            DataType::Timestamp(unit, None) if self.legacy => {
                if !millis(unit) {
                    return refused(&format!(
                        "declare it as TIMESTAMP(3), or set '{LEGACY}' = 'false', which maps it to local-timestamp-micros"
                    ));
                }
                self.logical("long", "timestamp-millis");
            }
            DataType::Timestamp(unit, zone) => {
                let local = if zone.is_some() { "" } else { "local-" };
                let unit = if millis(unit) { "millis" } else { "micros" };
                self.logical("long", &format!("{local}timestamp-{unit}"));
            }
            DataType::Struct(fields) => {
                self.record(name, None, fields.iter().map(AsRef::as_ref), path)?;
            }
            DataType::List(item) => {
                self.out.push_str("{\"type\":\"array\",\"items\":");
                self.of(item, name, path)?;
                self.out.push('}');
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair)
                    if pair.len() == 2 && *pair[0].data_type() == DataType::Utf8 =>
                {
                    self.out.push_str("{\"type\":\"map\",\"values\":");
                    self.of(&pair[1], name, path)?;
                    self.out.push('}');
                }
                _ => return refused("keys of a map are STRING there; CAST them in the query"),
            },
            _ => return refused("CAST it to STRING in the query"),
        }
        if field.is_nullable() {
            self.out.push(']');
        }
        Ok(())
    }

    fn logical(&mut self, of: &str, logical: &str) {
        let _ = write!(self.out, "{{\"type\":\"{of}\",\"logicalType\":\"{logical}\"}}");
    }
}

/// Avro's names are letters, digits and `_`, as Flink insists on.
fn check_name(name: &str, path: &str) -> Result<(), String> {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first && letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(format!(
        "column `{path}`: a name in 'avro' is of letters, digits and '_' (ASCII) and does not begin with a digit; give the column another name"
    ))
}
