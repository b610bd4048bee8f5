//! VAR_POP, VAR_SAMP, STDDEV_POP, STDDEV_SAMP. Partial result: the number of values, their mean and
//! the sum of their squared distances from it, all in 64 bits of floating point.
//!
//! Flink 2.3 computes them by Welford's method (Welford, "Note on a method for calculating corrected
//! sums of squares and products", Technometrics 1962), divides, takes the root and casts to the
//! result's type. A row that comes or goes alone is calculated here step by step as there, so that
//! the last digits are the same too; several at once by the formula of Chan, Golub and LeVeque
//! ("Updating formulae and a pairwise algorithm for computing sample variances", 1979), where a
//! count below zero takes out.
//!
//! Rows that are taken out must have come before: what goes first is not remembered.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type, i256};
use weir_state::canonical::from_words;
use weir_state::chunked::Chunked;

use super::count::present;
use super::number::{A_NUMBER, is_number, rescale};
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
        _input: InputRows,
    ) -> Result<Arc<dyn Aggregate>, Refusal> {
        let output = self.resolve(argument)?.over(argument.ok_or(A_NUMBER)?);
        Ok(Arc::new(Moments { root: self.root, sample: self.sample, output }))
    }
}

/// The aggregate over a type of number.
#[derive(Clone, Debug)]
struct Moments {
    root: bool,
    sample: bool,
    output: DataType,
}

impl Moments {
    fn result(&self, state: &State) -> Option<f64> {
        let divisor = if self.sample { state.count - 1 } else { state.count };
        // Rounding may bring a sum of squares below zero, of which there is no variance.
        if divisor <= 0 || state.squares < 0.0 {
            return None;
        }
        let variance = state.squares / divisor as f64;
        Some(if self.root { variance.powf(0.5) } else { variance })
    }
}

impl Aggregate for Moments {
    fn output(&self) -> &DataType {
        &self.output
    }

    fn state(&self) -> Vec<Field> {
        vec![
            Field::new("count", DataType::Int64, false),
            Field::new("mean", DataType::Float64, true),
            Field::new("squares", DataType::Float64, true),
        ]
    }

    fn partial(
        &self,
        values: Option<&ArrayRef>,
        rows: usize,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let values = values.ok_or_else(|| malformed("a variance"))?;
        let means: ArrayRef = match values.data_type() {
            DataType::Decimal128(_, scale) => {
                let decimals = values.as_primitive::<Decimal128Type>();
                Arc::new(decimals.iter().map(|v| double(v?, *scale)).collect::<Float64Array>())
            }
            _ => cast(values, &DataType::Float64)?,
        };
        Ok(vec![present(values), means, Arc::new(Float64Array::from(vec![0.0; rows]))])
    }

    fn retraction(&self) -> Retraction {
        Retraction::Negated
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>, OperatorError> {
        Ok(Box::new(Accumulated { moments: self.clone(), states: Chunked::new() }))
    }
}

/// A DECIMAL as the nearest DOUBLE, which its text names.
fn double(value: i128, scale: i8) -> Option<f64> {
    format!("{value}e-{scale}").parse().ok()
}

#[derive(Clone, Copy, Default, Debug)]
struct State {
    count: i64,
    mean: f64,
    squares: f64,
}

impl State {
    /// Adds the values of `other`, or takes them out where its count is below zero.
    fn merge(&mut self, other: Self) {
        let count = self.count + other.count;
        if count <= 0 {
            *self = Self::default();
            return;
        }
        if self.count == 0 {
            // To the last bit, so that it does not matter how often a state was stored.
            *self = other;
            return;
        }
        let distance = other.mean - self.mean;
        let share = other.count as f64;
        if other.squares == 0.0 && other.count.abs() == 1 {
            self.mean += share * (distance / count as f64);
            self.squares += share * (distance * (other.mean - self.mean));
        } else {
            self.squares +=
                other.squares + distance * distance * (self.count as f64) * share / count as f64;
            self.mean += distance * share / count as f64;
        }
        self.count = count;
    }
}

#[derive(Debug)]
struct Accumulated {
    moments: Moments,
    states: Chunked<State>,
}

impl Accumulated {
    fn of<'a>(&'a self, slots: &'a [u32]) -> impl Iterator<Item = &'a State> {
        slots.iter().map(|&slot| self.states.get(slot as usize))
    }
}

impl Export for Accumulated {
    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        Ok(vec![
            Arc::new(Int64Array::from_iter_values(self.of(slots).map(|s| s.count))),
            Arc::new(Float64Array::from_iter_values(self.of(slots).map(|s| s.mean))),
            Arc::new(Float64Array::from_iter_values(self.of(slots).map(|s| s.squares))),
        ])
    }
}

