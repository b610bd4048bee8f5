//! COUNT. Partial result: the count, BIGINT.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field, Int64Type};
use weir_state::chunked::Chunked;

use crate::OperatorError;
use crate::aggregate::{
    Accumulator, Aggregate, AggregateFunction, Arguments, Export, InputRows, Refusal, ResultType,
    Retraction, malformed,
};

/// `COUNT(*)` or `COUNT(x)`: BIGINT, never NULL.
#[derive(Debug)]
pub(super) struct Count;

impl AggregateFunction for Count {
    fn name(&self) -> &'static str {
        "COUNT"
    }

    fn arguments(&self) -> Arguments {
        Arguments::OneOrStar
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn resolve(&self, _argument: Option<&DataType>) -> Result<ResultType, Refusal> {
        Ok(ResultType::Of(DataType::Int64))
    }

    fn compile(
        &self,
        _argument: Option<&DataType>,
        _input: InputRows,
    ) -> Result<Arc<dyn Aggregate>, Refusal> {
        Ok(Arc::new(Count))
    }
}

impl Aggregate for Count {
    fn output(&self) -> &DataType {
        &DataType::Int64
    }

    fn state(&self) -> Vec<Field> {
        vec![Field::new("count", DataType::Int64, false)]
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(vec![values.map_or_else(|| ones(rows), present)])
    }

    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(Box::new(Counts::default()))
    }
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

fn counts(mask: &BooleanBuffer) -> ArrayRef {
    Arc::new(Int64Array::from(mask.iter().map(i64::from).collect::<Vec<_>>()))
}

/// 1 where there is a value.
pub(super) fn present(values: &ArrayRef) -> ArrayRef {
    match values.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        None => ones(values.len()),
        Some(nulls) => counts(nulls.inner()),
    }
}

#[derive(Default, Debug)]
struct Counts {
    counts: Chunked<i64>,
}

impl Export for Counts {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(vec![self.finish(slots)?])
    }
}

impl Accumulator for Counts {
    fn grow(&mut self, groups: usize) {
        self.counts.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let [counts] = partial else {
            return Err(malformed("COUNT"));
        };
        let counts = counts.as_primitive_opt::<Int64Type>().ok_or_else(|| malformed("COUNT"))?;
        for (&slot, count) in slots.iter().zip(counts.values()) {
            *self.counts.get_mut(slot as usize) += count;
        }
        Ok(())
    }

    fn reset(&mut self, slots: &[u32]) {
        for &slot in slots {
            *self.counts.get_mut(slot as usize) = 0;
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let counts: Int64Array =
            slots.iter().map(|&s| *self.counts.get(s as usize)).collect::<Vec<_>>().into();
        Ok(Arc::new(counts))
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self { counts: self.counts.freeze() })
    }

    fn bytes(&self) -> usize {
        self.counts.bytes()
    }
}
