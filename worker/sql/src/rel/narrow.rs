//! Before lowering: joins keep the columns that somebody reads, and find rows by plain columns.
//!
//! A join that several read keeps what any of them needs, so that it stays one. Parts of the plan
//! without joins are left as they are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::join::{joined, lasting};
use super::{AsOf, Equal, Field, Join, Rel, RelKind, Role, Versions, calc, identity, names};
use crate::bind::aggregate::unique;
use crate::error::Span;
use crate::expr::{Call, Expr, Node, render};

/// Which columns are read, by relation.
#[derive(Default)]
pub(crate) struct Narrowing {
    needed: HashMap<*const Rel, BTreeSet<usize>>,
    made: HashMap<*const Rel, Narrow>,
}

/// A relation with fewer columns.
#[derive(Clone)]
struct Narrow {
    rel: Arc<Rel>,
    /// Where the old columns are; those that nobody reads may be gone.
    to: HashMap<usize, usize>,
}

fn has_join(rel: &Rel) -> bool {
    match &rel.kind {
        RelKind::Scan(_) | RelKind::Values { .. } => false,
        RelKind::Calc { input, .. }
        | RelKind::Window { input, .. }
        | RelKind::Arrivals { input, .. } => has_join(input),
        RelKind::Union(branches) => branches.iter().any(|branch| has_join(branch)),
        RelKind::Aggregate(aggregate) => has_join(&aggregate.input),
        RelKind::Over(over) => has_join(&over.input),
        RelKind::Rank(rank) => has_join(&rank.input),
        RelKind::Unnest(unnest) => has_join(&unnest.input),
        RelKind::Join(_) => true,

        RelKind::Pattern(pattern) => has_join(&pattern.input),
    }
}

fn all(rel: &Rel) -> BTreeSet<usize> {
    (0..rel.fields.len()).collect()
}

/// The columns of either side among those of a join.
fn by_side(join: &Join, mut columns: BTreeSet<usize>) -> [BTreeSet<usize>; 2] {
    let width = join.left.fields.len();
    let right = columns.split_off(&width);
    [columns, right.into_iter().map(|column| column - width).collect()]
}

fn versions_of(join: &Join) -> impl Iterator<Item = &Versions> {
    join.as_of.iter().filter_map(AsOf::versions)
}

impl Narrowing {
    /// Notes what is read of a relation of which all columns are.
    pub(crate) fn read(&mut self, rel: &Arc<Rel>) {
        self.need(rel, &all(rel));
    }

    fn need(&mut self, rel: &Arc<Rel>, columns: &BTreeSet<usize>) {
        if !has_join(rel) {
            return;
        }
        match &rel.kind {
            RelKind::Scan(_) | RelKind::Values { .. } => {}
            RelKind::Window { input, .. } | RelKind::Arrivals { input, .. } => {
                self.need(input, &all(input));
            }
            RelKind::Union(branches) => {
                branches.iter().for_each(|branch| self.need(branch, &all(branch)));
            }
            RelKind::Aggregate(aggregate) => {
                self.need(&aggregate.input, &all(&aggregate.input));
            }
            RelKind::Over(over) => self.need(&over.input, &all(&over.input)),
            RelKind::Rank(rank) => self.need(&rank.input, &all(&rank.input)),
            RelKind::Unnest(unnest) => self.need(&unnest.input, &all(&unnest.input)),
            RelKind::Calc { input, filter, exprs } => {
                self.needed.entry(Arc::as_ptr(rel)).or_default().extend(columns);
                let mut read = BTreeSet::new();
                let kept = columns.iter().filter_map(|&column| exprs.get(column));
                filter.iter().chain(kept).for_each(|expr| expr.columns(&mut read));
                self.need(input, &read);
            }
            RelKind::Join(join) => {
                self.needed.entry(Arc::as_ptr(rel)).or_default().extend(columns);
                let mut read = columns.clone();
                join.on.iter().for_each(|on| on.columns(&mut read));
                let [mut left, mut right] = by_side(join, read);
                left.extend(versions_of(join).map(|as_of| as_of.left));
                right.extend(versions_of(join).map(|as_of| as_of.right));
                self.need(&join.left, &left);
                self.need(&join.right, &right);
            }

            RelKind::Pattern(pattern) => self.need(&pattern.input, &all(&pattern.input)),
        }
    }

