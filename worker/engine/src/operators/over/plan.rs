//! `OVER`, compiled.
//!
//! A key's rows wait in order (`operators/in_order.rs`) for the watermark, and stay as long as
//! frames reach back to them. Where all frames are bounded, `$behind` is the watermark that a row was
//! behind, for whose successor it waits.
//! What is known of all rows before is a row of another table: `$last`, the last event time whose
//! rows were given out; `$rows` and `$groups`, how many rows there were, and how many that differ
//! in the order; then the partial results of each running aggregate.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_state::table::{self, Expiry, TableSpec};

use super::spec::{Frame, FrameUnit, Over, OverCall, OverFunction};
use super::whole::{By, Value, Whole, has_distance};
use crate::OperatorError;
use crate::aggregate::InputRows;
use crate::aggregate::call::Call;
use crate::operators::in_order::InOrder;
use crate::operators::rank::spec::SortColumn;

/// Columns of what is known of a key.
pub(super) const LAST: usize = 0;
pub(super) const ROWS: usize = 1;
pub(super) const GROUPS: usize = 2;

/// The compiled functions.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) spec: Over,
    pub(super) layout: InOrder,
    pub(super) calls: Vec<Planned>,
    pub(super) known: TableSpec,
    pub(super) output: SchemaRef,
    /// How many rows, and how much time, frames reach back.
    pub(super) rows_back: usize,
    pub(super) time_back: Option<i64>,
    /// Whether what is before the first row of a frame matters to no function.
    pub(super) bounded: bool,
}

/// A function, and what it is computed from.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) kind: Computed,
    pub(super) output: DataType,
}

#[derive(Debug)]
pub(super) enum Computed {
    RowNumber,
    Rank,
    DenseRank,
    Lag {
        input: usize,
        offset: usize,
        default: Option<usize>,
    },
    Lead {
        input: usize,
        offset: usize,
        default: Option<usize>,
    },
    Ntile(u32),
    PercentRank,
    CumeDist,
    /// The first or last value of a frame.
    Value {
        input: usize,
        last: bool,
        over: Reach,
    },
    Aggregate {
        call: Call,
        over: Reach,
    },
}

/// How far back a function reaches.
#[derive(Clone, Debug)]
pub(super) enum Reach {
    /// To the first row: what is known of those before is in these columns. Rows that are equal in
    /// the order are taken in together, or one by one.
    All { state: Range<usize>, together: bool },
    /// To so many rows before.
    Rows(usize),
    /// To any rows: all are there.
    Whole(Whole),
    /// To so many milliseconds before, and up to the last of those that are equal in the order.
    Time(i64),
}

impl Plan {
    pub(super) fn new(spec: &Over) -> Result<Self, OperatorError> {
        let layout = InOrder::new("OVER", &spec.input, &spec.keys, spec.time, &spec.order)?;
        let keys = layout.rows.key.clone();
        let number = |name: &str| table::Field::new(name, DataType::Int64, false);
        let mut known = vec![number("$last"), number("$rows"), number("$groups")];
        let (mut rows_back, mut time_back, mut bounded) = (0, None, !spec.calls.is_empty());
        let mut calls = Vec::new();
        let mut output: Vec<Arc<Field>> = spec.input.fields().iter().cloned().collect();
        let rows = Rows { input: &spec.input, order: &spec.order, at_once: spec.at_once };
        for call in &spec.calls {
            let planned = plan_call(call, rows, &mut known)?;
            match planned.kind.reach() {
                Some(Reach::Rows(rows)) => rows_back = rows_back.max(*rows),
                Some(Reach::Time(time)) => time_back = time_back.max(Some(*time)),
                Some(Reach::All { .. } | Reach::Whole(_)) | None => bounded = false,
            }
            if let Computed::Lag { offset, .. } = &planned.kind {
                rows_back = rows_back.max(*offset);
            }
            output.push(Arc::new(Field::new(&call.name, planned.output.clone(), true)));
            calls.push(planned);
        }
        let layout = if bounded { layout.with_behind() } else { layout };
        // Rows that frames reach back to would leave once more if it were forgotten that they have.
        let keeps_rows = rows_back > 0 || time_back.is_some();
        let expiry = spec.ttl.filter(|_| !keeps_rows).map_or(Expiry::Never, Expiry::Ttl);
        Ok(Self {
            spec: spec.clone(),
            layout,
            calls,
            known: TableSpec::keyed("known", keys, known).with_expiry(expiry),
            output: Arc::new(Schema::new(output)),
            rows_back,
            time_back,
            bounded,
        })
    }
}

impl Computed {
    pub(super) fn reach(&self) -> Option<&Reach> {
        match self {
            Self::Value { over, .. } | Self::Aggregate { over, .. } => Some(over),
            Self::RowNumber | Self::Rank | Self::DenseRank | Self::Lag { .. } => None,
            Self::Lead { .. } | Self::Ntile(_) | Self::PercentRank | Self::CumeDist => None,
        }
    }
}

