//! The streaming operators, one folder or file each.

pub mod group;
pub mod join;
pub mod window;

#[cfg(test)]
mod testing;

use arrow::array::{Array, ArrayRef};
use arrow::compute::take;

use crate::OperatorError;

/// These rows of each column.
pub(crate) fn take_all(
    columns: &[ArrayRef],
    rows: &dyn Array,
) -> Result<Vec<ArrayRef>, OperatorError> {
    columns.iter().map(|column| Ok(take(column, rows, None)?)).collect()
}
