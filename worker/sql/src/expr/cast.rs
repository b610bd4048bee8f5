//! CAST with Flink's meaning, explicit and implied.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, PrimitiveArray, StringArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, i256,
};
use weir_engine::EngineError;

use super::arith::{fit, rescale};
use super::col::{Bools, Col, Prims, Texts, rows_of};
use super::time::{
    Instant, Instants, cut_time, parse_date, parse_time, parse_timestamp, timestamps,
};
use super::{Call, Expr, Kernel, Style, nested, render};
use crate::error::Span;
use crate::types::{Kind, STRING_LENGTH, SqlType, time_unit};
use crate::zone::{self, Twice, Zone};

/// Whether `CAST` exists between two types.
pub(crate) fn exists(from: Kind, to: Kind) -> bool {
    use Kind::{Boolean, Bytes, Date, Null, Time};
    if from == to || from == Null || to.is_text() && from != Kind::Variant {
        return true;
    }
    match (from, to) {
        (Kind::Nested(a), Kind::Nested(b)) => nested::cast_exists(a, b),
        (a, b) if a.is_numeric() && b.is_numeric() => true,
        (a, b) if a.is_timestamp() && b.is_timestamp() => true,
        (Boolean, b) => b.is_numeric(),
        (a, Boolean) => a.is_numeric() || a.is_text(),
        (a, Bytes) => a.is_text(),
        (a, b) if a.is_text() => b.is_numeric() || b.is_temporal(),
        (Date, b) => b.is_timestamp(),
        (Time(_), Time(_)) => true,
        (a, Date | Time(_)) => a.is_timestamp(),
        _ => false,
    }
}

/// `expr` as `to`; unchanged when it has that type already.
pub(crate) fn cast(
    expr: Expr,
    to: SqlType,
    style: Style,
    lenient: bool,
    span: Span,
) -> Result<Expr, String> {
    let from = expr.kind();
    if from == to.kind || same_values(from, to.kind) && style == Style::Hidden {
        return Ok(Expr {
            ty: SqlType { kind: to.kind, nullable: expr.ty.nullable },
            span,
            ..expr
        });
    }
    if from == Kind::Null {
        return Ok(Expr::null(to.kind, span));
    }
    let zone = if crosses(from, to.kind) { zone::current() } else { Zone::Utc };
    let fallible = !lenient && can_fail(from, to.kind);
    let gives_null = lenient && can_fail(from, to.kind) || matches!(to.kind, Kind::Decimal(..));
    let nullable = expr.ty.nullable || gives_null;
    let call = Call {
        name: format!("{}[{}]{}", if lenient { "TRY_CAST" } else { "CAST" }, from, zone.suffix()),
        args: vec![expr],
        kind: to.kind,
        kernel: kernel(from, to.kind, lenient, zone),
        fallible,
        nondeterministic: None,
        style,
    };
    Expr::call(call, SqlType { kind: to.kind, nullable }, span)
}

/// Types whose values are stored alike, so that nothing has to be computed.
fn same_values(from: Kind, to: Kind) -> bool {
    match (from, to) {
        (Kind::Char(a) | Kind::VarChar(a), Kind::VarChar(b)) => a <= b,
        (Kind::Timestamp(a), Kind::Timestamp(b))
        | (Kind::TimestampLtz(a), Kind::TimestampLtz(b)) => {
            a <= b && crate::types::time_unit(a) == crate::types::time_unit(b)
        }
        _ => false,
    }
}

fn can_fail(from: Kind, to: Kind) -> bool {
    if let (Kind::Nested(a), Kind::Nested(b)) = (from, to) {
        return a.parts_with(b).into_iter().any(|(from, to)| can_fail(from, to));
    }
    from.is_text() && !to.is_text() && to != Kind::Bytes
}

/// Whether the session's zone decides what comes out: points in time become what a clock shows,
/// or the other way.
fn crosses(from: Kind, to: Kind) -> bool {
    let (a, b) = (holds_points(&from.arrow()), holds_points(&to.arrow()));
    a != b
}

