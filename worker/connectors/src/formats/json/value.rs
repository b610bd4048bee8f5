//! From a value's place in a record to a value in a column, by the rules of Flink's format.
//!
//! Numbers may stand in strings, and anything may be read as a string; a fraction is cut off
//! for INT and BIGINT; whatever is not true is false; a decimal that does not fit is NULL.

use arrow::datatypes::{DataType, FieldRef};

use super::JsonOptions;
use super::scan::{self, Broken, Kind, Names, Place, Token};
use crate::formats::TimestampFormat;
use crate::formats::column::{Column, Data, Refused};
use crate::formats::number::{self, Decimal};

/// The fields of an object, at any depth, and where a walk notes their values.
pub(super) struct Fields {
    pub(super) names: Names,
    pub(super) fields: Vec<Field>,
    /// How many slots there are.
    pub(super) slots: usize,
}

/// A field.
pub(super) struct Field {
    pub(super) slot: usize,
    pub(super) shape: Shape,
}

/// What is inside of a column's type.
pub(super) enum Shape {
    Scalar,
    Row(Vec<Field>),
    List(Box<Element>),
    Map(Box<Element>),
}

/// An element of a list or a map: what a walk of its record has noted says nothing of it.
pub(super) enum Element {
    Row(Fields),
    Other(Shape),
}

impl Fields {
    pub(super) fn new(fields: &arrow::datatypes::Fields) -> Self {
        let mut slots = 0;
        let (names, fields) = numbered(fields, &mut slots);
        Self { names, fields, slots }
    }
}

/// Gives out slots from `next` on, those of an object's fields behind its own.
fn numbered(fields: &arrow::datatypes::Fields, next: &mut usize) -> (Names, Vec<Field>) {
    let mut inside = Vec::with_capacity(fields.len());
    let mut places = Vec::with_capacity(fields.len());
    for field in fields {
        let slot = *next;
        *next += 1;
        let (shape, inner) = match field.data_type() {
            DataType::Struct(fields) => {
                let (names, fields) = numbered(fields, next);
                (Shape::Row(fields), Some(names))
            }
            other => (Shape::new(other), None),
        };
        inside.push(Field { slot, shape });
        places.push((field.name().as_str(), Place { slot, inner }));
    }
    (Names::new(places.into_iter()), inside)
}

impl Shape {
    /// Of what is no row.
    fn new(of: &DataType) -> Self {
        match of {
            DataType::List(item) => Self::List(Box::new(Element::new(item))),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    Self::Map(Box::new(Element::new(&fields[1])))
                }
                _ => Self::Scalar,
            },
            _ => Self::Scalar,
        }
    }
}

impl Element {
    fn new(field: &FieldRef) -> Self {
        match field.data_type() {
            DataType::Struct(fields) => Self::Row(Fields::new(fields)),
            other => Self::Other(Shape::new(other)),
        }
    }
}

/// A record that was walked.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) data: &'a [u8],
    pub(super) tokens: &'a [Token],
}

impl Row<'_> {
    fn token(&self, slot: usize) -> Token {
        self.tokens.get(slot).copied().unwrap_or(Token::MISSING)
    }
}

/// A value that a column does not take, as an error at a place in the record.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) message: String,
}

impl From<Broken> for Problem {
    fn from(broken: Broken) -> Self {
        Self { at: broken.at, message: broken.what.to_owned() }
    }
}

/// What conversions need besides the value.
pub(super) struct Converter {
    pub(super) options: JsonOptions,
    scratch: Vec<u8>,
}

impl Converter {
    pub(super) fn new(options: JsonOptions) -> Self {
        Self { options, scratch: Vec::new() }
    }

    /// Appends the value to the column. With `ignore-parse-errors` a value that the column does
    /// not take becomes NULL.
    #[inline]
    pub(super) fn push(
        &mut self,
        column: &mut Column,
        shape: &Shape,
        row: Row<'_>,
        slot: usize,
    ) -> Result<(), Problem> {
        let (data, token) = (row.data, row.token(slot));
        // What most rows consist of.
        if token.kind == Kind::Number
            && let Data::Int64(values) = &mut column.data
            && let Some(value) = number::unsigned16(data, token.start, token.end)
        {
            // 16 digits are fewer than i64::MAX has.
            values.push(value.cast_signed());
            column.nulls.append_non_null();
            return Ok(());
        }
        self.push_any(column, shape, row, token)
    }

    fn push_any(
        &mut self,
        column: &mut Column,
        shape: &Shape,
        row: Row<'_>,
        token: Token,
    ) -> Result<(), Problem> {
        let rows = column.len();
        let converted = self.convert(column, shape, row, token);
        self.or_null(column, rows, converted)
    }

