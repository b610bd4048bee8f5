//! An aggregation without windows, compiled.
//!
//! The state of a group is one row: under `$rows` the number of its rows, where these may go,
//! then the partial results of each aggregate, under its name. The values of groups are in tables
//! of their own, one for each argument and filter that needs them: key, value → under `count` how
//! often the value is there, where it may go.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_state::table::{self, Expiry, OrderField, TableSpec};

use super::spec::GroupAggregate;
use crate::OperatorError;
use crate::aggregate::call::Call;
use crate::aggregate::{InputRows, Pick, Retraction};

/// The compiled aggregation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) keys: Vec<usize>,
    pub(super) calls: Vec<PlannedCall>,
    pub(super) sets: Vec<ValueSet>,
    pub(super) input_rows: InputRows,
    pub(super) update_before: bool,
    pub(super) ttl: Option<u32>,
    pub(super) groups: TableSpec,
    pub(super) output: SchemaRef,
}

/// An aggregate, and where its state is.
#[derive(Debug)]
pub(super) struct PlannedCall {
    pub(super) call: Call,
    /// Its columns in a group's row.
    pub(super) columns: Range<usize>,
    pub(super) over: Over,
}

/// What an aggregate's state is made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Over {
    /// Rows as they come and go.
    Rows,
    /// Values as they come to a set and leave it.
    Set(usize),
    /// The same, but that a value has left a group's set takes another look at what is in it.
    Picked(usize, Pick),
}

/// The values of one argument and filter.
#[derive(Debug)]
pub(super) struct ValueSet {
    pub(super) table: TableSpec,
    /// A call that it is of: all of them have the same arguments.
    pub(super) call: usize,
}

impl Plan {
    pub(super) fn new(spec: &GroupAggregate) -> Result<Self, OperatorError> {
        let key_fields = spec
            .keys
            .iter()
            .map(|&k| spec.input.fields().get(k).cloned())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| OperatorError::internal("a key column is not part of the input"))?;
        if key_fields.is_empty() && spec.aggregates.is_empty() {
            return Err(OperatorError::internal("an aggregation has neither keys nor aggregates"));
        }
        let key = || {
            let named = |f: &Arc<Field>| table::Field::new(f.name(), f.data_type().clone(), true);
            key_fields.iter().map(named).collect::<Vec<_>>()
        };
        let expiry = spec.ttl.map_or(Expiry::Never, Expiry::Ttl);
        let retracted = spec.input_rows == InputRows::Retracted;
        let mut columns = Vec::new();
        if retracted {
            columns.push(table::Field::new("$rows", DataType::Int64, false));
        }
        let mut sets: Vec<ValueSet> = Vec::new();
        let mut calls = Vec::new();
        for (index, aggregate) in spec.aggregates.iter().enumerate() {
            let call = Call::new(aggregate, &spec.input, spec.input_rows)?;
            let start = columns.len();
            columns.extend(call.state().into_iter().map(|field| {
                table::Field::new(field.name(), field.data_type().clone(), field.is_nullable())
            }));
            let mut set = |value_type: &DataType| {
                let same = |set: &ValueSet| {
                    let other = &spec.aggregates[set.call];
                    (other.input, other.filter) == (aggregate.input, aggregate.filter)
                };
                sets.iter().position(same).unwrap_or_else(|| {
                    let order = OrderField::ascending("value", value_type.clone());
                    let count = table::Field::new("count", DataType::Int64, false);
                    let count = if retracted { vec![count] } else { Vec::new() };
                    let name = format!("values of {}", aggregate.name);
                    let table = TableSpec::ordered(&name, key(), vec![order], count);
                    sets.push(ValueSet { table: table.with_expiry(expiry), call: index });
                    sets.len() - 1
                })
            };
            let over = match (call.is_distinct(), call.aggregate().retraction(), call.value_type())
            {
                (true, Retraction::Negated, Some(value_type)) => Over::Set(set(value_type)),
                (false, Retraction::OfValues(pick), Some(value_type)) if retracted => {
                    Over::Picked(set(value_type), pick)
                }
                (false, _, _) => Over::Rows,
                (true, _, _) => {
                    return Err(OperatorError::user(format!(
                        "{} cannot be kept per value; write it without DISTINCT",
                        aggregate.name
                    )));
                }
            };
            calls.push(PlannedCall { call, columns: start..columns.len(), over });
        }
        let groups = TableSpec::keyed("groups", key(), columns).with_expiry(expiry);
        let mut output = key_fields;
        for planned in &calls {
            let data_type = planned.call.aggregate().output().clone();
            output.push(Arc::new(Field::new(planned.call.name(), data_type, true)));
        }
        Ok(Self {
            keys: spec.keys.clone(),
            calls,
            sets,
            input_rows: spec.input_rows,
            update_before: spec.update_before,
            ttl: spec.ttl,
            groups,
            output: Arc::new(Schema::new(output)),
        })
    }

    /// Whether groups count their rows.
    pub(super) fn counts_rows(&self) -> bool {
        self.input_rows == InputRows::Retracted
    }
}
