//! An aggregate call, compiled: from rows to partial results, and to its accumulator.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, filter, is_not_null, nullif, prep_null_mask_filter};
use arrow::datatypes::{DataType, Decimal128Type, Field, Schema};
use weir_state::canonical::{Shape, to_words};

use super::count::Count;
use super::distinct::{Distinct, list_of};
use super::extreme::{Extreme, Text, Wide, Word};
use super::sum::{Decimal, Finish, Float, Integer, Sum};
use super::{Accumulator, malformed};
use crate::OperatorError;
use crate::operators::window::spec::{AggregateCall, Function};

/// Which accumulator.
#[derive(Clone, Debug)]
enum Kind {
    Count,
    Integer(Finish),
    Float(Finish),
    Decimal(Finish),
    Word { max: bool },
    Wide { max: bool },
    Text { max: bool },
    Distinct(Box<Call>),
}

/// An aggregate call with its types resolved.
#[derive(Clone, Debug)]
pub(in crate::operators::window) struct Call {
    input: Option<usize>,
    filter: Option<usize>,
    /// Type of the argument.
    value_type: Option<DataType>,
    kind: Kind,
    output: DataType,
    name: String,
}

/// `COUNT(*)` of single rows, shared by all batches.
const ONES: usize = 8192;
static ONE_EACH: LazyLock<Int64Array> = LazyLock::new(|| vec![1; ONES].into());

fn ones(rows: usize) -> ArrayRef {
    if rows <= ONES {
        Arc::new(ONE_EACH.slice(0, rows))
    } else {
        Arc::new(Int64Array::from(vec![1; rows]))
    }
}

fn counts(mask: &BooleanArray) -> ArrayRef {
    Arc::new(
        mask.values().iter().map(i64::from).collect::<Vec<_>>().into_iter().collect::<Int64Array>(),
    )
}

impl Call {
    pub(in crate::operators::window) fn new(
        call: &AggregateCall,
        input: &Schema,
    ) -> Result<Self, OperatorError> {
        let column = |index: usize| {
            input.fields().get(index).map(|f| f.data_type().clone()).ok_or_else(|| {
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
        let plain = Self {
            input: call.input,
            filter: call.filter,
            kind: kind(call, value_type.as_ref())?,
            value_type,
            output: call.output.clone(),
            name: call.name.clone(),
        };
        // The least and the greatest of a set are those of its values.
        if !call.distinct || matches!(call.function, Function::Min | Function::Max) {
            return Ok(plain);
        }
        if plain.value_type.is_none() {
            return Err(OperatorError::user("COUNT(DISTINCT *) needs a column to count"));
        }
        let inner = Self { filter: None, ..plain.clone() };
        Ok(Self { kind: Kind::Distinct(Box::new(inner)), ..plain })
    }

    /// Whether its partial result is the number of rows, whatever is in them.
    pub(in crate::operators::window) fn counts_rows(&self) -> bool {
        matches!(self.kind, Kind::Count) && self.input.is_none() && self.filter.is_none()
    }

    pub(in crate::operators::window) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::operators::window) fn output(&self) -> &DataType {
        &self.output
    }

    /// Type of the argument.
    pub(super) fn input_type(&self) -> Result<&DataType, OperatorError> {
        self.value_type.as_ref().ok_or_else(|| malformed(&self.name))
    }

    /// The columns of partial results.
    pub(in crate::operators::window) fn partial_fields(&self) -> Result<Vec<Field>, OperatorError> {
        let field = |suffix: &str, data_type| {
            Field::new(format!("{}${suffix}", self.name), data_type, true)
        };
        let sum = |finish: &Finish, data_type| {
            let mut fields = vec![field("sum", data_type)];
            if finish.counted {
                fields.push(field("count", DataType::Int64));
            }
            fields
        };
        Ok(match &self.kind {
            Kind::Count => vec![field("count", DataType::Int64)],
            Kind::Integer(finish) => sum(finish, DataType::Int64),
            Kind::Float(finish) => sum(finish, DataType::Float64),
            Kind::Decimal(finish) => sum(finish, DataType::Decimal128(38, finish.scale)),
            Kind::Word { max } | Kind::Wide { max } | Kind::Text { max } => {
                vec![field(if *max { "max" } else { "min" }, self.input_type()?.clone())]
            }
            Kind::Distinct(_) => vec![field("values", list_of(self.input_type()?))],
        })
    }

    /// Empty state.
    pub(in crate::operators::window) fn accumulator(
        &self,
    ) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(match &self.kind {
            Kind::Count => Box::new(Count::default()),
            Kind::Integer(finish) => Box::new(Sum::<Integer>::new(finish.clone())),
            Kind::Float(finish) => Box::new(Sum::<Float>::new(finish.clone())),
            Kind::Decimal(finish) => Box::new(Sum::<Decimal>::new(finish.clone())),
            Kind::Word { max } => Box::new(Extreme::<Word>::new(self.input_type()?.clone(), *max)),
            Kind::Wide { max } => Box::new(Extreme::<Wide>::new(self.input_type()?.clone(), *max)),
            Kind::Text { max } => Box::new(Extreme::<Text>::new(self.input_type()?.clone(), *max)),
            Kind::Distinct(inner) => {
                Box::new(Distinct::new(inner.as_ref().clone(), self.input_type()?)?)
            }
        })
    }

    /// Each row's partial result.
    pub(in crate::operators::window) fn partial(
        &self,
        records: &RecordBatch,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let rows = records.num_rows();
        let wanted = self.filter.map(|f| {
            let mask = records.column(f).as_boolean();
            if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() }
        });
        let Some(input) = self.input else {
            return Ok(vec![wanted.map_or_else(|| ones(rows), |mask| counts(&mask))]);
        };
        let column = records.column(input);
        match wanted {
            None => self.partial_of(column, rows),
            Some(mask) => {
                let unwanted = arrow::compute::not(&mask)?;
                self.partial_of(&nullif(column, &unwanted)?, rows)
            }
        }
    }