fn holds_points(of: &DataType) -> bool {
    match of {
        DataType::Timestamp(_, zone) => zone.is_some(),
        DataType::List(item) | DataType::Map(item, _) => holds_points(item.data_type()),
        DataType::Struct(parts) => parts.iter().any(|part| holds_points(part.data_type())),
        _ => false,
    }
}

fn kernel(from: Kind, to: Kind, lenient: bool, zone: Zone) -> Kernel {
    Arc::new(move |args, rows| {
        let array = convert(&args[0], from, to, rows_of(args, rows), lenient, zone)?;
        Ok(Col::of(array, args))
    })
}

/// What a clock shows at points in time, in a type of them or in one of times on a clock.
pub(super) fn on_clock(
    col: &Col,
    to: Kind,
    rows: usize,
    zone: Zone,
) -> Result<ArrayRef, EngineError> {
    in_zone(col, to, rows, |at| zone.local(at))
}

/// Timestamps with every one moved between a zone and UTC.
fn in_zone(
    col: &Col,
    to: Kind,
    rows: usize,
    moved: impl Fn(Instant) -> Option<Instant>,
) -> Result<ArrayRef, EngineError> {
    let times = Instants::of(col);
    let one = |row: usize| match times.get(row) {
        None => Ok(None),
        Some(at) => {
            moved(at).map(Some).ok_or_else(|| EngineError::user("the time is out of range"))
        }
    };
    timestamps(to, (0..rows).map(one))
}

pub(crate) fn convert(
    col: &Col,
    from: Kind,
    to: Kind,
    rows: usize,
    lenient: bool,
    zone: Zone,
) -> Result<ArrayRef, EngineError> {
    match (from, to) {
        _ if zone.is_utc() => {}
        (Kind::TimestampLtz(_), Kind::TimestampLtz(_)) => {}
        (Kind::TimestampLtz(p), _) => {
            let local = Kind::Timestamp(p);
            let shown = Col::Array(on_clock(col, local, rows, zone)?);
            return convert(&shown, local, to, rows, lenient, Zone::Utc);
        }
        (_, Kind::TimestampLtz(p)) => {
            let shown = convert(col, from, Kind::Timestamp(p), rows, lenient, Zone::Utc)?;
            let point = |at| zone.point(at, Twice::Earlier);
            return in_zone(&Col::Array(shown), to, rows, point);
        }
        (Kind::Nested(nested), to) if to.is_text() => {
            let shown = Col::Array(nested::on_clock(&col.to_rows(rows)?, nested, zone)?);
            return Ok(to_text(&shown, from, to, rows));
        }
        _ => {}
    }
    if to.is_text() {
        return Ok(to_text(col, from, to, rows));
    }
    if from.is_text() {
        return from_text(col, to, rows, lenient);
    }
    if let (Kind::Nested(from), Kind::Nested(to)) = (from, to) {
        return nested::convert(&col.to_rows(rows)?, from, to, lenient, zone);
    }
    if from == Kind::Boolean {
        let bools = Bools::of(col);
        let ints: Int32Array = (0..rows).map(|r| bools.get(r).map(i32::from)).collect();
        return numeric(&Col::Array(Arc::new(ints)), Kind::Int, to, rows);
    }
    if to == Kind::Boolean {
        let doubles = numeric(col, from, Kind::Double, rows)?;
        let result: BooleanArray =
            doubles.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| v != 0.0)).collect();
        return Ok(Arc::new(result));
    }
    if from.is_numeric() && to.is_numeric() {
        return numeric(col, from, to, rows);
    }
    temporal(col, from, to, rows)
}

fn to_text(col: &Col, from: Kind, to: Kind, rows: usize) -> ArrayRef {
    let (length, pad) = match to {
        Kind::Char(n) => (n as usize, true),
        Kind::VarChar(n) => (n as usize, false),
        _ => (STRING_LENGTH as usize, false),
    };
    let result: StringArray = (0..rows)
        .map(|row| {
            let mut text = render::value(col, from, row)?;
            if text.len() > length
                && let Some((end, _)) = text.char_indices().nth(length)
            {
                text.truncate(end);
            }
            if pad {
                let missing = length.saturating_sub(text.chars().count());
                text.extend(std::iter::repeat_n(' ', missing));
            }
            Some(text)
        })
        .collect();
    Arc::new(result)
}

