//! Joins over all rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::AsArray;
use weir_engine::EngineError;
use weir_engine::aggregate::InputRows;
use weir_engine::graph::{Exchange, Node, OperatorInfo};
use weir_engine::operator::OutputTag;
use weir_engine::operators::join::{self, interval, spec, temporal};

use super::rank::{forgotten, seconds};
use super::{Flow, Flows, Lowering, identity, names, schema_of};
use crate::error::SqlError;
use crate::expr::program::{Program, truth};
use crate::expr::{Expr, render};
use crate::rel::{AsOf, Equal, Join, Near, Rel, Versions};

/// One side of the operator.
fn input(
    rel: &Rel,
    flows: &Flows,
    keys: impl Iterator<Item = Option<usize>>,
    ttl: Option<u32>,
) -> Option<spec::JoinInput> {
    let corrected = rel.corrected_by().is_some();
    Some(spec::JoinInput {
        schema: flows.first()?.schema.clone(),
        rows: if corrected { InputRows::Retracted } else { InputRows::Appended },
        keys: keys.collect::<Option<Vec<_>>>()?,
        // Rows that only come are not checked for coming once, as the table says they do.
        unique: rel.keys().into_iter().next().filter(|_| corrected),
        ttl,
    })
}

pub(super) fn condition(expr: &Expr) -> spec::Condition {
    let mut columns = BTreeSet::new();
    expr.columns(&mut columns);
    let columns: Vec<usize> = columns.into_iter().collect();
    let position = |i: usize| columns.iter().position(|&c| c == i).unwrap_or(i);
    let program = Program::new(&[expr.renumber(&position)]);
    let test = move |pairs: &arrow::array::RecordBatch| {
        let holds = program.evaluate(pairs)?;
        let holds =
            holds.first().ok_or_else(|| EngineError::internal("a condition gives nothing"))?;
        truth(holds.as_boolean())
    };
    spec::Condition { columns, test: Arc::new(test) }
}

impl Lowering<'_> {
    pub(super) fn join(&mut self, rel: &Arc<Rel>, join: &Join) -> Option<Flow> {
        let identity = identity::full(rel, true);
        if let Some(flow) = self.made.get(&identity) {
            return Some(flow.clone());
        }
        let flow = match &join.as_of {
            Some(AsOf::Lookup(lookup)) => self.lookup(rel, join, lookup)?,
            _ => self.pairs(rel, join)?,
        };
        let flow = Flow { open: flow.open && self.needs.uses(&identity) <= 1, ..flow };
        self.made.insert(identity, flow.clone());
        Some(flow)
    }

    fn pairs(&mut self, rel: &Rel, join: &Join) -> Option<Flow> {
        let (equal, rest) = join.split();
        let flows = [self.rel(&join.left, None)?, self.rel(&join.right, None)?];
        // Rows that wait for others near them go with the watermark.
        let ttl = join.ttl.map(|hint| self.ttl_or(hint).filter(|_| join.near.is_none()));
        let of_side = ttl.map(|ttl| ttl.map(seconds));
        let (left, right) = (equal.iter().map(|e| &e.left), equal.iter().map(|e| &e.right));
        let spec = spec::Join {
            kind: join.kind,
            left: input(&join.left, &flows[0], left.map(Expr::as_column), of_side[0])?,
            right: input(&join.right, &flows[1], right.map(Expr::as_column), of_side[1])?,
            null_safe: equal.iter().map(|e| e.null_safe).collect(),
            condition: rest.as_ref().map(condition),
        };
        let versions = join.as_of.as_ref().and_then(AsOf::versions);
        let made = match (versions, join.near) {
            (Some(as_of), _) => {
                let spec = versioned(&spec, as_of, of_side[1]);
                temporal::operator(&spec).and_then(|made| Ok((made, temporal::tables(&spec)?)))
            }
            (None, Some(near)) => {
                let spec = timed(&spec, near);
                interval::operator(&spec).and_then(|made| Ok((made, interval::tables(&spec)?)))
            }
            (None, None) => join::operator(&spec).and_then(|made| Ok((made, join::tables(&spec)?))),
        };
        let (factory, tables) = match made {
            Ok(made) => made,
            Err(error) => {
                self.errors.push(SqlError::new(join.span, error.message));
                return None;
            }
        };
        let kind = match join.near {
            None if join.as_of.is_some() => "temporal join",
            None => "join",
            Some(near) if near.windows => "window join",
            Some(_) => "interval join",
        };
        // What is kept is part of it: rows of other columns say nothing of these.
        let sides = [&join.left, &join.right].map(|side| identity::full(side, false));
        let identity = format!("{kind} {} {}", identity::rows(rel, false), sides.join(" "));
        let (equal, mut details) =
            details(join, &equal, rest.as_ref(), [Some(&spec.left), Some(&spec.right)]);
        details.insert("changes".to_owned(), names::changes(rel).to_owned());
        let info = OperatorInfo {
            uid: self.uid(&identity),
            name: names::join(join, &equal),
            kind,
            details,
            state: None,
            tables,
            nondeterministic: forgotten(
                ttl.into_iter().flatten().min(),
                "rows are forgotten",
                "after something happened to them",
            ),
        };
        let vertex = self.vertex(info, Node::Operator(factory));
        for (port, (flows, side)) in flows.iter().zip([&spec.left, &spec.right]).enumerate() {
            for flow in flows {
                let exchange = Exchange::Hash { columns: side.keys.clone(), reuse: false };
                self.edge(flow, vertex, port, exchange);
            }
        }
        let (output, schema) = (OutputTag::Main, schema_of(&rel.fields));
        // What stands behind a watermark that is held back is a task of its own.
        Some(Flow { vertex, operator: 0, output, schema, open: join.near.is_none() })
    }
}

