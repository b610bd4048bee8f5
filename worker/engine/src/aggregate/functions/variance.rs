//! VAR_POP, VAR_SAMP, STDDEV_POP, STDDEV_SAMP. Partial result: the sum of the squares and the
//! sum, each with the number of values.
//!
//! Flink computes `(SUM(x * x) - SUM(x) * SUM(x) / COUNT(x)) / n` in SQL's arithmetic, with
//! `n = COUNT(x)` or `COUNT(x) - 1`, and takes the root of that as a DOUBLE. So integers give
//! integers, of which each step is truncated and may wrap, and a DECIMAL is rounded at each step;
//! this is what is done here, but for FLOAT, which is calculated in 64 bits. The source is
//! Calcite's `AggregateReduceFunctionsRule`, which rewrites the calls.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type, i256};
use weir_state::canonical::from_words;

use super::number::{A_NUMBER, Shape, is_number, rescale};
use super::sums::Sums;
use crate::OperatorError;
use crate::aggregate::{
    Accumulator, Aggregate, AggregateFunction, Export, InputRows, Refusal, ResultType, Retraction,
    malformed,
};

/// One of the four.
#[derive(Debug)]
pub(super) struct Variance {
    name: &'static str,
    synonyms: &'static [&'static str],
    root: bool,
    /// Of a sample: divided by one less than the number of values, NULL of one value.
    sample: bool,
}

pub(super) static VAR_POP: Variance =
    Variance { name: "VAR_POP", synonyms: &[], root: false, sample: false };
pub(super) static VAR_SAMP: Variance =
    Variance { name: "VAR_SAMP", synonyms: &["VARIANCE"], root: false, sample: true };
pub(super) static STDDEV_POP: Variance =
    Variance { name: "STDDEV_POP", synonyms: &[], root: true, sample: false };
pub(super) static STDDEV_SAMP: Variance =
    Variance { name: "STDDEV_SAMP", synonyms: &["STDDEV"], root: true, sample: true };

impl AggregateFunction for Variance {
    fn name(&self) -> &'static str {
        self.name
    }

    fn synonyms(&self) -> &'static [&'static str] {
        self.synonyms
    }

    fn resolve(&self, argument: Option<&DataType>) -> Result<ResultType, Refusal> {
        match argument {
            Some(DataType::Decimal128(_, scale)) => {
                Ok(ResultType::Of(DataType::Decimal128(38, (*scale).max(6))))
            }
            Some(number) if is_number(number) => Ok(ResultType::OfArgument),
            _ => Err(A_NUMBER),
        }
    }

    fn compile(
        &self,
        argument: Option<&DataType>,
        input: InputRows,
    ) -> Result<Arc<dyn Aggregate>, Refusal> {
        let argument = argument.ok_or(A_NUMBER)?;
        let output = self.resolve(Some(argument))?.over(argument);
        let arithmetic = match (argument, &output) {
            (DataType::Decimal128(_, of), DataType::Decimal128(_, scale)) => {
                Arithmetic::Decimal { widened: i32::from(scale - of), scale: i32::from(*scale) }
            }
            (integer, _) if integer.is_integer() => Arithmetic::Integer,
            _ => Arithmetic::Float,
        };
        // As wide as sums are held: the formula narrows them.
        let sums = |of: DataType| {
            Sums::over(&of, Shape::new(ResultType::Of(of.clone()), &of, input, true))
        };
        Ok(Arc::new(Moments {
            squares: sums(arithmetic.type_of_squares())?,
            sums: sums(arithmetic.type_of_sums(argument))?,
            formula: Formula { root: self.root, sample: self.sample, arithmetic, output },
        }))
    }
}

/// How SQL calculates with a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arithmetic {
    Integer,
    Float,
    /// DECIMAL(38, scale), of arguments that are brought to it by so many digits.
    Decimal {
        widened: i32,
        scale: i32,
    },
}

/// A product of DECIMAL(38, scale) by itself has twice the digits, of which those of the integer
/// are kept and at least 6 of the fraction.
fn scale_of_product(scale: i32) -> i32 {
    (2 * scale - 39).max(6)
}

impl Arithmetic {
    fn type_of_sums(self, argument: &DataType) -> DataType {
        match (self, argument) {
            (Self::Integer, _) => DataType::Int64,
            (_, DataType::Decimal128(_, scale)) => DataType::Decimal128(38, *scale),
            _ => DataType::Float64,
        }
    }

    fn type_of_squares(self) -> DataType {
        match self {
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Decimal { scale, .. } => DataType::Decimal128(38, scale_of_product(scale) as i8),
        }
    }

