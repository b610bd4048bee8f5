//! A pattern, compiled.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_state::table::{self, TableSpec};

use super::automaton::{Step, compile};
use super::spec::{Check, Of, Output, Pattern, Value, What};
use super::{Delay, delay};
use crate::OperatorError;
use crate::aggregate::AggregateCall;
use crate::operators::in_order::InOrder;

/// Columns of what is known of a key: how many of its rows stand before the next search, and how
/// many matches there were.
pub(super) const BEFORE: usize = 0;
pub(super) const MATCHES: usize = 1;

/// The compiled pattern.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) spec: Pattern,
    pub(super) layout: InOrder,
    /// What is known of a key, where something has to be.
    pub(super) known: Option<TableSpec>,
    pub(super) steps: Vec<Step>,
    /// Per variable, what is looked at for all rows at once.
    pub(super) alone: Vec<Vec<Planned>>,
    /// Per variable, what is looked at for a row of a match.
    pub(super) within: Vec<Vec<Planned>>,
    /// Aggregates that conditions look at, each once.
    pub(super) tallies: Vec<(AggregateCall, Of)>,
    /// Sets of variables whose rows conditions look for, each once.
    pub(super) sets: Vec<Of>,
    pub(super) measures: SchemaRef,
    pub(super) output: SchemaRef,
    /// How many rows before the next search are looked at, and how many behind a match.
    pub(super) back: usize,
    pub(super) ahead: usize,
    /// Whether the end of the input decides matches.
    pub(super) ends: bool,
    pub(super) delay: Delay,
}

/// A check, and the columns that it is given.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) check: Check,
    pub(super) schema: SchemaRef,
}

impl Plan {
    pub(super) fn new(spec: &Pattern) -> Result<Self, OperatorError> {
        let layout =
            InOrder::new("MATCH_RECOGNIZE", &spec.input, &spec.keys, spec.time, &spec.order)?;
        let steps = compile(&spec.shape)?;
        let (mut alone, mut within) = (Vec::new(), Vec::new());
        let (mut tallies, mut sets) = (Vec::new(), Vec::new());
        for (number, variable) in spec.variables.iter().enumerate() {
            let (mut rows, mut matches) = (Vec::new(), Vec::new());
            for check in &variable.checks {
                let schema = schema_of(&check.values, &spec.input)?;
                let planned = Planned { check: check.clone(), schema };
                if !check.may_fail && check.values.iter().all(|value| is_alone(value, number)) {
                    rows.push(planned);
                    continue;
                }
                for value in &check.values {
                    note(value, &mut tallies, &mut sets)?;
                }
                matches.push(planned);
            }
            alone.push(rows);
            within.push(matches);
        }
        let checks = spec.variables.iter().flat_map(|variable| &variable.checks);
        let values = || checks.clone().flat_map(|c| &c.values).chain(&spec.measures.values);
        let back = values().map(|value| value.shift().saturating_neg().max(0)).max();
        let ahead = values().map(|value| value.shift().max(0)).max();
        let size = |rows: Option<i64>| usize::try_from(rows.unwrap_or(0)).unwrap_or(usize::MAX);
        let (back, ahead) = (size(back), size(ahead));
        let numbers = values().any(|value| *value == Value::MatchNumber);
        let known = (back > 0 || numbers).then(|| {
            let number = |name: &str| table::Field::new(name, DataType::Int64, false);
            let columns = vec![number("$before"), number("$matches")];
            TableSpec::keyed("known", layout.rows.key.clone(), columns)
        });
        let delay = delay(&spec.shape, values(), spec.within)?;
        Ok(Self {
            layout,
            known,
            steps,
            alone,
            within,
            tallies,
            sets,
            measures: schema_of(&spec.measures.values, &spec.input)?,
            output: output_of(spec)?,
            back,
            ahead,
            ends: delay != Delay::None,
            delay,
            spec: spec.clone(),
        })
    }

    /// Whether what fails once in a search fails again.
    pub(super) fn is_alone(&self) -> bool {
        self.within.iter().all(Vec::is_empty)
    }
}

/// Whether a value depends on the row alone that is tried for a variable.
fn is_alone(value: &Value, variable: usize) -> bool {
    let Value::Row { what: What::Column(_), place } = value else { return false };
    let is_current = match &place.of {
        Of::All => true,
        Of::Variables(of) => of.contains(&variable),
    };
    is_current && place.last && place.offset == 0
}

fn note(
    value: &Value,
    tallies: &mut Vec<(AggregateCall, Of)>,
    sets: &mut Vec<Of>,
) -> Result<(), OperatorError> {
    let of = match value {
        Value::MatchNumber => return Ok(()),
        Value::Row { place, .. } => &place.of,
        Value::Aggregate { call, of, .. } => {
            if call.distinct {
                return Err(OperatorError::user(
                    "DISTINCT is not supported in DEFINE: what is known of values is not taken back when another way is tried; aggregate without it",
                ));
            }
            let tally = (call.clone(), of.clone());
            if !tallies.contains(&tally) {
                tallies.push(tally);
            }
            of
        }
    };
    if *of != Of::All && !sets.contains(of) {
        sets.push(of.clone());
    }
    Ok(())
}

/// A column per value.
fn schema_of(values: &[Value], input: &SchemaRef) -> Result<SchemaRef, OperatorError> {
    let field = |(at, value): (usize, &Value)| {
        Ok(Field::new(format!("value{at}"), value.data_type(input)?, true))
    };
    let fields = values.iter().enumerate().map(field).collect::<Result<Vec<_>, OperatorError>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

fn output_of(spec: &Pattern) -> Result<SchemaRef, OperatorError> {
    let mut fields = Vec::new();
    for column in &spec.output {
        let of = match column.of {
            Output::Input(at) => spec.input.fields().get(at).map(|f| f.data_type().clone()),
            Output::Measure(at) => spec.measures.fields.get(at).map(|f| f.data_type().clone()),
        };
        let of = of.ok_or_else(|| {
            OperatorError::internal(format!("{} holds a column that is not there", column.name))
        })?;
        fields.push(Field::new(&column.name, of, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}
