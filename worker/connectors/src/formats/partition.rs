//! Values in the names of directories, `day=2024-01-01`: read as Flink reads them and written as
//! it writes them, so that the files of both lie in the same directories.
//!
//! Names are written as Java's `toString` has a value (`2024-01-01T10:00`, without seconds that
//! are zero, and without a zone). Where a name holds no value of its column's type, that is an
//! error. Other than Flink 2.3:
//!
//! - DATE and TIME are written as such; Flink writes days since 1970 and milliseconds, which it
//!   then cannot read.
//! - BOOLEAN is `true` or `false`; Flink takes whatever is not `true` for false.
//! - A timestamp may have a blank for its `T`, as Hive and Spark write it.
//! - DECIMAL, TIME and TIMESTAMP_LTZ are read as well. A decimal's digits must all fit, and a time
//!   without a zone is UTC.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, make_array, new_null_array};
use arrow::datatypes::{DataType, Field};

use super::TimestampFormat;
use super::column::{Column, Refused};
use crate::print::value::write_value;

/// Whether values of a column can stand in names.
///
/// # Errors
/// Column, cause and fix.
pub(crate) fn check(field: &Field) -> Result<(), String> {
    match field.data_type() {
        DataType::Binary => Err(format!(
            "column '{}' is in PARTITIONED BY, but BYTES have no form as a directory's name; \
             leave it out there, or declare it as STRING",
            field.name()
        )),
        _ => Ok(()),
    }
}

/// The value that a name holds; `None` stands for NULL.
///
/// # Errors
/// Column, cause and fix.
pub(crate) fn read(field: &Field, text: Option<&str>) -> Result<ArrayRef, String> {
    let Some(text) = text else { return Ok(new_null_array(field.data_type(), 1)) };
    // What does not fit is an error here, and never NULL.
    let field = Arc::new(field.clone().with_nullable(false));
    let mut column = Column::new(&field)?;
    let refused = match push(&mut column, text) {
        Ok(()) => return column.finish().map_err(|error| error.to_string()),
        Err(Refused::Null) => Refused::Range,
        Err(other) => other,
    };
    let why = column.refusal(refused, text.as_bytes(), TimestampFormat::Iso8601);
    Err(format!("the directory '{}=…': {why}; rename it", field.name()))
}

fn push(column: &mut Column, text: &str) -> Result<(), Refused> {
    let iso = TimestampFormat::Iso8601;
    match column.field.data_type() {
        DataType::Utf8 | DataType::Utf8View => column.push_text(text.as_bytes(), iso),
        // Blanks would be passed over, and two names would be one value.
        _ if text.trim() != text => Err(Refused::Type),
        DataType::Boolean if !["true", "false"].iter().any(|b| text.eq_ignore_ascii_case(b)) => {
            Err(Refused::Type)
        }
        DataType::Decimal128(_, scale) if fraction_digits(text) > i64::from(*scale) => {
            Err(Refused::Range)
        }
        DataType::Time32(_) if text.len() == 5 => {
            column.push_text(format!("{text}:00").as_bytes(), iso)
        }
        DataType::Timestamp(_, zone) => {
            let format = if text.contains(' ') { TimestampFormat::Sql } else { iso };
            let zoned = zone.is_some();
            match column.push_text(text.as_bytes(), format) {
                Err(Refused::Type) if zoned => {
                    column.push_text(format!("{text}Z").as_bytes(), format)
                }
                pushed => pushed,
            }
        }
        _ => column.push_text(text.as_bytes(), iso),
    }
}

/// Digits behind the point of a decimal number, zeros at its end left out.
fn fraction_digits(text: &str) -> i64 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let fraction = mantissa.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.trim_end_matches('0').len() as i64;
    digits.saturating_sub(exponent.parse().unwrap_or(0))
}

