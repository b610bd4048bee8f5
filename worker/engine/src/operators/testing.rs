//! An operator's tables as the engine keeps them: frozen, published, read ahead, begun anew.

use std::sync::Arc;

use arrow::array::Int64Array;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use weir_protocol::{Attempt, KeyGroupRange, OperatorUid, Subtask, Term};
use weir_state::merge::Input;
use weir_state::sorted::{Age, Stored};
use weir_state::table::{Groups, Layer, StoredTable};

use crate::aggregate::testing::{Row, records, shown};
use crate::env::Clock;
use crate::operator::{OperatorMetrics, OutputTag, Restored, TableKeys, Waker};
use crate::{Batch, Context, Operator, Output, Progress, RowKind, Watermark};

pub(super) const GROUPS: Groups = Groups { range: KeyGroupRange { start: 0, end: 8 }, of: 8 };

/// What is stored of an operator's tables.
pub(super) struct StoredTables {
    age: u64,
    segments: Vec<Vec<Input>>,
}

impl StoredTables {
    /// Nothing, for an operator that begins.
    pub(super) fn of(operator: &mut dyn Operator) -> Self {
        let mut segments = Vec::new();
        for table in operator.tables() {
            segments.push(Vec::new());
            table.take_over(StoredTable::Whole(Vec::new())).unwrap();
        }
        Self { age: 0, segments }
    }

    /// Freezes and publishes what changed.
    pub(super) fn checkpoint(&mut self, operator: &mut dyn Operator) {
        self.age += 1;
        let age = Age { term: Term(1), attempt: Attempt(self.age) };
        for (table, segments) in operator.tables().into_iter().zip(&mut self.segments) {
            let id = u128::from(self.age);
            let encoded = table.freeze(age).encode(id).unwrap();
            if encoded.footer.rows > 0 {
                let length = encoded.bytes.len() as u64;
                let stored = Stored::open(Arc::new(encoded.bytes), length).unwrap();
                segments.push(Input { stored, range: encoded.footer.range });
            }
            table.follow(layers(segments), age).unwrap();
        }
    }

    /// Gives a fresh operator what is stored, with all rows in memory or none.
    pub(super) fn restore(&self, operator: &mut dyn Operator, whole: bool) {
        for (table, segments) in operator.tables().into_iter().zip(&self.segments) {
            let stored = match whole || table.spec().is_in_memory() {
                true => StoredTable::Whole(segments.clone()),
                false => StoredTable::Layers(layers(segments)),
            };
            table.take_over(stored).unwrap();
        }
    }

    /// Brings the rows of keys into memory.
    pub(super) fn read(&self, operator: &mut dyn Operator, keys: Vec<TableKeys>) {
        for TableKeys { table: at, keys, rows } in keys {
            let mut tables = operator.tables();
            let Some(mut announced) = tables[at].announce(&keys, rows).unwrap() else { continue };
            while !announced.is_ready() {
                let missing: Vec<_> = announced.missing().collect();
                for (segment, block) in missing {
                    let of = |input: &&Input| input.stored.reader().footer().id == segment;
                    let input = self.segments[at].iter().find(of).unwrap();
                    let bytes = input.stored.read(block).unwrap();
                    announced.put(segment, block.number, &bytes).unwrap();
                }
            }
            assert!(tables[at].install(&announced).unwrap());
        }
    }
}

/// An operator as a task drives it.
pub(super) struct Bench {
    pub(super) operator: Box<dyn Operator>,
    pub(super) cx: Context,
    stored: StoredTables,
    /// Watermarks never fall.
    mark: i64,
    /// What came out of its main output, row by row.
    pub(super) out: Vec<(RowKind, Vec<String>)>,
    _io: Runtime,
}

impl Bench {
    pub(super) fn new(mut operator: Box<dyn Operator>) -> Self {
        let io = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stored = StoredTables::of(operator.as_mut());
        let cx = Context {
            uid: OperatorUid::from("tested"),
            name: "tested".into(),
            subtask: Subtask(0),
            parallelism: 1,
            max_parallelism: GROUPS.of,
            key_groups: GROUPS.range,
            term: Term(1),
            clock: Clock::manual(0),
            io: io.handle().clone(),
            waker: Waker::none(),
            metrics: Arc::new(OperatorMetrics::default()),
        };
        Self { operator, cx, stored, mark: i64::MIN, out: Vec::new(), _io: io }
    }

    pub(super) fn batch(&mut self, batch: Batch) {
        let keys = self.operator.keys_of(0, &batch).unwrap();
        self.stored.read(self.operator.as_mut(), keys);
        let mut out = Output::default();
        let done = self.operator.on_batch(&mut self.cx, 0, batch, &mut out).unwrap();
        assert_eq!(done, Progress::Done);
        self.keep(&mut out);
    }

    /// A watermark, or the one before if that was higher; gives which it was.
    pub(super) fn watermark(&mut self, mark: i64) -> i64 {
        self.mark = self.mark.max(mark);
        let mut out = Output::default();
        let mark = Watermark(self.mark);
        let mut progress = self.operator.on_watermark(&mut self.cx, mark, &mut out).unwrap();
        while progress == Progress::More {
            let keys = self.operator.keys_to_resume().unwrap();
            self.stored.read(self.operator.as_mut(), keys);
            progress = self.operator.resume(&mut self.cx, &mut out).unwrap();
        }
        self.keep(&mut out);
        self.mark
    }

