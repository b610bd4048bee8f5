//! An aggregate call, compiled: which columns it reads and which rows count.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::{not, nullif, prep_null_mask_filter};
use arrow::datatypes::{DataType, Field, Schema};

use super::bag::Bag;
use super::distinct::Distinct;
use super::{Aggregate, Function, InputRows, functions};
use crate::OperatorError;

/// One aggregate of the SELECT list. Arguments are columns: expressions were computed before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AggregateCall {
    /// The function.
    pub function: Function,
    /// The argument's column; `None` for `COUNT(*)`.
    pub input: Option<usize>,
    /// A BOOLEAN column: only rows where it is TRUE count.
    pub filter: Option<usize>,
    /// `DISTINCT`: each value once per group.
    pub distinct: bool,
    /// Name of the result column, and the stable name under which its state is kept.
    pub name: String,
}

/// An aggregate call with its types resolved.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    input: Option<usize>,
    filter: Option<usize>,
    /// Type of the argument.
    value_type: Option<DataType>,
    aggregate: Arc<dyn Aggregate>,
    /// Whether each value counts once, which the aggregate does not see to.
    distinct: bool,
    counts_rows: bool,
    name: String,
}

impl Call {
    /// The call over columns of `schema`.
    pub(crate) fn new(
        call: &AggregateCall,
        schema: &Schema,
        input: InputRows,
    ) -> Result<Self, OperatorError> {
        let column = |index: usize| {
            schema.fields().get(index).map(|f| f.data_type().clone()).ok_or_else(|| {
                OperatorError::internal(format!(
                    "{} reads column {index}, which is not there",
                    call.name
                ))
            })
        };
        let value_type = call.input.map(column).transpose()?;
        if call.filter.map(column).transpose()?.is_some_and(|t| t != DataType::Boolean) {
            return Err(OperatorError::internal(format!(
                "the filter of {} is no BOOLEAN",
                call.name
            )));
        }
        let aggregate = call.function.compile(value_type.as_ref(), input).map_err(|refusal| {
            let argument = value_type.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string);
            let name = call.function.name();
            OperatorError::user(format!("there is no {name}({argument}): {refusal}"))
        })?;
        if call.distinct && call.input.is_none() {
            return Err(OperatorError::user("COUNT(DISTINCT *) needs a column to count"));
        }
        let every_row = call.input.is_none() && call.filter.is_none();
        Ok(Self {
            input: call.input,
            filter: call.filter,
            value_type,
            distinct: call.distinct && aggregate.counts_duplicates(),
            aggregate,
            counts_rows: call.function == functions::COUNT && every_row,
            name: call.name.clone(),
        })
    }

    /// The call with DISTINCT as part of the aggregate and its state.
    pub(crate) fn with_own_sets(self) -> Self {
        match (self.distinct, self.value_type) {
            (true, Some(value_type)) => {
                let own = Distinct { inner: self.aggregate, value_type: value_type.clone() };
                Self {
                    value_type: Some(value_type),
                    aggregate: Arc::new(own),
                    distinct: false,
                    ..self
                }
            }
            (_, value_type) => Self { value_type, ..self },
        }
    }

    /// The call with all of its values as part of the aggregate and its state, where it cannot take
    /// one out otherwise.
    pub(crate) fn with_own_values(self) -> Result<Self, OperatorError> {
        match (&self.value_type, self.distinct || self.aggregate.retraction().needs_values()) {
            (Some(value_type), true) => {
                let own = Bag::new(Arc::clone(&self.aggregate), value_type)?;
                Ok(Self { aggregate: Arc::new(own), distinct: false, ..self })
            }
            _ => Ok(self),
        }
    }

    /// Whether its partial result is the number of rows, whatever is in them.
    pub(crate) fn counts_rows(&self) -> bool {
        self.counts_rows
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether each value counts once, which the aggregate does not see to.
    pub(crate) fn is_distinct(&self) -> bool {
        self.distinct
    }

    /// Type of the argument; `None` for `*`.
    pub(crate) fn value_type(&self) -> Option<&DataType> {
        self.value_type.as_ref()
    }

    pub(crate) fn aggregate(&self) -> &dyn Aggregate {
        self.aggregate.as_ref()
    }

    /// The columns of partial results, named as no other call's.
    pub(crate) fn state(&self) -> Vec<Field> {
        let named = |field: Field| {
            let name = format!("{}${}", self.name, field.name());
            field.with_name(name)
        };
        self.aggregate.state().into_iter().map(named).collect()
    }

    /// The arguments of these rows, NULL where the filter leaves one out; `None` if every row
    /// counts.
    pub(crate) fn argument(
        &self,
        records: &RecordBatch,
    ) -> Result<Option<ArrayRef>, OperatorError> {
        let wanted = self.filter.map(|f| {
            let mask = records.column(f).as_boolean();
            if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() }
        });
        Ok(match (self.input.map(|input| records.column(input)), wanted) {
            (None, None) => None,
            (None, Some(mask)) => {
                let wanted = mask.values().clone();
                Some(Arc::new(BooleanArray::new(wanted.clone(), Some(NullBuffer::new(wanted)))))
            }
            (Some(column), None) => Some(Arc::clone(column)),
            (Some(column), Some(mask)) => Some(nullif(column, &not(&mask)?)?),
        })
    }

    /// Each row's partial result.
    pub(crate) fn partial(&self, records: &RecordBatch) -> Result<Vec<ArrayRef>, OperatorError> {
        self.aggregate.partial(self.argument(records)?.as_ref(), records.num_rows())
    }
}
