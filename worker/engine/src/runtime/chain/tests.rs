//! What operators hold back never comes behind what passes them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{DataType, TimeUnit};
use weir_protocol::{Attempt, KeyGroup, Subtask};
use weir_state::hash::hash_columns;
use weir_state::table::{Field, Keyed, Table, TableSpec};

use super::*;
use crate::graph::Exchange;
use crate::group_load::GroupLoad;
use crate::runtime::channel::Channel;
use crate::runtime::testing::{context, records};
use crate::task::Look;

/// Holds back every batch until it is told to let go, which it does one batch a call.
#[derive(Default)]
struct Hoarder {
    held: Vec<Batch>,
}

impl Hoarder {
    fn let_go(&mut self, out: &mut Output) -> Progress {
        if !self.held.is_empty() {
            out.push(self.held.remove(0));
        }
        if self.held.is_empty() { Progress::Done } else { Progress::More }
    }
}

impl Operator for Hoarder {
    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        _: &mut Output,
    ) -> Result<Progress, EngineError> {
        self.held.push(batch);
        Ok(Progress::Done)
    }

    fn flush(&mut self, _: &mut Context, out: &mut Output) -> Result<Progress, EngineError> {
        Ok(self.let_go(out))
    }

    fn resume(&mut self, _: &mut Context, out: &mut Output) -> Result<Progress, EngineError> {
        Ok(self.let_go(out))
    }

    fn on_barrier(&mut self, _: &mut Context, _: SnapshotRequest) -> Result<Snapshot, EngineError> {
        assert!(self.held.is_empty(), "the state is taken once nothing is held back");
        Ok(Snapshot::default())
    }
}

fn name(message: &Message) -> String {
    match message {
        Message::Data(batch) => batch.num_rows().to_string(),
        Message::Watermark(mark) => format!("watermark {mark}"),
        Message::Idle => "idle".to_owned(),
        Message::Active => "active".to_owned(),
        Message::Round(..) => "round".to_owned(),
        Message::Barrier(_) => "barrier".to_owned(),
        Message::End => "end".to_owned(),
    }
}

/// Two operators in a row that feed a channel with room for one batch.
struct Bench {
    chain: Chain,
    channel: Arc<Channel>,
    _io: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let io = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let operators: [Box<dyn Operator>; 2] =
            [Box::new(Hoarder::default()), Box::new(Hoarder::default())];
        Self::of(operators, io)
    }

    fn of(operators: [Box<dyn Operator>; 2], io: tokio::runtime::Runtime) -> Self {
        let links = operators.into_iter().zip(["first", "second"]);
        let links = links.map(|(operator, name)| Link { operator, cx: context(name, &io) });
        let links = links.collect();
        let channel = Arc::new(Channel::new(1));
        let lanes = vec![Arc::clone(&channel)];
        let partition =
            ResultPartition::new(1, OutputTag::Main, &Exchange::Forward, lanes, Subtask(0), 24);
        let chain = Chain::new(links, vec![partition], Arc::new(()), 1 << 20);
        Self { chain, channel, _io: io }
    }

    /// Gives rows, then whatever `give` gives, and tells what arrives: numbers of rows and names.
    fn arrives(&mut self, give: impl FnOnce(&mut Chain)) -> Vec<String> {
        for rows in 1..=3 {
            self.chain.give_batch(0, Batch::new(records(&vec![0; rows])));
        }
        give(&mut self.chain);
        let mut arrived = Vec::new();
        let mut full = 0;
        while !self.chain.is_idle() {
            let driven = self.chain.drive().expect("drives");
            full += usize::from(matches!(driven, Driven::Full));
            while let Some(message) = self.channel.pop() {
                arrived.push(name(&message));
            }
        }
        assert_eq!(full, 3, "each batch filled the output");
        arrived
    }
}

#[test]
fn what_operators_hold_back_leaves_in_front_of_idleness() {
    assert_eq!(Bench::new().arrives(Chain::give_idle), ["1", "2", "3", "idle"]);
}