/// The rows that functions are over.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) input: &'a SchemaRef,
    /// What those of one time are sorted by.
    pub(super) order: &'a [SortColumn],
    /// As in [`Over::at_once`].
    pub(super) at_once: bool,
}

/// Plans a call; what it has to know of the rows before is added to `known`.
pub(super) fn plan_call(
    call: &OverCall,
    rows: Rows<'_>,
    known: &mut Vec<table::Field>,
) -> Result<Planned, OperatorError> {
    let input = rows.input;
    let of_all = |kind, output| match rows.at_once {
        true => Ok(Planned { kind, output }),
        false => Err(behind(&call.name)),
    };
    let field = |column: usize| {
        input.fields().get(column).cloned().ok_or_else(|| {
            OperatorError::internal(format!(
                "{} reads column {column}, which is not there",
                call.name
            ))
        })
    };
    let reach = |known: &mut Vec<table::Field>, state: Vec<table::Field>| {
        let Frame { unit, preceding, following } = call.frame;
        let by_value = unit == FrameUnit::Range && (preceding.is_some() || following != Some(0));
        if !call.frame.is_behind_nothing() || by_value && rows.at_once {
            if !rows.at_once {
                return Err(behind(&call.name));
            }
            let distances = [preceding, following];
            let by = match unit {
                FrameUnit::Rows => By::Rows,
                FrameUnit::Range if distances.iter().flatten().all(|by| *by == 0) => By::Equals,
                FrameUnit::Range => By::Values(measured(rows)?),
            };
            let from = preceding.map(|back| back.saturating_neg());
            return Ok(Reach::Whole(Whole { from, to: following, by }));
        }
        Ok(match (preceding, unit) {
            (None, unit) => {
                let start = known.len();
                known.extend(state);
                Reach::All { state: start..known.len(), together: unit == FrameUnit::Range }
            }
            (Some(rows), FrameUnit::Rows) => {
                Reach::Rows(usize::try_from(rows).unwrap_or(usize::MAX))
            }
            (Some(time), FrameUnit::Range) => Reach::Time(time),
        })
    };
    let place = |kind| Ok(Planned { kind, output: DataType::Int64 });
    match &call.function {
        OverFunction::RowNumber => place(Computed::RowNumber),
        OverFunction::Rank => place(Computed::Rank),
        OverFunction::DenseRank => place(Computed::DenseRank),
        OverFunction::Ntile(0) => {
            Err(OperatorError::user(format!("{} parts rows into none", call.name)))
        }
        OverFunction::Ntile(parts) => of_all(Computed::Ntile(*parts), DataType::Int32),
        OverFunction::PercentRank => of_all(Computed::PercentRank, DataType::Float64),
        OverFunction::CumeDist => of_all(Computed::CumeDist, DataType::Float64),
        OverFunction::Lag { input, offset, default }
        | OverFunction::Lead { input, offset, default } => {
            let output = field(*input)?.data_type().clone();
            if default.map(field).transpose()?.is_some_and(|f| *f.data_type() != output) {
                return Err(OperatorError::internal(format!(
                    "the default of {} is of another type",
                    call.name
                )));
            }
            let (input, offset, default) = (*input, *offset as usize, *default);
            if matches!(call.function, OverFunction::Lead { .. }) {
                return of_all(Computed::Lead { input, offset, default }, output);
            }
            Ok(Planned { kind: Computed::Lag { input, offset, default }, output })
        }
        OverFunction::FirstValue(column) | OverFunction::LastValue(column) => {
            let output = field(*column)?.data_type().clone();
            let last = matches!(call.function, OverFunction::LastValue(_));
            let state = table::Field::new(&format!("{}$value", call.name), output.clone(), true);
            let over = reach(known, vec![state])?;
            Ok(Planned { kind: Computed::Value { input: *column, last, over }, output })
        }
        OverFunction::Aggregate(aggregate) => {
            let planned = Call::new(aggregate, input, InputRows::Appended)?.with_own_sets();
            let output = planned.aggregate().output().clone();
            let state = planned
                .state()
                .into_iter()
                .map(|f| table::Field::new(f.name(), f.data_type().clone(), f.is_nullable()));
            let over = reach(known, state.collect())?;
            Ok(Planned { kind: Computed::Aggregate { call: planned, over }, output })
        }
    }
}

/// A function reaches behind rows that leave before those that come.
fn behind(name: &str) -> OperatorError {
    OperatorError::internal(format!("{name} reaches behind a row that does not wait for others"))
}

/// What distances of a frame count.
fn measured(rows: Rows<'_>) -> Result<Value, OperatorError> {
    let [sort] = rows.order else {
        return Err(OperatorError::user(
            "a frame of RANGE with a distance goes by one column of ORDER BY; sort by that alone, or count ROWS",
        ));
    };
    let field = rows.input.fields().get(sort.column);
    if !field.is_some_and(|field| has_distance(field.data_type())) {
        return Err(OperatorError::user(
            "a frame of RANGE with a distance goes by a number, a date or a time; count ROWS",
        ));
    }
    Ok(Value { column: sort.column, descending: sort.descending })
}
