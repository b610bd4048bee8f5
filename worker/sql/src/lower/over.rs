//! Functions over windows of rows: by event time, when the watermark has passed it; else at once, and
//! corrected.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_engine::aggregate::AggregateCall;
use weir_engine::operator::{OperatorFactory, TableSpec};
use weir_engine::operators::over::{self, spec};

use super::rank::{Keyed, order_text, stored_names};
use super::{Flow, Lowering, identity, names, schema_of};
use crate::error::SqlError;
use crate::rel::{Field, Over, OverCall, OverFunction, Rel, RelKind};

impl Lowering<'_> {
    pub(super) fn over(&mut self, rel: &Rel, over: &Over) -> Option<Flow> {
        let identity = identity::full(rel, true);
        if let Some(flow) = self.made.get(&identity) {
            return Some(flow.clone());
        }
        let fields = &over.input.fields;
        let flows = self.rel(&over.input, None)?;
        let input = flows.first()?.schema.clone();
        let Ok((factory, tables)) = self.over_operator(over, input).map_err(|error| {
            self.errors.push(error);
        }) else {
            return None;
        };
        let mut details = BTreeMap::new();
        let keys: Vec<&str> = over.partition.iter().map(|&k| fields[k].name.as_str()).collect();
        if !keys.is_empty() {
            details.insert("keys".to_owned(), keys.join(", "));
        }
        if !over.order.is_empty() {
            details.insert("order".to_owned(), order_text(&over.order, fields));
        }
        let calls: Vec<String> = over.calls.iter().map(call_text).collect();
        if !calls.is_empty() {
            details.insert("functions".to_owned(), calls.join(", "));
        }
        let columns = format!("{} {}", identity::full(&over.input, false), stored_names(fields));
        let rows = identity::rows(rel, false);
        let (uid, nondeterministic) = if over.waits() {
            // Stored results say nothing of another function, which would begin in their middle.
            let mut stored: Vec<String> = over
                .calls
                .iter()
                .map(|call| identity::over_text(call, &over.input, false))
                .collect();
            stored.sort();
            let forgets = tables.iter().any(|table| table.expiry.is_ttl());
            let forgotten =
                self.forgets("what is known of a key is forgotten", "after its last row");
            let uid = format!("over {rows} {columns} {}", stored.join(","));
            (uid, forgotten.filter(|_| forgets))
        } else {
            // Rows alone are stored, whatever is computed from them.
            details.insert("changes".to_owned(), "rows are corrected: +I, -U, +U, -D".to_owned());
            let forgotten =
                self.forgets("the rows of a key are forgotten", "after its last change");
            (format!("over corrected {rows} {columns}"), forgotten)
        };
        let operator = Keyed {
            kind: "over",
            name: name(over, fields),
            details,
            keys: over.partition.clone(),
            factory,
            tables,
            nondeterministic,
        };
        let flow = self.keyed(&rel.fields, &flows, operator, &uid);
        let flow = Flow { open: self.needs.uses(&identity) <= 1, ..flow };
        debug_assert_eq!(flow.schema, schema_of(&rel.fields));
        self.made.insert(identity, flow.clone());
        Some(flow)
    }

    /// The operator and its tables.
    fn over_operator(
        &self,
        over: &Over,
        input: SchemaRef,
    ) -> Result<(Arc<dyn OperatorFactory>, Vec<TableSpec>), SqlError> {
        let call = |call: &OverCall| spec::OverCall {
            function: function(call, over),
            frame: call.frame,
            name: call.name.clone(),
        };
        let (keys, ttl) = (over.partition.clone(), self.ttl_seconds());
        let calls = over.calls.iter().map(call).collect();
        let made = match over.order.split_first() {
            Some((time, order)) if over.waits() => {
                let order = order.to_vec();
                let (time, at_once) = (time.column, over.at_once);
                let spec = spec::Over { input, keys, time, order, calls, at_once, ttl };
                over::operator(&spec).and_then(|made| Ok((made, over::tables(&spec)?)))
            }
            _ => {
                check_corrected(over)?;
                let order = over.order.clone();
                let spec = spec::CorrectedOver { input, keys, order, calls, ttl };
                over::corrected(&spec).and_then(|made| Ok((made, over::corrected_tables(&spec)?)))
            }
        };
        made.map_err(|error| SqlError::new(over.span, error.message))
    }
}

