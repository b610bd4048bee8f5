//! Joins of the plan: what ON and WHERE say about either side, and about both.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
pub(crate) use weir_engine::operators::join::spec::JoinKind;
use weir_engine::operators::lookup::spec::Retry;

use super::near::{Near, near};
use super::{Field, Rel, RelKind, Role, calc, identity, timed};
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
    /// Set where rows meet what the right side said at their time.
    pub(crate) as_of: Option<AsOf>,
    /// How long rows of either side are kept, where a hint says so; zero is for ever.
    pub(crate) ttl: [Option<Duration>; 2],
}

/// What of the right side rows of the left meet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum AsOf {
    /// What it said at the row's event time.
    Versions(Versions),
    /// What it says when it is asked.
    Lookup(Lookup),
}

impl AsOf {
    pub(crate) fn versions(&self) -> Option<&Versions> {
        match self {
            Self::Versions(versions) => Some(versions),
            Self::Lookup(_) => None,
        }
    }
}

/// How a table is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lookup {
    /// The longest that an answer may take.
    pub(crate) timeout: Duration,
    /// Whether rows without an answer ask again.
    pub(crate) retry: Option<Retry>,
}

/// When rows of the left meet versions of the right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Versions {
    /// The event times: a column of the left side, and one of the right.
    pub(crate) left: usize,
    pub(crate) right: usize,
    /// Columns of the right side that tell its rows apart; ON says of each what it equals.
    pub(crate) key: Vec<usize>,
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
            match self.key_of(on) {
                Some(found) => {
                    // Keys are equal where both have a NaN inside, which equals nothing.
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

    /// The equality that a part of ON is, if it is one by which rows find each other: versions are
    /// told apart by their key alone.
    pub(crate) fn key_of(&self, on: &Expr) -> Option<Equal> {
        let found = equality(on, self.width())?;
        let of_key = self.as_of.as_ref().is_none_or(|as_of| {
            let Some(as_of) = as_of.versions() else { return !found.null_safe };
            let column = found.right.as_column();
            !found.null_safe && column.is_some_and(|column| as_of.key.contains(&column))
        });
        of_key.then_some(found)
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
            role: if f.role == Role::Proctime && !padded { Role::Proctime } else { Role::Plain },
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
    joined_at(left, right, kind, on, span, None)
}

/// The same, of rows with versions if they are.
pub(crate) fn joined_at(
    left: &Arc<Rel>,
    right: &Arc<Rel>,
    kind: JoinKind,
    on: Vec<Expr>,
    span: Span,
    as_of: Option<AsOf>,
) -> Arc<Rel> {
    let (left, right) = &by_arrival(left, right, kind, &on, as_of.is_some());
    let width = left.fields.len();
    // A row of a side that is kept without a match must not go for failing ON.
    let below_left = matches!(kind, JoinKind::Inner | JoinKind::Right | JoinKind::Semi);
    // A version that is left out would let the one before it go on.
    let below_right = kind != JoinKind::Right
        && kind != JoinKind::Full
        && as_of.as_ref().is_none_or(|as_of| as_of.versions().is_none());
    let (mut of_left, mut of_right, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for on in on {
        let movable = on.nondeterministic().is_none();
        match whose(&on, width) {
            Of::Left if below_left && movable => of_left.push(on),
            Of::Right if below_right && movable => of_right.push(shifted(&on, width)),
            _ => both.push(on),
        }
    }
    Arc::new(joined(keep(left, of_left), keep(right, of_right), kind, both, span, as_of))
}

/// The sides of a join; where it bounds how far apart in processing time the rows of a pair may be,
/// as they come.
fn by_arrival(
    left: &Arc<Rel>,
    right: &Arc<Rel>,
    kind: JoinKind,
    on: &[Expr],
    as_of: bool,
) -> (Arc<Rel>, Arc<Rel>) {
    let as_they_are = || (left.clone(), right.clone());
    let width = left.fields.len();
    let mut columns = BTreeSet::new();
    on.iter().for_each(|on| on.columns(&mut columns));
    let of_clock = |side: &Rel, first: usize| {
        let is = |at: &usize| side.fields[*at].role == Role::Proctime;
        (0..side.fields.len()).filter(|at| columns.contains(&(first + at))).find(is)
    };
    let (Some(l), Some(r)) = (of_clock(left, 0), of_clock(right, width)) else {
        return as_they_are();
    };
    let (by_left, by_right) = (timed(left, l), timed(right, r));
    match near(&by_left, &by_right, kind, on) {
        Some(near) if !as_of && (near.left, near.right) == (l, r) => (by_left, by_right),
        _ => as_they_are(),
    }
}

/// A join as it is.
pub(super) fn joined(
    left: Arc<Rel>,
    right: Arc<Rel>,
    kind: JoinKind,
    on: Vec<Expr>,
    span: Span,
    as_of: Option<AsOf>,
) -> Rel {
    let mut fields = fields(&left, &right, kind);
    let near = if as_of.is_none() { near(&left, &right, kind, &on) } else { None };
    if let Some(as_of) = &as_of {
        // A row leaves before the watermark passes its time; other times may be earlier.
        let at = as_of.versions().map(|as_of| as_of.left);
        for (column, (field, of)) in fields.iter_mut().zip(&left.fields).enumerate() {
            let stays = match of.role {
                Role::Plain | Role::Proctime | Role::Watermark => false,
                Role::Rowtime => at.is_none_or(|at| at == column),
                // A window's last time is not before that of a row in it.
                Role::WindowStart(_) | Role::WindowEnd(_) | Role::WindowTime(_) => true,
            };
            if stays {
                field.role = of.role.clone();
            }
        }
    }
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
    Rel {
        kind: RelKind::Join(Join { left, right, kind, on, span, near, as_of, ttl: [None; 2] }),
        fields,
    }
}

/// A join that was just made, whose sides' rows are kept so long.
pub(crate) fn lasting(mut rel: Arc<Rel>, ttl: [Option<Duration>; 2]) -> Arc<Rel> {
    if let Some(Rel { kind: RelKind::Join(join), .. }) = Arc::get_mut(&mut rel) {
        join.ttl = ttl;
    }
    rel
}

/// The relation with as much of a filter on it as can be said in its joins, and the rest.
pub(crate) fn filtered(rel: &Arc<Rel>, filter: Option<Expr>) -> (Arc<Rel>, Option<Expr>) {
    if let (Some(filter), RelKind::Unnest(unnest)) = (&filter, &rel.kind) {
        return unnest.filtered(rel, filter.clone());
    }
    let (Some(filter), RelKind::Join(Join { left, right, kind, on, span, as_of, ttl, .. })) =
        (&filter, &rel.kind)
    else {
        return (rel.clone(), filter);
    };
    let mut parts = Vec::new();
    conjuncts(filter.clone(), &mut parts);
    let width = left.fields.len();
    let keeps_left = !matches!(kind, JoinKind::Right | JoinKind::Full);
    let keeps_right = matches!(kind, JoinKind::Inner | JoinKind::Right);
    let has_versions = as_of.as_ref().is_some_and(|as_of| as_of.versions().is_some());
    let (mut of_left, mut of_right, mut on, mut above) = (Vec::new(), Vec::new(), on.clone(), None);
    for part in parts {
        let movable = part.nondeterministic().is_none();
        match whose(&part, width) {
            Of::Left if keeps_left && movable => of_left.push(part),
            Of::Right if keeps_right && movable && !has_versions => {
                of_right.push(shifted(&part, width));
            }
            Of::Right if keeps_right && movable => on.push(part),
            Of::Both if *kind == JoinKind::Inner && movable => on.push(part),
            _ => above = super::and(above, Some(part)),
        }
    }
    let (left, right) = (keep(left, of_left), keep(right, of_right));
    let joined = joined_at(&left, &right, *kind, on, *span, as_of.clone());
    (lasting(joined, *ttl), above)
}
