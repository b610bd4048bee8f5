//! What a part of the plan means, as text: the source of stable uids and of the graph's hash.
//!
//! Names of tables and views, positions, comments and options that do not change what is read
//! are not part of it. The list of aggregates is not part of a window's identity either, so
//! that an aggregate can be added without losing the state of the others.

use weir_connectors::registry;
use weir_engine::graph::JobGraph;
use weir_engine::operators::over::spec::Frame;
use weir_engine::operators::pattern::spec::{Output, Value, What};
use weir_engine::operators::rank::spec::SortColumn;
use weir_engine::operators::window::spec::Window;

use crate::catalog::{ColumnKind, TableDef, WatermarkRule};
use crate::rel::{
    AggregateCall, AsOf, Check, Join, Over, OverCall, OverFunction, Pattern, Rank, Rel, RelKind,
    Windows,
};

/// Text that is long stands for itself by its hash.
fn short(text: String) -> String {
    if text.len() <= 400 {
        text
    } else {
        format!("{:016x}{:08x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()), text.len())
    }
}

/// A source's identity.
pub(super) fn source(table: &TableDef) -> String {
    let identity = registry::identity(table.connector());
    let options = table.written.iter().filter(|(key, _)| identity.has(key));
    options.map(|(key, value)| format!("{key}={value:?} ")).collect()
}

/// A sink's identity.
pub(super) fn sink(table: &TableDef) -> String {
    source(table)
}

/// Which rows a relation has: everything but its list of columns. `exact`: as this program
/// names them, so that equal text means that one operator can serve both.
pub(super) fn rows(rel: &Rel, exact: bool) -> String {
    short(match &rel.kind {
        RelKind::Scan(table) if exact => format!("table {:?}", table.key),
        RelKind::Scan(table) => {
            let mark = table.watermark.as_ref().map_or(String::new(), |w| {
                let on = column(rel, w.column, exact);
                match &w.rule {
                    WatermarkRule::Delay(_) => format!("watermark {on}"),
                    WatermarkRule::Expr(e) => {
                        format!("watermark {on} {}", e.canonical(&|i| column(rel, i, exact)))
                    }
                }
            });
            format!("scan({}{mark})", source(table))
        }
        RelKind::Values { rows } => {
            let none = |_: usize| String::new();
            let rows: Vec<String> = rows
                .iter()
                .map(|row| row.iter().map(|e| e.canonical(&none)).collect::<Vec<_>>().join(","))
                .collect();
            format!("values({})", rows.join(";"))
        }
        RelKind::Union(branches) => {
            let parts: Vec<String> = branches.iter().map(|b| full(b, exact)).collect();
            format!("union({})", parts.join(","))
        }
        RelKind::Calc { input, filter, .. } => {
            let below = rows(input, exact);
            match filter {
                Some(filter) => {
                    format!("filter({},{below})", filter.canonical(&|i| column(input, i, exact)))
                }
                None => below,
            }
        }
        RelKind::Arrivals { input, .. } => format!("arrivals({})", rows(input, exact)),
        RelKind::Window { input, time, id, .. } => {
            format!(
                "windows({}{},{},{})",
                window(id.window),
                id.zone.suffix(),
                column(input, *time, exact),
                rows(input, exact)
            )
        }
        RelKind::Aggregate(aggregate) => {
            let keys: Vec<String> =
                aggregate.keys.iter().map(|&k| column(&aggregate.input, k, exact)).collect();
            let over = aggregate.over.map_or_else(
                || match aggregate.ends {
                    Some(ends) => format!("{ends:?},"),
                    None => "all,".to_owned(),
                },
                |over| {
                    let time = column(&aggregate.input, over.time, exact);
                    format!("{}{},{time}", window(over.window), over.zone.suffix())
                },
            );
            let below = rows(&aggregate.input, exact);
            let kept = if exact { kept(&[aggregate.ttl]) } else { String::new() };
            format!("aggregate({over},[{}],{below}{kept})", keys.join(","))
        }
        RelKind::Join(join) => {
            let of = |i: usize| side(join, i, exact);
            let mut on: Vec<String> = join.on.iter().map(|on| on.canonical(&of)).collect();
            on.sort();
            let (left, right) = (rows(&join.left, exact), rows(&join.right, exact));
            let as_of = join.as_of.as_ref().map_or(String::new(), |as_of| {
                let AsOf::Versions(as_of) = as_of else { return ",lookup".to_owned() };
                let key = as_of.key.iter().map(|&k| column(&join.right, k, exact));
                let key: Vec<String> = key.collect();
                let left = column(&join.left, as_of.left, exact);
                let right = column(&join.right, as_of.right, exact);
                format!(",as of {left} {right} [{}]", key.join(","))
            });
            let kept = if exact { kept(&join.ttl) } else { String::new() };
            format!("join({:?},{left},{right},[{}]{as_of}{kept})", join.kind, on.join(","))
        }
        RelKind::Unnest(unnest) => {
            let of = column(&unnest.input, unnest.column, exact);
            let keeps = if unnest.outer { " outer" } else { "" };
            let on = unnest.on.as_ref().map(|on| on.canonical(&|i| column(rel, i, exact)));
            let on = on.map_or_else(String::new, |on| format!(",{on}"));
            format!("unnest({of}{keeps},{}{on})", rows(&unnest.input, exact))
        }
        RelKind::Over(over) => {
            let below = rows(&over.input, exact);
            format!("over({},{below})", sorted(&over.partition, &over.order, &over.input, exact))
        }
        RelKind::Rank(rank) => {
            let below = rows(&rank.input, exact);
            let sorted = sorted(&rank.partition, &rank.order, &rank.input, exact);
            let end = if rank.at_end { " at end" } else { "" };
            format!("rank({:?} {}..{}{end},{sorted},{below})", rank.function, rank.from, rank.to)
        }

        RelKind::Pattern(pattern) => {
            let below = rows(&pattern.input, exact);
            let sorted = sorted(&pattern.partition, &pattern.order, &pattern.input, exact);
            format!("pattern({},{sorted},{below})", searched(pattern, exact))
        }
    })
}

/// How long hints let state be kept: what is made for one of them does not serve another.
fn kept(hints: &[Option<std::time::Duration>]) -> String {
    let hints: Vec<String> = hints.iter().flatten().map(|ttl| format!(",kept {ttl:?}")).collect();
    hints.concat()
}

/// Rows and columns.
pub(super) fn full(rel: &Rel, exact: bool) -> String {
    let columns: Vec<String> = (0..rel.fields.len()).map(|i| column(rel, i, exact)).collect();
    short(format!("{}[{}]", rows(rel, exact), columns.join(",")))
}

/// What a column holds.
fn column(rel: &Rel, index: usize, exact: bool) -> String {
    short(match &rel.kind {
        RelKind::Scan(table) => match table.columns.get(index) {
            Some(found) => match &found.kind {
                ColumnKind::Physical => format!("{:?}:{}", found.name, found.ty.kind),
                ColumnKind::Metadata { key, .. } => format!("metadata {key:?}:{}", found.ty.kind),
                ColumnKind::Computed(expr) => expr.canonical(&|i| column(rel, i, exact)),
            },
            None => format!("#{index}"),
        },
        RelKind::Calc { input, exprs, .. } => match exprs.get(index) {
            Some(expr) => expr.canonical(&|i| column(input, i, exact)),
            None => format!("#{index}"),
        },
        RelKind::Arrivals { time, .. } if *time == index => "arrival".to_owned(),
        RelKind::Arrivals { input, .. } => column(input, index, exact),
        RelKind::Window { input, .. }
        | RelKind::Over(Over { input, .. })
        | RelKind::Rank(Rank { input, .. })
            if index < input.fields.len() =>
        {
            column(input, index, exact)
        }
        RelKind::Over(over) => match over.calls.get(index - over.input.fields.len()) {
            Some(call) => over_text(call, &over.input, exact),
            None => format!("#{index}"),
        },
        RelKind::Rank(_) => "rank".to_owned(),
        RelKind::Aggregate(aggregate) => {
            let keys = aggregate.keys.len();
            if let Some(key) = aggregate.keys.get(index) {
                column(&aggregate.input, *key, exact)
            } else if let Some(call) = aggregate.calls.get(index - keys) {
                call_text(call, &aggregate.input, exact)
            } else {
                format!("bound {}", index - keys - aggregate.calls.len())
            }
        }
        RelKind::Join(join) => side(join, index, exact),
        RelKind::Unnest(unnest) => match unnest.kept.get(index) {
            Some(&kept) => column(&unnest.input, kept, exact),
            None => format!(
                "element {} of {}",
                index - unnest.kept.len(),
                column(&unnest.input, unnest.column, exact)
            ),
        },
        RelKind::Union(_) | RelKind::Values { .. } | RelKind::Window { .. } => format!("#{index}"),

        RelKind::Pattern(pattern) => match pattern.output.get(index) {
            Some(Output::Input(column_of)) => column(&pattern.input, *column_of, exact),
            Some(Output::Measure(measure)) => match pattern.measures.get(*measure) {
                Some(measure) => {
                    let of = |i: usize| match pattern.values.get(i) {
                        Some(value) => value_text(value, &pattern.input, exact),
                        None => format!("#{i}"),
                    };
                    measure.expr.canonical(&of)
                }
                None => format!("#{index}"),
            },
            None => format!("#{index}"),
        },
    })
}

/// What a column of a join holds: columns are numbered through.
fn side(join: &Join, index: usize, exact: bool) -> String {
    let width = join.left.fields.len();
    if index < width {
        format!("left {}", column(&join.left, index, exact))
    } else {
        format!("right {}", column(&join.right, index - width, exact))
    }
}

/// How rows are parted and sorted.
fn sorted(partition: &[usize], order: &[SortColumn], input: &Rel, exact: bool) -> String {
    let keys: Vec<String> = partition.iter().map(|&k| column(input, k, exact)).collect();
    let by = |sort: &SortColumn| {
        let SortColumn { column: index, descending, nulls_first } = *sort;
        format!("{} {descending} {nulls_first}", column(input, index, exact))
    };
    format!("[{}],[{}]", keys.join(","), order.iter().map(by).collect::<Vec<_>>().join(","))
}

/// What a pattern looks for. How far measures reach back and ahead is part of it: so far rows stay.
fn searched(pattern: &Pattern, exact: bool) -> String {
    let Pattern { shape, skip, within, all_rows, .. } = pattern;
    let of = |check: &Check| {
        let value = |i: usize| match check.values.get(i) {
            Some(value) => value_text(value, &pattern.input, exact),
            None => format!("#{i}"),
        };
        check.condition.canonical(&value)
    };
    let define: Vec<String> = pattern
        .variables
        .iter()
        .map(|variable| variable.checks.iter().map(of).collect::<Vec<_>>().join(" and "))
        .collect();
    let shift = |value: &Value| match value {
        Value::Row { place, .. } => place.shift,
        Value::Aggregate { .. } | Value::MatchNumber => 0,
    };
    let shifts = || pattern.values.iter().map(shift);
    let reach = (shifts().min().unwrap_or(0).min(0), shifts().max().unwrap_or(0).max(0));
    let numbers = pattern.values.contains(&Value::MatchNumber);
    let define = define.join(";");
    format!("{shape:?} {skip:?} {within:?} {all_rows} {reach:?} {numbers} [{define}]")
}

/// What a value of a match is.
fn value_text(value: &Value, input: &Rel, exact: bool) -> String {
    let of = |index: usize| column(input, index, exact);
    match value {
        Value::MatchNumber => "match number".to_owned(),
        Value::Row { what, place } => {
            let what = match what {
                What::Column(index) => of(*index),
                What::Classifier => "classifier".to_owned(),
            };
            format!("row({what} {place:?})")
        }
        Value::Aggregate { call, of: rows, whole } => {
            let (function, distinct) = (call.function.name(), call.distinct);
            let input = call.input.map_or("*".to_owned(), of);
            format!("aggregate({function} {distinct} {input} {rows:?} {whole})")
        }
    }
}

/// What a function over a window computes.
pub(super) fn over_text(call: &OverCall, input: &Rel, exact: bool) -> String {
    let of = |i: usize| column(input, i, exact);
    let maybe = |i: Option<usize>| i.map_or("*".to_owned(), of);
    let text = match &call.function {
        OverFunction::RowNumber => "row number".to_owned(),
        OverFunction::Rank => "rank".to_owned(),
        OverFunction::DenseRank => "dense rank".to_owned(),
        OverFunction::Lag { input, offset, default } => {
            format!("lag {} {offset} {}", of(*input), maybe(*default))
        }
        OverFunction::Lead { input, offset, default } => {
            format!("lead {} {offset} {}", of(*input), maybe(*default))
        }
        OverFunction::Ntile(parts) => format!("ntile {parts}"),
        OverFunction::PercentRank => "percent rank".to_owned(),
        OverFunction::CumeDist => "cume dist".to_owned(),
        OverFunction::FirstValue(input) => format!("first {}", of(*input)),
        OverFunction::LastValue(input) => format!("last {}", of(*input)),
        OverFunction::Aggregate { function, input, filter, distinct } => {
            format!("{} {distinct} {} {}", function.name(), maybe(*input), maybe(*filter))
        }
    };
    let Frame { unit, preceding, following } = call.frame;
    let end = if following == Some(0) { String::new() } else { format!(" {following:?}") };
    format!("{text} {unit:?} {preceding:?}{end}")
}

/// What an aggregate computes.
pub(super) fn call_text(call: &AggregateCall, input: &Rel, exact: bool) -> String {
    let of = |i: Option<usize>| i.map_or("*".to_owned(), |i| column(input, i, exact));
    let function = capitalised(call.function.name());
    format!("{function}({},{},{})", call.distinct, of(call.input), of(call.filter))
}

/// `Count`: how identities name functions, on which stored state hangs.
fn capitalised(name: &str) -> String {
    let (first, rest) = name.split_at(name.len().min(1));
    format!("{first}{}", rest.to_ascii_lowercase())
}

fn window(window: Windows) -> String {
    let window = match window {
        Windows::Grid(window) => window,
        Windows::Session { gap } => return format!("session {gap}"),
    };
    match window {
        Window::Tumble { size, offset } => format!("tumble {size} {offset}"),
        Window::Hop { size, slide, offset } => format!("hop {size} {slide} {offset}"),
        Window::Cumulate { size, step, offset } => format!("cumulate {size} {step} {offset}"),
    }
}

/// What a table computes from its rows: nothing else in the graph tells it.
fn computed(table: &TableDef) -> String {
    let name = |i: usize| table.columns.get(i).map_or(String::new(), |c| format!("{:?}", c.name));
    let mut text = String::new();
    for column in &table.columns {
        if let ColumnKind::Computed(expr) = &column.kind {
            text.push_str(&format!("  {:?} {}\n", column.name, expr.canonical(&name)));
        }
    }
    if let Some(WatermarkRule::Expr(expr)) = table.watermark.as_ref().map(|w| &w.rule) {
        text.push_str(&format!("  watermark {}\n", expr.canonical(&name)));
    }
    text
}

/// Hash of everything that must agree between processes that run one job.
pub(super) fn graph_hash(graph: &JobGraph, tables: &[std::sync::Arc<TableDef>]) -> String {
    let mut text = format!("max parallelism {}\n", graph.max_parallelism);
    for vertex in &graph.vertices {
        text.push_str(&format!("vertex {} {:?}\n", vertex.id, vertex.parallelism));
        for (info, _) in &vertex.chain {
            text.push_str(&format!(
                "  {} {} {:?} {:?}\n",
                info.uid, info.kind, info.details, info.state
            ));
        }
    }
    for edge in &graph.edges {
        text.push_str(&format!("edge {edge:?}\n"));
    }
    for table in tables {
        text.push_str(&format!("table {:?}\n", table.written));
        text.push_str(&computed(table));
    }
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}