    /// The squares of values.
    fn squares(self, values: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        Ok(match self {
            Self::Integer => {
                let values = cast(values, &DataType::Int64)?;
                let values = values.as_primitive::<Int64Type>();
                Arc::new(values.unary::<_, Int64Type>(|v| v.wrapping_mul(v)))
            }
            Self::Float => {
                let values = cast(values, &DataType::Float64)?;
                let values = values.as_primitive::<Float64Type>();
                Arc::new(values.unary::<_, Float64Type>(|v| v * v))
            }
            Self::Decimal { widened, scale } => {
                let values = values.as_primitive_opt::<Decimal128Type>();
                let values = values.ok_or_else(|| malformed("a variance"))?;
                let squares: Decimal128Array =
                    values.iter().map(|v| product(shifted(v?, widened)?, scale)).collect();
                Arc::new(squares.with_data_type(self.type_of_squares()))
            }
        })
    }
}

/// `value · 10^digits`, unless that has more than 38 digits.
fn shifted(value: i128, digits: i32) -> Option<i128> {
    rescale(i256::from_i128(value), digits, 1).filter(fits)
}

/// The square of a DECIMAL of this scale, as a product of two.
fn product(value: i128, scale: i32) -> Option<i128> {
    let square = i256::from_i128(value).checked_mul(i256::from_i128(value))?;
    rescale(square, scale_of_product(scale) - 2 * scale, 1).filter(fits)
}

fn fits(value: &i128) -> bool {
    value.unsigned_abs() < 10_u128.pow(38)
}

/// From sums to a result.
#[derive(Clone, Debug)]
struct Formula {
    root: bool,
    sample: bool,
    arithmetic: Arithmetic,
    output: DataType,
}

impl Formula {
    /// What is divided by; `None` for 0.
    fn divisor(&self, count: i64) -> Option<i64> {
        let divisor = if self.sample { count - 1 } else { count };
        (divisor > 0).then_some(divisor)
    }

    /// As `T` counts, of which the sums are the low bits.
    fn integer(&self, squares: i64, sum: i64, count: i64) -> Option<i64> {
        let narrow = |value: i64| match self.output {
            DataType::Int8 => i64::from(value as i8),
            DataType::Int16 => i64::from(value as i16),
            DataType::Int32 => i64::from(value as i32),
            _ => value,
        };
        let mean = narrow(narrow(sum).wrapping_mul(narrow(sum))).checked_div(count)?;
        let variance = narrow(squares).wrapping_sub(mean) / self.divisor(count)?;
        if !self.root {
            return Some(narrow(variance));
        }
        let root = (variance as f64).powf(0.5);
        Some(match self.output {
            DataType::Int64 => root as i64,
            _ => narrow(i64::from(root as i32)),
        })
    }

    fn float(&self, squares: f64, sum: f64, count: i64) -> Option<f64> {
        let variance = (squares - sum * sum / count as f64) / self.divisor(count)? as f64;
        Some(if self.root { variance.powf(0.5) } else { variance })
    }

    /// `widened` and `scale` are those of [`Arithmetic::Decimal`].
    fn decimal(
        &self,
        (widened, scale): (i32, i32),
        squares: i128,
        sum: i128,
        count: i64,
    ) -> Option<i128> {
        // The scales of the square and the quotient, and that of a difference of such.
        let (of_square, of_difference) =
            (scale_of_product(scale), (scale_of_product(scale) - 1).max(6));
        let mean = rescale(i256::from_i128(product(shifted(sum, widened)?, scale)?), 0, count)?;
        let difference = i256::from_i128(squares).checked_sub(i256::from_i128(mean))?;
        let difference = rescale(difference, of_difference - of_square, 1).filter(fits)?;
        let variance = rescale(i256::from_i128(difference), 0, self.divisor(count)?)?;
        if self.root {
            // Through text, which is the nearest DOUBLE.
            let variance: f64 = format!("{variance}e-{of_difference}").parse().ok()?;
            return of_double(variance.powf(0.5), scale);
        }
        rescale(i256::from_i128(variance), scale - of_difference, 1).filter(fits)
    }