/// The same join of rows near each other.
fn timed(spec: &spec::Join, near: Near) -> spec::IntervalJoin {
    let input = |input: &spec::JoinInput, time: usize| spec::TimedInput {
        schema: input.schema.clone(),
        keys: input.keys.clone(),
        time,
        shift: if near.windows { -1 } else { 0 },
    };
    spec::IntervalJoin {
        kind: spec.kind,
        left: input(&spec.left, near.left),
        right: input(&spec.right, near.right),
        null_safe: spec.null_safe.clone(),
        within: near.within,
        condition: spec.condition.clone(),
        // As in Flink: rows of a window that is over are late, others never.
        leaves_late: near.windows,
    }
}

/// The same join of rows with versions.
fn versioned(spec: &spec::Join, as_of: &Versions, ttl: Option<u32>) -> spec::TemporalJoin {
    let input = |input: &spec::JoinInput, time: usize| spec::TimedInput {
        schema: input.schema.clone(),
        keys: input.keys.clone(),
        time,
        shift: 0,
    };
    spec::TemporalJoin {
        outer: spec.kind == spec::JoinKind::Left,
        left: input(&spec.left, as_of.left),
        right: input(&spec.right, as_of.right),
        condition: spec.condition.clone(),
        ttl,
    }
}

/// What must be equal, and all that `weir plan` shows.
pub(super) fn details(
    join: &Join,
    equal: &[Equal],
    rest: Option<&Expr>,
    sides: [Option<&spec::JoinInput>; 2],
) -> (Vec<String>, BTreeMap<String, String>) {
    let (left, right) = (&join.left.fields, &join.right.fields);
    let shown = |e: &Equal| {
        let sign = if e.null_safe { "IS NOT DISTINCT FROM" } else { "=" };
        let [a, b] = [(&e.left, left), (&e.right, right)]
            .map(|(key, fields)| render::sql(key, &crate::rel::names(fields)));
        if a == b && !e.null_safe { a } else { format!("{a} {sign} {b}") }
    };
    let equal: Vec<String> = equal.iter().map(shown).collect();
    let mut details = BTreeMap::new();
    details.insert("kind".to_owned(), format!("{:?}", join.kind).to_lowercase());
    if !equal.is_empty() {
        details.insert("equal".to_owned(), equal.join(", "));
    }
    if let Some(rest) = rest {
        let name = |c: usize| {
            let (side, own, other, c) = match c.checked_sub(left.len()) {
                None => ("left", left, right, c),
                Some(c) => ("right", right, left, c),
            };
            let name = own.get(c).map_or_else(|| format!("#{c}"), |f| f.name.clone());
            let shared = other.iter().any(|f| f.name == name);
            if shared { format!("{side}.{name}") } else { name }
        };
        details.insert("condition".to_owned(), render::sql(rest, &name));
    }
    if let Some(as_of) = join.as_of.as_ref().and_then(AsOf::versions) {
        let (l, r) = (&left[as_of.left].name, &right[as_of.right].name);
        details.insert("as of".to_owned(), format!("{l} of left, versions by {r} of right"));
    } else if join.near.is_some_and(|near| near.windows) {
        details.insert("apart".to_owned(), "in the same window".to_owned());
    } else if let Some(near) = join.near {
        let (l, r) = (&left[near.left].name, &right[near.right].name);
        let [least, most] = near.within.map(names::duration);
        details.insert(
            "apart".to_owned(),
            format!("{r} of right less {l} of left: {least} to {most}"),
        );
    }
    for (name, fields, input) in [("left", left, sides[0]), ("right", right, sides[1])] {
        if let Some(unique) = input.and_then(|input| input.unique.as_ref()) {
            let columns: Vec<&str> = unique.iter().map(|&c| fields[c].name.as_str()).collect();
            let columns =
                if columns.is_empty() { "one row".to_owned() } else { columns.join(", ") };
            details.insert(format!("{name} rows by"), columns);
        }
    }
    (equal, details)
}