    /// Each value's partial result.
    pub(super) fn partial_of(
        &self,
        values: &ArrayRef,
        rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let with_counts = |sums: ArrayRef, finish: &Finish| {
            Ok(if finish.counted { vec![sums, present(values, rows)?] } else { vec![sums] })
        };
        match &self.kind {
            Kind::Count => Ok(vec![present(values, rows)?]),
            Kind::Integer(finish) => {
                let words = to_words(values.as_ref()).map_err(OperatorError::internal)?;
                let sums = Int64Array::new(words.inner().clone().into(), values.nulls().cloned());
                with_counts(Arc::new(sums), finish)
            }
            Kind::Float(finish) => with_counts(cast(values, &DataType::Float64)?, finish),
            Kind::Decimal(finish) => {
                let sums = values
                    .as_primitive::<Decimal128Type>()
                    .clone()
                    .with_data_type(DataType::Decimal128(38, finish.scale));
                with_counts(Arc::new(sums), finish)
            }
            Kind::Word { .. } | Kind::Wide { .. } | Kind::Text { .. } => {
                Ok(vec![Arc::clone(values)])
            }
            Kind::Distinct(_) => {
                let lengths = (0..rows).map(|row| usize::from(values.is_valid(row)));
                let offsets = OffsetBuffer::from_lengths(lengths);
                let items = if values.null_count() > 0 {
                    filter(values, &is_not_null(values)?)?
                } else {
                    Arc::clone(values)
                };
                let DataType::List(field) = list_of(values.data_type()) else {
                    return Err(malformed(&self.name));
                };
                Ok(vec![Arc::new(ListArray::try_new(field, offsets, items, None)?)])
            }
        }
    }
}

/// 1 where there is a value.
fn present(values: &ArrayRef, rows: usize) -> Result<ArrayRef, OperatorError> {
    Ok(match values.nulls().map(NullBuffer::null_count) {
        None | Some(0) => ones(rows),
        Some(_) => counts(&is_not_null(values)?),
    })
}

fn kind(call: &AggregateCall, value_type: Option<&DataType>) -> Result<Kind, OperatorError> {
    let refused = || {
        let name = format!("{:?}", call.function).to_uppercase();
        let argument = value_type.map_or_else(|| "*".to_owned(), ToString::to_string);
        OperatorError::user(format!(
            "{name}({argument}) as {}: there is no such aggregate; CAST the argument to a number",
            call.output
        ))
    };
    let average = call.function == Function::Avg;
    match (call.function, value_type) {
        (Function::Count, _) => {
            (call.output == DataType::Int64).then_some(Kind::Count).ok_or_else(refused)
        }
        (Function::Sum | Function::Avg, Some(DataType::Decimal128(_, scale))) => {
            let decimal = matches!(call.output, DataType::Decimal128(..));
            let finish =
                Finish { average, counted: true, scale: *scale, output: call.output.clone() };
            decimal.then_some(Kind::Decimal(finish)).ok_or_else(refused)
        }
        (Function::Sum | Function::Avg, Some(value_type)) => {
            let finish =
                Finish { average, counted: average, scale: 0, output: call.output.clone() };
            if value_type.is_integer() && call.output.is_integer() {
                Ok(Kind::Integer(finish))
            } else if value_type.is_floating() && call.output.is_floating() {
                Ok(Kind::Float(finish))
            } else {
                Err(refused())
            }
        }
        (Function::Min | Function::Max, Some(value_type)) => {
            let max = call.function == Function::Max;
            if *value_type != call.output || *value_type == DataType::Boolean {
                return Err(refused());
            }
            match Shape::of(value_type).map_err(OperatorError::user)? {
                Shape::Word { .. } => Ok(Kind::Word { max }),
                Shape::Wide { .. } => Ok(Kind::Wide { max }),
                Shape::Bytes { .. } => Ok(Kind::Text { max }),
            }
        }
        _ => Err(refused()),
    }
}
