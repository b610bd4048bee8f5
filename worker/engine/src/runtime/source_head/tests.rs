//! Lateness, watermarks and idleness of a reader's splits.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::env::instant;
use crate::runtime::testing::{context, records};
use crate::source::NotNull;

fn marks(times: &[i64], delay: i64, before: i64) -> (Vec<Option<i64>>, i64) {
    let column: ArrayRef = Arc::new(TimestampMillisecondArray::from(times.to_vec()));
    let records = RecordBatch::try_from_iter([("ts", column)]).expect("one column");
    let rule = WatermarkRule { column: 0, mark: RowMark::Delay(delay), idle_after: None };
    let marked = mark_rows(&records, &rule, Watermark(before), false).expect("timestamps");
    let (behind, after) = (marked.behind, marked.watermark);
    (behind.map_or_else(|| vec![None; times.len()], |b| b.iter().collect()), after.0)
}

#[test]
fn a_row_is_behind_only_the_rows_before_it() {
    assert_eq!(
        marks(&[10, 5, 20, 14, 15], 5, i64::MIN),
        (vec![None, None, None, Some(15), None], 15)
    );
}

#[test]
fn cutting_a_split_into_batches_changes_nothing() {
    let times: Vec<i64> = (0..200).map(|i| (i * 7919) % 1000).collect();
    let (whole, end) = marks(&times, 100, i64::MIN);
    for cut in [1, 7, 100, 199] {
        let (mut first, middle) = marks(&times[..cut], 100, i64::MIN);
        let (second, last) = marks(&times[cut..], 100, middle);
        first.extend(second);
        assert_eq!((first, last), (whole.clone(), end), "cut at {cut}");
    }
}

/// What the reader finds at its next polls; nothing when there is no more.
type Script = Arc<Mutex<VecDeque<SourcePoll>>>;

/// The split that owes rows, if one does.
type Owing = Arc<Mutex<Option<usize>>>;

struct Scripted(Script, Owing);

impl SourceReader for Scripted {
    fn add(&mut self, _: &Context, _: usize, _: &Split) -> Result<(), EngineError> {
        Ok(())
    }

    fn poll(&mut self, _: &mut Context) -> Result<SourcePoll, EngineError> {
        Ok(self.0.lock().pop_front().unwrap_or(SourcePoll::Pending))
    }

    fn position(&self, _: usize) -> Bytes {
        Bytes::new()
    }

    fn place(&self, _: &Context, _: usize, row: usize) -> Option<String> {
        Some(format!("a.json:{}", row + 1))
    }

    fn owes(&self, index: usize) -> bool {
        *self.1.lock() == Some(index)
    }
}

#[derive(Default)]
struct Times {
    rule: Option<WatermarkRule>,
    not_null: Vec<NotNull>,
}

impl EventTimes for Times {
    fn project(&mut self, records: RecordBatch) -> Result<RecordBatch, EngineError> {
        Ok(records)
    }

    fn rule(&self) -> Option<&WatermarkRule> {
        self.rule.as_ref()
    }

    fn not_null(&self) -> &[NotNull] {
        &self.not_null
    }
}

fn split(id: &str) -> Split {
    let (position, watermark, lower_bound, size) = (Bytes::new(), None, None, 0);
    Split { id: id.into(), position, watermark, lower_bound, size }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A head with two splits that are idle after a second, and its clock.
struct Bench {
    head: SourceHead,
    script: Script,
    owing: Owing,
    now: Instant,
    _io: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let io = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (script, owing) = (Script::default(), Owing::default());
        let idle_after = Some(ms(1_000));
        let rule = WatermarkRule { column: 0, mark: RowMark::Delay(0), idle_after };
        let reader = Box::new(Scripted(Arc::clone(&script), Arc::clone(&owing)));
        let times = Box::new(Times { rule: Some(rule), ..Times::default() });
        let mut head = SourceHead::new(context("events", &io), reader, times, None);
        let splits = vec![split("a"), split("b")];
        let (pending, round) = (Pending::None, Round(1));
        head.assign(SplitAssignment { splits, pending, round, ..SplitAssignment::default() })
            .expect("assigns");
        Self { head, script, owing, now: instant(), _io: io }
    }

    /// Polls after `pause`; `found` is a split and an event time.
    fn poll(&mut self, pause: Duration, found: Option<(usize, i64)>) -> WatermarkStatus {
        self.script.lock().extend(
            found.map(|(split, time)| SourcePoll::Rows { split, records: records(&[time]) }),
        );
        self.now += pause;
        let read = self.head.read(self.now).expect("reads");
        assert_eq!(matches!(read, Read::Rows(_)), found.is_some());
        self.head.watermark_status()
    }
}