    pub(super) fn checkpoint(&mut self) {
        self.stored.checkpoint(self.operator.as_mut());
    }

    pub(super) fn trim(&mut self, want: usize) {
        trim(self.operator.as_mut(), want);
    }

    /// Another instance goes on behind a checkpoint.
    pub(super) fn restore(&mut self, fresh: Box<dyn Operator>, whole: bool) {
        self.restore_at(fresh, whole, self.mark, Vec::new());
    }

    /// The same where the merged watermark is another one, behind a change of parallelism.
    pub(super) fn restore_at(
        &mut self,
        fresh: Box<dyn Operator>,
        whole: bool,
        mark: i64,
        ahead: Vec<(KeyGroupRange, Watermark)>,
    ) {
        self.checkpoint();
        self.operator = fresh;
        self.stored.restore(self.operator.as_mut(), whole);
        self.mark = mark;
        let watermark = (mark > i64::MIN).then_some(Watermark(mark));
        let state = Restored { watermark, ahead, ..Restored::default() };
        self.operator.restore(&mut self.cx, state).unwrap();
    }

    fn keep(&mut self, out: &mut Output) {
        for (tag, batch) in out.take() {
            if tag != OutputTag::Main {
                continue;
            }
            let columns: Vec<_> = batch.records().columns().iter().map(|c| shown(c)).collect();
            for row in 0..batch.num_rows() {
                let kind = batch.kinds().map_or(RowKind::Insert, |kinds| kinds[row]);
                self.out.push((kind, columns.iter().map(|c| c[row].clone()).collect()));
            }
        }
    }
}

/// What happens to an operator of event time.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Rows, each with how far its split's watermark was ahead of it, if it was.
    Batch(Vec<(Row, Option<i64>)>),
    Watermark(i64),
    Checkpoint,
    Trim(usize),
    Restore {
        whole: bool,
    },
}

/// Rows whose split's watermark is ahead of them now and then, by less than `ahead`, and watermarks
/// below `marks`.
pub(super) fn any_events(
    row: impl Strategy<Value = Row>,
    ahead: i64,
    marks: i64,
) -> impl Strategy<Value = Vec<Event>> {
    let row = (row, prop::option::weighted(0.15, 0..ahead));
    let event = prop_oneof![
        8 => prop::collection::vec(row, 1..12).prop_map(Event::Batch),
        4 => (0..marks).prop_map(Event::Watermark),
        2 => Just(Event::Checkpoint),
        2 => prop::sample::select(vec![0, 1, usize::MAX]).prop_map(Event::Trim),
        1 => any::<bool>().prop_map(|whole| Event::Restore { whole }),
    ];
    prop::collection::vec(event, 1..24)
}

/// A row of few values at a time below `times`.
pub(super) fn any_row(times: i64) -> impl Strategy<Value = Row> {
    (
        0..times,
        prop::option::weighted(0.9, 0_i64..2),
        prop::option::weighted(0.8, -2_i32..3),
        prop::option::weighted(0.8, (-4_i32..4).prop_map(|v| f64::from(v) / 2.0)),
        prop::option::of("[a-c]{1,2}|a long text that no view holds by itself"),
        prop::option::of(-20_i128..20),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(ts, k, int, float, text, decimal, flag)| Row {
            ts,
            k,
            int,
            float,
            text,
            decimal,
            flag,
        })
}

/// A row as it is shown.
pub(super) fn text(row: &Row) -> Vec<String> {
    let records = records(std::slice::from_ref(row));
    records.columns().iter().map(|c| shown(c).remove(0)).collect()
}

/// Rows, each with how far its split's watermark was ahead of it, if it was.
pub(super) fn batch_behind(rows: &[(Row, Option<i64>)]) -> Batch {
    let behind: Int64Array = rows.iter().map(|(r, by)| by.map(|by| r.ts + 1 + by)).collect();
    let rows: Vec<Row> = rows.iter().map(|(row, _)| row.clone()).collect();
    Batch::new(records(&rows)).with_behind(Some(behind))
}

/// Drops rows from memory that segments hold, so that about as many bytes become free.
pub(super) fn trim(operator: &mut dyn Operator, want: usize) {
    operator.tables().into_iter().for_each(|table| {
        table.trim(want);
    });
}

/// A kind of a row that comes, or that goes.
pub(super) fn kind(comes: bool, other: bool) -> RowKind {
    match (comes, other) {
        (true, false) => RowKind::Insert,
        (true, true) => RowKind::UpdateAfter,
        (false, false) => RowKind::Delete,
        (false, true) => RowKind::UpdateBefore,
    }
}

fn layers(inputs: &[Input]) -> Vec<Layer> {
    let layer = |input: &Input| Layer {
        reader: Arc::new(input.stored.reader().clone()),
        range: input.range,
    };
    inputs.iter().map(layer).collect()
}
