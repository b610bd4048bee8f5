//! SUM and AVG. Partial result: the sum, NULL when there was no value; for AVG and DECIMAL also
//! the number of values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, i256};
use weir_state::canonical::from_words;
use weir_state::chunked::Chunked;

use super::{Accumulator, Export, malformed};
use crate::OperatorError;

/// What the partial results of a kind of number look like, and what follows from a sum.
pub(super) trait Number: Send + 'static {
    /// The sum.
    type Sum: Copy + Default + Send + Sync + std::fmt::Debug;

    /// Adds; `false` when the sum cannot be held and the result is NULL for good.
    fn add(sum: &mut Self::Sum, value: Self::Sum) -> bool;
    /// Sums of a partial result.
    fn read(array: &ArrayRef) -> Option<&[Self::Sum]>;
    /// A column of sums, as partial results hold them.
    fn write(shape: &Finish, sums: Vec<Self::Sum>, nulls: Option<NullBuffer>) -> ArrayRef;
    /// The result column from sums and counts; NULL stays NULL.
    fn finish(
        shape: &Finish,
        sums: Vec<(Self::Sum, i64)>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, OperatorError>;
}

/// What the result is.
#[derive(Clone, Debug)]
pub(super) struct Finish {
    /// AVG, not SUM.
    pub(super) average: bool,
    /// Whether partial results carry counts.
    pub(super) counted: bool,
    /// Scale of the DECIMAL that is summed.
    pub(super) scale: i8,
    /// The result's type.
    pub(super) output: DataType,
}

#[derive(Clone, Copy, Default, Debug)]
struct State<S> {
    sum: S,
    /// Number of values; negative once the sum could not be held.
    count: i64,
}

const OVERFLOWED: i64 = i64::MIN / 2;

#[derive(Debug)]
pub(super) struct Sum<N: Number> {
    shape: Finish,
    states: Chunked<State<N::Sum>>,
}

impl<N: Number + std::fmt::Debug> Sum<N> {
    pub(super) fn new(shape: Finish) -> Self {
        Self { shape, states: Chunked::new() }
    }

    fn valid(&self, slots: &[u32]) -> Option<NullBuffer> {
        let valid: NullBuffer =
            slots.iter().map(|&s| self.states.get(s as usize).count > 0).collect();
        (valid.null_count() > 0).then_some(valid)
    }
}

impl<N: Number + std::fmt::Debug> Export for Sum<N> {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let states = slots.iter().map(|&s| self.states.get(s as usize));
        let sums =
            N::write(&self.shape, states.clone().map(|s| s.sum).collect(), self.valid(slots));
        let mut partial = vec![sums];
        if self.shape.counted {
            let counts: Int64Array = states.map(|s| s.count).collect::<Vec<_>>().into();
            partial.push(Arc::new(counts));
        }
        Ok(partial)
    }
}

impl<N: Number + std::fmt::Debug> Accumulator for Sum<N> {
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
            if !valid && count >= 0 {
                continue;
            }
            let state = self.states.get_mut(slot as usize);
            if state.count < 0 {
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
        N::finish(&self.shape, sums, self.valid(slots))
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self { shape: self.shape.clone(), states: self.states.freeze() })
    }

    fn bytes(&self) -> usize {
        self.states.bytes()
    }
}

/// Integers: summed in 64 bits, wrapping. Taking the low bits of the sum at the end is the same
/// as wrapping in a narrower type all along.
#[derive(Debug)]
pub(super) struct Integer;

impl Number for Integer {
    type Sum = i64;

    #[inline]
    fn add(sum: &mut i64, value: i64) -> bool {
        *sum = sum.wrapping_add(value);
        true
    }

    fn read(array: &ArrayRef) -> Option<&[i64]> {
        array.as_primitive_opt::<Int64Type>().map(|a| &a.values()[..])
    }

    fn write(_: &Finish, sums: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(Int64Array::new(sums.into(), nulls))
    }

    fn finish(
        shape: &Finish,
        sums: Vec<(i64, i64)>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, OperatorError> {
        let result = |(sum, count): (i64, i64)| if shape.average { sum / count } else { sum };
        let words = sums.into_iter().map(|s| result(s) as u64).collect();
        from_words(&shape.output, words, nulls).map_err(OperatorError::internal)
    }
}

/// FLOAT and DOUBLE: summed in 64 bits.
#[derive(Debug)]
pub(super) struct Float;

impl Number for Float {
    type Sum = f64;