#[test]
fn what_operators_hold_back_leaves_in_front_of_a_barrier_in_as_many_steps_as_it_takes() {
    let barrier = Barrier { attempt: Attempt(1), freeze: false, full: false, last: false };
    let arrived = Bench::new().arrives(|chain| chain.give_barrier(barrier));
    assert_eq!(arrived, ["1", "2", "3", "barrier"]);
}

#[test]
fn what_operators_hold_back_leaves_in_front_of_the_end() {
    assert_eq!(Bench::new().arrives(Chain::give_end), ["1", "2", "3", "end"]);
}

/// Keeps its own time, which is a millisecond later at each tick; works on a batch for as long as it
/// is told to.
#[derive(Default)]
struct Timed {
    last: i64,
    works: Arc<AtomicBool>,
    batch: Option<Batch>,
}

impl Operator for Timed {
    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        _: &mut Output,
    ) -> Result<Progress, EngineError> {
        self.batch = Some(batch);
        Ok(Progress::More)
    }

    fn can_resume(&mut self, _: &mut Context) -> bool {
        !self.works.load(Ordering::Relaxed)
    }

    fn resume(&mut self, _: &mut Context, out: &mut Output) -> Result<Progress, EngineError> {
        self.batch.take().into_iter().for_each(|batch| out.push(batch));
        Ok(Progress::Done)
    }

    fn keeps_own_time(&self) -> bool {
        true
    }

    fn own_watermark(&mut self, _: &Context) -> Option<Watermark> {
        self.last += 1;
        Some(Watermark(self.last))
    }
}

impl Bench {
    /// A chain that begins with it.
    fn timed(works: &Arc<AtomicBool>) -> Self {
        let io = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let timed = Timed { works: Arc::clone(works), ..Timed::default() };
        Self::of([Box::new(timed), Box::new(Hoarder::default())], io)
    }

    /// What has arrived, with the chain driven as far as it goes.
    fn drives(&mut self) -> Vec<String> {
        let mut arrived = Vec::new();
        loop {
            let driven = self.chain.drive().expect("drives");
            let before = arrived.len();
            while let Some(message) = self.channel.pop() {
                arrived.push(name(&message));
            }
            if self.chain.is_idle() || matches!(driven, Driven::Full) && arrived.len() == before {
                return arrived;
            }
        }
    }
}

#[test]
fn time_begins_anew_with_an_operator_that_keeps_its_own() {
    let mut bench = Bench::timed(&Arc::default());
    bench.chain.give_watermark(Watermark(50));
    bench.chain.give_idle();
    bench.chain.give_active();
    assert_eq!(bench.drives(), Vec::<String>::new());
    bench.chain.tick().expect("ticks");
    assert_eq!(bench.drives(), ["watermark 1 ms"]);
    bench.chain.tick().expect("ticks");
    bench.chain.give_watermark(Watermark::MAX);
    bench.chain.give_end();
    assert_eq!(bench.drives(), ["watermark 2 ms", "watermark +inf", "end"]);
}

#[test]
fn nothing_passes_an_operator_that_waits_for_something_outside() {
    let works = Arc::new(AtomicBool::new(true));
    let mut bench = Bench::timed(&works);
    bench.chain.give_batch(0, Batch::new(records(&[0; 2])));
    bench.chain.give_watermark(Watermark::MAX);
    assert_eq!(bench.drives(), Vec::<String>::new());
    assert!(!bench.chain.is_idle());
    works.store(false, Ordering::Relaxed);
    bench.chain.give_end();
    assert_eq!(bench.drives(), ["watermark +inf", "2", "end"]);
}

/// Keeps a row per key hash of the rows that come.
struct Keeper(Keyed);

impl Operator for Keeper {
    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.0]
    }

    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        _: &mut Output,
    ) -> Result<Progress, EngineError> {
        let key = Arc::clone(batch.records().column(0));
        let resolved = self.0.resolve(&[key], batch.num_rows(), &mut Vec::new());
        resolved.map_err(EngineError::internal)?;
        Ok(Progress::Done)
    }
}