fn from_text(col: &Col, to: Kind, rows: usize, lenient: bool) -> Result<ArrayRef, EngineError> {
    let texts = Texts::of(col);
    if to == Kind::Bytes {
        let result: BinaryArray = (0..rows).map(|r| texts.get(r).map(str::as_bytes)).collect();
        return Ok(Arc::new(result));
    }
    let read = Read { texts, rows, lenient, to };
    Ok(match to {
        Kind::TinyInt => Arc::new(read.all::<Int8Type>(|t| whole(t)?.try_into().ok())?),
        Kind::SmallInt => Arc::new(read.all::<Int16Type>(|t| whole(t)?.try_into().ok())?),
        Kind::Int => Arc::new(read.all::<Int32Type>(|t| whole(t)?.try_into().ok())?),
        Kind::BigInt => Arc::new(read.all::<Int64Type>(whole)?),
        Kind::Float => Arc::new(read.all::<Float32Type>(|t| float(t).map(|v| v as f32))?),
        Kind::Double => Arc::new(read.all::<Float64Type>(float)?),
        Kind::Decimal(p, s) => Arc::new(
            read.all::<Decimal128Type>(|t| decimal(t, p, s))?
                .with_precision_and_scale(p, s as i8)?,
        ),
        Kind::Boolean => {
            let values = (0..rows)
                .map(|row| read.one(row, truth))
                .collect::<Result<Vec<Option<bool>>, _>>()?;
            Arc::new(BooleanArray::from(values))
        }
        Kind::Date => Arc::new(read.all::<Date32Type>(parse_date)?),
        Kind::Time(p) => Arc::new(read.all::<Time32MillisecondType>(|t| {
            parse_time(t).map(|(s, n)| cut_time((s * 1000 + n / 1_000_000) as i32, p))
        })?),
        _ => timestamps(to, (0..rows).map(|row| read.one(row, parse_timestamp)))?,
    })
}

/// Reads values from text.
struct Read<'a> {
    texts: Texts<'a>,
    rows: usize,
    lenient: bool,
    to: Kind,
}

impl Read<'_> {
    fn one<V>(
        &self,
        row: usize,
        parse: impl Fn(&str) -> Option<V>,
    ) -> Result<Option<V>, EngineError> {
        let Some(text) = self.texts.get(row) else {
            return Ok(None);
        };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None if self.lenient => Ok(None),
            None => {
                let shown: String = text.chars().take(60).collect();
                Err(EngineError::user(format!(
                    "cannot cast '{shown}' to {}; TRY_CAST gives NULL instead",
                    self.to
                )))
            }
        }
    }

    fn all<T: arrow::datatypes::ArrowPrimitiveType>(
        &self,
        parse: impl Fn(&str) -> Option<T::Native>,
    ) -> Result<PrimitiveArray<T>, EngineError> {
        (0..self.rows).map(|row| self.one(row, &parse)).collect()
    }
}

/// A whole number; digits behind a point are cut off, as Flink does.
fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let unsigned = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    if unsigned.is_empty() && !part.is_empty() {
        return Some(0);
    }
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    whole.parse().ok()
}

pub(crate) fn float(text: &str) -> Option<f64> {
    let text = text.trim();
    match text {
        "NaN" | "+NaN" | "-NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ if text.contains(['x', 'X']) => hexadecimal(text),
        // Java's suffixes.
        _ if text.ends_with(['f', 'F', 'd', 'D']) => {
            let number = &text[..text.len() - 1];
            number.ends_with(|c: char| c.is_ascii_digit()).then(|| float(number)).flatten()
        }
        // Rust also reads "inf" and "nan" in any case, Java does not.
        _ if text.bytes().any(|b| b.is_ascii_alphabetic() && !matches!(b, b'e' | b'E')) => None,
        _ => text.parse().ok(),
    }
}

/// `0x1.8p3`, as Java reads it: a mantissa of at most 13 hexadecimal digits and a power of two.
fn hexadecimal(text: &str) -> Option<f64> {
    let text = text.trim_end_matches(['f', 'F', 'd', 'D']);
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"))?;
    let (mantissa, exponent) = rest.split_once(['p', 'P'])?;
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    if digits.is_empty() || digits.len() > 13 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let value = u64::from_str_radix(&digits, 16).ok()? as f64;
    let power = exponent.parse::<i32>().ok()?.checked_sub(4 * part.len() as i32)?;
    let value = value * 2f64.powi(power);
    Some(if negative { -value } else { value })
}

