//! A made-up column: options in, values of a row's number out.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBuilder, Float64Array, Int64Array, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Field, TimeUnit};
use weir_engine::EngineError;

use super::Rows;
use crate::options::Options;

#[derive(Clone, Debug)]
pub(super) struct Column {
    kind: Kind,
    data_type: DataType,
    salt: u64,
    /// Nulls among 2⁶⁴ values.
    nulls: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    /// `start, start + 1, …, end`, as a number or its text.
    Sequence {
        start: i64,
        end: i64,
    },
    /// Whole numbers `min ..= max`.
    Integer {
        min: i64,
        max: i64,
    },
    Float {
        min: f64,
        max: f64,
    },
    Boolean,
    /// Hexadecimal digits.
    Text {
        length: usize,
        vary: bool,
    },
    /// The row's time less a random part.
    Time {
        start_ms: Option<i64>,
        per_second: u64,
        max_past_ms: i64,
    },
}

impl Column {
    /// Reads `fields.<name>.*`; `None` after a problem.
    pub(super) fn read(
        options: &mut Options<'_>,
        field: &Field,
        seed: u64,
        index: usize,
        per_second: u64,
    ) -> Option<Self> {
        let key = |option: &str| format!("fields.{}.{option}", field.name());
        let data_type = field.data_type().clone();
        let sequence =
            options.choice(&key("kind"), false, &[("random", false), ("sequence", true)]);
        let null_rate: f64 = options.parsed(&key("null-rate"), "0.1").unwrap_or(0.0);
        if !(0.0..=1.0).contains(&null_rate) {
            options.refuse(
                &key("null-rate"),
                format!(
                    "'{}' is {}; give 0.0 to 1.0",
                    key("null-rate"),
                    options.detail(&key("null-rate"), null_rate)
                ),
            );
        }
        let kind = if sequence {
            Self::read_sequence(options, field, &key)?
        } else {
            Self::read_random(options, field, &key, per_second)?
        };
        // `as` saturates, which is what a rate of 1 means.
        let nulls = (null_rate * u64::MAX as f64) as u64;
        Some(Self { kind, data_type, salt: mix(mix(seed) ^ index as u64), nulls })
    }

    fn read_sequence(
        options: &mut Options<'_>,
        field: &Field,
        key: &dyn Fn(&str) -> String,
    ) -> Option<Kind> {
        let numeric = field.data_type().is_numeric() || *field.data_type() == DataType::Utf8;
        let (start, end) =
            (options.parsed(&key("start"), "1"), options.parsed(&key("end"), "1000"));
        if !numeric {
            options.refuse(
                &key("kind"),
                format!(
                    "'{}' = 'sequence' needs a number or STRING column; '{}' is {}",
                    key("kind"),
                    field.name(),
                    field.data_type()
                ),
            );
            return None;
        }
        for (bound, value) in [("start", start), ("end", end)] {
            if value.is_none() && !options.is_given(&key(bound)) {
                options.refuse(
                    &key("kind"),
                    format!("'{}' = 'sequence' needs '{}'", key("kind"), key(bound)),
                );
            }
        }
        let (start, end): (i64, i64) = (start?, end?);
        if end < start {
            options.refuse(
                &key("end"),
                format!(
                    "'{}' is {}, less than '{}', which is {}",
                    key("end"),
                    options.detail(&key("end"), end),
                    key("start"),
                    options.detail(&key("start"), start)
                ),
            );
            return None;
        }
        Some(Kind::Sequence { start, end })
    }

