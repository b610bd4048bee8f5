//! Queries: SELECT, FROM, sets, windows, order.

use super::{Call, Expr, Ident, MatchClause, OptionDef};
use crate::error::Span;
use crate::rel::JoinKind;

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Query {
    pub(crate) ctes: Vec<Cte>,
    pub(crate) body: Body,
    pub(crate) tail: Tail,
    pub(crate) span: Span,
}

/// `ORDER BY`, `LIMIT` and `OFFSET` of a query.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Tail {
    pub(crate) order: Vec<OrderItem>,
    pub(crate) limit: Option<(u32, Span)>,
    pub(crate) offset: Option<(u32, Span)>,
    pub(crate) span: Span,
}

impl Tail {
    /// Whether the query has none of them.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty() && self.limit.is_none() && self.offset.is_none()
    }
}

/// What rows are sorted by.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OrderItem {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    /// Not said: first if ascending.
    pub(crate) nulls_first: Option<bool>,
}

/// What stands behind `OVER`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Over {
    Named(Ident),
    Spec(Box<WindowSpec>),
}

impl Over {
    /// The expressions of the window that it defines.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let spec = match self {
            Self::Named(_) => None,
            Self::Spec(spec) => Some(spec),
        };
        spec.into_iter()
            .flat_map(|spec| spec.partition.iter().chain(spec.order.iter().map(|item| &item.expr)))
    }
}

/// A window of the `WINDOW` clause.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NamedWindow {
    pub(crate) name: Ident,
    pub(crate) spec: WindowSpec,
}

/// `(base PARTITION BY … ORDER BY … ROWS …)`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WindowSpec {
    pub(crate) base: Option<Ident>,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<OrderItem>,
    pub(crate) frame: Option<Frame>,
    pub(crate) span: Span,
}

