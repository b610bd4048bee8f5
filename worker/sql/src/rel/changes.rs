//! What may happen to the rows of a relation once they were given, and what tells them apart.

use weir_engine::operators::dedup::spec::Keep;
use weir_engine::operators::rank::spec::RankFunction;

use super::{JoinKind, Rel, RelKind, Role};
use crate::error::Span;
use crate::expr::Expr;

/// A part of the program because of which rows are corrected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Corrected {
    pub(crate) span: Span,
    /// What it is, for messages.
    pub(crate) what: &'static str,
}

impl Corrected {
    /// What to write instead.
    pub(crate) fn way_out(self) -> &'static str {
        if self.what == "a format of changes" {
            "read the records with 'format' = 'json', or write to a table that takes changes"
        } else if self.what.starts_with("early") {
            "leave out SET 'table.exec.emit.…', so that windows give their results once"
        } else if self.what.starts_with("GROUP BY") {
            "group by window_start, window_end"
        } else if self.what.ends_with("JOIN") {
            "say how far apart the event times of a pair may be (l.ts BETWEEN r.ts - INTERVAL … AND r.ts + INTERVAL …)"
        } else if self.what.starts_with("OVER") {
            "order the window by the event time"
        } else if self.what.contains("EXISTS") {
            "ask for rows that have a match"
        } else {
            "rank the rows of windows (PARTITION BY window_start, window_end)"
        }
    }
}

/// Most keys that are looked at of a relation.
const MOST_KEYS: usize = 8;

impl Rel {
    /// The part of the program, if any, because of which rows are corrected.
    pub(crate) fn corrected_by(&self) -> Option<Corrected> {
        match &self.kind {
            RelKind::Scan(table) if table.gives_changes() => {
                Some(Corrected { span: table.span, what: "a format of changes" })
            }
            RelKind::Scan(_) | RelKind::Values { .. } => None,
            RelKind::Calc { input, .. }
            | RelKind::Window { input, .. }
            | RelKind::Arrivals { input, .. } => input.corrected_by(),
            RelKind::Unnest(unnest) => unnest.input.corrected_by(),
            RelKind::Union(branches) => branches.iter().find_map(|branch| branch.corrected_by()),
            RelKind::Aggregate(aggregate) if aggregate.ends.is_some_and(|ends| ends.corrects()) => {
                let what = "early or late results of windows";
                Some(Corrected { span: aggregate.span, what })
            }
            RelKind::Aggregate(aggregate) if aggregate.ends.is_some() => None,
            RelKind::Aggregate(aggregate) => match aggregate.input.corrected_by() {
                // Sessions leave once.
                Some(_) if aggregate.over.is_some() => None,
                // Of distinct rows each is given once, and stays.
                None if aggregate.over.is_some() || aggregate.calls.is_empty() => None,
                None => Some(Corrected { span: aggregate.span, what: "GROUP BY without a window" }),
                below => below,
            },
            RelKind::Over(over) if over.waits() => None,
            RelKind::Over(over) => over
                .input
                .corrected_by()
                .or(Some(Corrected { span: over.span, what: "OVER by no event time" })),
            RelKind::Rank(rank)
                if rank.at_end
                    || rank.dedup() == Some(Keep::First)
                    || rank.window_end().is_some()
                    || rank.only_adds() =>
            {
                None
            }
            RelKind::Rank(rank) => rank.input.corrected_by().or(Some(Corrected {
                span: rank.span,
                what: if rank.limit { "LIMIT" } else { "Top-N by rank" },
            })),
            RelKind::Join(join) if join.near.is_some() => None,
            // Versions change nothing of what was given.
            RelKind::Join(join) if join.as_of.is_some() => join.left.corrected_by(),
            RelKind::Join(join) => {
                let below = || join.left.corrected_by().or_else(|| join.right.corrected_by());
                let own = || Corrected { span: join.span, what: join.name() };
                below().or_else(|| join.kind.corrects().then(own))
            }

            // It takes rows that only come.
            RelKind::Pattern(pattern) => pattern.input.corrected_by(),
        }
    }

    /// What, if anything, gives the last of several corrections alone: those in between are folded,
    /// as nobody but the clock says which of them were seen.
    pub(crate) fn folded_by(&self) -> Option<Corrected> {
        match &self.kind {
            RelKind::Scan(table) if table.gives_upserts() => {
                Some(Corrected { span: table.span, what: "a table of upserts" })
            }
            RelKind::Scan(_) | RelKind::Values { .. } => None,
            RelKind::Calc { input, .. }
            | RelKind::Window { input, .. }
            | RelKind::Arrivals { input, .. } => input.folded_by(),
            RelKind::Unnest(unnest) => unnest.input.folded_by(),
            RelKind::Union(branches) => branches.iter().find_map(|branch| branch.folded_by()),
            RelKind::Aggregate(aggregate) => {
                let own = || Corrected { span: aggregate.span, what: "GROUP BY without a window" };
                self.corrected_by().map(|_| own())
            }
            RelKind::Rank(rank) => {
                let what = if rank.limit { "LIMIT" } else { "Top-N by rank" };
                self.corrected_by().map(|_| Corrected { span: rank.span, what })
            }
            RelKind::Join(join) => {
                self.corrected_by().map(|_| Corrected { span: join.span, what: join.name() })
            }
            RelKind::Over(_) | RelKind::Pattern(_) => self.corrected_by(),
        }
    }

