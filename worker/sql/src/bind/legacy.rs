//! The old group windows: `GROUP BY TUMBLE(ts, INTERVAL '1' HOUR)` with `TUMBLE_START(…)`. They are
//! the window functions of FROM, written elsewhere, and become those before anything is bound.

use super::subquery::{parts, values};
use crate::ast::{
    BinaryOp, Call, Expr, ExprKind, Ident, JoinOn, Relation, RelationKind, Select, SelectItem,
    WindowCall, WindowKind,
};
use crate::error::{Span, SqlError};
use crate::rel::JoinKind;

/// Largest number of arguments of each function, and the name.
const WINDOWS: [(&str, WindowKind, usize); 3] = [
    ("TUMBLE", WindowKind::Tumble, 3),
    ("HOP", WindowKind::Hop, 4),
    ("SESSION", WindowKind::Session, 2),
];

fn window_named(name: &str) -> Option<(&'static str, WindowKind, usize)> {
    WINDOWS.into_iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
}

/// A call of a group window.
fn as_window(expr: &Expr) -> Option<(&Call, &'static str, WindowKind, usize)> {
    let ExprKind::Call(call) = &expr.kind else { return None };
    let (name, kind, most) = window_named(&call.name.text)?;
    Some((call, name, kind, most))
}

/// The SELECT with a window function in FROM, if it groups by an old window.
pub(super) fn rewritten(select: &Select) -> Result<Option<Select>, SqlError> {
    let keys = select.group_by.iter().flat_map(|group| &group.keys);
    let mut windows = keys.filter(|key| as_window(key).is_some());
    let Some(key) = windows.next() else { return Ok(None) };
    if let Some(other) = windows.next() {
        return Err(SqlError::new(other.span, "GROUP BY has two windows; group by one of them"));
    }
    let Some((call, name, kind, most)) = as_window(key) else { return Ok(None) };
    if select.group_by.as_ref().is_some_and(|group| !group.sets.is_empty()) {
        return Err(SqlError::new(
            key.span,
            format!(
                "{name} in GROUP BY does not stand beside grouping sets; write FROM TABLE({name}(…)) and group by window_start, window_end"
            ),
        ));
    }
    let Some(data) = &select.from else { return Ok(None) };
    let mut select = select.clone();
    let partition = session_keys(&select, kind)?;
    let data = joined_on(data, &mut select.filter);
    if let (WindowKind::Session, Some(filter)) = (kind, &select.filter)
        && let Some(query) = query_of(filter)
    {
        return Err(SqlError::new(
            query,
            "a query in WHERE has no place beside GROUP BY SESSION(…): sessions would be of the rows before it; use TUMBLE or HOP, or a condition without a query",
        ));
    }
    let from = window(call, name, kind, most, &data, partition, key.span)?;
    let old = Old { name, args: call.args.clone() };
    select.from = Some(from);
    for (number, item) in select.items.iter_mut().enumerate() {
        if let SelectItem::Expr { expr, alias } = item {
            if alias.is_none() && matches!(expr.kind, ExprKind::Call(_)) {
                // Its name stays that of an expression.
                *alias = Some(Ident { text: format!("EXPR${number}"), span: expr.span });
            }
            old.replace(expr)?;
        }
    }
    for condition in select.having.iter_mut().chain(&mut select.qualify) {
        old.replace(condition)?;
    }
    if let Some(group) = &mut select.group_by {
        let mut keys = Vec::new();
        for key in group.keys.drain(..) {
            if as_window(&key).is_some() {
                keys.extend(["$window_start", "$window_end"].map(|name| column(name, key.span)));
            } else {
                keys.push(key);
            }
        }
        group.keys = keys;
    }
    Ok(Some(select))
}

/// FROM with what WHERE says of it in the ON of its last join, which may be a join by a time for
/// that, with an event time behind it; queries stay in WHERE.
fn joined_on(data: &Relation, filter: &mut Option<Expr>) -> Relation {
    let mut data = data.clone();
    let RelationKind::Join(clause) = &mut data.kind else { return data };
    let is_plain = !matches!(clause.right.kind, RelationKind::AsOf(_));
    if clause.kind != JoinKind::Inner || !is_plain {
        return data;
    }
    let on = match &clause.on {
        JoinOn::Nothing => None,
        JoinOn::Condition(on) => Some(on.clone()),
        JoinOn::Using(_) | JoinOn::Natural => return data,
    };
    let has_query = |part: &&Expr| query_of(part).is_some();
    let Some(whole) = filter.take() else { return data };
    let mut all_parts = Vec::new();
    parts(&whole, &mut all_parts);
    let (stay, go): (Vec<&Expr>, Vec<&Expr>) = all_parts.into_iter().partition(has_query);
    *filter = all(stay.into_iter().cloned());
    if let Some(on) = all(on.into_iter().chain(go.into_iter().cloned())) {
        clause.on = JoinOn::Condition(on);
    }
    data
}

/// Where an expression holds a query, if it does.
fn query_of(expr: &Expr) -> Option<Span> {
    let mut found = Vec::new();
    values(expr, &mut found);
    found.first().map(|query| query.span)
}

