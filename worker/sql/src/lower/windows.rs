//! Windows: their columns alone, or aggregates over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_engine::aggregate;
use weir_engine::graph::{Exchange, Node, OperatorInfo};
use weir_engine::operator::OutputTag;
use weir_engine::operators::window::spec;
use weir_protocol::OperatorUid;

use super::{Flow, Flows, Lowering, identity, names, schema_of};
use crate::ast::BinaryOp;
use crate::bind::aggregate::name_of_call;
use crate::bind::expr::compare_op;
use crate::bind::query::whole_name;
use crate::catalog::ColumnKind;
use crate::clock::{ClockFactory, Way};
use crate::error::{Span, SqlError};
use crate::expr::{Expr, Style, cast};
use crate::rel::{
    Aggregate, AggregateCall, Field, Rel, RelKind, TimeWindow, WindowId, Windows, rows_of_sessions,
};
use crate::types::{Kind, SqlType};
use crate::zone::{self, Zone};

/// How many copies of a row a window function without GROUP BY may make.
pub(super) const MAX_COPIES: i64 = 100;

/// Columns of a window function without GROUP BY: the input's, and the bounds of the row's window
/// with the number `copy`; and which rows have that.
fn window_exprs(
    input: &Rel,
    time: usize,
    window: spec::Window,
    copy: i64,
    zone: Zone,
    span: Span,
) -> Result<(Vec<Expr>, Option<Expr>), String> {
    // Casts between points in time and the window's clock are of the zone that it was bound in.
    let _session = zone::Session::of(zone);
    use crate::bind::base::{moved, window_start};
    let mut exprs = crate::rel::identity(input);
    let hidden = |expr: Expr, kind: Kind| {
        cast::cast(expr, SqlType::nullable(kind), Style::Hidden, false, span)
    };
    let kind = match exprs[time].kind() {
        Kind::TimestampLtz(_) => Kind::TimestampLtz(3),
        _ => Kind::Timestamp(3),
    };
    let at = hidden(exprs[time].clone(), Kind::Timestamp(3))?;
    let back = |start: Expr, by: i64| if by == 0 { start } else { moved(start, -by, span) };
    let of_size = |start: &Expr, size: i64| {
        (moved(start.clone(), size, span), moved(start.clone(), size - 1, span))
    };
    let (start, (end, last), filter) = match window {
        spec::Window::Tumble { size, offset } => {
            let start = window_start(at, size, offset);
            (start.clone(), of_size(&start, size), None)
        }
        spec::Window::Hop { size, slide, offset } => {
            let start = back(window_start(at, slide, offset), copy * slide);
            (start.clone(), of_size(&start, size), None)
        }
        spec::Window::Cumulate { size, step, offset } => {
            let start = window_start(at.clone(), size, offset);
            let ends = of_size(&window_start(at, step, offset), (copy + 1) * step);
            let longest = moved(start.clone(), size, span);
            let within = compare_op(ends.0.clone(), BinaryOp::LessEq, longest, span);
            (start, ends, (copy > 0).then_some(within.map_err(|error| error.message)?))
        }
    };
    exprs.push(start);
    exprs.push(end);
    exprs.push(hidden(last, kind)?);
    Ok((exprs, filter))
}

/// The name under which an aggregate's state is kept. Its name for people is enough where it says
/// what is aggregated: whole, and in terms of columns that the source stores. A name that was cut,
/// or that speaks of what a view, a query or a computed column made, would stay when that is
/// edited, and old state would be taken for that of the new expression.
fn state_name(call: &AggregateCall, input: &Rel) -> String {
    if says_everything(call, input) {
        return call.name.clone();
    }
    let exact = identity::call_text(call, input, false);
    format!("{} {:08x}", call.name, xxhash_rust::xxh3::xxh3_64(exact.as_bytes()) as u32)
}