/// Values as names.
pub(crate) fn write(column: &ArrayRef) -> StringArray {
    if let Some(texts) = column.as_string_opt::<i32>() {
        return texts.clone();
    }
    let column = without_zone(column);
    let mut text = Vec::new();
    let values = (0..column.len()).map(|row| {
        text.clear();
        column.is_valid(row).then(|| {
            write_value(&mut text, column.as_ref(), row);
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    values.collect()
}

/// Timestamps with the same numbers and no zone.
fn without_zone(column: &ArrayRef) -> ArrayRef {
    let DataType::Timestamp(unit, Some(_)) = column.data_type() else {
        return Arc::clone(column);
    };
    let data = column.to_data().into_builder().data_type(DataType::Timestamp(*unit, None));
    data.build().map_or_else(|_| Arc::clone(column), make_array)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    /// As it is read and written again, or the refusal.
    fn again(data_type: &DataType, text: &str) -> String {
        match read(&Field::new("c", data_type.clone(), true), Some(text)) {
            Ok(value) => write(&value).value(0).to_owned(),
            Err(why) => why,
        }
    }

    fn types() -> [DataType; 11] {
        [
            DataType::Boolean,
            DataType::Int8,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Decimal128(5, 2),
            DataType::Utf8,
            DataType::Date32,
            DataType::Time32(TimeUnit::Millisecond),
            DataType::Timestamp(TimeUnit::Millisecond, None),
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ]
    }

    #[test]
    fn values_are_read_as_flink_reads_them_and_written_as_it_writes_them() {
        let [boolean, tiny, big, float, double, decimal, text, date, time, timestamp, ltz] =
            types();
        for (data_type, name, expected) in [
            (&boolean, "true", "true"),
            (&boolean, "FALSE", "false"),
            (&tiny, "-128", "-128"),
            (&tiny, "+5", "5"),
            (&big, "007", "7"),
            (&float, "0.1", "0.1"),
            (&double, "1e10", "1.0E10"),
            (&double, "-0.0", "-0.0"),
            (&double, "NaN", "NaN"),
            (&decimal, "1.5", "1.50"),
            (&decimal, "100.00", "100.00"),
            (&decimal, "-123.4500", "-123.45"),
            (&text, " A/B ", " A/B "),
            (&text, "", ""),
            (&date, "2024-02-29", "2024-02-29"),
            (&date, "0001-01-01", "0001-01-01"),
            (&date, "+10000-01-01", "+10000-01-01"),
            (&time, "10:00:00.5", "10:00:00.500"),
            (&time, "10:00", "10:00"),
            (&timestamp, "2024-01-01T10:00", "2024-01-01T10:00"),
            (&timestamp, "1969-12-31T23:59:59.999", "1969-12-31T23:59:59.999"),
            (&timestamp, "2024-01-01 10:00:00", "2024-01-01T10:00"),
            (&ltz, "2024-01-01T10:00", "2024-01-01T10:00"),
            (&ltz, "2024-01-01T10:00:00Z", "2024-01-01T10:00"),
            (&ltz, "2024-01-01T10:00:00.5+02:00", "2024-01-01T08:00:00.500"),
            (&ltz, "2024-01-01 10:00:00", "2024-01-01T10:00"),
        ] {
            assert_eq!(again(data_type, name), expected, "{data_type} {name}");
        }
    }

    #[test]
    fn what_is_no_value_of_the_type_is_refused() {
        let [boolean, tiny, big, float, _, decimal, _, date, time, timestamp, ltz] = types();
        for (data_type, names) in [
            (&boolean, &["1", "yes", "t", "", " true"][..]),
            (&tiny, &["128", "1.0", " 1", "1 ", "", "0x1", "1_0"]),
            (&big, &["9223372036854775808", "1e3"]),
            (&float, &["", "inf", "1,5"]),
            (&decimal, &["1.005", "1000", "1e-3", "x"]),
            (&date, &["2024-1-1", "2024-02-30", "2024-01-01T00:00:00", "20240101", "19723"]),
            (&time, &["24:00", "10", "10:00:00Z"]),
            (&timestamp, &["2024-01-01", "2024-01-01T10:00+02:00", "2024-01-01T10:00:00Z"]),
            (&ltz, &["2024-01-01", "1704103200"]),
        ] {
            for name in names {
                let refused = again(data_type, name);
                assert!(
                    refused.starts_with("the directory 'c=…': column `c`"),
                    "{name}: {refused}"
                );
                assert!(refused.ends_with("; rename it"), "{name}: {refused}");
            }
        }
        assert_eq!(
            again(&timestamp, "2024-01-01"),
            "the directory 'c=…': column `c`: 2024-01-01 is not a TIMESTAMP(3), whose form is \"2001-01-31T06:30:00.123\"; rename it"
        );
        let bytes = check(&Field::new("c", DataType::Binary, true)).unwrap_err();
        assert!(bytes.starts_with("column 'c' is in PARTITIONED BY, but BYTES have no"), "{bytes}");
    }

    #[test]
    fn null_is_null_of_every_type_and_goes_to_the_default_directory() {
        for data_type in types() {
            let value = read(&Field::new("c", data_type.clone(), true), None).unwrap();
            assert_eq!((value.data_type(), value.null_count()), (&data_type, 1));
            assert!(write(&value).is_null(0));
        }
    }
}
