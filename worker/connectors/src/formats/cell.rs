//! Values of Arrow columns as text, for JSON and CSV.

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StringArray,
    StringViewArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use base64::Engine as _;

use super::column::sql_type;
use super::json::member_names;
use super::time::{self, Instant, TimestampFormat};

/// How values are written where there is a choice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    pub(super) timestamps: TimestampFormat,
    /// Decimals never with an exponent.
    pub(super) plain_decimals: bool,
}

/// A column, ready to be written row by row.
pub(super) struct Cells<'a> {
    array: &'a dyn Array,
    values: Values<'a>,
}

/// Values within values.
pub(super) enum Nested<'a> {
    /// Members with `{"name":` or `,"name":`.
    Row(Vec<(Vec<u8>, Cells<'a>)>),
    /// A list and its items.
    List(&'a ListArray, Box<Cells<'a>>),
    /// A map, its keys and values.
    Map(&'a MapArray, Box<Cells<'a>>, Box<Cells<'a>>),
}

enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>, i8),
    Text(&'a StringArray),
    TextView(&'a StringViewArray),
    Binary(&'a BinaryArray),
    Date(&'a PrimitiveArray<Date32Type>),
    /// 32-bit times keep their type: there are only two.
    TimeSecond(&'a PrimitiveArray<Time32SecondType>),
    TimeMillisecond(&'a PrimitiveArray<Time32MillisecondType>),
    Time64(&'a [i64], TimeUnit),
    /// Values, unit, and whether the type is one with local time zone.
    Timestamp(&'a [i64], TimeUnit, bool),
    Nested(Nested<'a>),
}

impl<'a> Cells<'a> {
    /// The column of a field; the error names a type without a text form.
    pub(super) fn new(field: &Field, array: &'a dyn Array) -> Result<Self, String> {
        let values = match array.data_type() {
            DataType::Boolean => Values::Boolean(array.as_boolean()),
            DataType::Int8 => Values::Int8(array.as_primitive()),
            DataType::Int16 => Values::Int16(array.as_primitive()),
            DataType::Int32 => Values::Int32(array.as_primitive()),
            DataType::Int64 => Values::Int64(array.as_primitive()),
            DataType::Float32 => Values::Float32(array.as_primitive()),
            DataType::Float64 => Values::Float64(array.as_primitive()),
            DataType::Decimal128(_, scale) => Values::Decimal(array.as_primitive(), *scale),
            DataType::Utf8 => Values::Text(array.as_string()),
            DataType::Utf8View => Values::TextView(array.as_string_view()),
            DataType::Binary => Values::Binary(array.as_binary()),
            DataType::Date32 => Values::Date(array.as_primitive()),
            DataType::Time32(TimeUnit::Second) => Values::TimeSecond(array.as_primitive()),
            DataType::Time32(_) => Values::TimeMillisecond(array.as_primitive()),
            DataType::Time64(unit) => {
                let values = match unit {
                    TimeUnit::Microsecond => {
                        array.as_primitive::<Time64MicrosecondType>().values().as_ref()
                    }
                    _ => array.as_primitive::<Time64NanosecondType>().values().as_ref(),
                };
                Values::Time64(values, *unit)
            }
            DataType::Timestamp(unit, zone) => {
                let values: &[i64] = match unit {
                    TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => {
                        array.as_primitive::<TimestampMillisecondType>().values()
                    }
                    TimeUnit::Microsecond => {
                        array.as_primitive::<TimestampMicrosecondType>().values()
                    }
                    TimeUnit::Nanosecond => {
                        array.as_primitive::<TimestampNanosecondType>().values()
                    }
                };
                Values::Timestamp(values, *unit, zone.is_some())
            }
            DataType::Struct(fields) => {
                let names = member_names(fields.iter().map(|field| field.name().as_str()));
                let children = fields.iter().zip(array.as_struct().columns());
                let cells = children
                    .map(|(field, child)| Cells::new(field, child.as_ref()))
                    .collect::<Result<Vec<_>, _>>()?;
                Values::Nested(Nested::Row(names.into_iter().zip(cells).collect()))
            }
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                let items = Cells::new(item, list.values().as_ref())?;
                Values::Nested(Nested::List(list, Box::new(items)))
            }
            DataType::Map(entries, _) => {
                let map = array.as_map();
                let keys = Cells::new(entries, map.keys().as_ref())?;
                if !matches!(keys.values, Values::Text(_) | Values::TextView(_)) {
                    return Err(format!(
                        "column `{}` is a map whose keys are not STRING: only those have a text form",
                        field.name()
                    ));
                }
                let values = Cells::new(entries, map.values().as_ref())?;
                Values::Nested(Nested::Map(map, Box::new(keys), Box::new(values)))
            }
            _ => {
                return Err(format!(
                    "column `{}` has the type {}, which has no text form; CAST it to STRING",
                    field.name(),
                    sql_type(field)
                ));
            }
        };
        Ok(Self { array, values })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    pub(super) fn nested(&self) -> Option<&Nested<'a>> {
        match &self.values {
            Values::Nested(nested) => Some(nested),
            _ => None,
        }
    }

    /// Whether JSON writes the value as a string.
    pub(super) fn is_quoted(&self) -> bool {
        !matches!(
            self.values,
            Values::Boolean(_)
                | Values::Int8(_)
                | Values::Int16(_)
                | Values::Int32(_)
                | Values::Int64(_)
                | Values::Float32(_)
                | Values::Float64(_)
                | Values::Decimal(..)
        )
    }

    /// The text of a STRING.
    pub(super) fn text(&self, row: usize) -> Option<&'a [u8]> {
        match self.values {
            Values::Text(values) => Some(values.value(row).as_bytes()),
            Values::TextView(values) => Some(values.value(row).as_bytes()),
            _ => None,
        }
    }

    /// Appends the text of a value that is neither NULL nor nested.
    pub(super) fn write(&self, row: usize, style: Style, out: &mut Vec<u8>) {
        match &self.values {
            Values::Boolean(values) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Values::Int8(values) => integer(values.value(row).into(), out),
            Values::Int16(values) => integer(values.value(row).into(), out),
            Values::Int32(values) => integer(values.value(row).into(), out),
            Values::Int64(values) => integer(values.value(row), out),
            Values::Float32(values) => float32(values.value(row), out),
            Values::Float64(values) => float64(values.value(row), out),
            Values::Decimal(values, scale) => {
                decimal(values.value(row), *scale, style.plain_decimals, out);
            }
            Values::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Values::TextView(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Values::Binary(values) => {
                let text = base64::engine::general_purpose::STANDARD.encode(values.value(row));
                out.extend_from_slice(text.as_bytes());
            }
            Values::Date(values) => time::write_date(out, values.value(row).into()),
            Values::TimeSecond(values) => {
                time_of_day(values.value(row).into(), TimeUnit::Second, out);
            }
            Values::TimeMillisecond(values) => {
                time_of_day(values.value(row).into(), TimeUnit::Millisecond, out);
            }
            Values::Time64(values, unit) => time_of_day(values[row], *unit, out),
            Values::Timestamp(values, unit, zoned) => {
                let instant = Instant::from_unit(values[row], *unit);
                time::write_timestamp(out, instant, style.timestamps, *zoned);
            }
            Values::Nested(_) => {}
        }
    }
}

fn time_of_day(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let instant = Instant::from_unit(value, unit);
    let seconds = u32::try_from(instant.seconds.rem_euclid(86_400)).unwrap_or(0);
    time::write_time(out, seconds, instant.nanos);
}

/// Appends a decimal integer.
fn integer(value: i64, out: &mut Vec<u8>) {
    const PAIRS: [u8; 200] = {
        let mut pairs = [0; 200];
        let mut number = 0;
        while number < 100 {
            pairs[2 * number] = b'0' + (number / 10) as u8;
            pairs[2 * number + 1] = b'0' + (number % 10) as u8;
            number += 1;
        }
        pairs
    };
    let mut digits = [0; 20];
    let mut at = 20;
    let mut rest = value.unsigned_abs();
    while rest >= 10 {
        // Below 100, so the index fits.
        let pair = (rest % 100) as usize * 2;
        rest /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if rest > 0 || at == 20 {
        at -= 1;
        digits[at] = b'0' + (rest as u8);
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a FLOAT as Java does.
pub(crate) fn float32(value: f32, out: &mut Vec<u8>) {
    let shortest = format!("{value:e}");
    let two = format!("{value:.1e}");
    let same = |text: &str| text.parse() == Ok(value);
    float(if has_one_digit(&shortest) && same(&two) { &two } else { &shortest }, out);
}

/// Appends a DOUBLE as Java does.
pub(crate) fn float64(value: f64, out: &mut Vec<u8>) {
    let shortest = format!("{value:e}");
    if !has_one_digit(&shortest) {
        return float(&shortest, out);
    }
    let two = format!("{value:.1e}");
    float(if two.parse() == Ok(value) { &two } else { &shortest }, out);
}

/// Java writes two digits at least, and where one would do, the two that are nearest: 4.9E-324
/// instead of 5.0E-324.
fn has_one_digit(scientific: &str) -> bool {
    scientific.trim_start_matches('-').as_bytes().get(1) == Some(&b'e')
}

/// Appends a float as Java does: the shortest digits that read back the same, always with a
/// point, with an exponent below 10⁻³ and from 10⁷ on. `scientific` is Rust's `{:e}`.
fn float(scientific: &str, out: &mut Vec<u8>) {
    let (sign, scientific) = match scientific.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", scientific),
    };
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        let text = if scientific == "inf" { "Infinity" } else { "NaN" };
        out.extend_from_slice(sign.as_bytes());
        out.extend_from_slice(text.as_bytes());
        return;
    };
    out.extend_from_slice(sign.as_bytes());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = if fraction == "0" { "" } else { fraction };
    let power: i32 = exponent.parse().unwrap_or(0);
    let fraction_or_zero = |text: &[u8], out: &mut Vec<u8>| {
        out.push(b'.');
        out.extend_from_slice(if text.is_empty() { b"0" } else { text });
    };
    match power {
        0..=6 => {
            let shift = usize::try_from(power).unwrap_or(0);
            out.extend_from_slice(whole.as_bytes());
            let moved = fraction.len().min(shift);
            out.extend_from_slice(&fraction.as_bytes()[..moved]);
            out.resize(out.len() + shift - moved, b'0');
            fraction_or_zero(&fraction.as_bytes()[moved..], out);
        }
        -3..=-1 => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + usize::try_from(-power - 1).unwrap_or(0), b'0');
            out.extend_from_slice(whole.as_bytes());
            out.extend_from_slice(fraction.as_bytes());
        }
        _ => {
            out.extend_from_slice(whole.as_bytes());
            fraction_or_zero(fraction.as_bytes(), out);
            out.push(b'E');
            out.extend_from_slice(exponent.as_bytes());
        }
    }
}

/// Appends a decimal as Java's `BigDecimal` does: with an exponent where the number has more
/// than six zeros behind its point, unless `plain`.
pub(crate) fn decimal(value: i128, scale: i8, plain: bool, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let digits = value.unsigned_abs().to_string();
    let Ok(scale) = usize::try_from(scale) else {
        // A negative scale counts zeros.
        out.extend_from_slice(digits.as_bytes());
        if value != 0 {
            out.resize(out.len() + usize::from(scale.unsigned_abs()), b'0');
        }
        return;
    };
    if !plain && scale > digits.len() + 5 {
        let (whole, fraction) = digits.split_at(1);
        out.extend_from_slice(whole.as_bytes());
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        }
        out.extend_from_slice(format!("E-{}", scale + 1 - digits.len()).as_bytes());
        return;
    }
    let whole = digits.len().saturating_sub(scale);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits.as_bytes()[..whole] });
    if scale > 0 {
        out.push(b'.');
        out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(&digits.as_bytes()[whole..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_are_written_whole() {
        for value in [0, 1, 9, 10, 99, 100, 101, 12_345, -1, -10, i64::MAX, i64::MIN] {
            assert_eq!(text(|out| integer(value, out)), value.to_string());
        }
    }

    #[test]
    fn floats_look_as_in_java() {
        let java = |value: f64| text(|out| float64(value, out));
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (1234.5, "1234.5"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.25e10, "1.25E10"),
            (0.001, "0.001"),
            (0.0123, "0.0123"),
            (1e-4, "1.0E-4"),
            (-2.5e-10, "-2.5E-10"),
            (5e-324, "4.9E-324"),
            (1e23, "1.0E23"),
            (2e23, "2.0E23"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(java(value), expected);
        }
        assert_eq!(text(|out| float32(0.1, out)), "0.1");
        assert_eq!(text(|out| float32(f32::from_bits(1), out)), "1.4E-45");
    }

    #[test]
    fn decimals_keep_their_scale() {
        let cases = [
            (110, 2, "1.10"),
            (-5, 2, "-0.05"),
            (0, 2, "0.00"),
            (7, 0, "7"),
            (1, 6, "0.000001"),
            (1, 7, "1E-7"),
            (-123, 12, "-1.23E-10"),
        ];
        for (value, scale, expected) in cases {
            assert_eq!(text(|out| decimal(value, scale, false, out)), expected);
        }
        assert_eq!(text(|out| decimal(1, 7, true, out)), "0.0000001");
    }
}
