//! Spans: closed slices merged ahead of time, for windows of many slices.
//!
//! A span holds the rows of 2, 4, 8, … neighbouring slices, aligned to its length, so that a
//! window of n slices is merged from at most 2·log₂ n tables instead of n; each slice is merged
//! into spans about twice in its life. Only slices whose first window is complete take part:
//! they no longer change. Spans are derived: no snapshot holds them.
//!
//! ```text
//!  slices   0 1 2 3 4 5 6 7 8 9
//!  spans    └─┘ └─┘ └─┘ └─┘ └─┘
//!           └─────┘ └─────┘
//!           └─────────────┘         window 1–9 = 1, 2–3, 4–7, 8–9
//! ```

use std::collections::BTreeMap;

use super::plan::Plan;
use super::slices::SliceId;
use super::table::Table;
use crate::EventTime;

/// The slices `index << level ..` up to the next such number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Span {
    level: u32,
    index: i64,
}

impl Span {
    fn first(self) -> i64 {
        self.index << self.level
    }

    fn last(self) -> i64 {
        self.first() + (1 << self.level) - 1
    }

    fn halves(self) -> [Self; 2] {
        let left = Self { level: self.level - 1, index: self.index * 2 };
        [left, Self { index: left.index + 1, ..left }]
    }

    /// The longest span that begins with slice `first` and does not go beyond `last`.
    fn longest(first: i64, last: i64) -> Self {
        let fits = (last - first + 1).max(1).ilog2();
        let level = first.trailing_zeros().min(fits);
        Self { level, index: first >> level }
    }
}

/// A table to merge from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Slice(SliceId),
    Span(Span),
}

/// What is to be merged into a table.
#[derive(Debug)]
pub(super) struct Merge {
    /// A span to keep; `None` is the window itself.
    pub(super) into: Option<Span>,
    /// The next one last.
    pub(super) parts: Vec<Part>,
}

/// The spans that were built.
#[derive(Default, Debug)]
pub(super) struct Spans {
    tables: BTreeMap<Span, Table>,
}

impl Spans {
    pub(super) fn get(&self, span: Span) -> Option<&Table> {
        self.tables.get(&span)
    }

    pub(super) fn insert(&mut self, span: Span, table: Table) {
        self.tables.insert(span, table);
    }

    pub(super) fn bytes(&self) -> usize {
        self.tables.values().map(Table::bytes).sum()
    }

    /// Drops the spans that begin before the windows after `done` do.
    pub(super) fn expire(&mut self, plan: &Plan, done: EventTime) {
        self.tables.retain(|span, _| {
            let end = plan.slices.end_of_number(span.first());
            plan.slices.last_window(end) > done
        });
    }

    /// The merges that give the window ending at `end`, in order; the last one is the window.
    pub(super) fn merges(
        &self,
        plan: &Plan,
        slices: &BTreeMap<SliceId, Table>,
        end: EventTime,
    ) -> Vec<Merge> {
        let counted = slices.keys().filter(|&&id| plan.slices.counts_in(id, end));
        if plan.slices.per_window() < plan.span_slices {
            let parts = counted.map(|&id| Part::Slice(id)).collect();
            return vec![Merge { into: None, parts }];
        }
        let is_plain = |id: &SliceId| *id == SliceId::plain(id.end);
        let mut parts = Vec::new();
        let mut plain: Vec<i64> = Vec::new();
        for &id in counted {
            if is_plain(&id) {
                plain.push(plan.slices.number(id.end));
            } else {
                parts.push(Part::Slice(id));
            }
        }
        let mut merges = Vec::new();
        let last = plan.slices.number(end);
        let mut first = plan.slices.first_number(end);
        while first <= last {
            let span = Span::longest(first, last);
            parts.extend(self.part(plan, span, &plain, &mut merges));
            first = span.last() + 1;
        }
        merges.push(Merge { into: None, parts });
        merges
    }

    /// The table that holds the rows of a span: none, a slice, or a span, which is built first
    /// if it has to be. `plain` are the numbers of the slices that exist, ascending.
    fn part(
        &self,
        plan: &Plan,
        span: Span,
        plain: &[i64],
        merges: &mut Vec<Merge>,
    ) -> Option<Part> {
        let from = plain.partition_point(|&n| n < span.first());
        let to = plain.partition_point(|&n| n <= span.last());
        match plain[from..to] {
            [] => None,
            [one] => Some(Part::Slice(SliceId::plain(plan.slices.end_of_number(one)))),
            _ => {
                if !self.tables.contains_key(&span) {
                    let [left, right] = span.halves();
                    let left = self.part(plan, left, plain, merges);
                    let right = self.part(plan, right, plain, merges);
                    let parts = left.into_iter().chain(right).collect();
                    merges.push(Merge { into: Some(span), parts });
                }
                Some(Part::Span(span))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_a_window_without_gap_or_overlap() {
        for first in -20..20_i64 {
            for last in first..first + 40 {
                let (mut at, mut used) = (first, 0);
                while at <= last {
                    let span = Span::longest(at, last);
                    assert_eq!(span.first(), at);
                    at = span.last() + 1;
                    used += 1;
                }
                assert_eq!(at, last + 1);
                assert!(used <= 2 * (last - first + 2).ilog2().max(1), "{first}..={last}: {used}");
            }
        }
    }
}