/// A decimal from text, rounded half up to `scale`; `None` when it is none or too long.
pub(crate) fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i32>().ok().filter(|e| (-100..=100).contains(e))?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > 70 {
        return None;
    }
    let value = digits.bytes().fold(i256::ZERO, |value, b| {
        value.wrapping_mul(i256::from_i128(10)).wrapping_add(i256::from_i128(i128::from(b - b'0')))
    });
    let from = part.len() as i32 - exponent;
    let to = i32::from(scale);
    if (to - from).abs() > 70 {
        return if value == i256::ZERO || to < from { Some(0) } else { None };
    }
    let value = fit(rescale(value, from, to)?, precision)?;
    Some(if negative { -value } else { value })
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn numeric(col: &Col, from: Kind, to: Kind, rows: usize) -> Result<ArrayRef, EngineError> {
    if let Kind::Decimal(p, s) = to {
        return to_decimal(col, from, p, s, rows);
    }
    match from {
        Kind::Float | Kind::Double => {
            let values: Vec<Option<f64>> = match from {
                Kind::Float => {
                    let v = Prims::<Float32Type>::of(col);
                    (0..rows).map(|r| v.get(r).map(f64::from)).collect()
                }
                _ => {
                    let v = Prims::<Float64Type>::of(col);
                    (0..rows).map(|r| v.get(r)).collect()
                }
            };
            // As Java: towards zero, NaN is 0, too large is the largest; via INT for the small.
            Ok(match to {
                Kind::TinyInt => {
                    Arc::new(Int8Array::from_iter(values.iter().map(|v| v.map(|v| v as i32 as i8))))
                }
                Kind::SmallInt => Arc::new(Int16Array::from_iter(
                    values.iter().map(|v| v.map(|v| v as i32 as i16)),
                )),
                Kind::Int => {
                    Arc::new(Int32Array::from_iter(values.iter().map(|v| v.map(|v| v as i32))))
                }
                Kind::BigInt => {
                    Arc::new(Int64Array::from_iter(values.iter().map(|v| v.map(|v| v as i64))))
                }
                Kind::Float => {
                    Arc::new(Float32Array::from_iter(values.iter().map(|v| v.map(|v| v as f32))))
                }
                _ => Arc::new(Float64Array::from(values)),
            })
        }
        Kind::Decimal(_, s) => {
            let v = Prims::<Decimal128Type>::of(col);
            if to.is_approximate() {
                let text =
                    |r: usize| v.get(r).and_then(|v| render::decimal(v, s).parse::<f64>().ok());
                return Ok(match to {
                    Kind::Float => Arc::new(
                        (0..rows).map(|r| text(r).map(|v| v as f32)).collect::<Float32Array>(),
                    ),
                    _ => Arc::new((0..rows).map(text).collect::<Float64Array>()),
                });
            }
            let unit = 10i128.pow(u32::from(s));
            integers((0..rows).map(|r| v.get(r).map(|v| (v / unit) as i64)), to)
        }
        _ => {
            let values = widen(col, from, rows);
            integers(values.into_iter(), to)
        }
    }
}

/// Integers of any width as 64 bits.
pub(crate) fn widen(col: &Col, from: Kind, rows: usize) -> Vec<Option<i64>> {
    match from {
        Kind::TinyInt => {
            let v = Prims::<Int8Type>::of(col);
            (0..rows).map(|r| v.get(r).map(i64::from)).collect()
        }
        Kind::SmallInt => {
            let v = Prims::<Int16Type>::of(col);
            (0..rows).map(|r| v.get(r).map(i64::from)).collect()
        }
        Kind::Int => {
            let v = Prims::<Int32Type>::of(col);
            (0..rows).map(|r| v.get(r).map(i64::from)).collect()
        }
        _ => {
            let v = Prims::<Int64Type>::of(col);
            (0..rows).map(|r| v.get(r)).collect()
        }
    }
}

