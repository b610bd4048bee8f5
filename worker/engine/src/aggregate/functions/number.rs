//! Kinds of numbers, and how they add up: for SUM and AVG.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, i256};
use weir_state::canonical::{from_words, to_words};

use crate::OperatorError;
use crate::aggregate::{InputRows, Refusal, ResultType, malformed};

/// What is taken.
pub(super) const A_NUMBER: Refusal = Refusal { takes: "a number" };

/// Whether a type is one to calculate with.
pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(data_type, DataType::Float32 | DataType::Float64 | DataType::Decimal128(..))
}

/// What partial results of a kind of number look like, and what follows from a sum.
pub(super) trait Number: Send + Sync + Debug + 'static {
    /// The sum.
    type Sum: Copy + Default + Send + Sync + Debug;

    /// The type of a column of sums.
    fn sum_type(shape: &Shape) -> DataType;
    /// Values as a column of sums.
    fn widen(shape: &Shape, values: &ArrayRef) -> Result<ArrayRef, OperatorError>;
    /// Adds; `false` when the sum cannot be held and the result is NULL for good.
    fn add(sum: &mut Self::Sum, value: Self::Sum) -> bool;
    /// Sums of a partial result.
    fn read(array: &ArrayRef) -> Option<&[Self::Sum]>;
    /// A column of sums, as partial results hold them.
    fn write(shape: &Shape, sums: Vec<Self::Sum>, nulls: Option<NullBuffer>) -> ArrayRef;
    /// The result column from sums and counts; NULL stays NULL.
    fn finish(
        shape: &Shape,
        sums: Vec<(Self::Sum, i64)>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, OperatorError>;
}

/// What is summed up, and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// AVG, not SUM.
    pub(super) average: bool,
    /// Whether partial results carry counts.
    pub(super) counted: bool,
    /// Whether values may be taken out again.
    pub(super) retracted: bool,
    /// Scale of the DECIMAL that is summed.
    pub(super) scale: i8,
    /// The result's type.
    pub(super) output: DataType,
}

impl Shape {
    /// A sum over values of type `argument`. Without being `counted` its partial results do not
    /// carry the number of values, unless rows are retracted: a sum of which all values went is
    /// NULL again.
    pub(super) fn new(
        output: ResultType,
        argument: &DataType,
        input: InputRows,
        counted: bool,
    ) -> Self {
        let retracted = input == InputRows::Retracted;
        let scale = if let DataType::Decimal128(_, scale) = argument { *scale } else { 0 };
        let output = output.over(argument);
        Self { average: false, counted: counted || retracted, retracted, scale, output }
    }
}

/// Integers: summed in 64 bits, wrapping. Taking the low bits of the sum at the end is the same
/// as wrapping in a narrower type all along.
#[derive(Debug)]
pub(super) struct Integer;

impl Number for Integer {
    type Sum = i64;

    fn sum_type(_: &Shape) -> DataType {
        DataType::Int64
    }

    fn widen(_: &Shape, values: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        let words = to_words(values.as_ref()).map_err(OperatorError::internal)?;
        Ok(Arc::new(Int64Array::new(words.inner().clone().into(), values.nulls().cloned())))
    }

    #[inline]
    fn add(sum: &mut i64, value: i64) -> bool {
        *sum = sum.wrapping_add(value);
        true
    }

    fn read(array: &ArrayRef) -> Option<&[i64]> {
        array.as_primitive_opt::<Int64Type>().map(|a| &a.values()[..])
    }

    fn write(_: &Shape, sums: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(Int64Array::new(sums.into(), nulls))
    }

    fn finish(
        shape: &Shape,
        sums: Vec<(i64, i64)>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, OperatorError> {
        let result = |(sum, count): (i64, i64)| if shape.average { sum / count } else { sum };
        let words = sums.into_iter().map(|s| result(s) as u64).collect();
        from_words(&shape.output, words, nulls).map_err(OperatorError::internal)
    }
}

/// FLOAT and DOUBLE: summed in 64 bits. What a retracted NaN or infinity has made of a sum stays, as
/// in Flink.
#[derive(Debug)]
pub(super) struct Float;

impl Number for Float {
    type Sum = f64;

    fn sum_type(_: &Shape) -> DataType {
        DataType::Float64
    }

    fn widen(_: &Shape, values: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        Ok(cast(values, &DataType::Float64)?)
    }

    #[inline]
    fn add(sum: &mut f64, value: f64) -> bool {
        *sum += value;
        true
    }

    fn read(array: &ArrayRef) -> Option<&[f64]> {
        array.as_primitive_opt::<Float64Type>().map(|a| &a.values()[..])
    }

    fn write(_: &Shape, sums: Vec<f64>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(Float64Array::new(sums.into(), nulls))
    }

    fn finish(
        shape: &Shape,
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

    fn sum_type(shape: &Shape) -> DataType {
        DataType::Decimal128(38, shape.scale)
    }

    fn widen(shape: &Shape, values: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        let values = values.as_primitive_opt::<Decimal128Type>().ok_or_else(|| malformed("SUM"))?;
        Ok(Arc::new(values.clone().with_data_type(Self::sum_type(shape))))
    }

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

    fn write(shape: &Shape, sums: Vec<i128>, nulls: Option<NullBuffer>) -> ArrayRef {
        let sums = Decimal128Array::new(sums.into(), nulls);
        Arc::new(sums.with_data_type(Self::sum_type(shape)))
    }

    fn finish(
        shape: &Shape,
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
            rescale(i256::from_i128(sum), i32::from(scale) - i32::from(shape.scale), divisor)
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
pub(super) fn rescale(value: i256, shift: i32, divisor: i64) -> Option<i128> {
    let ten = |n: u32| i256::from_i128(10).checked_pow(n);
    let scaled = if shift >= 0 { value.checked_mul(ten(shift.unsigned_abs())?)? } else { value };
    let mut divisor = i256::from_i128(i128::from(divisor));
    if shift < 0 {
        divisor = divisor.checked_mul(ten(shift.unsigned_abs())?)?;
    }
    let (quotient, rest) = (scaled.checked_div(divisor)?, scaled.checked_rem(divisor)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    let away = i256::from_i128(if value.is_negative() { -1 } else { 1 });
    let rounded = if twice >= divisor { quotient.checked_add(away)? } else { quotient };
    rounded.to_i128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_round_half_away_from_zero() {
        let of = |value, shift, divisor| rescale(i256::from_i128(value), shift, divisor);
        assert_eq!(of(5, 0, 2), Some(3));
        assert_eq!(of(-5, 0, 2), Some(-3));
        assert_eq!(of(1, 2, 3), Some(33));
        assert_eq!(of(2, 2, 3), Some(67));
        assert_eq!(of(149, -2, 1), Some(1));
        assert_eq!(of(150, -2, 1), Some(2));
        assert_eq!(of(i128::MAX, 4, 1), None);
    }
}
