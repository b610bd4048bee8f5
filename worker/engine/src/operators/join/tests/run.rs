//! The operator beside a naive model: the rows that are there, joined by definition.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    AsArray, BooleanArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};

use crate::aggregate::InputRows;
use crate::aggregate::testing::shown;
use crate::operators::join::Join;
use crate::operators::join::spec::{Condition, Join as Spec, JoinInput, JoinKind};
use crate::operators::testing::{GROUPS, StoredTables};
use crate::{Batch, Operator, RowKind};

/// `k`, `n`, and `list`, which has `text` and a NULL, of either side.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Row {
    pub(super) k: Option<i64>,
    pub(super) n: Option<i32>,
    pub(super) text: Option<String>,
}

impl Row {
    fn shown(&self) -> Vec<String> {
        let shown = |value: Option<String>| value.unwrap_or("NULL".to_owned());
        vec![
            shown(self.k.map(|k| k.to_string())),
            shown(self.n.map(|n| n.to_string())),
            shown(self.text.as_ref().map(|text| format!("[{text}, NULL]"))),
        ]
    }
}

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("n", DataType::Int32, true),
        Field::new(
            "list",
            DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            true,
        ),
    ]))
}

fn records(rows: &[Row]) -> RecordBatch {
    let k = Int64Array::from_iter(rows.iter().map(|r| r.k));
    let n = Int32Array::from_iter(rows.iter().map(|r| r.n));
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        if let Some(text) = &row.text {
            lists.values().append_value(text);
            lists.values().append_null();
        }
        lists.append(row.text.is_some());
    }
    let lists = Arc::new(lists.finish());
    RecordBatch::try_new(schema(), vec![Arc::new(k), Arc::new(n), lists]).unwrap()
}

/// How rows of a side are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unique {
    No,
    /// By `n`: many to a key.
    N,
    /// By `k`, which is the key as well.
    K,
}

/// A join of the model.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) kind: JoinKind,
    pub(super) keyed: bool,
    pub(super) null_safe: bool,
    pub(super) conditioned: bool,
    pub(super) unique: [Unique; 2],
    pub(super) rows: [InputRows; 2],
    pub(super) ttl: Option<u32>,
}

impl Wanted {
    pub(super) fn spec(&self) -> Spec {
        let input = |side: usize| JoinInput {
            schema: schema(),
            rows: self.rows[side],
            keys: if self.keyed { vec![0] } else { Vec::new() },
            unique: match self.unique[side] {
                Unique::No => None,
                Unique::N => Some(vec![1]),
                Unique::K => Some(vec![0]),
            },
            ttl: self.ttl,
        };
        // `l.n < r.n`.
        let condition = Condition {
            columns: vec![1, 4],
            test: Arc::new(|pairs| {
                let (a, b) = (pairs.column(0), pairs.column(1));
                let (a, b) = (a.as_primitive::<Int32Type>(), b.as_primitive::<Int32Type>());
                let less = a.iter().zip(b).map(|(a, b)| Some(a? < b?));
                Ok(BooleanArray::from_iter(less))
            }),
        };
        Spec {
            kind: self.kind,
            left: input(0),
            right: input(1),
            null_safe: if self.keyed { vec![self.null_safe] } else { Vec::new() },
            condition: self.conditioned.then_some(condition),
        }
    }

    fn matches(&self, left: &Row, right: &Row) -> bool {
        let equal = !self.keyed
            || if self.null_safe {
                left.k == right.k
            } else {
                left.k.is_some() && left.k == right.k
            };
        let less = || left.n.zip(right.n).is_some_and(|(a, b)| a < b);
        equal && (!self.conditioned || less())
    }

    /// The join by definition.
    fn join(&self, sides: &[Vec<Row>; 2]) -> BTreeMap<Vec<String>, i64> {
        let mut rows = BTreeMap::new();
        let mut give = |row: Vec<String>| *rows.entry(row).or_insert(0) += 1;
        let nothing = || vec!["NULL".to_owned(); 3];
        let [left, right] = sides;
        let alone = self.kind.gives_alone();
        for l in left {
            let mut matched = false;
            for r in right.iter().filter(|r| self.matches(l, r)) {
                matched = true;
                if self.kind.gives_pairs() {
                    give([l.shown(), r.shown()].concat());
                }
            }
            match self.kind {
                JoinKind::Semi if matched => give(l.shown()),
                JoinKind::Anti if !matched => give(l.shown()),
                JoinKind::Left | JoinKind::Full if !matched => {
                    give([l.shown(), nothing()].concat())
                }
                _ => {}
            }
        }
        for r in right.iter().filter(|_| alone[1]) {
            if !left.iter().any(|l| self.matches(l, r)) {
                give([nothing(), r.shown()].concat());
            }
        }
        rows
    }
}

/// What happens to a row.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Come(Row),
    /// One of those that are there goes: this one, counted around.
    Go(usize),
    /// A row goes that is not there.
    Stray(Row),
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Batch(usize, Vec<Change>),
    Checkpoint,
    Trim(usize),
    Restore { whole: bool },
}

