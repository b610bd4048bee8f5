//! A made-up column: options in, values of a row's number out.

use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};

use super::values::mix;
use crate::formats::column::sql_type;
use crate::options::Options;
use crate::table::Declared;

/// Bytes of a text at most.
const LONGEST_TEXT: u64 = 1 << 20;
/// Characters of a STRING, bytes of BYTES, unless the options say otherwise, as in Flink.
const TEXT: u64 = 100;
/// Elements of an ARRAY, MAP or MULTISET, unless the options say otherwise, as in Flink.
const ELEMENTS: u64 = 3;
/// How often a value is in a MULTISET at most, as in Flink.
const TIMES: i64 = 10;

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) kind: Kind,
    pub(super) data_type: DataType,
    pub(super) salt: u64,
    /// Nulls among 2⁶⁴ values.
    pub(super) nulls: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
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
    /// A ROW of these.
    Row(Vec<Column>),
    /// So many elements.
    List(u64, Box<Column>),
    /// So many keys and values, less what is there twice.
    Map(u64, Box<Column>, Box<Column>),
}

/// A column, or a part of one.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) field: &'a Field,
    pub(super) declared: &'a Declared,
    /// What stands between `fields.` and the name of an option, without the points.
    pub(super) path: &'a str,
    /// What tells its values from those of others.
    pub(super) salt: u64,
    pub(super) per_second: u64,
}

impl Part<'_> {
    fn key(&self, option: &str) -> String {
        format!("fields.{}.{option}", self.path)
    }

    /// Reads a part of it, of this name and number.
    fn read_part(
        &self,
        options: &mut Options<'_>,
        (name, number): (&str, usize),
        field: &Field,
    ) -> Option<Column> {
        let part = Part {
            field,
            declared: self.declared.part(number),
            path: &format!("{}.{name}", self.path),
            salt: mix(self.salt ^ (number as u64 + 1)),
            per_second: self.per_second,
        };
        Column::read_kind(options, part, false)
    }
}

impl Column {
    /// Reads `fields.<path>.*`; `None` after a problem.
    pub(super) fn read(options: &mut Options<'_>, part: Part<'_>) -> Option<Self> {
        let kinds = [("random", false), ("sequence", true)];
        let sequence = options.choice(&part.key("kind"), false, &kinds);
        Self::read_kind(options, part, sequence)
    }

    fn read_kind(options: &mut Options<'_>, part: Part<'_>, sequence: bool) -> Option<Self> {
        let key = |option: &str| part.key(option);
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
            Self::read_sequence(options, part, &key)?
        } else {
            Self::read_random(options, part, &key)?
        };
        // `as` saturates, which is what a rate of 1 means.
        let nulls = (null_rate * u64::MAX as f64) as u64;
        let data_type = part.field.data_type().clone();
        Some(Self { kind, data_type, salt: part.salt, nulls })
    }

    fn read_sequence(
        options: &mut Options<'_>,
        part: Part<'_>,
        key: &dyn Fn(&str) -> String,
    ) -> Option<Kind> {
        let field = part.field;
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
                    sql_type(field)
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
        let fits = holds(field.data_type(), part.declared);
        if let Some(outside) = [("start", start), ("end", end)].iter().find(|(_, n)| !fits(*n)) {
            let (bound, value) = (key(outside.0), outside.1);
            options.refuse(
                &bound,
                format!(
                    "'{bound}' is {}, which column '{}', {}, cannot hold; give another one, or declare a wider type",
                    options.detail(&bound, value),
                    part.path,
                    match part.declared {
                        Declared::Text(length) => format!("text of {length} characters"),
                        _ => sql_type(field),
                    }
                ),
            );
            return None;
        }
        Some(Kind::Sequence { start, end })
    }

    fn read_random(
        options: &mut Options<'_>,
        part: Part<'_>,
        key: &dyn Fn(&str) -> String,
    ) -> Option<Kind> {
        let kind = match part.field.data_type() {
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
                let longest = match part.declared {
                    Declared::Text(length) => u64::from(*length).min(LONGEST_TEXT),
                    _ => LONGEST_TEXT,
                };
                let usual = if longest < LONGEST_TEXT { longest } else { TEXT };
                let length = length(options, key, usual, longest);
                Kind::Text { length: length as usize, vary: options.bool(&key("var-len"), false) }
            }
            DataType::Struct(fields) => {
                let fields = fields
                    .iter()
                    .enumerate()
                    .map(|(number, field)| part.read_part(options, (field.name(), number), field));
                // All of them, so that all problems are told.
                let fields: Vec<_> = fields.collect();
                Kind::Row(fields.into_iter().collect::<Option<_>>()?)
            }
            DataType::List(item) => {
                let length = length(options, key, ELEMENTS, LONGEST_TEXT);
                Kind::List(length, Box::new(part.read_part(options, ("element", 0), item)?))
            }
            DataType::Map(entries, _) => read_map(options, part, key, entries)?,
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
                let per_second = part.per_second;
                Kind::Time { start_ms, per_second, max_past_ms: max_past.as_millis() as i64 }
            }
            _ => {
                options.refuse_table(format!(
                    "column '{}': connector 'datagen' cannot make {}; use numbers, STRING, BYTES, BOOLEAN, DATE, TIME, TIMESTAMP, or ROW, ARRAY, MAP and MULTISET of these",
                    part.path,
                    sql_type(part.field)
                ));
                return None;
            }
        };
        Some(kind)
    }

    /// Bytes of a value at most.
    pub(super) fn most_bytes(&self) -> u64 {
        match &self.kind {
            Kind::Text { length, .. } => *length as u64 + 4,
            Kind::Row(fields) => fields.iter().map(Self::most_bytes).fold(1, u64::saturating_add),
            Kind::List(length, element) => of_elements(*length, element.most_bytes()),
            Kind::Map(length, key, value) => {
                of_elements(*length, key.most_bytes().saturating_add(value.most_bytes()))
            }
            // The widest is a decimal.
            _ => 16,
        }
    }

    /// Rows that a sequence has.
    pub(super) fn sequence_length(&self) -> Option<u64> {
        match self.kind {
            Kind::Sequence { start, end } => Some(start.abs_diff(end).saturating_add(1)),
            _ => None,
        }
    }
}