#[test]
fn who_looks_sees_the_rows_of_each_key_group_and_the_rows_that_come_for_it() {
    let io = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let type_of = DataType::Timestamp(TimeUnit::Millisecond, None);
    let spec = TableSpec::keyed("rows", vec![Field::new("ts", type_of, false)], Vec::new());
    let mut bench = Bench::of([Box::new(Hoarder::default()), Box::new(Hoarder::default())], io);
    let keeper = Keeper(Keyed::new(spec, bench.chain.links[1].cx.groups()).expect("a table"));
    bench.chain.links[0].operator = Box::new(keeper);
    let cx = &bench.chain.links[0].cx;
    let metrics = Arc::clone(&cx.metrics);
    metrics.count_groups(GroupLoad::new(cx.key_groups, 24));
    // The same key for three rows of four.
    let keys: Vec<i64> = (0..4_000).map(|row| if row % 4 > 0 { 7 } else { row }).collect();
    let records = records(&keys);
    let hashes = hash_columns(records.columns(), keys.len());
    bench.chain.give_batch(0, Batch::new(records).with_hashes(hashes.clone()));
    assert_eq!(bench.drives(), Vec::<String>::new());

    let looks = ["first", "elsewhere"].map(|uid| Look { uid: uid.into(), rows: false });
    let shown = bench.chain.look(&looks);
    assert_eq!(shown.len(), 1);
    let distinct: BTreeSet<u64> = hashes.values().iter().copied().collect();
    let mut expected = vec![0; 24];
    distinct.iter().for_each(|hash| expected[KeyGroup::of_hash(*hash, 24).0 as usize] += 1);
    assert_eq!((shown[0].uid.0.as_str(), &shown[0].state_rows), ("first", &expected));
    let load = metrics.groups().expect("it keeps a table");
    let later = crate::env::instant() + std::time::Duration::from_secs(1);
    let hot = KeyGroup::of_hash(hashes.value(1), 24);
    assert_eq!(load.hottest(later, 1)[0].0, hot);
}

#[test]
fn rows_are_taken_only_while_somebody_looks_at_them() {
    let io = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut bench = Bench::of([Box::new(Hoarder::default()), Box::new(Hoarder::default())], io);
    let look = |bench: &mut Bench, uid: &str, rows| {
        let shown = bench.chain.look(&[Look { uid: uid.into(), rows }]);
        shown.into_iter().next().and_then(|shown| shown.rows).map_or(0, |rows| rows.rows.len())
    };
    let pass = |bench: &mut Bench, rows| {
        bench.chain.give_batch(0, Batch::new(records(&vec![0; rows])));
        bench.chain.give_idle();
        bench.drives();
    };
    pass(&mut bench, 3);
    assert_eq!(look(&mut bench, "first", true), 0, "nobody had looked");
    pass(&mut bench, 3);
    assert_eq!(look(&mut bench, "first", true), 3);
    assert_eq!(look(&mut bench, "first", true), 0, "each row is shown once");
    pass(&mut bench, 3);
    assert_eq!(look(&mut bench, "first", false), 0, "only its key groups are looked at");
    assert!(bench.chain.taps.is_empty());
    look(&mut bench, "second", true);
    pass(&mut bench, 30);
    assert_eq!(look(&mut bench, "first", true), 0);
    assert_eq!(bench.chain.taps.len(), 1, "the other one is not looked at any more");
}

#[test]
fn of_a_sink_the_rows_that_it_takes_are_shown() {
    let io = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut bench = Bench::of([Box::new(Hoarder::default()), Box::new(Hoarder::default())], io);
    bench.chain.partitions.clear();
    let looks = [Look { uid: "second".into(), rows: true }];
    bench.chain.look(&looks);
    bench.chain.give_batch(0, Batch::new(records(&[0; 4])));
    bench.chain.give_idle();
    bench.drives();
    let rows = bench.chain.look(&looks)[0].rows.clone().expect("rows");
    assert_eq!(rows.rows.len(), 4, "{rows:?}");
    assert_eq!(rows.columns, ["ts"]);
}
