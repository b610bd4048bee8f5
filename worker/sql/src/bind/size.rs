//! How much one statement asks for. What has a name is planned for each place that reads it, and some
//! queries have to be bound twice to know what they mean: a text of a few lines could otherwise ask for
//! more operators than any machine has.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Binder, Reported};
use crate::error::Span;
use crate::rel::Rel;

/// Queries of one statement, those behind names included.
const MOST: usize = 10_000;

/// What a statement has asked for so far, and what each name stands for.
#[derive(Default)]
pub(super) struct Size {
    queries: usize,
    /// By address; the relation is kept so that no other one gets it.
    named: HashMap<*const Rel, (Arc<Rel>, usize)>,
}

impl Size {
    /// The next statement begins.
    pub(super) fn next_statement(&mut self) {
        self.queries = 0;
    }

    pub(super) fn so_far(&self) -> usize {
        self.queries
    }

    /// A name stands for these rows, and for the queries since `before`.
    pub(super) fn name(&mut self, rel: &Arc<Rel>, before: usize) {
        let size = self.queries.saturating_sub(before);
        self.named.insert(Arc::as_ptr(rel), (rel.clone(), size));
    }
}

impl Binder<'_> {
    /// Counts a query that is bound.
    pub(super) fn one_more(&mut self, at: Span) -> Result<(), Reported> {
        self.count(1, at)
    }

    /// Counts what a name stands for, where it is read.
    pub(super) fn read_by_name(&mut self, rel: &Arc<Rel>, at: Span) -> Result<(), Reported> {
        let size = self.size.named.get(&Arc::as_ptr(rel)).map_or(0, |(_, size)| *size);
        self.count(size, at)
    }

    fn count(&mut self, more: usize, at: Span) -> Result<(), Reported> {
        self.size.queries = self.size.queries.saturating_add(more);
        if self.size.queries <= MOST {
            return Ok(());
        }
        let message = format!(
            "this statement comes to more than {MOST} queries inside of one another, each view and each query of WITH counted where it is read; write what is read often into a table of its own"
        );
        self.fail(at, message)
    }
}