    fn read_random(
        options: &mut Options<'_>,
        field: &Field,
        key: &dyn Fn(&str) -> String,
        per_second: u64,
    ) -> Option<Kind> {
        let kind = match field.data_type() {
            DataType::Boolean => Kind::Boolean,
            DataType::Int8 => integer(options, key, i8::MIN.into(), i8::MAX.into())?,
            DataType::Int16 => integer(options, key, i16::MIN.into(), i16::MAX.into())?,
            DataType::Int32 => integer(options, key, i32::MIN.into(), i32::MAX.into())?,
            DataType::Int64 => integer(options, key, i64::MIN, i64::MAX)?,
            DataType::Float32 => float(options, key, f64::from(f32::MIN), f64::from(f32::MAX))?,
            DataType::Float64 => float(options, key, f64::MIN, f64::MAX)?,
            DataType::Decimal128(precision, scale) => {
                // A double holds 15 digits; more would only be noise.
                let most = 10f64.powi(i32::from(*precision).min(15) - i32::from(*scale));
                float(options, key, -most * 0.999, most * 0.999)?
            }
            DataType::Utf8 | DataType::Binary => {
                let length = options.number(&key("length")).unwrap_or(100);
                if length > 1 << 20 {
                    options.refuse(
                        &key("length"),
                        format!(
                            "'{}' is {}; give at most 1048576",
                            key("length"),
                            options.detail(&key("length"), length)
                        ),
                    );
                }
                Kind::Text { length: length as usize, vary: options.bool(&key("var-len"), false) }
            }
            DataType::Timestamp(_, _) | DataType::Date32 | DataType::Time32(_) => {
                let max_past = options.duration(&key("max-past")).unwrap_or_default();
                let start = options.text(&key("start"));
                let start_ms = start.and_then(|start| parse_timestamp(start.stand_in()));
                if let (Some(start), None) = (start, start_ms) {
                    options.refuse(
                        &key("start"),
                        format!(
                            "'{}' is {}; give a timestamp such as '2024-01-01 00:00:00'",
                            key("start"),
                            start.quoted()
                        ),
                    );
                }
                Kind::Time { start_ms, per_second, max_past_ms: max_past.as_millis() as i64 }
            }
            other => {
                options.refuse_table(format!(
                    "column '{}': connector 'datagen' cannot make {other}; use numbers, STRING, BYTES, BOOLEAN, DATE, TIME or TIMESTAMP",
                    field.name()
                ));
                return None;
            }
        };
        Some(kind)
    }

    /// Rows that a sequence has.
    pub(super) fn sequence_length(&self) -> Option<u64> {
        match self.kind {
            Kind::Sequence { start, end } => Some(start.abs_diff(end).saturating_add(1)),
            _ => None,
        }
    }

    /// The values of these rows.
    pub(super) fn make(&self, rows: Rows, start_ms: i64) -> Result<ArrayRef, EngineError> {
        let salt = self.salt;
        let random = move |row: u64| mix(salt ^ row);
        let plain: ArrayRef = match &self.kind {
            Kind::Sequence { start, .. } => Arc::new(
                rows.iter().map(|row| start.wrapping_add_unsigned(row)).collect::<Int64Array>(),
            ),
            Kind::Integer { min, max } => {
                let span = u128::from(min.abs_diff(*max)) + 1;
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| {
                    min.wrapping_add_unsigned(((u128::from(random(row)) * span) >> 64) as u64)
                })))
            }
            Kind::Float { min, max } => {
                Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| {
                    let part = (random(row) >> 11) as f64 / (1u64 << 53) as f64;
                    // The span itself may not be finite.
                    min * (1.0 - part) + max * part
                })))
            }
            Kind::Boolean => Arc::new(
                rows.iter().map(|row| Some(random(row) & 1 == 1)).collect::<BooleanArray>(),
            ),
            Kind::Text { length, vary } => {
                let texts = rows.iter().map(|row| {
                    let seed = random(row);
                    let length = if *vary && *length > 0 {
                        1 + (mix(seed) % *length as u64) as usize
                    } else {
                        *length
                    };
                    hex(seed, length)
                });
                match self.data_type {
                    DataType::Binary => Arc::new(BinaryArray::from_iter_values(texts)),
                    _ => Arc::new(StringArray::from_iter_values(texts)),
                }
            }
            Kind::Time { start_ms: own, per_second, max_past_ms } => {
                let start = own.unwrap_or(start_ms);
                let times = rows.iter().map(|row| {
                    let at = start + (u128::from(row) * 1000 / u128::from(*per_second)) as i64;
                    let past = (u128::from(random(row)) * (*max_past_ms as u128 + 1)) >> 64;
                    at - past as i64
                });
                self.times(Int64Array::from_iter_values(times))?
            }
        };
        let array = if plain.data_type() == &self.data_type {
            plain
        } else {
            cast(&plain, &self.data_type)?
        };
        if self.nulls == 0 {
            return Ok(array);
        }
        let mut mask = BooleanBuilder::with_capacity(rows.count);
        for row in rows.iter() {
            mask.append_value(mix(!random(row)) <= self.nulls);
        }
        Ok(nullif(&array, &mask.finish())?)
    }

    /// Milliseconds as a point in time that casts to the column's type.
    fn times(&self, ms: Int64Array) -> Result<ArrayRef, EngineError> {
        const DAY_MS: i64 = 86_400_000;
        Ok(match self.data_type {
            DataType::Time32(_) => {
                let of_day = ms.unary::<_, arrow::datatypes::Time32MillisecondType>(|ms| {
                    ms.rem_euclid(DAY_MS) as i32
                });
                Arc::new(of_day)
            }
            DataType::Date32 => {
                let days =
                    ms.unary::<_, arrow::datatypes::Date32Type>(|ms| ms.div_euclid(DAY_MS) as i32);
                Arc::new(days)
            }
            _ => {
                let zone = match &self.data_type {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                let nulls: Option<NullBuffer> = None;
                let values =
                    arrow::array::TimestampMillisecondArray::new(ms.values().clone(), nulls);
                let values: ArrayRef = Arc::new(values.with_timezone_opt(zone.clone()));
                cast(&values, &DataType::Timestamp(TimeUnit::Millisecond, zone))?
            }
        })
    }
}