    /// The relation with all of its columns, and with narrow joins below.
    pub(crate) fn whole(&mut self, rel: &Arc<Rel>) -> Arc<Rel> {
        let Narrow { rel: narrow, to } = self.narrow(rel);
        let same = narrow.fields.len() == rel.fields.len()
            && (0..rel.fields.len()).all(|column| to.get(&column) == Some(&column));
        if same {
            return narrow;
        }
        let column =
            |column: usize| Expr::column(to[&column], rel.fields[column].ty, Span::default());
        let exprs = (0..rel.fields.len()).map(column).collect();
        calc(&narrow, None, exprs, rel.fields.clone())
    }

    fn narrow(&mut self, rel: &Arc<Rel>) -> Narrow {
        let unchanged = |rel: Rel| {
            let to = (0..rel.fields.len()).map(|column| (column, column)).collect();
            Narrow { rel: Arc::new(rel), to }
        };
        if !has_join(rel) {
            let to = (0..rel.fields.len()).map(|column| (column, column)).collect();
            return Narrow { rel: rel.clone(), to };
        }
        if let Some(made) = self.made.get(&Arc::as_ptr(rel)) {
            return made.clone();
        }
        let fields = rel.fields.clone();
        let narrow = match &rel.kind {
            RelKind::Scan(_) | RelKind::Values { .. } => {
                let to = (0..rel.fields.len()).map(|column| (column, column)).collect();
                Narrow { rel: rel.clone(), to }
            }
            RelKind::Arrivals { input, time } => {
                let kind = RelKind::Arrivals { input: self.whole(input), time: *time };
                unchanged(Rel { kind, fields })
            }
            RelKind::Window { input, time, id, span } => {
                let input = self.whole(input);
                let kind = RelKind::Window { input, time: *time, id: id.clone(), span: *span };
                unchanged(Rel { kind, fields })
            }
            RelKind::Union(branches) => {
                let branches = branches.iter().map(|branch| self.whole(branch)).collect();
                unchanged(Rel { kind: RelKind::Union(branches), fields })
            }
            RelKind::Aggregate(aggregate) => {
                let input = self.whole(&aggregate.input);
                let aggregate = super::Aggregate {
                    input,
                    keys: aggregate.keys.clone(),
                    calls: aggregate.calls.clone(),
                    ..*aggregate
                };
                unchanged(Rel { kind: RelKind::Aggregate(aggregate), fields })
            }
            RelKind::Over(over) => {
                let over = super::Over {
                    input: self.whole(&over.input),
                    partition: over.partition.clone(),
                    order: over.order.clone(),
                    calls: over.calls.clone(),
                    at_once: over.at_once,
                    span: over.span,
                };
                unchanged(Rel { kind: RelKind::Over(over), fields })
            }
            RelKind::Rank(rank) => {
                let rank = super::Rank { input: self.whole(&rank.input), ..rank.clone() };
                unchanged(Rel { kind: RelKind::Rank(rank), fields })
            }
            RelKind::Unnest(unnest) => {
                let unnest = unnest.over(self.whole(&unnest.input), &|column| column);
                unchanged(Rel { kind: RelKind::Unnest(unnest), fields })
            }
            RelKind::Calc { input, filter, exprs } => {
                let below = self.narrow(input);
                let number = |column: usize| below.to.get(&column).copied().unwrap_or(column);
                let needed = self.needed.get(&Arc::as_ptr(rel)).cloned().unwrap_or_default();
                let filter = filter.as_ref().map(|filter| filter.renumber(&number));
                let exprs = needed.iter().map(|&c| exprs[c].renumber(&number)).collect();
                let fields = needed.iter().map(|&c| rel.fields[c].clone()).collect();
                let to = needed.into_iter().zip(0..).collect();
                Narrow { rel: calc(&below.rel, filter, exprs, fields), to }
            }
            RelKind::Join(join) => {
                let needed = self.needed.get(&Arc::as_ptr(rel)).cloned().unwrap_or_default();
                self.join(join, &needed)
            }

            RelKind::Pattern(pattern) => {
                let pattern = pattern.over(self.whole(&pattern.input));
                unchanged(Rel { kind: RelKind::Pattern(pattern), fields })
            }
        };
        self.made.insert(Arc::as_ptr(rel), narrow.clone());
        narrow
    }

