//! The logical plan: what rows are, independent of how they are computed.
//!
//! Projections and filters that follow each other are merged as the plan is built, and are
//! pushed through UNION ALL, so that lowering sees at most one of them between two operators.

mod changes;
mod join;
mod narrow;
mod near;
mod pattern;
mod sessions;
mod unnest;

use std::sync::Arc;
use std::time::Duration;

use weir_engine::aggregate::Function;
use weir_engine::operators::dedup::spec::Keep;
use weir_engine::operators::group::spec::Ends;
use weir_engine::operators::over::spec::Frame;
use weir_engine::operators::rank::spec::{RankFunction, SortColumn};
use weir_engine::operators::window::spec::Window;

use crate::bind::watermarks::CURRENT_WATERMARK;
use crate::catalog::TableDef;
use crate::error::Span;
use crate::expr::{Expr, Node};
use crate::types::{Kind, SqlType};
use crate::zone::Zone;

pub(crate) use join::{
    AsOf, Equal, Join, JoinKind, Lookup, Versions, conjuncts, equality, fields as join_fields,
    filtered, join, joined_at, lasting,
};
pub(crate) use narrow::Narrowing;
pub(crate) use near::Near;
pub(crate) use pattern::{Check, Measure, Pattern, Variable};
pub(crate) use sessions::rows_of_sessions;
pub(crate) use unnest::Unnest;

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
    /// The time at which a row is looked at.
    Proctime,
    /// The watermark that a row found, in a column that only `CURRENT_WATERMARK` reads.
    Watermark,
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
    pub(crate) window: Windows,
    /// Columns of the function's input by which sessions are told apart.
    pub(crate) partition: Vec<usize>,
    /// Whose clock cuts points in time into windows; UTC's cuts other times.
    pub(crate) zone: Zone,
    /// Whether it was written in GROUP BY, so that `table.exec.emit` is about it.
    pub(crate) in_group_by: bool,
}

/// How event time is cut into windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Windows {
    /// The same for all rows.
    Grid(Window),
    /// By the rows themselves: a window ends so many milliseconds after its last row.
    Session { gap: i64 },
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
    /// The input's columns, with the time at which rows come in one of them, which is their event
    /// time from here on.
    Arrivals {
        input: Arc<Rel>,
        time: usize,
    },
    /// The input's columns, `window_start`, `window_end`, `window_time`.
    Window {
        input: Arc<Rel>,
        time: usize,
        id: WindowId,
        span: Span,
    },
    Aggregate(Aggregate),
    /// The input's columns, then one per call.
    Over(Over),
    /// The input's columns, then the rank if it is wanted.
    Rank(Rank),
    Join(Join),
    /// The columns that are kept, then those of an element.
    Unnest(Unnest),
    /// Of a match its keys and measures, or its rows.
    Pattern(Pattern),
}

/// An aggregation. Columns: keys, aggregates, and of a windowed one `window_start`, `window_end`,
/// `window_time`.
pub(crate) struct Aggregate {
    pub(crate) input: Arc<Rel>,
    /// Absent: over all rows, so that results are corrected as rows come.
    pub(crate) over: Option<TimeWindow>,
    /// Set where the keys hold a window's bounds, and groups end with it.
    pub(crate) ends: Option<Ends>,
    /// Columns of `input`.
    pub(crate) keys: Vec<usize>,
    pub(crate) calls: Vec<AggregateCall>,
    /// How long a group is kept that nothing happens to, where a hint says so; zero is for ever.
    pub(crate) ttl: Option<Duration>,
    /// The GROUP BY clause.
    pub(crate) span: Span,
}