    #[inline]
    fn add(sum: &mut f64, value: f64) -> bool {
        *sum += value;
        true
    }

    fn read(array: &ArrayRef) -> Option<&[f64]> {
        array.as_primitive_opt::<Float64Type>().map(|a| &a.values()[..])
    }

    fn write(_: &Finish, sums: Vec<f64>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(Float64Array::new(sums.into(), nulls))
    }

    fn finish(
        shape: &Finish,
        sums: Vec<(f64, i64)>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, OperatorError> {
        let result = |(sum, count): (f64, i64)| {
            if shape.average { sum / count as f64 } else { sum }
        };
        let array = Self::write(shape, sums.into_iter().map(result).collect(), nulls);
        Ok(cast(&array, &shape.output)?)
    }
}

/// DECIMAL: a sum of more than 38 digits is NULL, as in Flink.
#[derive(Debug)]
pub(super) struct Decimal;

impl Number for Decimal {
    type Sum = i128;

    #[inline]
    fn add(sum: &mut i128, value: i128) -> bool {
        match sum.checked_add(value) {
            Some(added) => {
                *sum = added;
                true
            }
            None => false,
        }
    }

    fn read(array: &ArrayRef) -> Option<&[i128]> {
        array.as_primitive_opt::<Decimal128Type>().map(|a| &a.values()[..])
    }

    fn write(shape: &Finish, sums: Vec<i128>, nulls: Option<NullBuffer>) -> ArrayRef {
        let sums = Decimal128Array::new(sums.into(), nulls);
        Arc::new(sums.with_data_type(DataType::Decimal128(38, shape.scale)))
    }

    fn finish(
        shape: &Finish,
        sums: Vec<(i128, i64)>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, OperatorError> {
        let DataType::Decimal128(precision, scale) = shape.output else {
            return Err(OperatorError::internal(
                "a DECIMAL aggregate was planned with another type",
            ));
        };
        let limit = 10_i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
        let result = |(sum, count): (i128, i64)| {
            let divisor = if shape.average { count } else { 1 };
            rescale(sum, i32::from(scale) - i32::from(shape.scale), divisor)
                .filter(|v| v.unsigned_abs() < limit.unsigned_abs())
        };
        let values: Decimal128Array = sums
            .into_iter()
            .enumerate()
            .map(|(row, sum)| {
                nulls.as_ref().is_none_or(|n| n.is_valid(row)).then(|| result(sum)).flatten()
            })
            .collect();
        Ok(Arc::new(values.with_data_type(shape.output.clone())))
    }
}

/// `value · 10^shift / divisor`, ties away from zero; `None` when it does not fit.
fn rescale(value: i128, shift: i32, divisor: i64) -> Option<i128> {
    let ten = |n: u32| i256::from_i128(10).checked_pow(n);
    let scaled = if shift >= 0 {
        i256::from_i128(value).checked_mul(ten(shift.unsigned_abs())?)?
    } else {
        i256::from_i128(value)
    };
    let mut divisor = i256::from_i128(i128::from(divisor));
    if shift < 0 {
        divisor = divisor.checked_mul(ten(shift.unsigned_abs())?)?;
    }
    let (quotient, rest) = (scaled.checked_div(divisor)?, scaled.checked_rem(divisor)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    let away = i256::from_i128(if value < 0 { -1 } else { 1 });
    let rounded = if twice >= divisor { quotient.checked_add(away)? } else { quotient };
    rounded.to_i128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_round_half_away_from_zero() {
        assert_eq!(rescale(5, 0, 2), Some(3));
        assert_eq!(rescale(-5, 0, 2), Some(-3));
        assert_eq!(rescale(1, 2, 3), Some(33));
        assert_eq!(rescale(2, 2, 3), Some(67));
        assert_eq!(rescale(149, -2, 1), Some(1));
        assert_eq!(rescale(150, -2, 1), Some(2));
        assert_eq!(rescale(i128::MAX, 4, 1), None);
    }
}
