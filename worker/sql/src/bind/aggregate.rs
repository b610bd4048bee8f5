//! GROUP BY: which columns are window bounds, what is computed before the aggregation, what after
//! it. Without window bounds among its keys it is over all rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use weir_engine::aggregate::Function;
use weir_engine::operators::group::spec::Ends;
use weir_engine::operators::window::spec::Window;

use super::above::is_above;
use super::base::{Base, start_of};
use super::expr::FoundAggregate;
use super::grouping::grouping_call;
use super::query::{From, short_name};
use super::{Binder, Reported};
use crate::ast;
use crate::error::Span;
use crate::expr::{Call, Expr, Node};
use crate::rel::{
    Aggregate, AggregateCall, Field, Rel, RelKind, Role, TimeWindow, WindowId, Windows, calc,
    identity,
};
use crate::types::{Kind, SqlType};

/// Columns of the aggregation's result that stand for the window.
struct Bounds {
    id: WindowId,
    start: usize,
    end: usize,
    time: usize,
}

/// Windows whose groups are kept as rows come and go, until the windows end.
struct Kept {
    /// FROM's columns of the window's start, its end, and its time if that is there.
    bounds: Vec<usize>,
    ends: Ends,
}

/// What rows are grouped by.
pub(super) struct Keys {
    pub(super) exprs: Vec<Expr>,
    /// Grouping sets, as numbers of expressions; none: by all.
    pub(super) sets: Vec<Vec<usize>>,
}

impl Keys {
    /// By all of these.
    pub(super) fn all(exprs: Vec<Expr>) -> Self {
        Self { exprs, sets: Vec::new() }
    }
}

/// What expressions behind an aggregation may speak of.
struct After<'a> {
    from: &'a From,
    keys: &'a [Expr],
    /// Grouping sets, as numbers of keys; their number is a key behind all others.
    sets: &'a [Vec<usize>],
    /// The first column of an aggregate.
    calls: usize,
    /// What the aggregation gives.
    columns: &'a [Field],
    bounds: Option<Bounds>,
    again: Option<Window>,
}