/// Whether a column of this type can hold a whole number of a sequence: so it can all between two
/// that it holds.
fn holds(data_type: &DataType, declared: &Declared) -> impl Fn(i64) -> bool + use<> {
    let digits = match (data_type, declared) {
        (DataType::Decimal128(precision, scale), _) => {
            Some(u32::try_from(i32::from(*precision) - i32::from(*scale)).unwrap_or(0))
        }
        (DataType::Utf8, Declared::Text(length)) => Some(*length),
        _ => None,
    };
    let (least, most) = match data_type {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    };
    let is_text = *data_type == DataType::Utf8;
    move |value| {
        // Text of a negative number has its sign as well.
        let sign = u32::from(is_text && value < 0);
        let written = match value.unsigned_abs() {
            0 if !is_text => 0,
            number => number.checked_ilog10().map_or(1, |log| log + 1),
        };
        (least..=most).contains(&value) && digits.is_none_or(|digits| written + sign <= digits)
    }
}

/// Bytes of so many elements at most. One that is empty has its number, by which it is made, and its
/// place among the others.
fn of_elements(length: u64, each: u64) -> u64 {
    length.saturating_mul(each.max(16)).saturating_add(4)
}

/// `fields.<path>.length`.
fn length(
    options: &mut Options<'_>,
    key: &dyn Fn(&str) -> String,
    usual: u64,
    longest: u64,
) -> u64 {
    let key = key("length");
    let length = options.number(&key).unwrap_or(usual);
    if length > longest {
        let shown = options.detail(&key, length);
        options.refuse(&key, format!("'{key}' is {shown}; give at most {longest}"));
    }
    length.min(longest)
}

/// MAP and MULTISET, which only what is declared tells apart.
fn read_map(
    options: &mut Options<'_>,
    part: Part<'_>,
    key: &dyn Fn(&str) -> String,
    entries: &Field,
) -> Option<Kind> {
    let DataType::Struct(pair) = entries.data_type() else { return None };
    let [keys, values] = &pair[..] else { return None };
    let length = length(options, key, ELEMENTS, LONGEST_TEXT);
    let is_multiset = matches!(part.declared, Declared::Multiset(_));
    let name = if is_multiset { "element" } else { "key" };
    let of_keys = part.read_part(options, (name, 0), keys);
    let of_values = match is_multiset {
        true => Some(Column {
            kind: Kind::Integer { min: 1, max: TIMES },
            data_type: values.data_type().clone(),
            salt: mix(part.salt ^ 2),
            nulls: 0,
        }),
        false => part.read_part(options, ("value", 1), values),
    };
    let (of_keys, of_values) = (of_keys?, of_values?);
    if !RowConverter::supports_fields(&[SortField::new(of_keys.data_type.clone())]) {
        options.refuse_table(format!(
            "column '{}': connector 'datagen' cannot make keys or elements that are {}",
            part.path,
            sql_type(keys)
        ));
        return None;
    }
    if of_keys.nulls > 0 {
        let rate = key(&format!("{name}.null-rate"));
        let message = format!(
            "'{rate}': a key of a MAP and an element of a MULTISET is never NULL here; remove it"
        );
        options.refuse(&rate, message);
    }
    Some(Kind::Map(length, Box::new(of_keys), Box::new(of_values)))
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