    fn join(&mut self, join: &Join, needed: &BTreeSet<usize>) -> Narrow {
        let (equal, rest) = join.split();
        let mut read = needed.clone();
        rest.iter().for_each(|rest| rest.columns(&mut read));
        let [mut left, mut right] = by_side(join, read);
        left.extend(equal.iter().filter_map(|e| e.left.as_column()));
        right.extend(equal.iter().filter_map(|e| e.right.as_column()));
        left.extend(versions_of(join).map(|as_of| as_of.left));
        right.extend(versions_of(join).map(|as_of| as_of.right));
        let keys = |side: fn(&Equal) -> &Expr| equal.iter().map(|e| side(e).clone()).collect();
        let left = self.side(&join.left, &left, keys(|e| &e.left));
        let right = self.side(&join.right, &right, keys(|e| &e.right));
        let (width, new_width) = (join.left.fields.len(), left.rel.fields.len());
        let number = |column: usize| match column.checked_sub(width) {
            None => left.to.get(&column).copied().unwrap_or(column),
            Some(column) => new_width + right.to.get(&column).copied().unwrap_or(column),
        };
        let mut equal = 0;
        let mut on = Vec::new();
        for part in &join.on {
            on.push(match (&*part.node, join.key_of(part)) {
                (Node::Call(call), Some(found)) => {
                    let column = |at: usize, like: &Expr| Expr::column(at, like.ty, like.span);
                    let args = vec![
                        column(left.keys[equal], &found.left),
                        column(new_width + right.keys[equal], &found.right),
                    ];
                    equal += 1;
                    let (name, kernel) = (call.name.clone(), call.kernel.clone());
                    let call = Call { name, args, kernel, ..*call };
                    Expr::new(Node::Call(call), part.ty, part.span)
                }
                _ => part.renumber(&number),
            });
        }
        let to = needed.iter().map(|&column| (column, number(column))).collect();
        let of_right = |column: &usize| right.to.get(column).copied().unwrap_or(*column);
        let as_of = join.as_of.as_ref().map(|as_of| match as_of {
            AsOf::Versions(as_of) => AsOf::Versions(Versions {
                left: left.to.get(&as_of.left).copied().unwrap_or(as_of.left),
                right: of_right(&as_of.right),
                key: as_of.key.iter().map(of_right).collect(),
            }),
            AsOf::Lookup(lookup) => AsOf::Lookup(*lookup),
        });
        let rel = joined(left.rel.clone(), right.rel.clone(), join.kind, on, join.span, as_of);
        Narrow { rel: lasting(Arc::new(rel), join.ttl), to }
    }

    /// One side with these columns, and one for each key that is not a column already.
    fn side(&mut self, rel: &Arc<Rel>, needed: &BTreeSet<usize>, keys: Vec<Expr>) -> Side {
        let below = self.narrow(rel);
        let mut exprs = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        let mut to = HashMap::new();
        for &column in needed {
            to.insert(column, exprs.len());
            let at = below.to.get(&column).copied().unwrap_or(column);
            exprs.push(Expr::column(at, rel.fields[column].ty, Span::default()));
            fields.push(rel.fields[column].clone());
        }
        let mut key_columns: Vec<usize> = Vec::new();
        for key in keys {
            if let Some(column) = key.as_column() {
                key_columns.push(to[&column]);
                continue;
            }
            let name = render::sql(&key, &names(&rel.fields));
            fields.push(Field { name, ty: key.ty, role: Role::Plain });
            let number = |column: usize| below.to.get(&column).copied().unwrap_or(column);
            key_columns.push(exprs.len());
            exprs.push(key.renumber(&number));
        }
        if exprs.is_empty() {
            // Rows are told of by a column of them.
            exprs.extend(identity(&below.rel).into_iter().take(1));
            fields.extend(below.rel.fields.iter().take(1).cloned());
        }
        let fields = unique(fields);
        let same = exprs.len() == below.rel.fields.len()
            && exprs.iter().enumerate().all(|(at, expr)| expr.as_column() == Some(at))
            && fields.iter().zip(&below.rel.fields).all(|(a, b)| a.name == b.name);
        let rel = if same { below.rel } else { calc(&below.rel, None, exprs, fields) };
        Side { rel, to, keys: key_columns }
    }
}

struct Side {
    rel: Arc<Rel>,
    to: HashMap<usize, usize>,
    keys: Vec<usize>,
}