impl Binder<'_> {
    #[expect(clippy::too_many_arguments, reason = "the clauses of one SELECT")]
    pub(super) fn aggregate(
        &mut self,
        select: &ast::Select,
        from: &From,
        filter: Option<Expr>,
        grouping: Keys,
        found: Vec<FoundAggregate>,
        items: Vec<(Expr, String)>,
        having: Option<(Expr, Span)>,
    ) -> Result<Arc<Rel>, Reported> {
        let at = select.group_by.as_ref().map_or(select.span, |g| g.span);
        let role = |expr: &Expr| expr.as_column().map(|i| from.rel.fields[i].role.clone());
        let id = self.window_of(&grouping.exprs, from, at)?;
        let id = match id {
            Some(id)
                if matches!(id.window, Windows::Session { .. })
                    && !self.ends_with_sessions(from, &id, &grouping, filter.as_ref(), at) =>
            {
                None
            }
            id => id,
        };
        let Keys { exprs: keys, sets } = grouping;
        // Keys that are not the window itself.
        let is_bound = |expr: &Expr| match role(expr) {
            Some(Role::WindowStart(other) | Role::WindowEnd(other) | Role::WindowTime(other)) => {
                Some(other) == id
            }
            _ => false,
        };
        let mut plain_keys: Vec<Expr> = Vec::new();
        for key in keys.iter().filter(|k| !is_bound(k)) {
            if !plain_keys.iter().any(|known| same(known, key)) {
                plain_keys.push(key.clone());
            }
        }
        let sets = self.grouping_sets(&keys, &plain_keys, &sets, id.is_some(), &is_bound, at)?;
        let kept = match &id {
            Some(id) => self.kept_windows(from, id, &found, at)?,
            None => None,
        };
        let base = match (&id, &kept) {
            (Some(id), None) => self.below_window(from, filter, id, at)?,
            _ => Base {
                rel: from.rel.clone(),
                exprs: identity(&from.rel),
                filter,
                windowed: None,
                width: from.rel.fields.len(),
            },
        };

        // What the aggregation reads: the time, keys, arguments and filters, each once.
        let time = base.windowed.as_ref().map(|windowed| &windowed.time);
        let mut exprs: Vec<Expr> = time.into_iter().cloned().collect();
        let mut names: Vec<String> =
            time.into_iter().map(|time| short_name(time, &base.rel.fields)).collect();
        let mut place = |binder: &mut Self, expr: &Expr| -> Result<usize, Reported> {
            let name = short_name(expr, &from.rel.fields);
            let expr = binder.onto(expr, &base)?;
            if let Some(known) = exprs.iter().position(|e| same(e, &expr)) {
                return Ok(known);
            }
            exprs.push(expr);
            names.push(name);
            Ok(exprs.len() - 1)
        };
        let key_columns = if sets.is_empty() {
            plain_keys.iter().map(|k| place(self, k)).collect::<Result<Vec<_>, _>>()?
        } else {
            Vec::new()
        };
        let mut calls = Vec::new();
        for call in &found {
            let input = call.arg.as_ref().map(|a| place(self, a)).transpose()?;
            let filter = call.filter.as_ref().map(|f| place(self, f)).transpose()?;
            let name = call_name(call, &from.rel.fields);
            calls.push(AggregateCall {
                function: call.function,
                input,
                filter,
                distinct: call.distinct,
                kind: call.kind,
                name,
            });
        }
        let first_key = exprs.len();
        let mut key_columns = key_columns;
        let mut bound_columns = Vec::new();
        for bound in kept.iter().flat_map(|kept| &kept.bounds) {
            bound_columns.push(exprs.len());
            exprs.push(Expr::column(*bound, from.rel.fields[*bound].ty, at));
            names.push(from.rel.fields[*bound].name.clone());
        }
        let first_key = first_key + bound_columns.len();
        if !sets.is_empty() {
            // A key that a set leaves out is NULL, whoever else reads its column.
            for key in &plain_keys {
                key_columns.push(exprs.len());
                exprs.push(self.onto(key, &base)?);
                names.push(short_name(key, &from.rel.fields));
            }
            key_columns.push(exprs.len());
            exprs.push(set_number(0, at));
            names.push("$set".to_owned());
        }
        if exprs.is_empty() {
            // Rows are counted by a column of them.
            let one: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
            exprs.push(Expr::literal(one, Kind::Boolean, at));
            names.push("row".to_owned());
        }
        for name in &mut names {
            if name.is_empty() {
                *name = "time".to_owned();
            }
        }
        // In the order of the columns below, so that a projection that changes nothing vanishes.
        let mut order: Vec<usize> = (0..exprs.len()).collect();
        if sets.is_empty() {
            order.sort_by_key(|&i| (exprs[i].as_column().unwrap_or(usize::MAX), i));
        }
        let position = |old: usize| order.iter().position(|&o| o == old).unwrap_or(old);
        let fields: Vec<Field> = order
            .iter()
            .map(|&i| Field { name: names[i].clone(), ty: exprs[i].ty, role: Role::Plain })
            .collect();
        key_columns.extend(bound_columns);
        let fields = unique(fields);
        let input = if sets.is_empty() {
            let exprs = order.iter().map(|&i| exprs[i].clone()).collect();
            calc(&base.rel, base.filter.clone(), exprs, fields)
        } else {
            let branches = (0..).zip(&sets).map(|(number, set)| {
                let mut exprs = exprs.clone();
                for (key, expr) in plain_keys.iter().enumerate() {
                    if !set.contains(&key) {
                        exprs[first_key + key] = Expr::null(expr.kind(), at);
                    }
                }
                exprs[first_key + plain_keys.len()] = set_number(number, at);
                let mut fields = fields.clone();
                fields[first_key..].iter_mut().for_each(|field| field.ty.nullable = true);
                calc(&base.rel, base.filter.clone(), exprs, fields)
            });
            let branches: Vec<Arc<Rel>> = branches.collect();
            let fields = branches[0].fields.clone();
            Arc::new(Rel { kind: RelKind::Union(branches), fields })
        };

        let whole = self.batch && sets.is_empty() && plain_keys.is_empty() && id.is_none();
        let (input, there) = match whole {
            true => {
                let (input, there) = with_a_row(&input, at);
                (input, Some(there))
            }
            false => (input, None),
        };

        let mut fields: Vec<Field> = Vec::new();
        for key in &plain_keys {
            fields.push(Field {
                name: short_name(key, &from.rel.fields),
                ty: key.ty,
                role: Role::Plain,
            });
        }
        if !sets.is_empty() {
            fields.iter_mut().for_each(|field| field.ty.nullable = true);
            let ty = SqlType::nullable(Kind::BigInt);
            fields.push(Field { name: "$set".to_owned(), ty, role: Role::Plain });
        }
        let first_kept = fields.len();
        for bound in kept.iter().flat_map(|kept| &kept.bounds) {
            fields.push(from.rel.fields[*bound].clone());
        }
        let first_call = fields.len();
        for call in &calls {
            let nullable = call.function.is_nullable();
            fields.push(Field {
                name: call.name.clone(),
                ty: SqlType { kind: call.kind, nullable },
                role: Role::Plain,
            });
        }
        let first_bound = if kept.is_some() { first_kept } else { fields.len() };
        for (name, role) in id.iter().filter(|_| kept.is_none()).flat_map(|id| {
            [
                ("window_start", Role::WindowStart(id.clone())),
                ("window_end", Role::WindowEnd(id.clone())),
                ("window_time", Role::WindowTime(id.clone())),
            ]
        }) {
            fields.push(Field {
                name: name.to_owned(),
                ty: SqlType::not_null(Kind::Timestamp(3)),
                role,
            });
        }
        let over = base.windowed.as_ref();
        let aggregate = Arc::new(Rel {
            kind: RelKind::Aggregate(Aggregate {
                input,
                span: at,
                over: over.map(|over| TimeWindow {
                    time: position(0),
                    window: over.window,
                    zone: over.zone,
                }),
                ttl: self.ttl_of_groups(from),
                ends: kept.map(|kept| Ends { at: first_kept + 1, ..kept.ends }),
                keys: key_columns.into_iter().map(position).collect(),
                calls: calls
                    .into_iter()
                    .map(|c| AggregateCall {
                        input: c.input.map(position),
                        filter: c.filter.map(position).or(there),
                        ..c
                    })
                    .collect(),
            }),
            fields: unique(fields),
        });

        let bounds = id.map(|id| Bounds {
            id,
            start: first_bound,
            end: first_bound + 1,
            time: first_bound + 2,
        });
        let again = over.and_then(|over| over.again);
        let (columns, calls) = (aggregate.fields.as_slice(), first_call);
        let cx = After { from, keys: &plain_keys, sets: &sets, calls, columns, bounds, again };
        let asks = from.joined.as_ref().is_some_and(|joined| !joined.above.is_empty());
        let after = |binder: &mut Self, expr: &Expr| binder.after(expr, &cx);
        let mut exprs = Vec::new();
        let mut fields = Vec::new();
        let mut failed = false;
        for (expr, name) in &items {
            match after(self, expr) {
                Ok(result) => {
                    let of = |column: usize| aggregate.fields.get(column).map(|f| f.role.clone());
                    let role = window_role(expr, from).or(result.as_column().and_then(of));
                    // Groups that a query is asked of leave in no order of time.
                    let role = role.filter(|_| !asks).unwrap_or(Role::Plain);
                    fields.push(Field { name: name.clone(), ty: result.ty, role });
                    exprs.push(result);
                }
                Err(Reported) => failed = true,
            }
        }
        let having = match having {
            Some((having, _)) => match after(self, &having) {
                Ok(having) => Some(having),
                Err(Reported) => return Err(Reported),
            },
            None => None,
        };
        if failed {
            return Err(Reported);
        }
        let columns = |column: usize| {
            let is_it = |key: &Expr| key.as_column() == Some(column);
            plain_keys.iter().position(is_it).filter(|_| sets.is_empty())
        };
        let filtered = having.is_some();
        exprs.extend(having);
        let rel = self.asked_of_groups(&aggregate, from, &columns, &mut exprs)?;
        let having = if filtered { exprs.pop() } else { None };
        Ok(calc(&rel, having, exprs, fields))
    }

    /// How the groups of windows are kept whose rows may go again, or whose results do not leave
    /// just once.
    fn kept_windows(
        &mut self,
        from: &From,
        id: &WindowId,
        found: &[FoundAggregate],
        at: Span,
    ) -> Result<Option<Kept>, Reported> {
        let below = from.rel.corrected_by();
        let emit = self.emit_of(id, at)?;
        // Windows that share rows, and those that become one, do not keep the order in which rows come.
        let in_order = matches!(id.window, Windows::Grid(Window::Tumble { .. }));
        let by_arrival = found.iter().find(|call| call.function.is_by_arrival());
        if let Some(call) = by_arrival.filter(|_| !in_order) {
            let span = call.arg.as_ref().map_or(at, |arg| arg.span);
            let name = call.function.name();
            return self.fail(span, format!("{name} goes by the order in which rows come, which windows that share rows do not keep; use TUMBLE, or MIN and MAX"));
        }
        if below.is_none() && emit.is_none() {
            return Ok(None);
        }
        if matches!(id.window, Windows::Session { .. }) {
            return Ok(None);
        }
        let column = |is: fn(&Role) -> Option<&WindowId>| {
            from.rel.fields.iter().position(|field| is(&field.role) == Some(id))
        };
        let start = column(|role| match role {
            Role::WindowStart(id) => Some(id),
            _ => None,
        });
        let end = column(|role| match role {
            Role::WindowEnd(id) => Some(id),
            _ => None,
        });
        let time = column(|role| match role {
            Role::WindowTime(id) => Some(id),
            _ => None,
        });
        let bounds = [start, end, time].into_iter().flatten().collect();
        Ok(Some(Kept { bounds, ends: emit.unwrap_or(Ends::once(0)) }))
    }

    /// Whether sessions are told apart by just what rows are grouped by, so that groups end with
    /// them. Those of other groups are columns like any others.
    fn ends_with_sessions(
        &mut self,
        from: &From,
        id: &WindowId,
        Keys { exprs, sets }: &Keys,
        filter: Option<&Expr>,
        at: Span,
    ) -> bool {
        let (errors, warnings) = (self.errors.len(), self.warnings.len());
        let grouped = self.below_window(from, filter.cloned(), id, at).and_then(|base| {
            let parted = base.windowed.as_ref().map(|w| w.partition.clone()).unwrap_or_default();
            let bound = |key: &Expr| match key.as_column().map(|c| &from.rel.fields[c].role) {
                Some(Role::WindowStart(of) | Role::WindowEnd(of) | Role::WindowTime(of)) => {
                    of == id
                }
                _ => false,
            };
            let mut grouped = Vec::new();
            for key in exprs.iter().filter(|key| !bound(key)) {
                grouped.push(self.onto(key, &base)?.as_column());
            }
            let same = parted.iter().all(|&column| grouped.contains(&Some(column)))
                && grouped.iter().all(|key| key.is_some_and(|column| parted.contains(&column)));
            Ok(same && sets.is_empty())
        });
        self.errors.truncate(errors);
        self.warnings.truncate(warnings);
        grouped.unwrap_or(false)
    }

    /// An expression of SELECT or HAVING in terms of the aggregation's columns.
    fn after(&mut self, expr: &Expr, cx: &After<'_>) -> Result<Expr, Reported> {
        let After { from, keys, sets, calls, columns, bounds, again } = cx;
        if let Some(key) = keys.iter().position(|k| same(k, expr)) {
            let nullable = expr.ty.nullable || !sets.is_empty();
            return Ok(Expr::column(key, SqlType { nullable, ..expr.ty }, expr.span));
        }
        if let Some(args) = grouping_call(expr) {
            return self.grouping(expr, args, keys, sets);
        }
        if let Some(index) = expr.as_column() {
            if is_above(index) {
                return Ok(expr.clone());
            }
            let n = from.rel.fields.len();
            if index >= n {
                return Ok(Expr::column(calls + index - n, expr.ty, expr.span));
            }
            let field = &from.rel.fields[index];
            let column = match (&field.role, bounds) {
                (Role::WindowStart(id), Some(bounds)) if *id == bounds.id => {
                    if let Some(window) = again {
                        let end = Expr::column(bounds.end, expr.ty, expr.span);
                        return Ok(start_of(*window, end, expr.span));
                    }
                    bounds.start
                }
                (Role::WindowEnd(id), Some(bounds)) if *id == bounds.id => bounds.end,
                (Role::WindowTime(id), Some(bounds)) if *id == bounds.id => bounds.time,
                _ => {
                    return self.fail(expr.span, format!("column \"{}\" is neither in GROUP BY nor inside an aggregate; add it to GROUP BY, or use MAX({})", field.name, field.name));
                }
            };
            let column = Expr::column(column, columns[column].ty, expr.span);
            return self.keep(super::expr::cast_to(column, expr.kind(), expr.span));
        }
        let mut failed = false;
        let result = map_children(expr, &mut |child| match self.after(child, cx) {
            Ok(child) => child,
            Err(Reported) => {
                failed = true;
                child.clone()
            }
        });
        if failed { Err(Reported) } else { Ok(result) }
    }
}

