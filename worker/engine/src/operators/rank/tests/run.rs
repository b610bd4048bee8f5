//! The operator beside a naive model: the rows that are there, in the order in which they came, and
//! the first of them by definition.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{OwnedRow, RowConverter, SortField};

use crate::aggregate::InputRows;
use crate::aggregate::testing::{Row, key_of, records, shown};
use crate::operators::rank::Rank;
use crate::operators::rank::spec::{RankFunction, TopN};
use crate::operators::testing::{GROUPS, StoredTables, kind, trim};
use crate::{Batch, Operator, RowKind};

/// What happens to a row.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Come(Row),
    /// One of those that are there goes: this one, counted around.
    Go(usize),
    /// A row goes that never came, if none is equal to it.
    Stray(Row),
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Batch(Vec<Change>),
    Checkpoint,
    Trim(usize),
    Restore { whole: bool },
}

pub(super) struct Run {
    pub(super) spec: TopN,
    pub(super) operator: Rank,
    pub(super) now: u32,
    /// What is there, in the order in which it came.
    rows: Vec<Row>,
    /// How often each row is shown, by what left.
    folded: BTreeMap<Vec<String>, i64>,
    stored: StoredTables,
}

impl Run {
    pub(super) fn new(spec: TopN) -> Self {
        let mut operator = Rank::new(&spec, GROUPS).unwrap();
        let stored = StoredTables::of(&mut operator);
        Self { spec, operator, now: 1, rows: Vec::new(), folded: BTreeMap::new(), stored }
    }

    pub(super) fn on(&mut self, event: Event) {
        match event {
            Event::Batch(changes) => {
                let batch = self.changed(changes);
                self.take_in(&batch);
                self.check();
            }
            Event::Checkpoint => self.checkpoint(),
            Event::Trim(want) => trim(&mut self.operator, want),
            Event::Restore { whole } => {
                self.checkpoint();
                self.operator = Rank::new(&self.spec, GROUPS).unwrap();
                self.stored.restore(&mut self.operator, whole);
            }
        }
    }

    /// Lets rows come and go; gives them as a batch has them.
    pub(super) fn changed(&mut self, changes: Vec<Change>) -> Vec<(Row, RowKind)> {
        let mut batch = Vec::new();
        for change in changes {
            let other = batch.len() % 2 == 1;
            match change {
                Change::Come(row) => {
                    // A run of rows that only come is one of +I.
                    let only = self.spec.input_rows == InputRows::Appended;
                    batch.push((row.clone(), kind(true, other && !only)));
                    self.rows.push(row);
                }
                Change::Go(_) if self.rows.is_empty() => {}
                Change::Go(number) => {
                    let row = self.rows[number % self.rows.len()].clone();
                    // Of equal rows the first to come goes.
                    let first = self.rows.iter().position(|r| self.same(r, &row)).unwrap();
                    self.rows.remove(first);
                    batch.push((row, kind(false, other)));
                }
                Change::Stray(row) => {
                    if self.rows.iter().all(|other| !self.same(other, &row)) {
                        batch.push((row, RowKind::Delete));
                    }
                }
            }
        }
        batch
    }

    pub(super) fn checkpoint(&mut self) {
        self.stored.checkpoint(&mut self.operator);
    }

    /// Rows in the table.
    pub(super) fn kept(&self) -> usize {
        self.operator.rows_kept()
    }

