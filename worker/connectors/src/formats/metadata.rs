//! Metadata columns: what a record says beside its row, or a connector beside a record.

use std::sync::Arc;

use arrow::array::{ArrayRef, make_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use arrow::error::ArrowError;

/// The types that metadata have by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Type {
    /// STRING.
    Text,
    /// TIMESTAMP_LTZ(3).
    Millis,
    /// TIMESTAMP_LTZ(6).
    Micros,
    /// ARRAY<STRING>.
    Texts,
    /// MAP<STRING, STRING>.
    TextByText,
    /// MAP<STRING, INT>.
    IntByText,
    /// MAP<STRING, BYTES>.
    BytesByText,
}

/// A metadata column that is wanted of a format.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The format's name for it.
    pub(crate) key: String,
    /// The column.
    pub(crate) field: FieldRef,
}

impl Type {
    /// As Arrow holds it.
    pub(crate) fn data_type(self) -> DataType {
        let instant = |unit| DataType::Timestamp(unit, Some("UTC".into()));
        match self {
            Self::Text => DataType::Utf8,
            Self::Millis => instant(TimeUnit::Millisecond),
            Self::Micros => instant(TimeUnit::Microsecond),
            Self::Texts => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
            Self::TextByText => by_text(DataType::Utf8),
            Self::IntByText => by_text(DataType::Int32),
            Self::BytesByText => by_text(DataType::Binary),
        }
    }

    /// Its name in SQL.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Text => "STRING",
            Self::Millis => "TIMESTAMP_LTZ(3)",
            Self::Micros => "TIMESTAMP_LTZ(6)",
            Self::Texts => "ARRAY<STRING>",
            Self::TextByText => "MAP<STRING, STRING>",
            Self::IntByText => "MAP<STRING, INT>",
            Self::BytesByText => "MAP<STRING, BYTES>",
        }
    }

    /// Whether a column of that type can hold it: of the same type, or of another one for instants.
    pub(crate) fn fits(self, column: &DataType) -> bool {
        let own = self.data_type();
        own == *column
            || matches!((own, column), (DataType::Timestamp(..), DataType::Timestamp(..)))
    }
}

/// A map whose keys are texts.
fn by_text(of: DataType) -> DataType {
    let pair = vec![Field::new("key", DataType::Utf8, false), Field::new("value", of, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
}

/// Casts a metadata column. Time zones are only labels here: the values are instants on both
/// sides, so they stay as they are, and no time zone's rules are needed.
pub(crate) fn cast_metadata(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    let labelled = |column: &ArrayRef, kind: DataType| {
        let data = column.to_data().into_builder().data_type(kind).build()?;
        Ok::<_, ArrowError>(make_array(data))
    };
    let plain = match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => labelled(column, DataType::Timestamp(*unit, None))?,
        _ => Arc::clone(column),
    };
    match to {
        DataType::Timestamp(unit, Some(_)) => {
            labelled(&cast(&plain, &DataType::Timestamp(*unit, None))?, to.clone())
        }
        _ => cast(&plain, to),
    }
}