/// One condition of those that all have to hold.
fn all(parts: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    parts.into_iter().reduce(|left, right| {
        let (span, height) = (left.span.to(right.span), left.height.max(right.height) + 1);
        let (left, right) = (Box::new(left), Box::new(right));
        Expr { kind: ExprKind::Binary { op: BinaryOp::And, left, right }, span, height }
    })
}

/// The columns by which sessions are told apart: all other keys.
fn session_keys(select: &Select, kind: WindowKind) -> Result<Vec<Vec<Ident>>, SqlError> {
    if kind != WindowKind::Session {
        return Ok(Vec::new());
    }
    let keys = select.group_by.iter().flat_map(|group| &group.keys);
    let others = keys.filter(|key| as_window(key).is_none());
    others
        .map(|key| match &key.kind {
            ExprKind::Column(parts) if !parts.is_empty() => Ok(parts.clone()),
            _ => Err(SqlError::new(
                key.span,
                "GROUP BY SESSION(…) takes columns beside it; compute this in a query in FROM",
            )),
        })
        .collect()
}

fn window(
    call: &Call,
    name: &str,
    kind: WindowKind,
    most: usize,
    data: &Relation,
    partition: Vec<Vec<Ident>>,
    span: Span,
) -> Result<Relation, SqlError> {
    let least = if kind == WindowKind::Hop { 3 } else { 2 };
    if !(least..=most).contains(&call.args.len()) {
        let usage = match kind {
            WindowKind::Hop => "HOP(time, slide, size)",
            WindowKind::Session => "SESSION(time, gap)",
            WindowKind::Tumble | WindowKind::Cumulate => "TUMBLE(time, size)",
        };
        return Err(SqlError::new(span, format!("{name} in GROUP BY is {usage}")));
    }
    let time = match &call.args[0].kind {
        ExprKind::Column(parts) if !parts.is_empty() => parts.clone(),
        _ => {
            let message = format!("{name} in GROUP BY takes a column with an event time first");
            return Err(SqlError::new(call.args[0].span, message));
        }
    };
    let mut lengths = call.args[1..].iter().cloned();
    let step = if kind == WindowKind::Hop { lengths.next() } else { None };
    let size = lengths.next().unwrap_or_else(|| call.args[0].clone());
    let alias = match (&data.alias, &data.kind) {
        (Some(alias), _) => Some(alias.clone()),
        (None, RelationKind::Table(name, _)) => {
            Some(Ident { text: name.alone().to_owned(), span: name.span })
        }
        (None, _) => None,
    };
    let call = WindowCall {
        function: call.name.clone(),
        kind,
        data: data.clone(),
        partition,
        time,
        size,
        step,
        offset: lengths.next(),
        in_group_by: true,
    };
    let kind = RelationKind::Window(Box::new(call));
    Ok(Relation { kind, alias, columns: Vec::new(), span: data.span })
}

fn column(name: &str, span: Span) -> Expr {
    let parts = vec![Ident { text: name.to_owned(), span }];
    Expr { kind: ExprKind::Column(parts), span, height: 1 }
}

/// `PROCTIME()`.
fn clock(span: Span) -> Expr {
    let call = crate::ast::Call {
        name: Ident { text: "PROCTIME".to_owned(), span },
        args: Vec::new(),
        star: false,
        distinct: false,
        filter: None,
        over: None,
    };
    Expr { kind: ExprKind::Call(Box::new(call)), span, height: 1 }
}

/// The window that a SELECT groups by.
struct Old {
    name: &'static str,
    args: Vec<Expr>,
}

impl Old {
    /// Puts the window's columns in the place of `TUMBLE_START(…)` and the like.
    fn replace(&self, expr: &mut Expr) -> Result<(), SqlError> {
        if let ExprKind::Call(call) = &expr.kind
            && let Some((window, part)) = call.name.text.rsplit_once('_')
            && window_named(window).is_some()
        {
            let name = match part.to_ascii_uppercase().as_str() {
                "START" => "$window_start",
                "END" => "$window_end",
                "ROWTIME" => "$window_time",
                // The time at which the window is given.
                "PROCTIME" => "PROCTIME",
                _ => return Ok(()),
            };
            if !window.eq_ignore_ascii_case(self.name) || !same(&call.args, &self.args) {
                return Err(SqlError::new(
                    expr.span,
                    format!(
                        "{} is of another window than GROUP BY; write {}_{part} with the arguments that {} has there",
                        call.name.text, self.name, self.name
                    ),
                ));
            }
            let span = expr.span;
            *expr = if name == "PROCTIME" { clock(span) } else { column(name, span) };
            return Ok(());
        }
        crate::ast::children_mut(&mut expr.kind)
            .into_iter()
            .try_for_each(|child| self.replace(child))
    }
}

/// Whether arguments are written alike.
fn same(a: &[Expr], b: &[Expr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| without_spans(a) == without_spans(b))
}

fn without_spans(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    forget_spans(&mut expr);
    expr
}

fn forget_spans(expr: &mut Expr) {
    expr.span = Span::default();
    if let ExprKind::Column(parts) = &mut expr.kind {
        // A column may be qualified in one place only.
        parts.drain(..parts.len().saturating_sub(1));
        parts.iter_mut().for_each(|part| part.span = Span::default());
    }
    if let ExprKind::Call(call) = &mut expr.kind {
        call.name.span = Span::default();
    }
    crate::ast::children_mut(&mut expr.kind).into_iter().for_each(forget_spans);
}
