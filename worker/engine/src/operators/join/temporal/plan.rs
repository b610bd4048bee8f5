//! A temporal join, compiled.
//!
//! Left rows wait in an ordered table by `$time` and `$arrival`. Versions are an ordered table by
//! `$time`, whose column `$there` says whether the row is there from then on.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
    TimestampSecondType,
};
use weir_state::table::{self, Expiry, OrderField, Ordered, TableSpec};

use super::super::spec::{Condition, TemporalJoin as Spec, TimedInput};
use crate::OperatorError;

/// The table's column of versions that says whether they are there.
pub(super) const THERE: usize = 0;

/// The compiled join.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) outer: bool,
    pub(super) left: Side,
    pub(super) right: Side,
    pub(super) condition: Option<Condition>,
    pub(super) due: TableSpec,
    pub(super) output: SchemaRef,
}

/// One side, and its table.
#[derive(Debug)]
pub(super) struct Side {
    schema: SchemaRef,
    keys: Vec<usize>,
    time: usize,
    shift: i64,
    /// Columns that are neither of the key nor the time, and where they begin in the table.
    values: Vec<usize>,
    first: usize,
    pub(super) table: TableSpec,
}

impl Plan {
    pub(super) fn new(spec: &Spec) -> Result<Self, OperatorError> {
        let left = Side::new(&spec.left, "waiting", true)?;
        let mut right = Side::new(&spec.right, "versions", false)?;
        let types = |side: &Side| side.table.key_types();
        if left.keys.is_empty() || types(&left) != types(&right) {
            return Err(OperatorError::internal("the keys of a join do not fit together"));
        }
        right.table = right.table.with_expiry(spec.ttl.map_or(Expiry::Never, Expiry::Ttl));
        let fields = left.schema.fields().iter().chain(right.schema.fields());
        let fields: Vec<Field> =
            fields.map(|f| Field::new(f.name(), f.data_type().clone(), true)).collect();
        Ok(Self {
            outer: spec.outer,
            condition: spec.condition.clone(),
            due: TableSpec::timers("due", left.table.key.clone()),
            output: Arc::new(Schema::new(fields)),
            left,
            right,
        })
    }
}

impl Side {
    fn new(input: &TimedInput, name: &str, waits: bool) -> Result<Self, OperatorError> {
        let fields = input.schema.fields();
        let named = |&column: &usize| {
            let field = fields.get(column).ok_or_else(|| {
                OperatorError::internal("a join reads a column that is not part of its input")
            })?;
            Ok::<_, OperatorError>(table::Field::new(field.name(), field.data_type().clone(), true))
        };
        named(&input.time)?;
        let key = input.keys.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        let is_value = |column: &usize| *column != input.time && !input.keys.contains(column);
        let values: Vec<usize> = (0..fields.len()).filter(is_value).collect();
        let mut order = vec![OrderField::ascending("$time", DataType::Int64)];
        let mut columns = Vec::new();
        if waits {
            order.push(OrderField::ascending("$arrival", DataType::Int64));
        } else {
            columns.push(table::Field::new("$there", DataType::Boolean, false));
        }
        let first = columns.len();
        for column in &values {
            columns.push(named(column)?);
        }
        Ok(Self {
            schema: Arc::clone(&input.schema),
            keys: input.keys.clone(),
            time: input.time,
            shift: input.shift,
            values,
            first,
            table: TableSpec::ordered(name, key, order, columns),
        })
    }

    pub(super) fn keys(&self, records: &RecordBatch) -> Vec<ArrayRef> {
        self.keys.iter().map(|&key| Arc::clone(records.column(key))).collect()
    }

    pub(super) fn values(&self, records: &RecordBatch) -> Vec<ArrayRef> {
        self.values.iter().map(|&column| Arc::clone(records.column(column))).collect()
    }

    /// The event times of rows, in milliseconds.
    pub(super) fn times(&self, records: &RecordBatch) -> Result<Int64Array, OperatorError> {
        let unit = DataType::Timestamp(TimeUnit::Millisecond, None);
        let times = cast(records.column(self.time), &unit)?;
        if times.null_count() > 0 {
            return Err(OperatorError::user(
                "a row has no event time (NULL); filter such rows out with WHERE … IS NOT NULL",
            ));
        }
        let times = times.as_primitive::<TimestampMillisecondType>();
        Ok(times.unary::<_, Int64Type>(|time| time.saturating_add(self.shift)))
    }

    /// Rows of the table as they came.
    pub(super) fn rows(
        &self,
        table: &Ordered,
        slots: &[u32],
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let (keys, orders) = (table.keys(slots)?, table.orders(slots)?);
        let missing = || OperatorError::internal("a column of a join is not kept");
        let column = |column: usize| -> Result<ArrayRef, OperatorError> {
            if let Some(at) = self.keys.iter().position(|&key| key == column) {
                return keys.get(at).cloned().ok_or_else(missing);
            }
            if let Some(at) = self.values.iter().position(|&value| value == column) {
                return Ok(table.read(self.first + at, slots)?);
            }
            let times = orders.first().ok_or_else(missing)?.as_primitive::<Int64Type>();
            let times =
                times.unary::<_, TimestampMillisecondType>(|time| time.saturating_sub(self.shift));
            typed(times, self.schema.field(column).data_type())
        };
        (0..self.schema.fields().len()).map(column).collect()
    }
}

/// Times in milliseconds as a column of this type; the instants stay what they are, whatever the
/// zone in which they are shown.
fn typed(
    times: TimestampMillisecondArray,
    data_type: &DataType,
) -> Result<ArrayRef, OperatorError> {
    Ok(match data_type {
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            Arc::new(times.with_timezone_opt(zone.clone()))
        }
        DataType::Timestamp(TimeUnit::Second, zone) => {
            let times = cast(&times, &DataType::Timestamp(TimeUnit::Second, None))?;
            let times = times.as_primitive::<TimestampSecondType>().clone();
            Arc::new(times.with_timezone_opt(zone.clone()))
        }
        other => cast(&times, other)?,
    })
}