fn integer(
    options: &mut Options<'_>,
    key: &dyn Fn(&str) -> String,
    least: i64,
    most: i64,
) -> Option<Kind> {
    let min = options.parsed(&key("min"), "0").unwrap_or(least);
    let max = options.parsed(&key("max"), "100").unwrap_or(most);
    for (bound, value) in [("min", min), ("max", max)] {
        if !(least..=most).contains(&value) {
            options.refuse(
                &key(bound),
                format!(
                    "'{}' is {}, outside of the column's type ({least} to {most})",
                    key(bound),
                    options.detail(&key(bound), value)
                ),
            );
            return None;
        }
    }
    if max < min {
        options.refuse(
            &key("max"),
            format!(
                "'{}' is {}, less than '{}', which is {}",
                key("max"),
                options.detail(&key("max"), max),
                key("min"),
                options.detail(&key("min"), min)
            ),
        );
        return None;
    }
    Some(Kind::Integer { min, max })
}

fn float(
    options: &mut Options<'_>,
    key: &dyn Fn(&str) -> String,
    least: f64,
    most: f64,
) -> Option<Kind> {
    let min: f64 = options.parsed(&key("min"), "0.0").unwrap_or(least);
    let max: f64 = options.parsed(&key("max"), "1.0").unwrap_or(most);
    if !(min <= max && min >= least && max <= most) {
        let place = if options.is_given(&key("max")) { "max" } else { "min" };
        options.refuse(
            &key(place),
            format!(
                "'{}' to '{}' is {} to {}; give an ascending range between {least:e} and {most:e}",
                key("min"),
                key("max"),
                options.detail(&key("min"), min),
                options.detail(&key("max"), max)
            ),
        );
        return None;
    }
    Some(Kind::Float { min, max })
}

fn parse_timestamp(text: &str) -> Option<i64> {
    let text = text.trim().replacen('T', " ", 1);
    chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f")
        .ok()
        .or_else(|| chrono::NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
        .map(|time| time.and_utc().timestamp_millis())
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over its increment: every bit of the
/// input moves every bit of the output.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn hex(seed: u64, length: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(length);
    let (mut state, mut bits) = (seed, seed);
    for i in 0..length {
        if i % 16 == 0 && i > 0 {
            state = mix(state);
            bits = state;
        }
        text.push(char::from(DIGITS[(bits & 15) as usize]));
        bits >>= 4;
    }
    text
}
