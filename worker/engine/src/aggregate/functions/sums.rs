//! The aggregate that SUM and AVG share.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int64Type};
use weir_state::chunked::Chunked;

use super::count::present;
use super::number::{A_NUMBER, Decimal, Float, Integer, Number, Shape};
use crate::OperatorError;
use crate::aggregate::{Accumulator, Aggregate, Export, Refusal, Retraction, malformed};

/// SUM or AVG over a kind of number. Partial result: the sum, NULL when there was no value; for
/// AVG and DECIMAL, and where rows are retracted, also the number of values.
#[derive(Debug)]
pub(super) struct Sums<N> {
    shape: Shape,
    number: PhantomData<N>,
}

impl Sums<Integer> {
    /// The aggregate over values of type `argument`.
    pub(super) fn over(argument: &DataType, shape: Shape) -> Result<Arc<dyn Aggregate>, Refusal> {
        Ok(match argument {
            DataType::Decimal128(..) => Arc::new(Sums::<Decimal> { shape, number: PhantomData }),
            DataType::Float32 | DataType::Float64 => {
                Arc::new(Sums::<Float> { shape, number: PhantomData })
            }
            integer if integer.is_integer() => {
                Arc::new(Sums::<Integer> { shape, number: PhantomData })
            }
            _ => return Err(A_NUMBER),
        })
    }
}

impl<N: Number> Aggregate for Sums<N> {
    fn output(&self) -> &DataType {
        &self.shape.output
    }

    fn state(&self) -> Vec<Field> {
        let mut fields = vec![Field::new("sum", N::sum_type(&self.shape), true)];
        if self.shape.counted {
            fields.push(Field::new("count", DataType::Int64, false));
        }
        fields
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        _rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let values = values.ok_or_else(|| malformed("SUM"))?;
        let mut partial = vec![N::widen(&self.shape, values)?];
        if self.shape.counted {
            partial.push(present(values));
        }
        Ok(partial)
    }

    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        let states = Chunked::new();
        Ok(Box::new(Accumulated::<N> { shape: self.shape.clone(), states }))
    }
}

#[derive(Clone, Copy, Default, Debug)]
struct State<S> {
    sum: S,
    /// Number of values, less those of which only the retraction came so far.
    count: i64,
}

/// The count of a sum that could not be held.
const OVERFLOWED: i64 = i64::MIN / 2;

#[derive(Debug)]
struct Accumulated<N: Number> {
    shape: Shape,
    states: Chunked<State<N::Sum>>,
}

impl<N: Number> Accumulated<N> {
    fn nulls(&self, slots: &[u32], valid: impl Fn(i64) -> bool) -> Option<NullBuffer> {
        let valid: NullBuffer =
            slots.iter().map(|&s| valid(self.states.get(s as usize).count)).collect();
        (valid.null_count() > 0).then_some(valid)
    }
}

impl<N: Number> Export for Accumulated<N> {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let states = slots.iter().map(|&s| self.states.get(s as usize));
        // What was taken out before it came must not be lost: then only an overflow is NULL.
        let nulls = if self.shape.retracted {
            self.nulls(slots, |count| count != OVERFLOWED)
        } else {
            self.nulls(slots, |count| count > 0)
        };
        let sums = N::write(&self.shape, states.clone().map(|s| s.sum).collect(), nulls);
        let mut partial = vec![sums];
        if self.shape.counted {
            let counts: Int64Array = states.map(|s| s.count).collect::<Vec<_>>().into();
            partial.push(Arc::new(counts));
        }
        Ok(partial)
    }
}

impl<N: Number> Accumulator for Accumulated<N> {
    fn grow(&mut self, groups: usize) {
        self.states.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let (sums, counts) = match partial {
            [sums] if !self.shape.counted => (sums, None),
            [sums, counts] if self.shape.counted => (
                sums,
                Some(counts.as_primitive_opt::<Int64Type>().ok_or_else(|| malformed("SUM"))?),
            ),
            _ => return Err(malformed("SUM")),
        };
        let values = N::read(sums).ok_or_else(|| malformed("SUM"))?;
        let nulls = sums.nulls().filter(|n| n.null_count() > 0);
        for (row, (&slot, &value)) in slots.iter().zip(values).enumerate() {
            let count = counts.map_or(1, |c| c.value(row));
            let valid = nulls.is_none_or(|n| n.is_valid(row));
            if !valid && count != OVERFLOWED {
                continue;
            }
            let state = self.states.get_mut(slot as usize);
            if state.count == OVERFLOWED {
                continue;
            }
            if valid && N::add(&mut state.sum, value) {
                state.count += count;
            } else {
                *state = State { sum: N::Sum::default(), count: OVERFLOWED };
            }
        }
        Ok(())
    }

    fn reset(&mut self, slots: &[u32]) {
        for &slot in slots {
            *self.states.get_mut(slot as usize) = State::default();
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let sums = slots
            .iter()
            .map(|&s| self.states.get(s as usize))
            // A group without values is NULL; its count only must not divide by zero.
            .map(|s| (s.sum, s.count.max(1)))
            .collect();
        N::finish(&self.shape, sums, self.nulls(slots, |count| count > 0))
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self { shape: self.shape.clone(), states: self.states.freeze() })
    }

    fn bytes(&self) -> usize {
        self.states.bytes()
    }
}
