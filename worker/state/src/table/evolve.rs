//! Reading rows of an older schema: by name, with defaults, widened.

use arrow::datatypes::DataType;

use super::type_text::to_text;
use super::{CellKind, Expiry, Field, Order, Scalar, TableSpec};
use crate::canonical::{Shape, parts};
use crate::sorted::Value;

/// Where a column of the new schema comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum Source {
    /// The column at this position of the old one. Widening needs no work: numbers are stored
    /// as the widest of their kind ([`Value::Word`]).
    Stored(usize),
    /// It was not there: this, or NULL.
    Default(Option<Scalar>),
}

/// How rows of an older schema are read.
#[derive(Clone, PartialEq, Debug)]
pub struct Evolution {
    /// A source per column of the new schema.
    pub sources: Vec<Source>,
    /// Names of columns that are no longer there; whoever restores must agree to lose them.
    pub dropped: Vec<String>,
}

/// Changes that no stored row survives.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the state of table {table} cannot be taken over: {}; give the operator a new identity to start it without state",
    refused.join("; ")
)]
pub struct EvolveError {
    /// The table's name.
    pub table: String,
    /// Every change that is refused, by column.
    pub refused: Vec<String>,
}

/// How rows that were stored under `old` are read under `new`: a column may be added with a
/// default or nullable, dropped, widened, made nullable; key, order and what their encoding
/// depends on must stay.
///
/// # Errors
/// Names every other change.
pub fn evolve(old: &TableSpec, new: &TableSpec) -> Result<Evolution, EvolveError> {
    let mut refused = Vec::new();
    if !same_types(old.key.iter(), new.key.iter()) {
        let (old, new) = (columns(old.key.iter()), columns(new.key.iter()));
        refused.push(format!("its key was ({old}) and is ({new})"));
    }
    refused.extend(order_change(old, new));
    refused.extend(expiry_change(old, new));
    let mut sources = Vec::with_capacity(new.columns.len());
    for field in &new.columns {
        match old.column(&field.name) {
            Some(at) => {
                refused.extend(column_change(&old.columns[at], field));
                sources.push(Source::Stored(at));
            }
            None => {
                if field.default.is_none() && !field.nullable {
                    refused.push(format!(
                        "column {} is new and cannot be NULL, so that it needs a default",
                        field.name
                    ));
                }
                sources.push(Source::Default(field.default.clone()));
            }
        }
    }
    if !refused.is_empty() {
        return Err(EvolveError { table: new.name.clone(), refused });
    }
    let dropped = old.columns.iter().map(|field| &field.name);
    let dropped = dropped.filter(|name| new.column(name).is_none()).cloned().collect();
    Ok(Evolution { sources, dropped })
}

impl Evolution {
    /// The values of a row under the new schema.
    pub(crate) fn values<'a>(
        &'a self,
        stored: impl Fn(usize) -> Value<'a>,
    ) -> impl Iterator<Item = Value<'a>> {
        (0..self.sources.len()).map(move |column| self.value(column, &stored))
    }

    /// One of them.
    pub(crate) fn value<'a>(
        &'a self,
        column: usize,
        stored: impl Fn(usize) -> Value<'a>,
    ) -> Value<'a> {
        match &self.sources[column] {
            Source::Stored(at) => stored(*at),
            Source::Default(None) => Value::Null,
            Source::Default(Some(scalar)) => scalar.value(),
        }
    }
}

impl Scalar {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Integer(value) => Value::Word(*value as u64),
            Self::Double(value) => Value::Word(value.to_bits()),
            Self::Decimal(value) => Value::Wide(*value),
            Self::Text(text) => Value::Bytes(text.as_bytes()),
        }
    }
}

fn columns<'a>(fields: impl Iterator<Item = &'a Field>) -> String {
    let columns = fields.map(|field| format!("{} {}", field.name, to_text(&field.data_type)));
    columns.collect::<Vec<_>>().join(", ")
}

/// Whether the encodings are the same; names of keys and order columns are not stored with rows.
fn same_types<'a>(
    old: impl Iterator<Item = &'a Field>,
    new: impl Iterator<Item = &'a Field>,
) -> bool {
    old.map(|field| Kin::of(&field.data_type)).eq(new.map(|field| Kin::of(&field.data_type)))
}

fn order_change(old: &TableSpec, new: &TableSpec) -> Option<String> {
    let same = match (&old.order, &new.order) {
        (Order::None, Order::None) | (Order::Due, Order::Due) => true,
        (Order::By(was), Order::By(is)) => {
            let encoding = |o: &super::OrderField| (o.field.nullable, o.descending, o.nulls_first);
            same_types(was.iter().map(|o| &o.field), is.iter().map(|o| &o.field))
                && was.iter().map(encoding).eq(is.iter().map(encoding))
        }
        _ => false,
    };
    (!same).then(|| {
        let text = |spec: &TableSpec| {
            let fields = spec.order_fields().iter().map(|order| {
                let text = columns(std::iter::once(&order.field));
                let direction = if order.descending { " DESC" } else { "" };
                let nulls = match (order.field.nullable, order.nulls_first) {
                    (false, _) => "",
                    (true, true) => " NULLS FIRST",
                    (true, false) => " NULLS LAST",
                };
                format!("{text}{direction}{nulls}")
            });
            fields.collect::<Vec<_>>().join(", ")
        };
        format!("its order was ({}) and is ({})", text(old), text(new))
    })
}

