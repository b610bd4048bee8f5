//! Joins of rows with what a table says when it is asked: `FOR SYSTEM_TIME AS OF` processing time.
//!
//! What enters: rows that only come. What leaves, in the order in which they came: each row with
//! every row of its key that the table has at that moment and for which the condition holds; alone
//! where there is none (`LEFT`), or not at all. State: none.
//!
//! What always holds:
//! - Nothing is taken back: a table that says something else later changes nothing of what was given.
//! - A batch is asked for together, each key once. While it is asked for, nothing else passes: no
//!   row, no watermark, no barrier, so that no question is ever part of a snapshot.
//! - A NULL in a key matches nothing, and is not asked for.

mod ask;
mod operator;
mod pairs;
pub mod spec;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use self::operator::LookupJoin;
use self::spec::LookupJoin as Spec;
use crate::operator::OperatorFactory;
use crate::{Context, Operator, OperatorError};

/// The operator.
///
/// # Errors
/// When a column is not there.
pub fn operator(spec: &Spec) -> Result<Arc<dyn OperatorFactory>, OperatorError> {
    let output = output_schema(spec);
    let width = spec.left.fields().len();
    if spec.keys.is_empty() || spec.keys.iter().any(|&key| key >= width) {
        return Err(OperatorError::internal("a lookup is by a column that is not there"));
    }
    let spec = Arc::new(spec.clone());
    Ok(Arc::new(move |cx: &Context| {
        let table = spec.table.open(cx)?;
        let made = LookupJoin::new(Arc::clone(&spec), Arc::clone(&output), table);
        Ok(Box::new(made) as Box<dyn Operator>)
    }))
}

/// What the operator gives out: the left columns, then those of the table.
#[must_use]
pub fn output_schema(spec: &Spec) -> SchemaRef {
    let right = spec.table.schema();
    let fields = spec.left.fields().iter().chain(right.fields());
    let fields: Vec<Field> =
        fields.map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect();
    Arc::new(Schema::new(fields))
}