fn says_everything(call: &AggregateCall, input: &Rel) -> bool {
    let (below, exprs) = match &input.kind {
        RelKind::Calc { input, exprs, .. } => (&**input, exprs.clone()),
        _ => (input, crate::rel::identity(input)),
    };
    let RelKind::Scan(table) = &below.kind else {
        return call.input.is_none() && call.filter.is_none();
    };
    let name = |index: usize| {
        let expr = exprs.get(index)?;
        let mut columns = std::collections::BTreeSet::new();
        expr.columns(&mut columns);
        let stored = |&i: &usize| matches!(table.columns[i].kind, ColumnKind::Physical);
        columns.iter().all(stored).then(|| whole_name(expr, &below.fields).ok()).flatten()
    };
    let (arg, filter) = (call.input.map(&name), call.filter.map(&name));
    match (&arg, &filter) {
        (Some(None), _) | (_, Some(None)) => false,
        _ => {
            let (arg, filter) = (arg.flatten(), filter.flatten());
            let told =
                name_of_call(call.function, call.distinct, arg.as_deref(), filter.as_deref());
            told == call.name
        }
    }
}

/// Aggregates as the engine takes them, with the names of their state.
pub(super) fn calls(of: &Aggregate) -> Vec<aggregate::AggregateCall> {
    let call = |call: &AggregateCall| aggregate::AggregateCall {
        function: call.function,
        input: call.input,
        filter: call.filter,
        distinct: call.distinct,
        name: state_name(call, &of.input),
    };
    of.calls.iter().map(call).collect()
}

/// Why the results of windows over corrected rows may be other ones: what folds corrections gives
/// the last of several, and which came before a window ended is up to when they came.
pub(super) fn late_corrections(input: &Rel) -> Option<String> {
    input.folded_by().map(|by| {
        format!("corrections by {} that come when their window has ended are late", by.what)
    })
}

/// Keys and aggregates, for plans.
pub(super) fn details(aggregate: &Aggregate, input: &[Field]) -> BTreeMap<String, String> {
    let mut details = BTreeMap::new();
    let keys: Vec<&str> = aggregate.keys.iter().map(|&k| input[k].name.as_str()).collect();
    if !keys.is_empty() {
        details.insert("keys".to_owned(), keys.join(", "));
    }
    let calls: Vec<&str> = aggregate.calls.iter().map(|c| c.name.as_str()).collect();
    if !calls.is_empty() {
        details.insert("aggregates".to_owned(), calls.join(", "));
    }
    details
}

