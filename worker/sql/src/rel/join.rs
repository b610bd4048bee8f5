//! Joins of the plan: what ON and WHERE say about either side, and about both.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
pub(crate) use weir_engine::operators::join::spec::JoinKind;

use super::near::{Near, near};
use super::{Field, Rel, RelKind, Role, calc, identity};
use crate::error::Span;
use crate::expr::{Expr, Node};
use crate::types::{Kind, SqlType};

/// A join over all rows. Columns: the left side's, then the right one's; of `Semi` and `Anti` the
/// left side's alone.
pub(crate) struct Join {
    pub(crate) left: Arc<Rel>,
    pub(crate) right: Arc<Rel>,
    pub(crate) kind: JoinKind,
    /// What must all hold, over the columns of both sides.
    pub(crate) on: Vec<Expr>,
    pub(crate) span: Span,
    /// Set where rows wait only for those that are near them in time.
    pub(crate) near: Option<Near>,
}

/// Two expressions that must be equal: over the left side's columns, and over the right one's.
pub(crate) struct Equal {
    pub(crate) left: Expr,
    pub(crate) right: Expr,
    /// NULL equals NULL.
    pub(crate) null_safe: bool,
}

/// Whose columns an expression reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    None,
    Left,
    Right,
    Both,
}

fn whose(expr: &Expr, width: usize) -> Of {
    let mut columns = BTreeSet::new();
    expr.columns(&mut columns);
    match (columns.first(), columns.last()) {
        (Some(first), _) if *first >= width => Of::Right,
        (_, Some(last)) if *last < width => Of::Left,
        (None, _) => Of::None,
        _ => Of::Both,
    }
}

fn shifted(expr: &Expr, width: usize) -> Expr {
    expr.renumber(&|index| index.saturating_sub(width))
}

impl Join {
    fn width(&self) -> usize {
        self.left.fields.len()
    }

    /// The equalities of ON, by which rows find each other, and what else must hold.
    pub(crate) fn split(&self) -> (Vec<Equal>, Option<Expr>) {
        let (mut equal, mut rest) = (Vec::new(), None);
        for on in &self.on {
            match equality(on, self.width()) {
                Some(found) => {
                    // Keys are equal where both have a NULL inside, which `=` leaves open.
                    if matches!(found.left.kind(), Kind::Nested(_)) && !found.null_safe {
                        rest = super::and(rest, Some(on.clone()));
                    }
                    equal.push(found);
                }
                None => rest = super::and(rest, Some(on.clone())),
            }
        }
        (equal, rest)
    }

    /// The clause, for people.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            JoinKind::Inner => "JOIN",
            JoinKind::Left => "LEFT JOIN",
            JoinKind::Right => "RIGHT JOIN",
            JoinKind::Full => "FULL JOIN",
            JoinKind::Semi => "IN or EXISTS",
            JoinKind::Anti => "NOT IN or NOT EXISTS",
        }
    }
}

/// The equality that a condition over the columns of two sides is, if it is one that rows can find
/// each other by; the left side has `width` columns.
pub(crate) fn equality(on: &Expr, width: usize) -> Option<Equal> {
    let Node::Call(call) = &*on.node else { return None };
    let null_safe = match call.name.as_str() {
        "=" => false,
        "IS NOT DISTINCT FROM" => true,
        _ => return None,
    };
    let [a, b] = call.args.as_slice() else { return None };
    let (left, right) = match (whose(a, width), whose(b, width)) {
        (Of::Left, Of::Right) => (a, b),
        (Of::Right, Of::Left) => (b, a),
        _ => return None,
    };
    // They are the keys of state, which are of one type.
    let fits = left.kind().arrow() == right.kind().arrow() && left.kind() != Kind::Null;
    let repeatable = left.nondeterministic().is_none() && right.nondeterministic().is_none();
    let right = shifted(right, width);
    (fits && repeatable).then(|| Equal { left: left.clone(), right, null_safe })
}

/// The parts of a condition that must all hold.
pub(crate) fn conjuncts(expr: Expr, into: &mut Vec<Expr>) {
    match &*expr.node {
        Node::And(a, b) => {
            conjuncts(a.clone(), into);
            conjuncts(b.clone(), into);
        }
        Node::Literal(value) if value.is_valid(0) && expr.kind() == Kind::Boolean => {
            if !value.as_boolean().value(0) {
                into.push(expr);
            }
        }
        _ => into.push(expr),
    }
}

fn keep(rel: &Arc<Rel>, filters: Vec<Expr>) -> Arc<Rel> {
    let mut filter = None;
    for next in filters {
        filter = super::and(filter, Some(next));
    }
    match filter {
        None => rel.clone(),
        Some(filter) => {
            let (rel, filter) = filtered(rel, Some(filter));
            match filter {
                Some(_) => calc(&rel, filter, identity(&rel), rel.fields.clone()),
                None => rel,
            }
        }
    }
}

