//! Values as Java prints them, which is what users of Flink's `print` compare with.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Time32MillisecondType,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_engine::RowKind;

use crate::formats::cell;
use crate::formats::time::{self, Instant, TimestampFormat};

/// `+I[a, b]`.
pub(crate) fn write_row(out: &mut Vec<u8>, kind: RowKind, columns: &[ArrayRef], row: usize) {
    out.extend_from_slice(kind.short().as_bytes());
    out.push(b'[');
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        write_value(out, column.as_ref(), row);
    }
    out.push(b']');
}

/// `toString` of a value; `null` of none.
pub(crate) fn write_value(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    write(out, array, row, Style::Java);
}

/// A value as SQL shows it, which is how Flink casts it to STRING: times with a blank and seconds,
/// rows in parentheses.
pub(crate) fn write_shown(out: &mut Vec<u8>, array: &dyn Array, row: usize) {
    write(out, array, row, Style::Sql);
}

/// How values are written where there is a choice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Java,
    Sql,
}

fn write(out: &mut Vec<u8>, array: &dyn Array, row: usize, style: Style) {
    if array.is_null(row) {
        let null: &[u8] = if style == Style::Sql { b"NULL" } else { b"null" };
        return out.extend_from_slice(null);
    }
    match array.data_type() {
        DataType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        DataType::Float32 => cell::float32(array.as_primitive::<Float32Type>().value(row), out),
        DataType::Float64 => cell::float64(array.as_primitive::<Float64Type>().value(row), out),
        DataType::Binary => write_list(out, array.as_binary::<i32>().value(row), |out, byte| {
            put(out, format_args!("{}", *byte as i8));
        }),
        DataType::Timestamp(unit, zone) => {
            let instant = Instant::from_unit(count(array, unit, row), *unit);
            if style == Style::Sql {
                return time::write_timestamp(out, instant, TimestampFormat::Sql, zone.is_some());
            }
            time::write_date(out, instant.seconds.div_euclid(86_400));
            out.push(b'T');
            write_time(out, instant, zone.is_some());
            if zone.is_some() {
                out.push(b'Z');
            }
        }
        DataType::Date32 => {
            time::write_date(out, array.as_primitive::<Date32Type>().value(row).into());
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            let millis = array.as_primitive::<Time32MillisecondType>().value(row);
            let instant = Instant::from_unit(millis.into(), TimeUnit::Millisecond);
            write_time(out, instant, style == Style::Sql);
        }
        DataType::Decimal128(_, scale) => {
            cell::decimal(array.as_primitive::<Decimal128Type>().value(row), *scale, false, out);
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let rows: Vec<usize> = (0..items.len()).collect();
            write_list(out, &rows, |out, &i| write(out, items.as_ref(), i, style));
        }
        DataType::Struct(_) if style == Style::Sql => {
            out.push(b'(');
            for (i, column) in array.as_struct().columns().iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(b", ");
                }
                write(out, column.as_ref(), row, style);
            }
            out.push(b')');
        }
        DataType::Struct(_) => write_row(out, RowKind::Insert, array.as_struct().columns(), row),
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            out.push(b'{');
            for i in 0..entries.len() {
                if i > 0 {
                    out.extend_from_slice(b", ");
                }
                write(out, entries.column(0).as_ref(), i, style);
                out.push(b'=');
                write(out, entries.column(1).as_ref(), i, style);
            }
            out.push(b'}');
        }
        _ => match ArrayFormatter::try_new(array, &FormatOptions::new()) {
            Ok(formatter) => put(out, format_args!("{}", formatter.value(row))),
            Err(error) => put(out, format_args!("<{error}>")),
        },
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        write(out, item);
    }
    out.push(b']');
}

fn count(array: &dyn Array, unit: &TimeUnit, row: usize) -> i64 {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row),
    }
}