/// The rows and one that counts nowhere, so that there is a result over no rows at all, as there is
/// where results are given at the end. Also the column that says which rows count; in that one row
/// every filter is NULL.
fn with_a_row(input: &Arc<Rel>, at: Span) -> (Arc<Rel>, usize) {
    let there = input.fields.len();
    let mut fields = input.fields.clone();
    fields.iter_mut().for_each(|field| field.ty.nullable = true);
    let name = "$counts".to_owned();
    fields.push(Field { name, ty: SqlType::nullable(Kind::Boolean), role: Role::Plain });
    let says = |counts: bool| {
        let value: ArrayRef = Arc::new(BooleanArray::from(vec![counts]));
        Expr::literal(value, Kind::Boolean, at)
    };
    let rows = identity(input).into_iter().chain([says(true)]).collect();
    let rows = calc(input, None, rows, fields.clone());
    let row = input.fields.iter().map(|field| Expr::null(field.ty.kind, at));
    let row = RelKind::Values { rows: vec![row.chain([says(false)]).collect()] };
    let row = Arc::new(Rel { kind: row, fields: fields.clone() });
    (Arc::new(Rel { kind: RelKind::Union(vec![rows, row]), fields }), there)
}

/// The number of a grouping set.
fn set_number(number: i64, span: Span) -> Expr {
    Expr::literal(Arc::new(arrow::array::Int64Array::from(vec![number])), Kind::BigInt, span)
}