/// The columns of a join.
pub(crate) fn fields(left: &Rel, right: &Rel, kind: JoinKind) -> Vec<Field> {
    let side = |rel: &Rel, padded: bool| -> Vec<Field> {
        let field = |f: &Field| Field {
            name: f.name.clone(),
            ty: SqlType { kind: f.ty.kind, nullable: f.ty.nullable || padded },
            // Rows come when the other side's do.
            role: Role::Plain,
        };
        rel.fields.iter().map(field).collect()
    };
    let (pads_left, pads_right) = match kind {
        JoinKind::Left => (false, true),
        JoinKind::Right => (true, false),
        JoinKind::Full => (true, true),
        JoinKind::Inner | JoinKind::Semi | JoinKind::Anti => (false, false),
    };
    let mut fields = side(left, pads_left);
    if kind.gives_pairs() {
        fields.extend(side(right, pads_right));
    }
    fields
}

/// A join; what ON says of one side alone is said below where that means the same.
pub(crate) fn join(
    left: &Arc<Rel>,
    right: &Arc<Rel>,
    kind: JoinKind,
    on: Vec<Expr>,
    span: Span,
) -> Arc<Rel> {
    let width = left.fields.len();
    // A row of a side that is kept without a match must not go for failing ON.
    let below_left = matches!(kind, JoinKind::Inner | JoinKind::Right | JoinKind::Semi);
    let below_right = kind != JoinKind::Right && kind != JoinKind::Full;
    let (mut of_left, mut of_right, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for on in on {
        let movable = on.nondeterministic().is_none();
        match whose(&on, width) {
            Of::Left if below_left && movable => of_left.push(on),
            Of::Right if below_right && movable => of_right.push(shifted(&on, width)),
            _ => both.push(on),
        }
    }
    Arc::new(joined(keep(left, of_left), keep(right, of_right), kind, both, span))
}

/// A join as it is.
pub(super) fn joined(
    left: Arc<Rel>,
    right: Arc<Rel>,
    kind: JoinKind,
    on: Vec<Expr>,
    span: Span,
) -> Rel {
    let mut fields = fields(&left, &right, kind);
    let near = near(&left, &right, kind, &on);
    if let Some(near) = near {
        // Watermarks are held back for rows that come later than others of their time.
        let width = left.fields.len();
        let keeps = |side: &Rel, first: usize, time: usize, fields: &mut [Field]| {
            for (column, field) in side.fields.iter().enumerate() {
                let of_window = matches!(
                    field.role,
                    Role::WindowStart(_) | Role::WindowEnd(_) | Role::WindowTime(_)
                );
                if near.windows && of_window {
                    fields[first + column].role = field.role.clone();
                } else if !near.windows && column == time {
                    fields[first + column].role = Role::Rowtime;
                }
            }
        };
        if matches!(kind, JoinKind::Inner | JoinKind::Left) {
            keeps(&left, 0, near.left, &mut fields);
        }
        if matches!(kind, JoinKind::Inner | JoinKind::Right) {
            keeps(&right, width, near.right, &mut fields);
        }
    }
    Rel { kind: RelKind::Join(Join { left, right, kind, on, span, near }), fields }
}

/// The relation with as much of a filter on it as can be said in its joins, and the rest.
pub(crate) fn filtered(rel: &Arc<Rel>, filter: Option<Expr>) -> (Arc<Rel>, Option<Expr>) {
    if let (Some(filter), RelKind::Unnest(unnest)) = (&filter, &rel.kind) {
        return unnest.filtered(rel, filter.clone());
    }
    let (Some(filter), RelKind::Join(Join { left, right, kind, on, span, .. })) =
        (&filter, &rel.kind)
    else {
        return (rel.clone(), filter);
    };
    let mut parts = Vec::new();
    conjuncts(filter.clone(), &mut parts);
    let width = left.fields.len();
    let keeps_left = !matches!(kind, JoinKind::Right | JoinKind::Full);
    let keeps_right = matches!(kind, JoinKind::Inner | JoinKind::Right);
    let (mut of_left, mut of_right, mut on, mut above) = (Vec::new(), Vec::new(), on.clone(), None);
    for part in parts {
        let movable = part.nondeterministic().is_none();
        match whose(&part, width) {
            Of::Left if keeps_left && movable => of_left.push(part),
            Of::Right if keeps_right && movable => of_right.push(shifted(&part, width)),
            Of::Both if *kind == JoinKind::Inner && movable => on.push(part),
            _ => above = super::and(above, Some(part)),
        }
    }
    let (left, right) = (keep(left, of_left), keep(right, of_right));
    (join(&left, &right, *kind, on, *span), above)
}