pub(super) struct Run {
    pub(super) wanted: Wanted,
    operator: Join,
    sides: [Vec<Row>; 2],
    /// What the rows that left say, folded.
    pub(super) folded: BTreeMap<Vec<String>, i64>,
    pub(super) now: u32,
    segments: StoredTables,
}

impl Run {
    pub(super) fn new(wanted: Wanted) -> Self {
        let mut operator = Join::new(&wanted.spec(), GROUPS).unwrap();
        let segments = StoredTables::of(&mut operator);
        let folded = BTreeMap::new();
        Self { wanted, operator, sides: Default::default(), folded, now: 1, segments }
    }

    pub(super) fn on(&mut self, event: Event) {
        match event {
            Event::Batch(side, changes) => {
                let batch = self.changes(side, changes);
                self.take_in(side, &batch);
                assert_eq!(self.folded, self.wanted.join(&self.sides), "{:?}", self.wanted);
            }
            Event::Checkpoint => self.segments.checkpoint(&mut self.operator),
            Event::Trim(want) => self.operator.tables().into_iter().for_each(|table| {
                table.trim(want);
            }),
            Event::Restore { whole } => {
                self.segments.checkpoint(&mut self.operator);
                self.operator = Join::new(&self.wanted.spec(), GROUPS).unwrap();
                self.segments.restore(&mut self.operator, whole);
            }
        }
    }

    /// Plays changes in the model; gives the rows that say so.
    fn changes(&mut self, side: usize, changes: Vec<Change>) -> Vec<(Row, RowKind)> {
        let appended = self.wanted.rows[side] == InputRows::Appended;
        let unique = self.wanted.unique[side];
        let rows = &mut self.sides[side];
        let mut batch = Vec::new();
        for (number, change) in changes.into_iter().enumerate() {
            let same = |a: &Row, b: &Row| match unique {
                Unique::No => false,
                Unique::N => a.n == b.n,
                Unique::K => a.k == b.k,
            };
            match change {
                Change::Come(row) => match rows.iter().position(|other| same(other, &row)) {
                    Some(_) if appended => {}
                    Some(at) => {
                        let before = std::mem::replace(&mut rows[at], row.clone());
                        // Where the key stays, what comes takes the place of what was there.
                        if before.k != row.k || number % 2 == 0 {
                            batch.push((before, RowKind::UpdateBefore));
                        }
                        batch.push((row, RowKind::UpdateAfter));
                    }
                    None => {
                        rows.push(row.clone());
                        let kinds = [RowKind::Insert, RowKind::UpdateAfter];
                        batch.push((row, kinds[number % 2]));
                    }
                },
                Change::Go(_) if appended || rows.is_empty() => {}
                Change::Go(at) => {
                    let row = rows.swap_remove(at % rows.len());
                    let kinds = [RowKind::Delete, RowKind::UpdateBefore];
                    batch.push((row, kinds[number % 2]));
                }
                Change::Stray(row) => {
                    // Rows that are not kept are not known to be missing.
                    let kept = row.k.is_some() || self.wanted.null_safe || !self.wanted.keyed;
                    let there = |other: &Row| same(other, &row) || *other == row;
                    if !appended && kept && !rows.iter().any(there) {
                        batch.push((row, RowKind::Delete));
                    }
                }
            }
        }
        batch
    }

    /// Gives a batch to the operator and folds what comes out; gives that, row by row.
    pub(super) fn take_in(
        &mut self,
        side: usize,
        batch: &[(Row, RowKind)],
    ) -> Vec<(RowKind, Vec<String>)> {
        if batch.is_empty() {
            return Vec::new();
        }
        let (rows, kinds): (Vec<Row>, Vec<RowKind>) = batch.iter().cloned().unzip();
        let inserts = kinds.iter().all(|kind| *kind == RowKind::Insert);
        let batch = Batch::new(records(&rows)).with_kinds((!inserts).then(|| kinds.into()));
        let keys = self.operator.keys_of(side, &batch).unwrap();
        self.segments.read(&mut self.operator, keys);
        let mut given = self.operator.take_in(side, batch, self.now).unwrap();
        while let Some(more) = self.operator.step().unwrap() {
            given.extend(more);
        }
        let mut out = Vec::new();
        for batch in given {
            let columns: Vec<_> = batch.records().columns().iter().map(|c| shown(c)).collect();
            for row in 0..batch.num_rows() {
                let kind = batch.kinds().map_or(RowKind::Insert, |kinds| kinds[row]);
                out.push((kind, columns.iter().map(|c| c[row].clone()).collect::<Vec<_>>()));
            }
        }
        for (kind, row) in &out {
            let by = match kind {
                RowKind::Insert | RowKind::UpdateAfter => 1,
                RowKind::UpdateBefore | RowKind::Delete => -1,
            };
            let count = self.folded.entry(row.clone()).or_insert(0);
            *count += by;
            assert!(
                *count >= 0 || self.wanted.ttl.is_some(),
                "{row:?} is taken back, but not there"
            );
            if *count == 0 {
                self.folded.remove(row);
            }
        }
        out
    }
}
