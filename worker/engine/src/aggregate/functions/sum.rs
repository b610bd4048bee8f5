//! SUM. Partial result: see [`Sums`].

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::number::{A_NUMBER, Shape, is_number};
use super::sums::Sums;
use crate::aggregate::{Aggregate, AggregateFunction, InputRows, Refusal, ResultType};

/// `SUM(x)`: integers keep their type (and wrap as Flink does), DECIMAL(p, s) gives
/// DECIMAL(38, s), FLOAT and DOUBLE keep theirs; NULL when there was no value.
#[derive(Debug)]
pub(super) struct Sum;

impl AggregateFunction for Sum {
    fn name(&self) -> &'static str {
        "SUM"
    }

    fn resolve(&self, argument: Option<&DataType>) -> Result<ResultType, Refusal> {
        match argument {
            Some(DataType::Decimal128(_, scale)) => {
                Ok(ResultType::Of(DataType::Decimal128(38, *scale)))
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
        let counted = matches!(argument, DataType::Decimal128(..));
        Sums::over(argument, Shape::new(output, argument, input, counted))
    }
}