impl Lowering<'_> {
    /// `SELECT … FROM TABLE(TUMBLE(…))` without GROUP BY: the window's bounds as columns.
    pub(super) fn window_columns(
        &mut self,
        rel: &Rel,
        input: &Arc<Rel>,
        time: usize,
        id: &WindowId,
        span: Span,
    ) -> Option<Flows> {
        let Windows::Grid(window) = id.window else {
            if !id.zone.is_utc() {
                self.errors.push(SqlError::new(span, "SESSION without GROUP BY cuts points in time by UTC's clock only; group by window_start, window_end, or leave 'table.local-time-zone' out"));
                return None;
            }
            return match rows_of_sessions(input, time, id, &rel.fields, span) {
                Ok(rows) => self.rel(&rows, None),
                Err(error) => {
                    self.errors.push(error);
                    None
                }
            };
        };
        // Each row once per window that it is in.
        let (name, copies) = match window {
            spec::Window::Tumble { .. } => ("TUMBLE", 1),
            spec::Window::Hop { size, slide, .. } => ("HOP", size / slide),
            spec::Window::Cumulate { size, step, .. } => ("CUMULATE", size / step),
        };
        if copies > MAX_COPIES {
            self.errors.push(SqlError::new(span, format!("{name} without GROUP BY would give every row {copies} times; group by window_start, window_end")));
            return None;
        }
        let mut flows = Flows::new();
        for copy in 0..copies {
            let (exprs, filter) = match window_exprs(input, time, window, copy, id.zone, span) {
                Ok(made) => made,
                Err(message) => {
                    self.errors.push(SqlError::new(span, message));
                    return None;
                }
            };
            let calc = crate::rel::calc(input, filter, exprs, rel.fields.clone());
            flows.extend(self.rel(&calc, None)?);
        }
        Some(flows)
    }

    pub(super) fn aggregate(&mut self, rel: &Rel, aggregate: &Aggregate) -> Option<Flow> {
        let identity = identity::full(rel, true);
        if let Some(flow) = self.made.get(&identity) {
            return Some(flow.clone());
        }
        let flow = match aggregate.over {
            Some(over) => self.over_windows(rel, aggregate, over)?,
            None => self.group(rel, aggregate)?,
        };
        let flow = Flow { open: self.needs.uses(&identity) <= 1, ..flow };
        self.made.insert(identity, flow.clone());
        Some(flow)
    }

    fn over_windows(&mut self, rel: &Rel, aggregate: &Aggregate, over: TimeWindow) -> Option<Flow> {
        let flow = match over.window {
            Windows::Grid(window) => self.windowed(rel, aggregate, over, window)?,
            Windows::Session { gap } => self.sessions(rel, aggregate, over, gap)?,
        };
        let schema = flow.schema.clone();
        Some(self.on_clock(vec![flow], over.zone, Way::Back, schema, rel)?.remove(0))
    }

    /// Rows on their way to windows of another clock than UTC's, with watermarks of that clock, and
    /// back.
    pub(super) fn on_clock(
        &mut self,
        flows: Flows,
        zone: Zone,
        way: Way,
        schema: SchemaRef,
        of: &Rel,
    ) -> Option<Flows> {
        if zone.is_utc() {
            return Some(flows);
        }
        let info = OperatorInfo {
            uid: self.uid(&format!("clock {way:?}{} {}", zone.suffix(), identity::rows(of, false))),
            name: match way {
                Way::There => format!("clock{}", zone.suffix()),
                Way::Back => "clock in UTC".to_owned(),
            },
            kind: "clock",
            ..OperatorInfo::default()
        };
        let flow = self.append(&flows, info, Arc::new(ClockFactory { zone, way }), schema);
        // What stands behind it is restored to the watermarks that it gave.
        Some(vec![Flow { open: false, ..flow }])
    }

    fn windowed(
        &mut self,
        rel: &Rel,
        aggregate: &Aggregate,
        over: TimeWindow,
        cut: spec::Window,
    ) -> Option<Flow> {
        let time = over.time;
        let late = self.late_columns(&aggregate.input);
        let input = match &late {
            Some(late) => late.input.clone(),
            None => aggregate.input.clone(),
        };
        let flows = self.rel(&input, None)?;
        let schema = flows.first()?.schema.clone();
        let flows = self.on_clock(flows, over.zone, Way::There, schema.clone(), rel)?;
        let window = spec::WindowAggregate {
            input: schema.clone(),
            time,
            window: cut,
            keys: aggregate.keys.clone(),
            aggregates: calls(aggregate),
        };
        let parts = match self.options.parts.window(&window) {
            Ok(parts) => parts,
            Err(error) => {
                self.errors.push(SqlError::new(aggregate.span, error.message));
                return None;
            }
        };
        let name = names::aggregate(aggregate, &input.fields);
        let uid = self.uid(&format!("window {}", identity::rows(rel, false)));
        let mut details = details(aggregate, &input.fields);
        details.insert("window".to_owned(), names::window(Windows::Grid(cut)));
        details.insert("time".to_owned(), input.fields[time].name.clone());
        let local = OperatorInfo {
            uid: OperatorUid(format!("{uid}-local")),
            name: format!("{name} (local)"),
            kind: "local window aggregate",
            details: details.clone(),
            state: None,
            tables: Vec::new(),
            nondeterministic: None,
        };
        let local = self.append(&flows, local, parts.local, parts.between.clone());
        if let Some(late) = late {
            self.add_late(
                &late,
                Flow { output: OutputTag::Late, schema, open: false, ..local.clone() },
            );
        }
        let global = OperatorInfo {
            uid,
            name,
            kind: "window aggregate",
            details,
            state: Some(parts.state),
            tables: Vec::new(),
            nondeterministic: None,
        };
        let vertex = self.vertex(global, Node::Operator(parts.global));
        let exchange = Exchange::Hash { columns: parts.exchange, reuse: true };
        self.edge(&local, vertex, 0, exchange);
        let (output, schema) = (OutputTag::Main, schema_of(&rel.fields));
        Some(Flow { vertex, operator: 0, output, schema, open: true })
    }
}