    fn results(
        &self,
        squares: &ArrayRef,
        sums: &ArrayRef,
        counts: &[i64],
    ) -> Result<ArrayRef, OperatorError> {
        let of = |row: usize| squares.is_valid(row) && sums.is_valid(row);
        let rows = (0..counts.len()).map(|row| of(row).then_some(row));
        Ok(match self.arithmetic {
            Arithmetic::Integer => {
                let (squares, sums) =
                    (squares.as_primitive::<Int64Type>(), sums.as_primitive::<Int64Type>());
                let result =
                    |row: usize| self.integer(squares.value(row), sums.value(row), counts[row]);
                let results: Int64Array = rows.map(|row| result(row?)).collect();
                let words = results.values().iter().map(|&v| v as u64).collect();
                from_words(&self.output, words, results.nulls().cloned())
                    .map_err(OperatorError::internal)?
            }
            Arithmetic::Float => {
                let (squares, sums) =
                    (squares.as_primitive::<Float64Type>(), sums.as_primitive::<Float64Type>());
                let result =
                    |row: usize| self.float(squares.value(row), sums.value(row), counts[row]);
                let results: Float64Array = rows.map(|row| result(row?)).collect();
                cast(&results, &self.output)?
            }
            Arithmetic::Decimal { widened, scale } => {
                let (squares, sums) = (
                    squares.as_primitive::<Decimal128Type>(),
                    sums.as_primitive::<Decimal128Type>(),
                );
                let result = |row: usize| {
                    let (squares, sum) = (squares.value(row), sums.value(row));
                    self.decimal((widened, scale), squares, sum, counts[row])
                };
                let results: Decimal128Array = rows.map(|row| result(row?)).collect();
                Arc::new(results.with_data_type(self.output.clone()))
            }
        })
    }
}

/// A DOUBLE as a DECIMAL of this scale: of the shortest text that says which it is.
fn of_double(value: f64, scale: i32) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    let text = value.abs().to_string();
    let (integer, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits: i128 = format!("{integer}{fraction}").parse().ok()?;
    let shift = scale - fraction.len() as i32;
    let result = rescale(i256::from_i128(digits), shift, 1).filter(fits)?;
    Some(if value < 0.0 { -result } else { result })
}

/// The aggregate: two sums with their counts.
#[derive(Debug)]
struct Moments {
    formula: Formula,
    squares: Arc<dyn Aggregate>,
    sums: Arc<dyn Aggregate>,
}

impl Aggregate for Moments {
    fn output(&self) -> &DataType {
        &self.formula.output
    }

    fn state(&self) -> Vec<Field> {
        let of = |prefix: &str, fields: Vec<Field>| {
            let named = |field: Field| {
                let name = format!("{prefix}{}", field.name());
                field.with_name(name)
            };
            fields.into_iter().map(named).collect::<Vec<_>>()
        };
        [of("squares_", self.squares.state()), of("", self.sums.state())].concat()
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let values = values.ok_or_else(|| malformed("a variance"))?;
        let squares = self.formula.arithmetic.squares(values)?;
        let mut partial = self.squares.partial(Some(&squares), rows)?;
        partial.extend(self.sums.partial(Some(values), rows)?);
        Ok(partial)
    }

    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(Box::new(Accumulated {
            formula: self.formula.clone(),
            squares: self.squares.accumulator()?,
            sums: self.sums.accumulator()?,
        }))
    }
}

#[derive(Debug)]
struct Accumulated {
    formula: Formula,
    squares: Box<dyn Accumulator>,
    sums: Box<dyn Accumulator>,
}

#[derive(Debug)]
struct Frozen(Box<dyn Export>, Box<dyn Export>);

impl Export for Frozen {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok([self.0.export(slots)?, self.1.export(slots)?].concat())
    }
}

impl Export for Accumulated {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok([self.squares.export(slots)?, self.sums.export(slots)?].concat())
    }
}

impl Accumulator for Accumulated {
    fn grow(&mut self, groups: usize) {
        self.squares.grow(groups);
        self.sums.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let (squares, sums) = partial.split_at_checked(2).ok_or_else(|| malformed("a variance"))?;
        self.squares.merge(slots, squares)?;
        self.sums.merge(slots, sums)
    }

    fn reset(&mut self, slots: &[u32]) {
        self.squares.reset(slots);
        self.sums.reset(slots);
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let [_, of_squares, _, counts] =
            self.export(slots)?.try_into().map_err(|_| malformed("a variance"))?;
        let counts = counts.as_primitive::<Int64Type>().values();
        let of_squares = of_squares.as_primitive::<Int64Type>().values();
        let (squares, sums) = (self.squares.finish(slots)?, self.sums.finish(slots)?);
        // A value whose square has too many digits counts nowhere but in the sum.
        let counts: Vec<i64> = counts
            .iter()
            .zip(of_squares)
            .map(|(&count, &squares)| if squares == count { count } else { 0 })
            .collect();
        self.formula.results(&squares, &sums, &counts)
    }

    fn freeze(&mut self, full: bool) -> Box<dyn Export> {
        Box::new(Frozen(self.squares.freeze(full), self.sums.freeze(full)))
    }