    /// Sets of columns, smallest first, each of which no two rows share that are there together.
    /// Rows of equal columns of such a set come in the order in which they happened.
    pub(crate) fn keys(&self) -> Vec<Vec<usize>> {
        let keys = match &self.kind {
            RelKind::Scan(table) if table.primary_key.is_empty() => Vec::new(),
            RelKind::Scan(table) => vec![table.primary_key.clone()],
            RelKind::Values { rows } if rows.len() == 1 => vec![Vec::new()],
            RelKind::Values { .. } | RelKind::Union(_) => Vec::new(),
            RelKind::Calc { input, exprs, .. } => {
                let kept =
                    |column: &usize| exprs.iter().position(|e| e.as_column() == Some(*column));
                let keys = input.keys().into_iter();
                keys.filter_map(|key| key.iter().map(kept).collect()).collect()
            }
            RelKind::Arrivals { input, .. } => input.keys(),
            RelKind::Window { input, .. } => {
                // A row may be in several windows.
                let start = self.fields.iter().position(|f| matches!(f.role, Role::WindowStart(_)));
                let of_window = |key: Vec<usize>| key.into_iter().chain(start).collect();
                input.keys().into_iter().map(of_window).collect()
            }
            RelKind::Aggregate(aggregate) => {
                let bounds = aggregate.keys.len() + aggregate.calls.len();
                let window = aggregate.over.map(|_| bounds..bounds + 2);
                vec![(0..aggregate.keys.len()).chain(window.into_iter().flatten()).collect()]
            }
            RelKind::Over(over) if over.waits() => over.input.keys(),
            // Rows of a key that does not hold the partition's columns lose their order.
            RelKind::Over(over) => {
                let parted = |key: &Vec<usize>| over.partition.iter().all(|c| key.contains(c));
                over.input.keys().into_iter().filter(parted).collect()
            }
            // Each row is given once, whatever key it has.
            RelKind::Rank(rank) if rank.at_end => {
                let one = rank.function == RankFunction::RowNumber && rank.from == rank.to;
                rank.input.keys().into_iter().chain(one.then(|| rank.partition.clone())).collect()
            }
            RelKind::Rank(rank) => {
                let width = rank.input.fields.len();
                // Rows of a key that does not hold the partition's columns lose their order.
                let parted = |key: &Vec<usize>| rank.partition.iter().all(|c| key.contains(c));
                let (numbers, is_shown) =
                    (rank.function == RankFunction::RowNumber, self.fields.len() > width);
                if numbers && is_shown && rank.from < rank.to {
                    // A row that moves up is given at its new number before it goes from its old one.
                    vec![rank.partition.iter().copied().chain([width]).collect()]
                } else {
                    let one = (numbers && rank.from == rank.to).then(|| rank.partition.clone());
                    rank.input.keys().into_iter().filter(parted).chain(one).collect()
                }
            }
            RelKind::Join(join) => self.keys_of_join(join),
            RelKind::Unnest(unnest) => unnest.keys(self.fields.len()),
            // A key may have several matches, and a row be in several.
            RelKind::Pattern(_) => Vec::new(),
        };
        smallest(keys)
    }

    /// Rows of a key that does not hold the columns by which they find each other are in several
    /// tasks, and their order is lost.
    fn keys_of_join(&self, join: &super::Join) -> Vec<Vec<usize>> {
        let width = join.left.fields.len();
        let (equal, _) = join.split();
        let columns = |side: fn(&super::Equal) -> &Expr| {
            equal.iter().map(|e| side(e).as_column()).collect::<Option<Vec<_>>>()
        };
        let (on_left, on_right) = (columns(|e| &e.left), columns(|e| &e.right));
        let shifted = |key: Vec<usize>| key.into_iter().map(|c| c + width).collect::<Vec<_>>();
        let on_right = on_right.map(shifted);
        let (left, right) = (join.left.keys(), join.right.keys());
        let right: Vec<Vec<usize>> = right.into_iter().map(shifted).collect();
        let within = |keys: &[Vec<usize>], columns: &Option<Vec<usize>>| {
            columns.as_ref().is_some_and(|columns| {
                keys.iter().any(|key| key.iter().all(|c| columns.contains(c)))
            })
        };
        let mut keys = Vec::new();
        if !join.kind.gives_pairs() {
            keys.clone_from(&left);
        } else {
            let has_versions = join.as_of.as_ref().is_some_and(|as_of| as_of.versions().is_some());
            let finds_one = within(&right, &on_right) || has_versions;
            if finds_one && matches!(join.kind, JoinKind::Inner | JoinKind::Left) {
                keys.extend(left.iter().cloned());
            }
            let is_found_once = within(&left, &on_left) && join.as_of.is_none();
            if is_found_once && matches!(join.kind, JoinKind::Inner | JoinKind::Right) {
                keys.extend(right.iter().cloned());
            }
            for left in &left {
                keys.extend(right.iter().map(|right| [left.as_slice(), right].concat()));
            }
        }
        let holds = |key: &Vec<usize>, columns: &Option<Vec<usize>>| {
            columns.as_ref().is_some_and(|columns| columns.iter().all(|c| key.contains(c)))
        };
        // Where a side is filled with NULL its columns say nothing of where a row was.
        let by_left = !matches!(join.kind, JoinKind::Right | JoinKind::Full);
        let by_right = matches!(join.kind, JoinKind::Inner | JoinKind::Right);
        keys.retain(|key| by_left && holds(key, &on_left) || by_right && holds(key, &on_right));
        keys
    }
}

fn smallest(mut keys: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    for key in &mut keys {
        key.sort_unstable();
        key.dedup();
    }
    keys.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    keys.dedup();
    keys.truncate(MOST_KEYS);
    keys
}