impl Accumulator for Accumulated {
    fn grow(&mut self, groups: usize) {
        self.states.grow(groups);
    }

    fn merge(&mut self, slots: &[u32], partial: &[ArrayRef]) -> Result<(), OperatorError> {
        let wrong = || malformed("a variance");
        let [counts, means, squares] = partial else {
            return Err(wrong());
        };
        let counts = counts.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        let means = means.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
        let squares = squares.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
        for (row, &slot) in slots.iter().enumerate() {
            let count = counts.value(row);
            if count == 0 {
                continue;
            }
            // Of what is taken out everything is negated.
            let sign = if count < 0 { -1.0 } else { 1.0 };
            let mean = sign * means.value(row);
            let other = State { count, mean, squares: squares.value(row) };
            self.states.get_mut(slot as usize).merge(other);
        }
        Ok(())
    }

    fn reset(&mut self, slots: &[u32]) {
        for &slot in slots {
            *self.states.get_mut(slot as usize) = State::default();
        }
    }

    fn finish(&self, slots: &[u32]) -> Result<ArrayRef, OperatorError> {
        let results = self.of(slots).map(|state| self.moments.result(state));
        Ok(match &self.moments.output {
            // As Java casts: towards zero, and what is too large is the largest.
            integer if integer.is_integer() => {
                let narrow = |value: f64| match integer {
                    DataType::Int8 => i64::from(value as i32 as i8),
                    DataType::Int16 => i64::from(value as i32 as i16),
                    DataType::Int32 => i64::from(value as i32),
                    _ => value as i64,
                };
                let results: Int64Array = results.map(|result| result.map(narrow)).collect();
                let words = results.values().iter().map(|&v| v as u64).collect();
                from_words(integer, words, results.nulls().cloned())
                    .map_err(OperatorError::internal)?
            }
            decimal @ DataType::Decimal128(_, scale) => {
                let digits = |value: f64| of_double(value, i32::from(*scale));
                let results: Decimal128Array = results.map(|result| digits(result?)).collect();
                Arc::new(results.with_data_type(decimal.clone()))
            }
            float => cast(&results.collect::<Float64Array>(), float)?,
        })
    }

    fn freeze(&mut self, _full: bool) -> Box<dyn Export> {
        Box::new(Self { moments: self.moments.clone(), states: self.states.freeze() })
    }