    fn bytes(&self) -> usize {
        self.squares.bytes() + self.sums.bytes()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;

    use super::*;
    use crate::aggregate::negated;
    use crate::aggregate::testing::shown;

    const ALL: [&Variance; 4] = [&VAR_POP, &VAR_SAMP, &STDDEV_POP, &STDDEV_SAMP];

    /// The four over these values, in partial results that are merged one by one and of which
    /// the first `taken` are taken out again.
    fn all(values: &ArrayRef, taken: usize) -> Vec<String> {
        let of = |function: &Variance| {
            let aggregate =
                function.compile(Some(values.data_type()), InputRows::Retracted).unwrap();
            let mut accumulator = aggregate.accumulator().unwrap();
            accumulator.grow(1);
            let partial = aggregate.partial(Some(values), values.len()).unwrap();
            accumulator.merge(&vec![0; values.len()], &partial).unwrap();
            let first: Vec<_> = partial.iter().map(|column| column.slice(0, taken)).collect();
            accumulator.merge(&vec![0; taken], &negated(&first).unwrap()).unwrap();
            let stored = accumulator.export(&[0]).unwrap();
            accumulator.reset(&[0]);
            accumulator.merge(&[0], &stored).unwrap();
            let result = accumulator.finish(&[0]).unwrap();
            assert_eq!(result.data_type(), aggregate.output());
            shown(&result).remove(0)
        };
        ALL.map(of).to_vec()
    }

    fn decimals(values: &[i128], precision: u8, scale: i8) -> ArrayRef {
        let array = Decimal128Array::from(values.to_vec());
        Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
    }

    #[test]
    fn numbers_have_the_variance_of_their_own_arithmetic() {
        let doubles: ArrayRef = Arc::new(Float64Array::from(vec![2.0, 4.0, 4.0, 6.0]));
        assert_eq!(
            all(&doubles, 0),
            ["2.0", "2.6666666666666665", "1.4142135623730951", "1.632993161855452"]
        );
        // Integers are truncated at each step: 72 - 256 / 4 = 8, then 8 / 4 and 8 / 3.
        let integers: ArrayRef = Arc::new(Int32Array::from(vec![2, 4, 4, 6]));
        assert_eq!(all(&integers, 0), ["2", "2", "1", "1"]);
        let decimals = decimals(&[200, 400, 400, 600], 10, 2);
        assert_eq!(all(&decimals, 0), ["2.000000", "2.666667", "1.414214", "1.632993"]);
    }

    #[test]
    fn integers_wrap_where_those_of_flink_do() {
        // 50000 · 50000 is -1794967296 in 32 bits.
        let integers: ArrayRef = Arc::new(Int32Array::from(vec![50_000]));
        assert_eq!(all(&integers, 0)[0], "0");
        // The squares add up to 705032704, the square of the sum is 1410065408.
        let integers: ArrayRef = Arc::new(Int32Array::from(vec![50_000, 50_000]));
        assert_eq!(all(&integers, 0)[0], "0");
        let integers: ArrayRef = Arc::new(Int32Array::from(vec![60_000, 0]));
        assert_eq!(all(&integers, 0)[0], "-173741824");
        assert_eq!(all(&integers, 0)[2], "0", "the root of a negative number");
    }

    #[test]
    fn null_is_what_there_are_too_few_values_for() {
        let none: ArrayRef = Arc::new(Float64Array::from(vec![None, None]));
        assert_eq!(all(&none, 0), ["NULL"; 4]);
        let one: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(3.0)]));
        assert_eq!(all(&one, 0), ["0.0", "NULL", "0.0", "NULL"]);
    }

    #[test]
    fn values_are_taken_out_again() {
        let doubles: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(100.0), None, Some(2.0), Some(4.0)]));
        assert_eq!(all(&doubles, 2)[..2], ["1.0", "2.0"]);
        assert_eq!(all(&doubles, 4), ["NULL"; 4]);
        let decimals = decimals(&[7_000, 200, 400], 10, 2);
        assert_eq!(all(&decimals, 1)[..2], ["1.000000", "2.000000"]);
    }

    #[test]
    fn a_decimal_whose_square_has_more_than_38_digits_has_no_variance() {
        let large = decimals(&[10_i128.pow(30), 0], 38, 6);
        assert_eq!(all(&large, 0), ["NULL"; 4]);
        assert_eq!(all(&large, 1)[0], "0.000000");
    }

    #[test]
    fn roots_are_rounded_as_their_text_says() {
        assert_eq!(of_double(1.0000005, 6), Some(1_000_001));
        assert_eq!(of_double(-2.5, 0), Some(-3));
        assert_eq!(of_double(1e21, 2), Some(100_000_000_000_000_000_000_000));
        assert_eq!(of_double(f64::NAN, 6), None);
        assert_eq!(of_double(1e40, 6), None);
    }
}