/// `ROWS BETWEEN … AND …`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Frame {
    /// Of rows; else of the range of the order's values.
    pub(crate) rows: bool,
    pub(crate) from: FrameBound,
    pub(crate) to: FrameBound,
    pub(crate) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum FrameBound {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Cte {
    pub(crate) name: Ident,
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Query,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Body {
    Select(Box<Select>),
    Values {
        rows: Vec<Vec<Expr>>,
        span: Span,
    },
    /// `UNION ALL` of two or more.
    Union(Vec<Query>),
    /// The other ways to combine two queries.
    Set {
        op: SetOp,
        /// Rows as often as they are there, instead of each once.
        all: bool,
        left: Box<Query>,
        right: Box<Query>,
        span: Span,
    },
    Nested(Box<Query>),
}

/// How two queries are combined, without ALL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SetOp {
    Union,
    Intersect,
    Except,
}

impl SetOp {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Union => "UNION",
            Self::Intersect => "INTERSECT",
            Self::Except => "EXCEPT",
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Select {
    pub(crate) distinct: Option<Span>,
    pub(crate) items: Vec<SelectItem>,
    pub(crate) from: Option<Relation>,
    pub(crate) filter: Option<Expr>,
    pub(crate) group_by: Option<GroupBy>,
    pub(crate) having: Option<Expr>,
    pub(crate) windows: Vec<NamedWindow>,
    pub(crate) qualify: Option<Expr>,
    /// `/*+ LOOKUP(…) */` behind SELECT.
    pub(crate) lookups: Vec<LookupHint>,
    /// `/*+ BROADCAST(t) */` behind SELECT.
    pub(crate) join_hints: Vec<JoinHint>,
    /// `/*+ STATE_TTL('t' = '1 d') */` behind SELECT: tables, and how long their state is kept.
    pub(crate) state_ttl: Vec<OptionDef>,
    pub(crate) span: Span,
}

/// How tables are to be joined. It says nothing of the rows, and nothing follows from it: joins are
/// by key whatever is wished for.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct JoinHint {
    pub(crate) name: &'static str,
    /// The tables, by their names or aliases.
    pub(crate) tables: Vec<Ident>,
}

/// Hints behind SELECT.
#[derive(Default)]
pub(crate) struct QueryHints {
    pub(crate) lookups: Vec<LookupHint>,
    pub(crate) joins: Vec<JoinHint>,
    pub(crate) state_ttl: Vec<OptionDef>,
}

/// How a table is asked by processing time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LookupHint {
    pub(crate) options: Vec<OptionDef>,
    pub(crate) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct GroupBy {
    pub(crate) keys: Vec<Expr>,
    /// Grouping sets, as numbers of keys; none: by all keys.
    pub(crate) sets: Vec<Vec<usize>>,
    pub(crate) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum SelectItem {
    /// `*` or `t.*`.
    Star {
        qualifier: Option<Ident>,
        span: Span,
    },
    Expr {
        expr: Expr,
        alias: Option<Ident>,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Relation {
    pub(crate) kind: RelationKind,
    pub(crate) alias: Option<Ident>,
    pub(crate) columns: Vec<Ident>,
    pub(crate) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum RelationKind {
    /// A table or view, and `/*+ OPTIONS(…) */` behind its name.
    Table(Ident, Vec<OptionDef>),
    Subquery(Box<Query>),
    Window(Box<WindowCall>),
    Join(Box<JoinClause>),
    /// `t FOR SYSTEM_TIME AS OF time`, on the right of a join.
    AsOf(Box<AsOf>),
    Unnest(Box<UnnestCall>),
    /// `LATERAL (SELECT …)`: a query that may speak of what stands before it.
    Lateral(Box<Query>),
    /// `TABLE(f(x))` of a function that gives tables.
    Function(Box<Call>),
    /// `STATE('place', 'operator', …)`.
    State(Box<StateCall>),
    /// `… MATCH_RECOGNIZE (…)`.
    Match(Box<MatchClause>),
}

impl Relation {
    /// The names under which its tables are known: the alias, or else the table's own.
    pub(crate) fn names(&self) -> Vec<&str> {
        match (&self.alias, &self.kind) {
            (Some(alias), _) => vec![&alias.text],
            (None, RelationKind::Table(name, _)) => vec![name.alone()],
            (None, RelationKind::Join(join)) => [join.left.names(), join.right.names()].concat(),
            (None, RelationKind::AsOf(as_of)) => as_of.table.names(),
            (None, _) => Vec::new(),
        }
    }
}

/// Rows that an operator of a job keeps, as a checkpoint or savepoint holds them.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct StateCall {
    pub(crate) function: Ident,
    pub(crate) place: (String, Span),
    pub(crate) operator: (String, Span),
    pub(crate) table: Option<(String, Span)>,
    pub(crate) version: Option<(u64, Span)>,
    pub(crate) span: Span,
}

/// A table as it was at a time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct AsOf {
    /// Without alias and columns, which stand behind.
    pub(crate) table: Relation,
    pub(crate) time: Expr,
    /// The words `FOR SYSTEM_TIME AS OF`.
    pub(crate) span: Span,
}

/// `UNNEST(value) [WITH ORDINALITY]`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct UnnestCall {
    pub(crate) value: Expr,
    pub(crate) ordinality: bool,
}

/// `a JOIN b ON …`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct JoinClause {
    pub(crate) kind: JoinKind,
    pub(crate) left: Relation,
    pub(crate) right: Relation,
    pub(crate) on: JoinOn,
    /// The word JOIN and what belongs to it, or the comma.
    pub(crate) span: Span,
}

/// What rows of a join have in common.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum JoinOn {
    Nothing,
    Condition(Expr),
    Using(Vec<Ident>),
    /// All columns of equal names.
    Natural,
}

/// `TABLE(TUMBLE(…))`: the arguments by name, whichever way they were written.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WindowCall {
    pub(crate) function: Ident,
    pub(crate) kind: WindowKind,
    pub(crate) data: Relation,
    /// Columns by which sessions are told apart.
    pub(crate) partition: Vec<Vec<Ident>>,
    /// The name of its column; with the table's in front where it was written in GROUP BY so.
    pub(crate) time: Vec<Ident>,
    /// The size, of SESSION the gap.
    pub(crate) size: Expr,
    /// The slide of HOP, the step of CUMULATE.
    pub(crate) step: Option<Expr>,
    pub(crate) offset: Option<Expr>,
    /// Whether it was written in GROUP BY, so that `table.exec.emit` is about it.
    pub(crate) in_group_by: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WindowKind {
    Tumble,
    Hop,
    Cumulate,
    Session,
}