fn integers(values: impl Iterator<Item = Option<i64>>, to: Kind) -> Result<ArrayRef, EngineError> {
    Ok(match to {
        Kind::TinyInt => Arc::new(values.map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
        Kind::SmallInt => Arc::new(values.map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
        Kind::Int => Arc::new(values.map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        Kind::Float => Arc::new(values.map(|v| v.map(|v| v as f32)).collect::<Float32Array>()),
        Kind::Double => Arc::new(values.map(|v| v.map(|v| v as f64)).collect::<Float64Array>()),
        _ => Arc::new(values.collect::<Int64Array>()),
    })
}

fn to_decimal(col: &Col, from: Kind, p: u8, s: u8, rows: usize) -> Result<ArrayRef, EngineError> {
    let fixed = |value: i128, scale: u8| {
        rescale(i256::from_i128(value), i32::from(scale), i32::from(s)).and_then(|v| fit(v, p))
    };
    let result: Decimal128Array = match from {
        Kind::Decimal(_, scale) => {
            let v = Prims::<Decimal128Type>::of(col);
            (0..rows).map(|r| fixed(v.get(r)?, scale)).collect()
        }
        Kind::Float | Kind::Double => {
            (0..rows).map(|r| decimal(&render::value(col, from, r)?, p, s)).collect()
        }
        _ => widen(col, from, rows).into_iter().map(|v| fixed(i128::from(v?), 0)).collect(),
    };
    Ok(Arc::new(result.with_precision_and_scale(p, s as i8)?))
}

fn temporal(col: &Col, from: Kind, to: Kind, rows: usize) -> Result<ArrayRef, EngineError> {
    if from == Kind::Date {
        let days = Prims::<Date32Type>::of(col);
        let at =
            |r: usize| days.get(r).map(|d| Instant { seconds: i64::from(d) * 86_400, nanos: 0 });
        return timestamps(to, (0..rows).map(|r| Ok(at(r))));
    }
    if let (Kind::Time(_), Kind::Time(p)) = (from, to) {
        let times = Prims::<Time32MillisecondType>::of(col);
        let cut = (0..rows).map(|r| times.get(r).map(|ms| cut_time(ms, p)));
        return Ok(Arc::new(cut.collect::<PrimitiveArray<Time32MillisecondType>>()));
    }
    if let Some(same) = reinterpret(col, from, to) {
        return Ok(same);
    }
    let instants = Instants::of(col);
    Ok(match to {
        Kind::Date => {
            let days =
                (0..rows).map(|r| instants.get(r).map(|at| at.seconds.div_euclid(86_400) as i32));
            Arc::new(days.collect::<PrimitiveArray<Date32Type>>())
        }
        Kind::Time(p) => {
            let time = |at: Instant| {
                let ms =
                    (at.seconds.rem_euclid(86_400) * 1000) as i32 + (at.nanos / 1_000_000) as i32;
                cut_time(ms, p)
            };
            let times = (0..rows).map(|r| instants.get(r).map(time));
            Arc::new(times.collect::<PrimitiveArray<Time32MillisecondType>>())
        }
        _ => {
            let digits = match to {
                Kind::Timestamp(p) | Kind::TimestampLtz(p) => u32::from(p.min(9)),
                _ => 9,
            };
            let step = 10u32.pow(9 - digits);
            let cut = |at: Instant| Instant { nanos: at.nanos / step * step, ..at };
            timestamps(to, (0..rows).map(|r| Ok(instants.get(r).map(cut))))?
        }
    })
}

/// Timestamps of one unit are stored alike, whether with a zone or without: in UTC nothing has
/// to be computed.
fn reinterpret(col: &Col, from: Kind, to: Kind) -> Option<ArrayRef> {
    let digits = |kind: Kind| match kind {
        Kind::Timestamp(p) | Kind::TimestampLtz(p) => Some(p),
        _ => None,
    };
    let (from, digits) = (digits(from)?, digits(to)?);
    if digits < from || time_unit(from) != time_unit(digits) {
        return None;
    }
    let data = col.values().to_data().into_builder().data_type(to.arrow()).build().ok()?;
    Some(arrow::array::make_array(data))
}