/// The windows of an aggregation.
#[derive(Clone, Copy)]
pub(crate) struct TimeWindow {
    /// The event time, a column of the input.
    pub(crate) time: usize,
    pub(crate) window: Windows,
    /// Whose clock shows `time`; watermarks are in UTC.
    pub(crate) zone: Zone,
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

/// Functions over the rows around each row.
pub(crate) struct Over {
    pub(crate) input: Arc<Rel>,
    /// Columns of `input`.
    pub(crate) partition: Vec<usize>,
    pub(crate) order: Vec<SortColumn>,
    pub(crate) calls: Vec<OverCall>,
    /// Whether all rows are of one time, and leave together when everything has come.
    pub(crate) at_once: bool,
    /// The window's definition.
    pub(crate) span: Span,
}

impl Over {
    /// Whether each row leaves once, when the watermark has passed its time: rows that only come, in
    /// the order of their event time. Otherwise its results are given at once and corrected.
    pub(crate) fn waits(&self) -> bool {
        let time = self.order.first().filter(|first| !first.descending);
        let is_time = time
            .and_then(|first| self.input.fields.get(first.column))
            .is_some_and(|f| f.role.is_rowtime() && f.ty.kind.is_milliseconds());
        is_time && self.input.corrected_by().is_none()
    }
}

#[derive(Clone)]
pub(crate) struct OverCall {
    pub(crate) function: OverFunction<usize>,
    pub(crate) frame: Frame,
    pub(crate) ty: SqlType,
    pub(crate) name: String,
}

/// A function of OVER with its arguments: expressions, or where they are computed.
#[derive(Clone)]
pub(crate) enum OverFunction<A> {
    RowNumber,
    Rank,
    DenseRank,
    Lag { input: A, offset: u32, default: Option<A> },
    Lead { input: A, offset: u32, default: Option<A> },
    Ntile(u32),
    PercentRank,
    CumeDist,
    FirstValue(A),
    LastValue(A),
    Aggregate { function: Function, input: Option<A>, filter: Option<A>, distinct: bool },
}

impl<A> OverFunction<A> {
    /// The same function of other arguments.
    pub(crate) fn map<B>(&self, f: &mut impl FnMut(&A) -> B) -> OverFunction<B> {
        match self {
            Self::RowNumber => OverFunction::RowNumber,
            Self::Rank => OverFunction::Rank,
            Self::DenseRank => OverFunction::DenseRank,
            Self::Lag { input, offset, default } => OverFunction::Lag {
                input: f(input),
                offset: *offset,
                default: default.as_ref().map(f),
            },
            Self::Lead { input, offset, default } => OverFunction::Lead {
                input: f(input),
                offset: *offset,
                default: default.as_ref().map(f),
            },
            Self::Ntile(parts) => OverFunction::Ntile(*parts),
            Self::PercentRank => OverFunction::PercentRank,
            Self::CumeDist => OverFunction::CumeDist,
            Self::FirstValue(input) => OverFunction::FirstValue(f(input)),
            Self::LastValue(input) => OverFunction::LastValue(f(input)),
            Self::Aggregate { function, input, filter, distinct } => OverFunction::Aggregate {
                function: *function,
                input: input.as_ref().map(&mut *f),
                filter: filter.as_ref().map(f),
                distinct: *distinct,
            },
        }
    }

