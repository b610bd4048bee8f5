//! Leaves columns out of what operators keep that nobody reads.
//!
//! A projection names its columns; an operator below it that keeps whole rows (`OVER`, Top-N), or multiplies them (UNNEST), is
//! made to keep those alone, with what it needs itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_engine::operators::rank::spec::SortColumn;

use crate::expr::Expr;
use crate::rel::{Aggregate, Field, Over, Rank, Rel, RelKind, calc};

/// The same columns, with less kept on the way.
pub(crate) fn narrow(rel: &Arc<Rel>) -> Arc<Rel> {
    let kind = match &rel.kind {
        RelKind::Scan(_) | RelKind::Values { .. } => return rel.clone(),
        RelKind::Calc { input, filter, exprs } => {
            let mut wanted = BTreeSet::new();
            exprs.iter().chain(filter).for_each(|expr| expr.columns(&mut wanted));
            let (input, kept) = narrow_to(input, &wanted);
            let number = |column: usize| position(&kept, column);
            RelKind::Calc {
                input,
                filter: filter.as_ref().map(|filter| filter.renumber(&number)),
                exprs: exprs.iter().map(|expr| expr.renumber(&number)).collect(),
            }
        }
        RelKind::Union(branches) => RelKind::Union(branches.iter().map(narrow).collect()),
        RelKind::Arrivals { input, time } => {
            RelKind::Arrivals { input: narrow(input), time: *time }
        }
        RelKind::Window { input, time, id, span } => {
            RelKind::Window { input: narrow(input), time: *time, id: id.clone(), span: *span }
        }
        RelKind::Aggregate(aggregate) => RelKind::Aggregate(Aggregate {
            input: narrow(&aggregate.input),
            keys: aggregate.keys.clone(),
            calls: aggregate.calls.clone(),
            ..*aggregate
        }),
        // Of all that read a join together, before it is lowered (`rel/narrow.rs`).
        RelKind::Join(_) => return rel.clone(),
        RelKind::Over(_) | RelKind::Rank(_) | RelKind::Unnest(_) => {
            return narrow_to(rel, &(0..rel.fields.len()).collect()).0;
        }

        // It keeps the columns that it reads, and no others.
        RelKind::Pattern(pattern) => RelKind::Pattern(pattern.over(narrow(&pattern.input))),
    };
    Arc::new(Rel { kind, fields: rel.fields.clone() })
}

/// The relation with at least these columns, and which columns of the former ones it has.
fn narrow_to(rel: &Arc<Rel>, wanted: &BTreeSet<usize>) -> (Arc<Rel>, Vec<usize>) {
    match &rel.kind {
        RelKind::Rank(rank) => {
            let width = rank.input.fields.len();
            let own = rank.partition.iter().copied().chain(rank.order.iter().map(|s| s.column));
            let (input, kept) = with(&rank.input, wanted, width, own);
            let ranked = Rank {
                input,
                partition: rank.partition.iter().map(|&c| position(&kept, c)).collect(),
                order: moved(&rank.order, &kept),
                ..rank.clone()
            };
            rebuilt(rel, RelKind::Rank(ranked), kept, wanted, width)
        }
        RelKind::Over(over) => {
            let width = over.input.fields.len();
            let mut own: BTreeSet<usize> = over.partition.iter().copied().collect();
            own.extend(over.order.iter().map(|sort| sort.column));
            for call in &over.calls {
                call.function.map(&mut |&column| own.insert(column));
            }
            let (input, kept) = with(&over.input, wanted, width, own.into_iter());
            let mut calls = over.calls.clone();
            for call in &mut calls {
                call.function = call.function.map(&mut |&column| position(&kept, column));
            }
            let partition = over.partition.iter().map(|&c| position(&kept, c)).collect();
            let order = moved(&over.order, &kept);
            let (at_once, span) = (over.at_once, over.span);
            let over = Over { input, partition, order, calls, at_once, span };
            // Every call is computed, whoever reads it.
            let all = wanted.iter().copied().chain(width..rel.fields.len()).collect();
            rebuilt(rel, RelKind::Over(over), kept, &all, width)
        }
        RelKind::Unnest(unnest) => {
            let (width, first) = (unnest.input.fields.len(), unnest.kept.len());
            let mut read = wanted.clone();
            unnest.on.iter().for_each(|on| on.columns(&mut read));
            let rows: Vec<usize> = read.into_iter().filter(|&c| c < first).collect();
            let of_input = rows.iter().map(|&column| unnest.kept[column]).collect();
            let own = std::iter::once(unnest.column);
            let (input, kept) = with(&unnest.input, &of_input, width, own);
            let mut unnest = unnest.over(input, &|column| position(&kept, column));
            unnest.kept = rows.iter().map(|&column| unnest.kept[column]).collect();
            // The element's columns are all there.
            let mut columns = rows;
            columns.extend(first..rel.fields.len());
            let number = |column: usize| position(&columns, column);
            unnest.on = unnest.on.map(|on| on.renumber(&number));
            let fields = columns.iter().map(|&column| rel.fields[column].clone()).collect();
            (Arc::new(Rel { kind: RelKind::Unnest(unnest), fields }), columns)
        }
        _ => (narrow(rel), (0..rel.fields.len()).collect()),
    }
}

/// An operator's input with the columns that are wanted of it or that it needs itself.
fn with(
    input: &Arc<Rel>,
    wanted: &BTreeSet<usize>,
    width: usize,
    own: impl Iterator<Item = usize>,
) -> (Arc<Rel>, Vec<usize>) {
    let mut kept: BTreeSet<usize> = wanted.iter().copied().filter(|&c| c < width).collect();
    kept.extend(own);
    if kept.is_empty() {
        kept.insert(0);
    }
    let kept: Vec<usize> = kept.into_iter().collect();
    if kept.len() == width {
        return (narrow(input), kept);
    }
    let column = |&c: &usize| Expr::column(c, input.fields[c].ty, Default::default());
    let fields = kept.iter().map(|&c| input.fields[c].clone()).collect();
    (narrow(&calc(input, None, kept.iter().map(column).collect(), fields)), kept)
}

/// An operator's relation with those of its own columns that are wanted behind its input's.
fn rebuilt(
    rel: &Rel,
    kind: RelKind,
    mut kept: Vec<usize>,
    wanted: &BTreeSet<usize>,
    width: usize,
) -> (Arc<Rel>, Vec<usize>) {
    kept.extend(wanted.iter().copied().filter(|&column| column >= width));
    let fields: Vec<Field> = kept.iter().map(|&column| rel.fields[column].clone()).collect();
    (Arc::new(Rel { kind, fields }), kept)
}

fn moved(order: &[SortColumn], kept: &[usize]) -> Vec<SortColumn> {
    order.iter().map(|s| SortColumn { column: position(kept, s.column), ..*s }).collect()
}

fn position(kept: &[usize], column: usize) -> usize {
    kept.iter().position(|&known| known == column).unwrap_or(column)
}