#[test]
fn a_silent_split_holds_event_time_until_its_time_out_and_no_longer() {
    let mut bench = Bench::new();
    bench.poll(ms(0), Some((0, 50)));
    bench.poll(ms(0), Some((1, 10)));
    for _ in 0..9 {
        assert_eq!(bench.poll(ms(100), Some((0, 60))), WatermarkStatus::Active(Watermark(10)));
    }
    assert_eq!(bench.poll(ms(100), Some((0, 60))), WatermarkStatus::Active(Watermark(60)));
}

/// The silent split is asked at every poll, whatever the busy one beside it gives.
#[test]
fn a_silent_split_beside_a_backlogged_one_becomes_idle() {
    let mut bench = Bench::new();
    for n in 0..40 {
        assert_eq!(
            bench.poll(ms(25), Some((0, n))),
            WatermarkStatus::Active(Watermark::MIN),
            "poll {n}"
        );
    }
    assert_eq!(bench.poll(ms(25), Some((0, 41))), WatermarkStatus::Active(Watermark(41)));
}

/// As a reader does whose batch is not full, or that reads one file after the other.
#[test]
fn a_split_that_owes_rows_is_never_idle() {
    let mut bench = Bench::new();
    bench.poll(ms(0), Some((1, 10)));
    *bench.owing.lock() = Some(1);
    for _ in 0..100 {
        assert_eq!(bench.poll(ms(100), Some((0, 60))), WatermarkStatus::Active(Watermark(10)));
    }
    *bench.owing.lock() = None;
    for _ in 0..9 {
        assert_eq!(bench.poll(ms(100), Some((0, 60))), WatermarkStatus::Active(Watermark(10)));
    }
    assert_eq!(bench.poll(ms(100), Some((0, 60))), WatermarkStatus::Active(Watermark(60)));
}

#[test]
fn a_split_that_gives_rows_is_never_idle() {
    let mut bench = Bench::new();
    for n in 0..100 {
        bench.poll(ms(200), Some((0, 1_000 + n)));
        assert_eq!(bench.poll(ms(200), Some((1, n))), WatermarkStatus::Active(Watermark(n)));
    }
}

#[test]
fn rows_end_a_splits_idleness() {
    let mut bench = Bench::new();
    bench.poll(ms(0), Some((1, 10)));
    for _ in 0..10 {
        bench.poll(ms(100), Some((0, 60)));
    }
    assert_eq!(bench.head.watermark_status(), WatermarkStatus::Active(Watermark(60)));
    assert_eq!(bench.poll(ms(10), Some((1, 12))), WatermarkStatus::Active(Watermark(12)));
    assert_eq!(bench.poll(ms(10), None), WatermarkStatus::Active(Watermark(12)));
}

#[test]
fn a_reader_whose_splits_are_all_silent_is_idle_where_the_furthest_stands() {
    let mut bench = Bench::new();
    bench.poll(ms(0), Some((0, 50)));
    bench.poll(ms(0), Some((1, 10)));
    for _ in 0..9 {
        assert_eq!(bench.poll(ms(100), None), WatermarkStatus::Active(Watermark(10)));
    }
    assert_eq!(bench.poll(ms(100), None), WatermarkStatus::Idle(Watermark(50)));
}

#[test]
fn what_holds_the_task_up_is_not_the_splits_silence() {
    let mut bench = Bench::new();
    bench.poll(ms(0), Some((0, 50)));
    bench.poll(ms(0), Some((1, 10)));
    for _ in 0..100 {
        bench.head.held_up(bench.now);
        assert_eq!(bench.poll(ms(100), None), WatermarkStatus::Active(Watermark(10)));
    }
}

#[test]
fn a_thread_that_stood_still_makes_no_split_idle() {
    let mut bench = Bench::new();
    bench.poll(ms(0), Some((0, 50)));
    bench.poll(ms(0), Some((1, 10)));
    assert_eq!(bench.poll(ms(60_000), None), WatermarkStatus::Active(Watermark(10)));
}

