//! What `UNNEST` computes, independent of how.

use arrow::datatypes::{DataType, SchemaRef};

use crate::operators::join::spec::Condition;

/// `UNNEST` of a column.
///
/// Output columns, in this order: those of the input that are kept, the element's, and its number
/// from 1 on, an `Int32`. What is of the element is NULL in a row that has none.
#[derive(Clone, Debug)]
pub struct Unnest {
    /// Columns that come in.
    pub input: SchemaRef,
    /// The column whose values have elements.
    pub column: usize,
    /// What these are.
    pub elements: Elements,
    /// Columns of the input that leave.
    pub kept: Vec<usize>,
    /// Names of the columns behind those.
    pub names: Vec<String>,
    /// Whether a row without elements leaves once.
    pub outer: bool,
    /// Which elements count, by the columns that leave.
    pub condition: Option<Condition>,
    /// Whether elements are numbered.
    pub ordinality: bool,
}

/// What values are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Elements {
    /// Elements of an ARRAY; a ROW's fields are columns of their own if `flat`, and a ROW that is
    /// NULL is no element.
    Items {
        /// Whether they are.
        flat: bool,
    },
    /// Keys and values of a MAP.
    Entries,
    /// None but a number of them, an `Int64`: so often the row leaves.
    Times,
    /// Elements of a MULTISET, a map to how often each is there.
    Counted {
        /// As of an ARRAY.
        flat: bool,
    },
}

impl Elements {
    /// The types of an element's columns; `None` where the type has no such elements.
    #[must_use]
    pub fn types(self, of: &DataType) -> Option<Vec<DataType>> {
        let one = |of: &DataType, flat: bool| match of {
            DataType::Struct(fields) if flat => {
                fields.iter().map(|field| field.data_type().clone()).collect()
            }
            other => vec![other.clone()],
        };
        let entry = |of: &DataType| match of {
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => {
                    fields.iter().map(|field| Some(field.data_type().clone())).collect()
                }
                _ => None,
            },
            _ => None,
        };
        match (self, of) {
            (Self::Items { flat }, DataType::List(item)) => Some(one(item.data_type(), flat)),
            (Self::Entries, of) => entry(of),
            (Self::Times, DataType::Int64) => Some(Vec::new()),
            (Self::Counted { flat }, of) => match entry(of)?.as_slice() {
                [key, DataType::Int32] => Some(one(key, flat)),
                _ => None,
            },
            _ => None,
        }
    }
}