    /// With `ignore-parse-errors` a value that a column of so many rows did not take becomes NULL.
    fn or_null(
        &self,
        column: &mut Column,
        rows: usize,
        converted: Result<(), Problem>,
    ) -> Result<(), Problem> {
        match converted {
            Err(problem) if self.options.ignore_parse_errors => {
                column.truncate(rows);
                column.push_null().map_err(|_| problem)
            }
            converted => converted,
        }
    }

    fn convert(
        &mut self,
        column: &mut Column,
        shape: &Shape,
        row: Row<'_>,
        token: Token,
    ) -> Result<(), Problem> {
        let text = &row.data[token.start..token.end];
        let format = self.options.timestamp_format;
        let pushed = match token.kind {
            Kind::Missing if self.options.fail_on_missing_field => {
                return Err(Problem {
                    at: token.start,
                    message: format!(
                        "there is no field `{}`, and 'json.fail-on-missing-field' is true",
                        column.field.name()
                    ),
                });
            }
            Kind::Missing | Kind::Null => column.push_null(),
            Kind::Text => column.push_text(text, format),
            Kind::Escaped => {
                self.scratch.clear();
                scan::unescape(text, &mut self.scratch);
                column.push_text(&self.scratch, format)
            }
            Kind::Number => push_number(column, text),
            Kind::True | Kind::False => match &mut column.data {
                Data::Boolean(_) | Data::Text(_) | Data::TextView(_) => {
                    column.push_text(text, format)
                }
                _ => Err(Refused::Type),
            },
            Kind::Object | Kind::Array => match &mut column.data {
                Data::Text(_) | Data::TextView(_) => {
                    self.scratch.clear();
                    compact(text, &mut self.scratch);
                    column.push_text(&self.scratch, format)
                }
                _ => return self.nested(column, shape, row, token),
            },
        };
        pushed.map_err(|why| {
            let mut message = column.refusal(why, text, format);
            message.push_str(hint(column, token.kind, text, why, format));
            Problem { at: token.start, message }
        })
    }

    /// An element of a list or a map that begins at `token.start` of `text`.
    fn push_element(
        &mut self,
        column: &mut Column,
        element: &Element,
        text: &[u8],
        token: Token,
    ) -> Result<(), Problem> {
        let shape = match element {
            Element::Other(shape) => shape,
            Element::Row(_) if token.kind != Kind::Object => &Shape::Scalar,
            Element::Row(fields) => {
                let inside = |problem: Problem| Problem { at: problem.at + token.start, ..problem };
                let data = &text[token.start..token.end];
                let mut tokens = vec![Token::MISSING; fields.slots];
                scan::object(data, &fields.names, &mut tokens, None)
                    .map_err(|broken| inside(broken.into()))?;
                let row = Row { data, tokens: &tokens };
                let rows = column.len();
                let pushed = self.push_object(column, &fields.fields, row, token);
                return self.or_null(column, rows, pushed.map_err(inside));
            }
        };
        self.push_any(column, shape, Row { data: text, tokens: &[] }, token)
    }

    /// The fields of an object that was walked; `token` is where it stands for whoever names it.
    fn push_object(
        &mut self,
        column: &mut Column,
        fields: &[Field],
        row: Row<'_>,
        token: Token,
    ) -> Result<(), Problem> {
        let Data::Row(children, _) = &mut column.data else {
            let message = column.refusal(Refused::Type, b"{}", self.options.timestamp_format);
            return Err(Problem { at: token.start, message });
        };
        for (child, field) in children.iter_mut().zip(fields) {
            self.push(child, &field.shape, row, field.slot).map_err(|problem| {
                // A field that is not there has no place but its object's.
                let is_missing = row.token(field.slot).kind == Kind::Missing;
                Problem { at: if is_missing { token.start } else { problem.at }, ..problem }
            })?;
        }
        column.nulls.append_non_null();
        Ok(())
    }