    fn bytes(&self) -> usize {
        self.states.bytes()
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
    let fits = |value: &i128| value.unsigned_abs() < 10_u128.pow(38);
    let result = rescale(i256::from_i128(digits), shift, 1).filter(fits)?;
    Some(if value < 0.0 { -result } else { result })
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;

    use super::*;
    use crate::aggregate::testing::shown;

    const ALL: [&Variance; 4] = [&VAR_POP, &VAR_SAMP, &STDDEV_POP, &STDDEV_SAMP];

    /// The four over these values, in partial results that are merged one by one and of which
    /// the first `taken` are taken out again; `at_once`: as one partial result.
    fn all(values: &ArrayRef, taken: usize, at_once: bool) -> Vec<String> {
        let of = |function: &Variance| {
            let aggregate =
                function.compile(Some(values.data_type()), InputRows::Retracted).unwrap();
            let mut accumulator = aggregate.accumulator().unwrap();
            accumulator.grow(1);
            let partial = aggregate.partial(Some(values), values.len()).unwrap();
            accumulator.merge(&vec![0; values.len()], &partial).unwrap();
            let mut first: Vec<_> = partial.iter().map(|column| column.slice(0, taken)).collect();
            let mut merged = taken;
            if at_once {
                let mut other = aggregate.accumulator().unwrap();
                other.grow(1);
                other.merge(&vec![0; taken], &first).unwrap();
                first = other.export(&[0]).unwrap();
                merged = 1;
            }
            accumulator.merge(&vec![0; merged], &aggregate.negated(&first).unwrap()).unwrap();
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
    fn every_type_has_its_variance() {
        let doubles: ArrayRef = Arc::new(Float64Array::from(vec![2.0, 4.0, 4.0, 6.0]));
        assert_eq!(
            all(&doubles, 0, false),
            ["2.0", "2.6666666666666665", "1.4142135623730951", "1.632993161855452"]
        );
        let integers: ArrayRef = Arc::new(Int32Array::from(vec![2, 4, 4, 6]));
        assert_eq!(all(&integers, 0, false), ["2", "2", "1", "1"]);
        let decimals = decimals(&[200, 400, 400, 600], 10, 2);
        assert_eq!(all(&decimals, 0, false), ["2.000000", "2.666667", "1.414214", "1.632993"]);
    }

    #[test]
    fn digits_are_those_of_flink() {
        // Flink's answers, to the last digit: the roots of 2/9, 8/9 and 4/3 as it comes to them.
        let of = |values: &[f64]| -> Vec<String> {
            let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
            all(&values, 0, false)
        };
        assert_eq!(of(&[2.0, 2.0, 1.0])[2], "0.4714045207910317");
        assert_eq!(of(&[3.0, 5.0, 3.0])[2], "0.9428090415820634");
        assert_eq!(of(&[3.0, 5.0, 3.0])[3], "1.1547005383792515");
    }

    #[test]
    fn a_state_that_was_stored_is_the_same_to_the_last_bit() {
        let mut state = State::default();
        for value in [0.1, 0.1, 0.2] {
            state.merge(State { count: 1, mean: value, squares: 0.0 });
        }
        let mut restored = State::default();
        restored.merge(state);
        let bits = |state: State| (state.count, state.mean.to_bits(), state.squares.to_bits());
        assert_eq!(bits(restored), bits(state));
    }

    #[test]
    fn null_is_what_there_are_too_few_values_for() {
        let none: ArrayRef = Arc::new(Float64Array::from(vec![None, None]));
        assert_eq!(all(&none, 0, false), ["NULL"; 4]);
        let one: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(3.0)]));
        assert_eq!(all(&one, 0, false), ["0.0", "NULL", "0.0", "NULL"]);
    }

    #[test]
    fn values_are_taken_out_again_one_by_one_or_together() {
        let doubles: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(8.0), None, Some(16.0), Some(2.0), Some(4.0)]));
        for at_once in [false, true] {
            // What is taken out leaves its rounding behind, as in Flink.
            let left = all(&doubles, 3, at_once);
            for (left, exact) in left.iter().zip([1.0_f64, 2.0, 1.0, 2.0_f64.sqrt()]) {
                assert!((left.parse::<f64>().unwrap() - exact).abs() < 1e-12, "{left} for {exact}");
            }
            assert_eq!(all(&doubles, 5, at_once), ["NULL"; 4]);
            let decimals = decimals(&[7_000, 200, 400], 10, 2);
            assert_eq!(all(&decimals, 1, at_once)[..2], ["1.000000", "2.000000"]);
        }
    }

    #[test]
    fn numbers_far_from_zero_keep_their_distances() {
        let far: ArrayRef = Arc::new(Float64Array::from(vec![1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0]));
        assert_eq!(all(&far, 0, false)[1], "1.0");
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
