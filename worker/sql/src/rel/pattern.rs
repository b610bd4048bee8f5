//! MATCH_RECOGNIZE: what is looked for, and what a match gives.

use std::sync::Arc;

use weir_engine::operators::pattern::spec::{Output, Place, Shape, Skip, Value, What};
use weir_engine::operators::rank::spec::SortColumn;

use super::{Rel, RelKind};
use crate::error::Span;
use crate::expr::Expr;
use crate::types::SqlType;

/// Rows of a partition that follow each other and fit a pattern. A column per [`Pattern::output`].
pub(crate) struct Pattern {
    pub(crate) input: Arc<Rel>,
    /// Columns of `input`.
    pub(crate) partition: Vec<usize>,
    /// The event time is the first.
    pub(crate) order: Vec<SortColumn>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) shape: Shape,
    pub(crate) skip: Skip,
    /// In milliseconds.
    pub(crate) within: Option<i64>,
    /// What measures are computed from: values of a match, over columns of `input`.
    pub(crate) values: Vec<Value>,
    pub(crate) measures: Vec<Measure>,
    pub(crate) all_rows: bool,
    pub(crate) output: Vec<Output>,
    /// The word MATCH_RECOGNIZE.
    pub(crate) span: Span,
}

/// A name for rows of a match.
pub(crate) struct Variable {
    pub(crate) name: String,
    /// What must all hold of its rows.
    pub(crate) checks: Vec<Check>,
}

/// A condition over values: its columns are these.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) values: Vec<Value>,
    pub(crate) condition: Expr,
}

/// A measure over the pattern's values.
#[derive(Clone)]
pub(crate) struct Measure {
    pub(crate) expr: Expr,
    pub(crate) name: String,
    pub(crate) ty: SqlType,
}

impl Pattern {
    /// The same over another relation of the same columns.
    pub(crate) fn over(&self, input: Arc<Rel>) -> Self {
        let variable = |variable: &Variable| Variable {
            name: variable.name.clone(),
            checks: variable.checks.clone(),
        };
        Self {
            input,
            partition: self.partition.clone(),
            order: self.order.clone(),
            variables: self.variables.iter().map(variable).collect(),
            shape: self.shape.clone(),
            skip: self.skip.clone(),
            within: self.within,
            values: self.values.clone(),
            measures: self.measures.clone(),
            all_rows: self.all_rows,
            output: self.output.clone(),
            span: self.span,
        }
    }
}

impl Pattern {
    /// Whether a value is the time of the match, as MATCH_ROWTIME() gives it.
    pub(crate) fn is_rowtime(value: &Value, time: usize) -> bool {
        let place = Place { whole: true, ..Place::current() };
        *value == Value::Row { what: What::Column(time), place }
    }
}

impl Rel {
    /// Whether it gives the times of matches that may leave long after their last row.
    pub(crate) fn gives_late_matches(&self) -> bool {
        match &self.kind {
            RelKind::Calc { input, .. } => input.gives_late_matches(),
            RelKind::Pattern(pattern) => {
                let time = pattern.order.first().map_or(0, |sort| sort.column);
                let is_time = |value: &Value| Pattern::is_rowtime(value, time);
                pattern.values.iter().any(is_time)
                    && !self.fields.iter().any(|f| f.role.is_rowtime())
            }
            _ => false,
        }
    }
}
