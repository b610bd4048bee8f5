//! Functions over windows of rows: by event time, when the watermark has passed it.

use std::collections::BTreeMap;

use weir_engine::aggregate::AggregateCall;
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
        let time = match self.time_of(over) {
            Ok(time) => time,
            Err(error) => {
                self.errors.push(error);
                return None;
            }
        };
        let fields = &over.input.fields;
        let flows = self.rel(&over.input, None)?;
        let call = |call: &OverCall| spec::OverCall {
            function: function(call, over),
            frame: call.frame,
            name: call.name.clone(),
        };
        let spec = spec::Over {
            input: flows.first()?.schema.clone(),
            keys: over.partition.clone(),
            time,
            order: over.order[1..].to_vec(),
            calls: over.calls.iter().map(call).collect(),
            at_once: over.at_once,
            ttl: self.ttl_seconds(),
        };
        let made = over::operator(&spec).and_then(|made| Ok((made, over::tables(&spec)?)));
        let (factory, tables) = match made {
            Ok(made) => made,
            Err(error) => {
                self.errors.push(SqlError::new(over.span, error.message));
                return None;
            }
        };
        let mut details = BTreeMap::new();
        let keys: Vec<&str> = over.partition.iter().map(|&k| fields[k].name.as_str()).collect();
        if !keys.is_empty() {
            details.insert("keys".to_owned(), keys.join(", "));
        }
        details.insert("order".to_owned(), order_text(&over.order, fields));
        let calls: Vec<String> = over.calls.iter().map(call_text).collect();
        if !calls.is_empty() {
            details.insert("functions".to_owned(), calls.join(", "));
        }
        // Stored results say nothing of another function, which would begin in their middle.
        let mut stored: Vec<String> =
            over.calls.iter().map(|call| identity::over_text(call, &over.input, false)).collect();
        stored.sort();
        let columns = format!("{} {}", identity::full(&over.input, false), stored_names(fields));
        let uid = format!("over {} {columns} {}", identity::rows(rel, false), stored.join(","));
        let forgets = tables.iter().any(|table| table.expiry.is_ttl());
        let nondeterministic = self
            .forgets("what is known of a key is forgotten", "after its last row")
            .filter(|_| forgets);
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

    /// The event time that a window is ordered by.
    fn time_of(&self, over: &Over) -> Result<usize, SqlError> {
        let fields = &over.input.fields;
        let refuse = |message: String| Err(SqlError::new(over.span, message));
        let ranks = over.calls.iter().any(|call| !call.function.has_frame());
        let way_out = match (ranks, over.calls.len()) {
            (true, 1) => {
                "; to keep the first rows by another column, put it in FROM and add WHERE rank <= n around it"
            }
            _ => "",
        };
        let Some(first) = over.order.first() else {
            return refuse(
                "OVER needs an ORDER BY: without one its result would change with every row"
                    .to_owned(),
            );
        };
        let field = &fields[first.column];
        if !field.role.is_rowtime() {
            let hint = event_time(&over.input)
                .map_or(String::new(), |time| format!("; its event time is \"{time}\""));
            return refuse(format!(
                "OVER is ordered by an event time, and \"{}\" is none{hint}{way_out}",
                field.name
            ));
        }
        if first.descending {
            return refuse(format!(
                "OVER is ordered by an event time upwards: a stream has no last row to begin at; leave DESC out{way_out}"
            ));
        }
        if !field.ty.kind.is_milliseconds() {
            return refuse(format!(
                "OVER is ordered by an event time of type TIMESTAMP(3), and \"{}\" is {}",
                field.name, field.ty.kind
            ));
        }
        if let Some(by) = over.input.corrected_by() {
            return refuse(format!(
                "OVER takes rows that only come, and {} at {}:{} corrects rows that it gave before",
                by.what, by.span.line, by.span.column
            ));
        }
        Ok(first.column)
    }
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
    let over_time = over.order.first().map_or("", |sort| fields[sort.column].name.as_str());
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
