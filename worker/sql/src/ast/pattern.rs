//! `MATCH_RECOGNIZE`.

use super::{Expr, Ident, OrderItem, Relation};
use crate::error::Span;

/// `MATCH_RECOGNIZE (…)`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct MatchClause {
    pub(crate) data: Relation,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<OrderItem>,
    pub(crate) measures: Vec<(Expr, Ident)>,
    pub(crate) all_rows: bool,
    /// Absent: to the next row, as in Flink.
    pub(crate) skip: Option<MatchSkip>,
    pub(crate) pattern: MatchShape,
    pub(crate) within: Option<Expr>,
    pub(crate) subsets: Vec<(Ident, Vec<Ident>)>,
    pub(crate) define: Vec<(Ident, Expr)>,
    /// The word.
    pub(crate) span: Span,
}

/// `AFTER MATCH SKIP …`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum MatchSkip {
    PastLastRow,
    ToNextRow,
    ToFirst(Ident),
    ToLast(Ident),
}

/// What stands in `PATTERN (…)`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum MatchShape {
    Variable(Ident),
    Sequence(Vec<MatchShape>),
    Choice(Vec<MatchShape>),
    /// `PERMUTE(…)`.
    Permute(Vec<MatchShape>, Span),
    /// `{- … -}`.
    Exclude(Box<MatchShape>),
    Repeat {
        of: Box<MatchShape>,
        least: u32,
        most: Option<u32>,
        reluctant: bool,
        span: Span,
    },
}