    fn nested(
        &mut self,
        column: &mut Column,
        shape: &Shape,
        row: Row<'_>,
        token: Token,
    ) -> Result<(), Problem> {
        if let (Data::Row(..), Shape::Row(fields), Kind::Object) = (&column.data, shape, token.kind)
        {
            return self.push_object(column, fields, row, token);
        }
        let text = &row.data[token.start..token.end];
        let inside = |problem: Problem| Problem { at: problem.at + token.start, ..problem };
        match (&mut column.data, shape, token.kind) {
            (Data::List(_, child), Shape::List(element), Kind::Array) => {
                scan::elements(text, |token| {
                    self.push_element(child, element, text, token)?;
                    has_room(child, token)
                })
                .map_err(inside)?;
                close(column, token, text)
            }
            (Data::Map(_, keys, values, _), Shape::Map(element), Kind::Object) => {
                // The last of duplicate keys wins, as everywhere.
                let mut pairs: Vec<(Vec<u8>, Token)> = Vec::new();
                scan::members(text, |name, value| {
                    let mut key = Vec::new();
                    scan::unescape(&text[name.start..name.end], &mut key);
                    match pairs.iter_mut().find(|(known, _)| *known == key) {
                        Some(pair) => pair.1 = value,
                        None => pairs.push((key, value)),
                    }
                    Ok::<_, Problem>(())
                })
                .map_err(inside)?;
                let format = self.options.timestamp_format;
                for (key, value) in pairs {
                    keys.push_text(&key, format).map_err(|why| {
                        inside(Problem { at: 0, message: keys.refusal(why, &key, format) })
                    })?;
                    self.push_element(values, element, text, value).map_err(inside)?;
                    has_room(values, value).map_err(inside)?;
                }
                close(column, token, text)
            }
            _ => {
                let format = self.options.timestamp_format;
                Err(Problem {
                    at: token.start,
                    message: column.refusal(Refused::Type, text, format),
                })
            }
        }
    }
}

/// The way out of the two mistakes that timestamps invite.
fn hint(
    column: &Column,
    kind: Kind,
    text: &[u8],
    why: Refused,
    format: TimestampFormat,
) -> &'static str {
    if why != Refused::Type || !matches!(column.data, Data::Timestamp(..)) {
        return "";
    }
    match (kind, format) {
        (Kind::Number, _) => {
            "; for a number declare the column BIGINT and compute TO_TIMESTAMP_LTZ(column, 3)"
        }
        (Kind::Text, TimestampFormat::Sql) if text.contains(&b'T') => {
            "; for a `T` between date and time set 'json.timestamp-format.standard' = 'ISO-8601'"
        }
        _ => "",
    }
}

fn has_room(elements: &Column, newest: Token) -> Result<(), Problem> {
    elements.has_room().map_err(|why| Problem {
        at: newest.start,
        message: elements.refusal(why, b"", Default::default()),
    })
}

fn close(column: &mut Column, token: Token, text: &[u8]) -> Result<(), Problem> {
    column.close_list().map_err(|why| Problem {
        at: token.start,
        message: column.refusal(why, text, Default::default()),
    })
}

/// Appends a JSON number, whose form has been checked.
fn push_number(column: &mut Column, text: &[u8]) -> Result<(), Refused> {
    let whole = !text.iter().any(|b| matches!(b, b'.' | b'e' | b'E'));
    match &mut column.data {
        Data::Int8(_) | Data::Int16(_) if !whole => Err(Refused::Type),
        Data::Int8(_) | Data::Int16(_) | Data::Int32(_) | Data::Int64(_) => {
            let value = if whole {
                number::parse_i64(text)
            } else {
                // Cut towards zero, exactly: rounding to 38 digits first would lose that. The
                // limits are those of the number as it stands.
                let short = matches!(column.data, Data::Int32(_));
                truncated(text, if short { i32::MAX.into() } else { i64::MAX })
            };
            column.push_i64(value.ok_or(Refused::Range)?)
        }
        Data::Date(_) | Data::Time32(..) | Data::Time64(..) | Data::Timestamp(..) => {
            Err(Refused::Type)
        }
        Data::Binary(_) => Err(Refused::Type),
        Data::Decimal(values, precision, scale) => {
            match number::parse_decimal(text, *precision, *scale).ok_or(Refused::Type)? {
                Decimal::Value(value) => {
                    values.push(value);
                    column.nulls.append_non_null();
                    Ok(())
                }
                Decimal::TooLarge => column.push_null().map_err(|_| Refused::Range),
            }
        }
        _ => column.push_text(text, Default::default()),
    }
}

/// The whole part of a number with a fraction or an exponent that is not above `highest`, nor
/// below what answers it on the other side.
fn truncated(text: &[u8], highest: i64) -> Option<i64> {
    let value = number::parse_f64(text)?;
    // Exact for INT. For BIGINT both bounds round to powers of two, of which the upper one is
    // above the range itself.
    let (low, high) = (-(highest as f64) - 1.0, highest as f64);
    let fits = low <= value && (value < high || (value == high && highest < i64::MAX));
    fits.then_some(value.trunc() as i64)
}

/// Appends a container's JSON without white space, its strings in their shortest form.
fn compact(text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    let mut plain = Vec::new();
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'"' => {
                let start = at;
                while let Some(&byte) = text.get(at).filter(|&&byte| byte != b'"') {
                    at += 1 + usize::from(byte == b'\\');
                }
                plain.clear();
                scan::unescape(text.get(start..at).unwrap_or_default(), &mut plain);
                super::encode::quote(&plain, out);
                at += 1;
            }
            _ => out.push(byte),
        }
    }
}
