//! Values of a group with how often each is there, under an aggregate that cannot take one out of its
//! state by itself: MIN and MAX, and what is DISTINCT. Partial result: that of COLLECT.
//!
//! It costs memory for every different value and a pass over them for every result; who can keep
//! values in a table does that instead.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Int64Type};

use super::functions::COLLECT;
use super::{Accumulator, Aggregate, Export, InputRows, Retraction, malformed};
use crate::OperatorError;

/// An aggregate over the values that are there, each once.
#[derive(Debug)]
pub(super) struct Bag {
    /// The aggregate over rows that only come.
    inner: Arc<dyn Aggregate>,
    counts: Arc<dyn Aggregate>,
}

impl Bag {
    pub(super) fn new(
        inner: Arc<dyn Aggregate>,
        value_type: &DataType,
    ) -> Result<Self, OperatorError> {
        let counts = COLLECT.compile(Some(value_type), InputRows::Retracted);
        let counts = counts.map_err(|refusal| OperatorError::user(refusal.to_string()))?;
        Ok(Self { inner, counts })
    }
}

impl Aggregate for Bag {
    fn output(&self) -> &DataType {
        self.inner.output()
    }

    fn state(&self) -> Vec<Field> {
        self.counts.state()
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        self.counts.partial(values, rows)
    }

    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    fn negated(&self, partial: &[ArrayRef]) -> Result<Vec<ArrayRef>, OperatorError> {
        self.counts.negated(partial)
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        let inner = Arc::clone(&self.inner);
        Ok(Box::new(Bags { inner, counts: self.counts.accumulator()? }))
    }
}

#[derive(Debug)]
struct Bags {
    inner: Arc<dyn Aggregate>,
    counts: Box<dyn Accumulator>,
}

impl Export for Bags {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        self.counts.export(slots)
    }
}

impl Accumulator for Bags {
    fn grow(&mut self, groups: usize) {
        self.counts.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        self.counts.merge(slots, partial)
    }

    fn reset(&mut self, slots: &[u32]) {
        self.counts.reset(slots);
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let counted = self.counts.export(slots)?;
        let counted = counted.first().and_then(|maps| maps.as_map_opt());
        let counted = counted.ok_or_else(|| malformed("a set of values"))?;
        let counts = counted.values().as_primitive_opt::<Int64Type>();
        let counts = counts.ok_or_else(|| malformed("a set of values"))?;
        let offsets = counted.value_offsets();
        let (mut owners, mut rows) = (Vec::new(), Vec::new());
        for group in 0..counted.len() {
            for at in offsets[group]..offsets[group + 1] {
                if counts.value(at as usize) > 0 {
                    owners.push(group as u32);
                    rows.push(at as u32);
                }
            }
        }
        let values = take(counted.keys(), &UInt32Array::from(rows), None)?;
        let mut accumulator = self.inner.accumulator()?;
        accumulator.grow(slots.len());
        accumulator.merge(&owners, &self.inner.partial(Some(&values), values.len())?)?;
        accumulator.finish(&(0..slots.len() as u32).collect::<Vec<_>>())
    }

    fn freeze(&mut self, full: bool) -> Box<dyn Export> {
        self.counts.freeze(full)
    }

    fn bytes(&self) -> usize {
        self.counts.bytes()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;
    use crate::aggregate::functions::{MAX, SUM};
    use crate::aggregate::testing::shown;

    #[test]
    fn a_value_goes_when_it_went_as_often_as_it_came() {
        let values = |of: &[i64]| -> ArrayRef { Arc::new(Int64Array::from(of.to_vec())) };
        let int = DataType::Int64;
        for (function, wanted) in [(MAX, ["7", "7", "2", "NULL"]), (SUM, ["9", "9", "2", "NULL"])] {
            let inner = function.compile(Some(&int), InputRows::Appended).unwrap();
            let bag = Bag::new(inner, &int).unwrap();
            let mut bags = bag.accumulator().unwrap();
            bags.grow(1);
            bags.merge(&[0; 3], &bag.partial(Some(&values(&[7, 2, 7])), 3).unwrap()).unwrap();
            let mut shows = vec![shown(&bags.finish(&[0]).unwrap()).remove(0)];
            for gone in [7, 7, 2] {
                let partial = bag.partial(Some(&values(&[gone])), 1).unwrap();
                bags.merge(&[0], &bag.negated(&partial).unwrap()).unwrap();
                let stored = bags.export(&[0]).unwrap();
                bags.reset(&[0]);
                bags.merge(&[0], &stored).unwrap();
                shows.push(shown(&bags.finish(&[0]).unwrap()).remove(0));
            }
            assert_eq!(shows, wanted);
        }
    }
}
