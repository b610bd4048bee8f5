//! The logical plan: what rows are, independent of how they are computed.
//!
//! Projections and filters that follow each other are merged as the plan is built, and are
//! pushed through UNION ALL, so that lowering sees at most one of them between two operators.

mod changes;
mod join;
mod narrow;
mod near;

use std::sync::Arc;

use weir_engine::aggregate::Function;
use weir_engine::operators::window::spec::Window;

use crate::catalog::TableDef;
use crate::error::Span;
use crate::expr::{Expr, Node};
use crate::types::{Kind, SqlType};

pub(crate) use join::{
    Equal, Join, JoinKind, conjuncts, equality, fields as join_fields, filtered, join,
};
pub(crate) use narrow::Narrowing;
pub(crate) use near::Near;

/// A column of a relation.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) ty: SqlType,
    pub(crate) role: Role,
}

/// What a column means for time.
#[derive(Clone, PartialEq)]
pub(crate) enum Role {
    Plain,
    /// An event time that watermarks belong to.
    Rowtime,
    WindowStart(WindowId),
    WindowEnd(WindowId),
    /// The last millisecond of a window, which is an event time as well.
    WindowTime(WindowId),
}

/// Which windows a column describes.
#[derive(Clone, PartialEq)]
pub(crate) struct WindowId {
    /// Different for every window function in the program.
    pub(crate) number: usize,
    pub(crate) window: Window,
}

impl Role {
    pub(crate) fn is_rowtime(&self) -> bool {
        matches!(self, Self::Rowtime | Self::WindowTime(_))
    }
}

/// A relation.
pub(crate) struct Rel {
    pub(crate) kind: RelKind,
    pub(crate) fields: Vec<Field>,
}

pub(crate) enum RelKind {
    Scan(Arc<TableDef>),
    Calc {
        input: Arc<Rel>,
        filter: Option<Expr>,
        exprs: Vec<Expr>,
    },
    Union(Vec<Arc<Rel>>),
    Values {
        rows: Vec<Vec<Expr>>,
    },
    /// The input's columns, `window_start`, `window_end`, `window_time`.
    Window {
        input: Arc<Rel>,
        time: usize,
        id: WindowId,
        span: Span,
    },
    Aggregate(Aggregate),
    Join(Join),
}

/// An aggregation. Columns: keys, aggregates, and of a windowed one `window_start`, `window_end`,
/// `window_time`.
pub(crate) struct Aggregate {
    pub(crate) input: Arc<Rel>,
    /// Absent: over all rows, so that results are corrected as rows come.
    pub(crate) over: Option<TimeWindow>,
    /// Columns of `input`.
    pub(crate) keys: Vec<usize>,
    pub(crate) calls: Vec<AggregateCall>,
    /// The GROUP BY clause.
    pub(crate) span: Span,
}

/// The windows of an aggregation.
#[derive(Clone, Copy)]
pub(crate) struct TimeWindow {
    /// The event time, a column of the input.
    pub(crate) time: usize,
    pub(crate) window: Window,
}

#[derive(Clone)]
pub(crate) struct AggregateCall {
    pub(crate) function: Function,
    pub(crate) input: Option<usize>,
    pub(crate) filter: Option<usize>,
    pub(crate) distinct: bool,
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

/// Largest total of expression nodes that merging may build; merged copies of copies would
/// otherwise grow exponentially.
const MAX_MERGED_NODES: usize = 4000;

fn size(expr: &Expr) -> usize {
    match &*expr.node {
        Node::Column(_) | Node::Literal(_) => 1,
        Node::And(a, b) | Node::Or(a, b) => 1 + size(a) + size(b),
        Node::Case { whens, otherwise } => {
            1 + size(otherwise) + whens.iter().map(|(w, t)| size(w) + size(t)).sum::<usize>()
        }
        Node::Call(call) => 1 + call.args.iter().map(size).sum::<usize>(),
    }
}

/// Size of `expr` once its columns are replaced.
fn merged_size(expr: &Expr, sizes: &[usize]) -> usize {
    match &*expr.node {
        Node::Column(index) => sizes.get(*index).copied().unwrap_or(1),
        Node::Literal(_) => 1,
        Node::And(a, b) | Node::Or(a, b) => 1 + merged_size(a, sizes) + merged_size(b, sizes),
        Node::Case { whens, otherwise } => {
            1 + merged_size(otherwise, sizes)
                + whens
                    .iter()
                    .map(|(w, t)| merged_size(w, sizes) + merged_size(t, sizes))
                    .sum::<usize>()
        }
        Node::Call(call) => 1 + call.args.iter().map(|a| merged_size(a, sizes)).sum::<usize>(),
    }
}

/// Both conditions, the first before the second.
pub(crate) fn and(first: Option<Expr>, second: Option<Expr>) -> Option<Expr> {
    match (first, second) {
        (Some(a), Some(b)) => {
            let ty = SqlType { kind: Kind::Boolean, nullable: a.ty.nullable || b.ty.nullable };
            let span = a.span;
            Some(Expr::new(Node::And(a, b), ty, span))
        }
        (a, b) => a.or(b),
    }
}

/// A projection and filter over `input`, merged with what is below.
pub(crate) fn calc(
    input: &Arc<Rel>,
    filter: Option<Expr>,
    exprs: Vec<Expr>,
    fields: Vec<Field>,
) -> Arc<Rel> {
    match &input.kind {
        RelKind::Union(branches) => {
            let branches = branches
                .iter()
                .map(|b| calc(b, filter.clone(), exprs.clone(), fields.clone()))
                .collect();
            Arc::new(Rel { kind: RelKind::Union(branches), fields })
        }
        RelKind::Calc { input: below, filter: first, exprs: inner } => {
            let sizes: Vec<usize> = inner.iter().map(size).collect();
            let total: usize = exprs.iter().chain(&filter).map(|e| merged_size(e, &sizes)).sum();
            let repeatable = inner.iter().all(|e| e.nondeterministic().is_none());
            if total > MAX_MERGED_NODES || !repeatable {
                return stack(input, filter, exprs, fields);
            }
            let replace = |index: usize| inner[index].clone();
            let filter = and(first.clone(), filter.map(|f| f.substitute(&replace)));
            let exprs = exprs.iter().map(|e| e.substitute(&replace)).collect();
            Arc::new(Rel { kind: RelKind::Calc { input: below.clone(), filter, exprs }, fields })
        }
        _ => stack(input, filter, exprs, fields),
    }
}

fn stack(input: &Arc<Rel>, filter: Option<Expr>, exprs: Vec<Expr>, fields: Vec<Field>) -> Arc<Rel> {
    Arc::new(Rel { kind: RelKind::Calc { input: input.clone(), filter, exprs }, fields })
}

/// Every column of `input` as an expression.
pub(crate) fn identity(input: &Rel) -> Vec<Expr> {
    input
        .fields
        .iter()
        .enumerate()
        .map(|(i, field)| Expr::column(i, field.ty, Span::default()))
        .collect()
}

/// Column names, for rendering expressions.
pub(crate) fn names(fields: &[Field]) -> impl Fn(usize) -> String + '_ {
    |index| fields.get(index).map_or_else(|| format!("#{index}"), |f| f.name.clone())
}