/// The time of day as `LocalTime.toString` has it: seconds only where they are not zero (an
/// instant always has them), fractions in groups of three digits.
fn write_time(out: &mut Vec<u8>, instant: Instant, is_instant: bool) {
    let (second, nanos) = (instant.seconds.rem_euclid(86_400), instant.nanos);
    put(out, format_args!("{:02}:{:02}", second / 3_600, second / 60 % 60));
    if is_instant || second % 60 > 0 || nanos > 0 {
        put(out, format_args!(":{:02}", second % 60));
    }
    if nanos > 0 {
        if nanos.is_multiple_of(1_000_000) {
            put(out, format_args!(".{:03}", nanos / 1_000_000));
        } else if nanos.is_multiple_of(1000) {
            put(out, format_args!(".{:06}", nanos / 1000));
        } else {
            put(out, format_args!(".{nanos:09}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, Date32Array, Decimal128Array, Float64Array, StructArray,
        TimestampMillisecondArray, TimestampNanosecondArray,
    };
    use arrow::datatypes::Field;

    use super::*;

    fn text(array: ArrayRef) -> String {
        let mut out = Vec::new();
        for row in 0..array.len() {
            write_row(&mut out, RowKind::Insert, std::slice::from_ref(&array), row);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_shows_times_and_rows_as_sql_does() {
        let shown = |array: ArrayRef, row| {
            let mut out = Vec::new();
            write_shown(&mut out, array.as_ref(), row);
            String::from_utf8(out).unwrap()
        };
        let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(0), None]));
        assert_eq!(shown(Arc::clone(&times), 0), "1970-01-01 00:00:00");
        let field = Arc::new(Field::new("t", times.data_type().clone(), true));
        let rows: ArrayRef = Arc::new(StructArray::from(vec![(field, times)]));
        assert_eq!(shown(Arc::clone(&rows), 0), "(1970-01-01 00:00:00)");
        assert_eq!(shown(rows, 1), "(NULL)");
    }

    #[test]
    fn values_look_as_java_prints_them() {
        let floats = Float64Array::from(vec![
            1.0,
            0.5,
            1e7,
            1.25e-4,
            -0.0,
            f64::NAN,
            123456.789,
            f64::INFINITY,
        ]);
        assert_eq!(
            text(Arc::new(floats)),
            "+I[1.0]+I[0.5]+I[1.0E7]+I[1.25E-4]+I[-0.0]+I[NaN]+I[123456.789]+I[Infinity]"
        );
        let times = TimestampMillisecondArray::from(vec![0, 5_000, 5_010, -1]);
        assert_eq!(
            text(Arc::new(times.clone())),
            "+I[1970-01-01T00:00]+I[1970-01-01T00:00:05]+I[1970-01-01T00:00:05.010]+I[1969-12-31T23:59:59.999]"
        );
        assert_eq!(
            text(Arc::new(times.with_timezone("UTC").slice(0, 2) as TimestampMillisecondArray)),
            "+I[1970-01-01T00:00:00Z]+I[1970-01-01T00:00:05Z]"
        );
        assert_eq!(
            text(Arc::new(TimestampNanosecondArray::from(vec![1_000, 1]))),
            "+I[1970-01-01T00:00:00.000001]+I[1970-01-01T00:00:00.000000001]"
        );
        assert_eq!(text(Arc::new(Date32Array::from(vec![19_723]))), "+I[2024-01-01]");
        assert_eq!(text(Arc::new(BinaryArray::from(vec![&[1u8, 255][..]]))), "+I[[1, -1]]");
        let decimal = Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(text(Arc::new(decimal)), "+I[12.50]");
        // Years that few calendars go to are years all the same.
        let far = TimestampMillisecondArray::from(vec![i64::MIN, 253_402_300_800_000]);
        assert_eq!(text(Arc::new(far)), "+I[-292275055-05-16T16:47:04.192]+I[+10000-01-01T00:00]");
    }
}