/// Refuses what has no meaning where rows are in another order than that of their event time.
fn check_corrected(over: &Over) -> Result<(), SqlError> {
    let refuse = |message: String| Err(SqlError::new(over.span, message));
    let counts_time = |call: &OverCall| {
        matches!((call.frame.unit, call.frame.preceding), (spec::FrameUnit::Range, Some(_)))
    };
    if over.calls.iter().any(counts_time) {
        let first = over.order.first();
        let time = first.filter(|first| !first.descending).map(|f| over.input.fields[f.column].ty);
        if !time.is_some_and(|ty| ty.kind.is_milliseconds()) {
            let hint = event_time(&over.input)
                .map_or(String::new(), |time| format!("; its event time is \"{time}\""));
            return refuse(format!(
                "a frame of RANGE with a length of time is ordered by a TIMESTAMP(3) upwards{hint}; order the window by one, or count ROWS"
            ));
        }
    }
    if let (RelKind::Arrivals { .. }, Some(by)) = (&over.input.kind, over.input.corrected_by()) {
        return refuse(format!(
            "OVER by processing time takes rows that only come, and {} at {}:{} corrects rows that it gave before; order it by a column",
            by.what, by.span.line, by.span.column
        ));
    }
    Ok(())
}

/// The engine's form of a function.
fn function(call: &OverCall, over: &Over) -> spec::OverFunction {
    match &call.function {
        OverFunction::RowNumber => spec::OverFunction::RowNumber,
        OverFunction::Rank => spec::OverFunction::Rank,
        OverFunction::DenseRank => spec::OverFunction::DenseRank,
        OverFunction::Lag { input, offset, default } => {
            spec::OverFunction::Lag { input: *input, offset: *offset, default: *default }
        }
        OverFunction::Lead { input, offset, default } => {
            spec::OverFunction::Lead { input: *input, offset: *offset, default: *default }
        }
        OverFunction::Ntile(parts) => spec::OverFunction::Ntile(*parts),
        OverFunction::PercentRank => spec::OverFunction::PercentRank,
        OverFunction::CumeDist => spec::OverFunction::CumeDist,
        OverFunction::FirstValue(input) => spec::OverFunction::FirstValue(*input),
        OverFunction::LastValue(input) => spec::OverFunction::LastValue(*input),
        OverFunction::Aggregate { function, input, filter, distinct } => {
            // The name says what is stored: names of columns are those of this program.
            let text = identity::over_text(call, &over.input, false);
            let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes()) as u32;
            spec::OverFunction::Aggregate(AggregateCall {
                function: *function,
                input: *input,
                filter: *filter,
                distinct: *distinct,
                name: format!("{} {hash:08x}", call.name),
            })
        }
    }
}

/// `SUM(price) of 3 rows before`, for plans.
fn call_text(call: &OverCall) -> String {
    if call.function.has_frame() && !call.frame.is_behind_nothing() {
        let unit = if call.frame.unit == spec::FrameUnit::Rows { "rows" } else { "values" };
        let from = call.frame.preceding.map_or("the first".to_owned(), |by| (-by).to_string());
        let to = call.frame.following.map_or("the last".to_owned(), |by| by.to_string());
        return format!("{} over {unit} from {from} to {to}", call.name);
    }
    let frame = match (call.function.has_frame(), call.frame.unit, call.frame.preceding) {
        (false, ..) | (true, spec::FrameUnit::Range, None) => return call.name.clone(),
        (true, spec::FrameUnit::Rows, None) => "all rows before".to_owned(),
        (true, spec::FrameUnit::Rows, Some(rows)) => format!("{rows} rows before"),
        (true, spec::FrameUnit::Range, Some(time)) => format!("{} before", names::duration(time)),
    };
    format!("{} over {frame}", call.name)
}

/// `row_number, sum over ts of each origin`.
fn name(over: &Over, fields: &[Field]) -> String {
    let mut functions: Vec<String> = Vec::new();
    for call in &over.calls {
        let name = call.name.split('(').next().unwrap_or_default().to_ascii_lowercase();
        if !functions.contains(&name) {
            functions.push(name);
        }
    }
    let what = if functions.is_empty() { "sort".to_owned() } else { functions.join(", ") };
    let over_time = over.order.first().map_or("all rows", |sort| fields[sort.column].name.as_str());
    let keys: Vec<&str> = over.partition.iter().map(|&k| fields[k].name.as_str()).collect();
    let of = if keys.is_empty() { String::new() } else { format!(" of each {}", keys.join(", ")) };
    let joined = if functions.is_empty() { "by" } else { "over" };
    names::cut(format!("{what} {joined} {over_time}{of}"))
}

/// The event time of rows, also where the query does not take it along.
fn event_time(rel: &Rel) -> Option<&str> {
    let time = rel.fields.iter().find(|field| field.role.is_rowtime());
    match (time, &rel.kind) {
        (Some(time), _) => Some(&time.name),
        (None, RelKind::Calc { input, .. }) => event_time(input),
        _ => None,
    }
}
