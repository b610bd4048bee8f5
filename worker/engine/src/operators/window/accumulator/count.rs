//! COUNT.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use weir_state::chunked::Chunked;

use super::{Accumulator, Export, malformed};
use crate::OperatorError;

/// Partial result: the count, BIGINT.
#[derive(Default, Debug)]
pub(super) struct Count {
    counts: Chunked<i64>,
}

impl Export for Count {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(vec![self.finish(slots)?])
    }
}

impl Accumulator for Count {
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