    /// Whether it is over the rows of a frame.
    pub(crate) fn has_frame(&self) -> bool {
        match self {
            Self::RowNumber | Self::Rank | Self::DenseRank | Self::Lag { .. } => false,
            Self::Lead { .. } | Self::Ntile(_) | Self::PercentRank | Self::CumeDist => false,
            Self::FirstValue(_) | Self::LastValue(_) | Self::Aggregate { .. } => true,
        }
    }
}

/// The first rows of each key.
#[derive(Clone)]
pub(crate) struct Rank {
    pub(crate) input: Arc<Rel>,
    /// Columns of `input`.
    pub(crate) partition: Vec<usize>,
    pub(crate) order: Vec<SortColumn>,
    pub(crate) function: RankFunction,
    /// The first rank that is wanted, from 1, and the last.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The window's definition, or the query's ORDER BY and LIMIT.
    pub(crate) span: Span,
    /// Whether it is written as LIMIT.
    pub(crate) limit: bool,
    /// Whether rows leave once, when everything has come.
    pub(crate) at_end: bool,
}

impl Rank {
    /// The column of the window's end, if it ranks the rows of windows, which only come.
    pub(crate) fn window_end(&self) -> Option<usize> {
        if self.at_end {
            return None;
        }
        let role = |column: usize| &self.input.fields[column].role;
        let end = self.partition.iter().copied().find(|&end| {
            let Role::WindowEnd(id) = role(end) else { return false };
            // Watermarks do not tell when a window of another clock has ended.
            id.zone.is_utc()
                && self
                    .partition
                    .iter()
                    .any(|&start| matches!(role(start), Role::WindowStart(own) if own == id))
        });
        end.filter(|_| self.input.corrected_by().is_none())
    }

    /// Whether a row that was given out stays: without an order those that come first are the first.
    pub(crate) fn only_adds(&self) -> bool {
        let counts = self.function == RankFunction::RowNumber;
        counts && !self.at_end && self.order.is_empty() && self.input.corrected_by().is_none()
    }

    /// Whether it keeps one row per key, the first or the last in event time of rows that only
    /// come.
    pub(crate) fn dedup(&self) -> Option<Keep> {
        let [sort] = self.order.as_slice() else { return None };
        if self.at_end || self.window_end().is_some() {
            return None;
        }
        let field = &self.input.fields[sort.column];
        let by_time = field.role.is_rowtime() && field.ty.kind.is_milliseconds();
        let first = (self.from, self.to, self.function) == (1, 1, RankFunction::RowNumber);
        let keep = if sort.descending { Keep::Last } else { Keep::First };
        (by_time && first && !self.limit && self.input.corrected_by().is_none()).then_some(keep)
    }
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
            stack(below, filter, exprs, fields)
        }
        _ => stack(input, filter, exprs, fields),
    }
}

fn stack(input: &Arc<Rel>, filter: Option<Expr>, exprs: Vec<Expr>, fields: Vec<Field>) -> Arc<Rel> {
    if let (RelKind::Over(over), Some(condition)) = (&input.kind, &filter)
        && let Some(top) = crate::bind::rank::top_n(over, input, condition)
    {
        let exprs = exprs.iter().map(|expr| top.replace(expr)).collect();
        return calc(&top.rel, top.rest, exprs, fields);
    }
    Arc::new(Rel { kind: RelKind::Calc { input: input.clone(), filter, exprs }, fields })
}

/// The relation by a time of its rows: processing time becomes an event time.
pub(crate) fn timed(rel: &Arc<Rel>, time: usize) -> Arc<Rel> {
    if rel.fields.get(time).is_none_or(|field| field.role != Role::Proctime) {
        return rel.clone();
    }
    let mut fields = rel.fields.clone();
    for (column, field) in fields.iter_mut().enumerate() {
        // What was known of other times ends here.
        field.role = match field.role {
            _ if column == time => Role::Rowtime,
            Role::Proctime => Role::Proctime,
            _ => Role::Plain,
        };
    }
    Arc::new(Rel { kind: RelKind::Arrivals { input: rel.clone(), time }, fields })
}

/// What a column that an expression over these fields gives means for time.
pub(crate) fn role_of(expr: &Expr, fields: &[Field]) -> Role {
    match &*expr.node {
        Node::Column(column) => match fields.get(*column).map(|field| &field.role) {
            // With a name it is a column like others.
            None | Some(Role::Watermark) => Role::Plain,
            Some(role) => role.clone(),
        },
        Node::Call(call) if call.name == "PROCTIME" => Role::Proctime,
        Node::Call(call) if call.name == CURRENT_WATERMARK => Role::Watermark,
        _ => Role::Plain,
    }
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