pub(super) fn same(a: &Expr, b: &Expr) -> bool {
    let column = |i: usize| format!("#{i}");
    a.kind() == b.kind() && a.canonical(&column) == b.canonical(&column)
}

/// Window columns keep their meaning through an aggregation of an aggregation of HOP.
fn window_role(expr: &Expr, from: &From) -> Option<Role> {
    match &from.rel.fields.get(expr.as_column()?)?.role {
        role @ (Role::WindowStart(_) | Role::WindowEnd(_) | Role::WindowTime(_)) => {
            Some(role.clone())
        }
        _ => None,
    }
}

pub(super) fn map_children(expr: &Expr, f: &mut impl FnMut(&Expr) -> Expr) -> Expr {
    let node = match &*expr.node {
        Node::Column(_) | Node::Literal(_) => return expr.clone(),
        Node::And(a, b) => Node::And(f(a), f(b)),
        Node::Or(a, b) => Node::Or(f(a), f(b)),
        Node::Case { whens, otherwise } => Node::Case {
            whens: whens.iter().map(|(w, t)| (f(w), f(t))).collect(),
            otherwise: f(otherwise),
        },
        Node::Call(call) => Node::Call(Call {
            name: call.name.clone(),
            args: call.args.iter().map(f).collect(),
            kernel: call.kernel.clone(),
            ..*call
        }),
    };
    Expr::new(node, expr.ty, expr.span)
}