fn expiry_change(old: &TableSpec, new: &TableSpec) -> Option<String> {
    match (old.expiry, new.expiry) {
        (Expiry::Ttl(was), Expiry::Ttl(is)) if is > was => Some(format!(
            "its rows lived {was} seconds and are to live {is}: of those that expired meanwhile some would come back"
        )),
        (Expiry::Never | Expiry::ByOrder, Expiry::Ttl(_)) => {
            Some("its rows are to expire, but nothing says when they were written".to_owned())
        }
        // A bound may have passed rows that segments still hold.
        (Expiry::ByOrder, Expiry::Never) => {
            Some("its rows expired by order and are no longer to: some would come back".to_owned())
        }
        (Expiry::Ttl(_), Expiry::Never | Expiry::ByOrder) => Some(
            "its rows had a time to live and are to have none: some that expired would come back"
                .to_owned(),
        ),
        _ => None,
    }
}

fn column_change(old: &Field, new: &Field) -> Option<String> {
    let (was, is) = (to_text(&old.data_type), to_text(&new.data_type));
    if !widens(&old.data_type, &new.data_type) {
        Some(format!("column {} was {was} and is {is}", new.name))
    } else if old.nullable && !new.nullable {
        Some(format!("column {} could be NULL and no longer can", new.name))
    } else {
        None
    }
}

/// Types whose values are stored alike.
#[derive(PartialEq)]
enum Kin {
    Text,
    Binary,
    Timestamp(arrow::datatypes::TimeUnit),
    Decimal(i8),
    /// The tag of its values, and what they are made of.
    Nested(u8, Vec<Kin>),
    Other(DataType),
}

impl Kin {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Binary,
            DataType::Timestamp(unit, _) => Self::Timestamp(*unit),
            DataType::Decimal128(_, scale) => Self::Decimal(*scale),
            other => match Shape::of(other) {
                Ok(Shape::Nested { tag }) => {
                    Self::Nested(tag, parts(other).into_iter().map(Self::of).collect())
                }
                _ => Self::Other(other.clone()),
            },
        }
    }
}

fn widens(old: &DataType, new: &DataType) -> bool {
    use DataType::{
        Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64,
    };
    let rank = |data_type: &DataType| match data_type {
        Int8 => Some((false, 1)),
        Int16 => Some((false, 2)),
        Int32 => Some((false, 3)),
        Int64 => Some((false, 4)),
        UInt8 => Some((true, 1)),
        UInt16 => Some((true, 2)),
        UInt32 => Some((true, 3)),
        UInt64 => Some((true, 4)),
        _ => None,
    };
    match (old, new) {
        (Decimal128(was, old_scale), Decimal128(is, new_scale)) => {
            old_scale == new_scale && was <= is
        }
        (Float32, Float64) => true,
        _ => match (rank(old), rank(new)) {
            (Some((old_sign, was)), Some((new_sign, is))) => {
                was <= is && old_sign == new_sign || old_sign && !new_sign && was < is
            }
            _ => CellKind::of(old) == CellKind::of(new) && Kin::of(old) == Kin::of(new),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::OrderField;

    fn spec(columns: Vec<Field>) -> TableSpec {
        let key = vec![Field::new("k", DataType::Int64, false)];
        let order = vec![OrderField::ascending("t", DataType::Int64)];
        TableSpec::ordered("rows", key, order, columns)
    }

    #[test]
    fn columns_may_come_go_widen_and_become_nullable() {
        let old = spec(vec![
            Field::new("a", DataType::Int32, false),
            Field::new("b", DataType::Utf8, false),
            Field::new("c", DataType::Float32, false),
        ]);
        let new = spec(vec![
            Field::new("c", DataType::Float64, true),
            Field::new("n", DataType::Int64, true),
            Field::new("a", DataType::Int64, false),
            Field::new("d", DataType::Int64, false).with_default(Scalar::Integer(7)),
        ]);
        let evolution = evolve(&old, &new).unwrap();
        assert_eq!(
            evolution.sources,
            [
                Source::Stored(2),
                Source::Default(None),
                Source::Stored(0),
                Source::Default(Some(Scalar::Integer(7)))
            ]
        );
        assert_eq!(evolution.dropped, ["b"]);
    }

    #[test]
    fn every_other_change_is_refused_by_name() {
        let old = spec(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Utf8, false),
        ])
        .with_expiry(Expiry::Ttl(10));
        let mut new = spec(vec![
            Field::new("a", DataType::Int32, true),
            Field::new("b", DataType::Binary, false),
            Field::new("n", DataType::Int64, false),
        ])
        .with_expiry(Expiry::Ttl(11));
        new.key[0].data_type = DataType::Utf8;
        if let Order::By(fields) = &mut new.order {
            fields[0].descending = true;
        }
        let refused = evolve(&old, &new).unwrap_err().refused.join("\n");
        expect_test::expect![[r#"
            its key was (k int64) and is (k utf8)
            its order was (t int64) and is (t int64 DESC)
            its rows lived 10 seconds and are to live 11: of those that expired meanwhile some would come back
            column a was int64 and is int32
            column b was utf8 and is binary
            column n is new and cannot be NULL, so that it needs a default"#]]
        .assert_eq(&refused);
        let nullable = spec(vec![Field::new("a", DataType::Int64, false)]);
        evolve(&old, &nullable.with_expiry(Expiry::Ttl(10))).unwrap_err();
    }
}