#[test]
fn a_reader_without_splits_is_idle_only_while_none_are_known_of() {
    let mut bench = Bench::new();
    bench.poll(ms(0), Some((0, 50)));
    for index in [0, 1] {
        bench.script.lock().push_back(SourcePoll::Finished { split: index });
        bench.head.read(bench.now).expect("reads");
    }
    assert_eq!(bench.head.cx.metrics.get(Counter::Splits), 2, "both are counted");
    let mut told = |pending| {
        let splits = Vec::new();
        let assignment =
            SplitAssignment { splits, pending, round: Round(1), ..SplitAssignment::default() };
        bench.head.assign(assignment).expect("assigns");
        bench.head.watermark_status()
    };
    assert_eq!(told(Pending::None), WatermarkStatus::Idle(Watermark(50)));
    assert_eq!(told(Pending::Unknown), WatermarkStatus::Active(Watermark::MIN));
    assert_eq!(told(Pending::Above(70)), WatermarkStatus::Active(Watermark(70)));
    assert_eq!(told(Pending::Ended), WatermarkStatus::Active(Watermark::MAX));
}

#[test]
fn a_split_that_goes_back_is_in_every_cut_and_holds_what_it_owes_until_it_is_taken() {
    let mut bench = Bench::new();
    bench.poll(ms(0), Some((0, 50)));
    bench.poll(ms(0), Some((1, 10)));
    let back = SourcePoll::Returned { split: 1, position: Bytes::from_static(b"7"), left: 3 };
    bench.script.lock().push_back(back);
    assert_eq!(bench.poll(ms(0), None), WatermarkStatus::Active(Watermark(10)));
    let ids = |head: &SourceHead| head.positions().into_iter().map(|s| s.id).collect::<Vec<_>>();
    assert_eq!(ids(&bench.head), ["a", "b"]);
    let sent = bench.head.give_back();
    assert_eq!((sent[0].watermark, &sent[0].position[..], sent[0].size), (Some(10), &b"7"[..], 3));
    // The coordinator holds the watermark from here on.
    let pending = Pending::Above(10);
    let taken =
        SplitAssignment { pending, round: Round(1), taken_back: 1, ..SplitAssignment::default() };
    bench.head.assign(taken).expect("assigns");
    assert_eq!(ids(&bench.head), ["a"]);
    assert_eq!(bench.poll(ms(0), None), WatermarkStatus::Active(Watermark(10)));
}

#[test]
fn an_event_time_that_is_null_is_told_with_the_place_of_its_row() {
    let mut bench = Bench::new();
    let column: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(1), None]));
    let records = RecordBatch::try_from_iter([("ts", column)]).expect("one column");
    bench.script.lock().push_back(SourcePoll::Rows { split: 0, records });
    let error = bench.head.read(bench.now).expect_err("NULL");
    assert!(
        error.message.starts_with("a.json:2: the event time \"ts\" is NULL"),
        "{}",
        error.message
    );
}

#[test]
fn null_in_a_not_null_column_is_told_with_the_place_of_its_row() {
    let io = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let script = Script::default();
    let column: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(1), Some(2), None]));
    let records = RecordBatch::try_from_iter([("n", column)]).expect("one column");
    script.lock().push_back(SourcePoll::Rows { split: 0, records });
    let not_null = vec![NotNull { column: 0, message: "column \"n\" is NOT NULL".into() }];
    let times = Box::new(Times { rule: None, not_null });
    let reader = Box::new(Scripted(script, Owing::default()));
    let mut head = SourceHead::new(context("events", &io), reader, times, None);
    let error = head.read(instant()).expect_err("NULL");
    assert_eq!(error.message, "a.json:3: column \"n\" is NOT NULL");
}

#[test]
fn each_row_is_shown_the_watermark_that_it_finds() {
    let column: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![10, 5, 20, 14]));
    let columns = [("ts", column.clone(), true), ("mark", column, true)];
    let records = RecordBatch::try_from_iter_with_nullable(columns).expect("two columns");
    let rule = WatermarkRule { column: 0, mark: RowMark::Delay(4), idle_after: None };
    let marked = mark_rows(&records, &rule, Watermark(i64::MIN), true).expect("timestamps");
    let before = marked.before.expect("asked for");
    let shown = showing(&records, 1, &before).expect("a timestamp");
    let shown = shown.column(1).as_primitive::<TimestampMillisecondType>();
    // A row of 10 says that all up to 5 is past: watermarks are the first time that is not.
    assert_eq!(shown.iter().collect::<Vec<_>>(), [None, Some(5), Some(5), Some(15)]);
}