/// `COUNT(*) FILTER (WHERE delay > 15)`, for people.
fn call_name(call: &FoundAggregate, fields: &[Field]) -> String {
    let arg = call.arg.as_ref().map(|a| short_name(a, fields));
    let filter = call.filter.as_ref().map(|f| short_name(f, fields));
    name_of_call(call.function, call.distinct, arg.as_deref(), filter.as_deref())
}

/// An aggregate's name from those of its parts; no argument is `*`.
pub(crate) fn name_of_call(
    function: Function,
    distinct: bool,
    arg: Option<&str>,
    filter: Option<&str>,
) -> String {
    let function = function.name();
    let distinct = if distinct { "DISTINCT " } else { "" };
    let filter = filter.map_or(String::new(), |f| format!(" FILTER (WHERE {f})"));
    format!("{function}({distinct}{}){filter}", arg.unwrap_or("*"))
}

/// Gives columns of the same name numbers, as state and schemas go by name.
pub(crate) fn unique(mut fields: Vec<Field>) -> Vec<Field> {
    for i in 1..fields.len() {
        let mut number = 1;
        while fields[..i].iter().any(|f| f.name == fields[i].name) {
            number += 1;
            let base = fields[i]
                .name
                .trim_end_matches(|c: char| c.is_ascii_digit() || c == '#')
                .to_owned();
            fields[i].name = format!("{base}#{number}");
        }
    }
    fields
}
