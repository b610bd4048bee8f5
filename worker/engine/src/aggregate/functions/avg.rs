//! AVG. Partial result: see [`Sums`]; always with the number of values.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::number::{A_NUMBER, Shape, is_number};
use super::sums::Sums;
use crate::aggregate::{Aggregate, AggregateFunction, InputRows, Refusal, ResultType};

/// `AVG(x)`: of integers the integer quotient truncated towards zero, in the input's type; of
/// DECIMAL(p, s) the type Flink derives; of FLOAT and DOUBLE the quotient.
#[derive(Debug)]
pub(super) struct Avg;

impl AggregateFunction for Avg {
    fn name(&self) -> &'static str {
        "AVG"
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
        let output = self.resolve(argument)?;
        let argument = argument.ok_or(A_NUMBER)?;
        let shape = Shape::new(output, argument, input, true);
        Sums::over(argument, Shape { average: true, ..shape })
    }
}
