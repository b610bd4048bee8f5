//! Rows beside the elements of one of their values.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_engine::operators::unnest::spec::Elements;

use super::{Rel, RelKind, and, calc, conjuncts, identity};
use crate::error::Span;
use crate::expr::Expr;

/// UNNEST of a column. Columns: those of the input that are kept, those of an element, and its
/// number where that is asked for.
#[derive(Clone)]
pub(crate) struct Unnest {
    pub(crate) input: Arc<Rel>,
    /// The column of the input that has elements.
    pub(crate) column: usize,
    pub(crate) elements: Elements,
    /// Columns of the input.
    pub(crate) kept: Vec<usize>,
    /// Whether rows without elements are kept.
    pub(crate) outer: bool,
    /// Which elements count, over the relation's columns; none where that is a filter behind it.
    pub(crate) on: Option<Expr>,
    pub(crate) ordinality: bool,
    pub(crate) span: Span,
}

impl Unnest {
    /// The same of another input, whose columns have other numbers.
    pub(crate) fn over(&self, input: Arc<Rel>, number: &dyn Fn(usize) -> usize) -> Self {
        let kept = self.kept.iter().map(|&column| number(column)).collect();
        Self { input, column: number(self.column), kept, ..self.clone() }
    }

    /// The relation with as much of a filter below it as speaks of the rows themselves, and the rest.
    pub(super) fn filtered(&self, rel: &Rel, filter: Expr) -> (Arc<Rel>, Option<Expr>) {
        let mut parts = Vec::new();
        conjuncts(filter, &mut parts);
        let (mut below, mut above) = (None, None);
        for part in parts {
            let mut columns = BTreeSet::new();
            part.columns(&mut columns);
            let of_row = columns.last().is_none_or(|last| *last < self.kept.len());
            if of_row && part.nondeterministic().is_none() {
                below = and(below, Some(part.renumber(&|column| self.kept[column])));
            } else {
                above = and(above, Some(part));
            }
        }
        let (input, rest) = super::filtered(&self.input, below);
        let input = match rest {
            Some(_) => calc(&input, rest, identity(&input), input.fields.clone()),
            None => input,
        };
        let unnest = Self { input, ..self.clone() };
        (Arc::new(Rel { kind: RelKind::Unnest(unnest), fields: rel.fields.clone() }), above)
    }

    /// Sets of columns that tell rows apart: with its number an element is told apart in its row.
    pub(super) fn keys(&self, width: usize) -> Vec<Vec<usize>> {
        if !self.ordinality || self.outer {
            return Vec::new();
        }
        let kept = |column: &usize| self.kept.iter().position(|kept| kept == column);
        let keys = self.input.keys().into_iter();
        let keys = keys.filter_map(|key| key.iter().map(kept).collect::<Option<Vec<_>>>());
        keys.map(|key| key.into_iter().chain([width - 1]).collect()).collect()
    }
}