    /// Gives a batch to the operator and folds what comes out; gives that, row by row.
    pub(super) fn take_in(&mut self, batch: &[(Row, RowKind)]) -> Vec<(RowKind, Vec<String>)> {
        if batch.is_empty() {
            return Vec::new();
        }
        let (rows, kinds): (Vec<Row>, Vec<RowKind>) = batch.iter().cloned().unzip();
        let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
        let batch = Batch::new(records(&rows)).with_kinds((!inserts).then(|| kinds.into()));
        let keys = self.operator.keys_of(0, &batch).unwrap();
        self.stored.read(&mut self.operator, keys);
        let Some(out) = self.operator.take_in(&batch, self.now).unwrap() else { return Vec::new() };
        let columns: Vec<_> = out.records().columns().iter().map(|c| shown(c)).collect();
        let kind = |row| out.kinds().map_or(RowKind::Insert, |kinds| kinds[row]);
        let row = |row: usize| columns.iter().map(|c| c[row].clone()).collect::<Vec<_>>();
        let out: Vec<_> = (0..out.num_rows()).map(|at| (kind(at), row(at))).collect();
        for (kind, row) in &out {
            let by = match kind {
                RowKind::Insert | RowKind::UpdateAfter => 1,
                RowKind::UpdateBefore | RowKind::Delete => -1,
            };
            let count = self.folded.entry(row.clone()).or_default();
            *count += by;
            assert!(*count >= 0, "{row:?} went without being there");
        }
        self.folded.retain(|_, count| *count != 0);
        out
    }

    /// The row as the operator shows it: the key has one zero, an order one NaN.
    fn text(&self, row: &Row) -> Vec<String> {
        let records = records(std::slice::from_ref(row));
        let mut text: Vec<String> = records.columns().iter().map(|c| shown(c).remove(0)).collect();
        for (&key, value) in self.spec.keys.iter().zip(key_of(row, &self.spec.keys)) {
            text[key] = value;
        }
        text
    }

    fn same(&self, a: &Row, b: &Row) -> bool {
        self.text(a) == self.text(b)
    }

    /// What rows are sorted by, as bytes.
    fn orders(&self, rows: &[Row]) -> Vec<OwnedRow> {
        let records = records(rows);
        // A key sorts nothing within itself.
        let order = self.spec.order.iter().filter(|sort| !self.spec.keys.contains(&sort.column));
        let (mut fields, mut columns): (Vec<SortField>, Vec<ArrayRef>) = order
            .map(|sort| {
                let column = records.column(sort.column).clone();
                let options =
                    SortOptions { descending: sort.descending, nulls_first: sort.nulls_first };
                (SortField::new_with_options(column.data_type().clone(), options), column)
            })
            .unzip();
        if fields.is_empty() {
            fields.push(SortField::new(DataType::Int32));
            columns.push(Arc::new(Int32Array::from(vec![0; rows.len()])));
        }
        let orders = RowConverter::new(fields).unwrap().convert_columns(&columns).unwrap();
        orders.iter().map(|row| row.owned()).collect()
    }

    fn check(&self) {
        assert_eq!(self.folded, self.wanted());
    }

    /// How often each row is among the first.
    pub(super) fn wanted(&self) -> BTreeMap<Vec<String>, i64> {
        let mut keys: BTreeMap<Vec<String>, Vec<(OwnedRow, &Row)>> = BTreeMap::new();
        for (order, row) in self.orders(&self.rows).into_iter().zip(&self.rows) {
            keys.entry(key_of(row, &self.spec.keys)).or_default().push((order, row));
        }
        let mut wanted: BTreeMap<Vec<String>, i64> = BTreeMap::new();
        for mut rows in keys.into_values() {
            rows.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (at, (order, row)) in rows.iter().enumerate() {
                let mut before: Vec<_> =
                    rows.iter().map(|(order, _)| order).filter(|other| *other < order).collect();
                let rank = match self.spec.function {
                    RankFunction::RowNumber => at + 1,
                    RankFunction::Rank => before.len() + 1,
                    RankFunction::DenseRank => {
                        before.dedup();
                        before.len() + 1
                    }
                };
                if (self.spec.from..=self.spec.to).contains(&(rank as u64)) {
                    let mut text = self.text(row);
                    if self.spec.rank.is_some() {
                        text.push(rank.to_string());
                    }
                    *wanted.entry(text).or_default() += 1;
                }
            }
        }
        wanted
    }
}
