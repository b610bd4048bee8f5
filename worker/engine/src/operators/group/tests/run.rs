//! The operator beside a naive model: the rows that are there, and results over them by
//! definition.

use crate::aggregate::testing::{Row, expected, key_of, records, shown};
use crate::operators::group::operator::Group;
use crate::operators::group::spec::GroupAggregate;
use crate::operators::testing::{GROUPS, StoredTables, trim};
use crate::{Batch, Operator, RowKind};
use std::collections::BTreeMap;

/// What happens to a row.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Come(Row),
    /// One of those that are there goes: this one, counted around.
    Go(usize),
    /// A row goes that never came, if its group has none.
    Stray(Row),
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Batch(Vec<Change>),
    /// What changed is frozen and published.
    Checkpoint,
    /// Rows leave memory that segments hold, so that about as many bytes become free.
    Trim(usize),
    /// The operator begins anew behind a checkpoint, with all rows in memory or none.
    Restore {
        whole: bool,
    },
}

type Key = Vec<String>;

pub(super) struct Run {
    pub(super) spec: GroupAggregate,
    pub(super) operator: Group,
    pub(super) now: u32,
    /// What is there.
    rows: Vec<Row>,
    /// What the rows that left say, folded.
    pub(super) folded: BTreeMap<Key, Vec<String>>,
    stored: StoredTables,
}

impl Run {
    pub(super) fn new(spec: GroupAggregate) -> Self {
        let mut operator = Group::new(&spec, GROUPS).unwrap();
        let stored = StoredTables::of(&mut operator);
        let folded = BTreeMap::new();
        Self { spec, operator, now: 1, rows: Vec::new(), folded, stored }
    }

    fn key(&self, row: &Row) -> Key {
        key_of(row, &self.spec.keys)
    }

    pub(super) fn on(&mut self, event: Event) {
        match event {
            Event::Batch(changes) => {
                let mut batch = Vec::new();
                for change in changes {
                    match change {
                        Change::Come(row) => {
                            self.rows.push(row.clone());
                            let kinds = [RowKind::Insert, RowKind::UpdateAfter];
                            batch.push((row, kinds[self.rows.len() % 2]));
                        }
                        Change::Go(_) if self.rows.is_empty() => {}
                        Change::Go(number) => {
                            let row = self.rows.swap_remove(number % self.rows.len());
                            let kinds = [RowKind::Delete, RowKind::UpdateBefore];
                            batch.push((row, kinds[self.rows.len() % 2]));
                        }
                        Change::Stray(row) => {
                            if self.rows.iter().all(|other| self.key(other) != self.key(&row)) {
                                batch.push((row, RowKind::Delete));
                            }
                        }
                    }
                }
                self.take_in(&batch);
                self.check();
            }
            Event::Checkpoint => self.checkpoint(),
            Event::Trim(want) => trim(&mut self.operator, want),
            Event::Restore { whole } => self.restore(whole),
        }
    }

    /// Gives a batch to the operator and folds what comes out; gives that, row by row.
    pub(super) fn take_in(&mut self, batch: &[(Row, RowKind)]) -> Vec<(RowKind, Vec<String>)> {
        if batch.is_empty() {
            return Vec::new();
        }
        let (rows, kinds): (Vec<Row>, Vec<RowKind>) = batch.iter().cloned().unzip();
        let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
        let batch = Batch::new(records(&rows)).with_kinds((!inserts).then(|| kinds.into()));
        self.read(&batch);
        let Some(out) = self.operator.take_in(&batch, self.now).unwrap() else { return Vec::new() };
        let columns: Vec<_> = out.records().columns().iter().map(|c| shown(c)).collect();
        let kind = |row| out.kinds().map_or(RowKind::Insert, |kinds| kinds[row]);
        let row = |row: usize| columns.iter().map(|c| c[row].clone()).collect::<Vec<_>>();
        let out: Vec<_> = (0..out.num_rows()).map(|at| (kind(at), row(at))).collect();
        self.fold(&out);
        out
    }

    fn fold(&mut self, changes: &[(RowKind, Vec<String>)]) {
        let width = self.spec.keys.len();
        let mut of_key: BTreeMap<&[String], Vec<RowKind>> = BTreeMap::new();
        for (kind, row) in changes {
            let (key, result) = row.split_at(width);
            of_key.entry(key).or_default().push(*kind);
            let (key, result) = (key.to_vec(), result.to_vec());
            match kind {
                RowKind::Insert => {
                    assert_eq!(
                        self.folded.insert(key, result),
                        None,
                        "+I of a group that is there"
                    );
                }
                RowKind::UpdateBefore => {
                    assert_eq!(self.folded.get(&key), Some(&result), "-U of another row");
                }
                RowKind::UpdateAfter => {
                    let before = self.folded.insert(key, result.clone());
                    assert!(before.is_some(), "+U of a group that is not there");
                    assert!(self.spec.ttl.is_some() || before != Some(result), "+U of the same");
                }
                RowKind::Delete => {
                    assert_eq!(self.folded.remove(&key), Some(result), "-D of another row");
                }
            }
        }
        use RowKind::{Delete, Insert, UpdateAfter, UpdateBefore};
        for kinds in of_key.values() {
            let updates = self.spec.update_before == (kinds.len() == 2);
            match kinds.as_slice() {
                [Insert] | [Delete] => {}
                [UpdateAfter] | [UpdateBefore, UpdateAfter] if updates => {}
                kinds => panic!("a group left {kinds:?} in one batch"),
            }
        }
    }

    fn check(&self) {
        let mut wanted: BTreeMap<Key, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            wanted.entry(self.key(row)).or_default().push(row);
        }
        let results = |rows: Vec<&Row>| {
            if self.spec.aggregates.is_empty() { Vec::new() } else { expected(&rows) }
        };
        let wanted: BTreeMap<_, _> =
            wanted.into_iter().map(|(key, rows)| (key, results(rows))).collect();
        assert_eq!(self.folded, wanted);
    }

    pub(super) fn checkpoint(&mut self) {
        self.stored.checkpoint(&mut self.operator);
    }

    pub(super) fn restore(&mut self, whole: bool) {
        self.checkpoint();
        self.operator = Group::new(&self.spec, GROUPS).unwrap();
        self.stored.restore(&mut self.operator, whole);
    }

    /// Brings the rows into memory that a batch needs, as the engine does.
    fn read(&mut self, batch: &Batch) {
        let keys = self.operator.keys_of(0, batch).unwrap();
        self.stored.read(&mut self.operator, keys);
    }
}
