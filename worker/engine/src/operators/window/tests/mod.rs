//! Both halves together against a naive model: any batches, watermarks, barriers and kills.

mod definition;
mod run;

use std::sync::Arc;

use arrow::array::*;
use proptest::prelude::*;
use weir_protocol::{Attempt, Counter};
use weir_state::segment::Segment;

use crate::aggregate::functions;
use crate::operator::{Restored, SnapshotRequest};
use crate::operators::window::global::Global;
use crate::operators::window::local::Limits;
use crate::operators::window::plan::Plan;
use crate::operators::window::spec::Window;
use crate::operators::window::{intermediate_schema, state_schema};
use crate::{Batch, Operator, Output, Progress, Watermark};

use definition::*;
use run::*;

fn check(window: Window, keys: &[&str], events: &[Event], tuning: Tuning) {
    let spec = spec(window, keys);
    let (results, late) = Run::new(spec.clone(), 2, 2, tuning).run(events);
    let (wanted, wanted_late) = model(&spec, 2, events);
    assert_eq!(results, wanted);
    assert_eq!(late, wanted_late);
}

fn any_row() -> impl Strategy<Value = Row> {
    let key = prop::option::weighted(0.9, -3_i64..4);
    let float = prop_oneof![
        Just(0.0),
        Just(-0.0),
        Just(f64::NAN),
        (-4_i32..4).prop_map(|v| f64::from(v) / 2.0)
    ];
    let int = prop_oneof![4 => -9_i32..10, 1 => Just(i32::MAX), 1 => Just(i32::MIN)];
    (
        -50_i64..80,
        key,
        prop::option::of(int),
        prop::option::of(float),
        prop::option::of("[a-c]{0,2}|a long text that no view holds by itself [x-z]"),
        prop::option::of(-1000_i128..1000),
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

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0_usize..2, prop::collection::vec(any_row(), 1..12)).prop_map(|(s, r)| Event::Data(s, r)),
        3 => (0_usize..2, -60_i64..100).prop_map(|(s, w)| Event::Watermark(s, w)),
        1 => (0_usize..2).prop_map(Event::Tick),
        2 => prop::bool::weighted(0.3).prop_map(|full| Event::Barrier { full }),
        1 => (1_u32..4).prop_map(Event::Kill),
    ]
}

fn any_window() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1_i64..40, -5_i64..5).prop_map(|(size, offset)| Window::Tumble { size, offset }),
        (1_i64..12, 1_i64..20, -7_i64..7).prop_map(|(slide, n, offset)| Window::Hop {
            size: slide * n,
            slide,
            offset
        }),
        (1_i64..12, 1_i64..20, -7_i64..7).prop_map(|(step, n, offset)| Window::Cumulate {
            size: step * n,
            step,
            offset
        }),
    ]
}

fn any_tuning() -> impl Strategy<Value = Tuning> {
    let limits = (prop_oneof![Just(0_usize), Just(1 << 20)], 1_usize..30, 1_usize..30)
        .prop_map(|(memory, sample, bypass)| Limits { memory, sample, bypass });
    prop_oneof![
        Just(Tuning::default()),
        (1_usize..4, 2_i64..20, limits).prop_map(|(rows, span_slices, limits)| Tuning {
            rows,
            span_slices,
            limits
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_depend_on_the_rows_alone(
        window in any_window(),
        keys in prop::sample::select(vec![
            vec!["k"], vec!["text"], vec!["float"], vec!["text", "int"], vec!["flag", "k"], vec![],
        ]),
        events in prop::collection::vec(any_event(), 1..40),
        tuning in any_tuning(),
    ) {
        check(window, &keys, &events, tuning);
    }
}

const MINUTE: Window = Window::Tumble { size: 60, offset: 0 };

fn row(ts: i64, k: i64) -> Row {
    let (int, float) = (Some(k as i32), Some(k as f64));
    Row { ts, k: Some(k), int, float, text: Some(k.to_string()), decimal: None, flag: Some(true) }
}

fn snapshot(task: &mut Task, full: bool) -> Vec<Segment> {
    let request = SnapshotRequest { attempt: Attempt(1), full, last: false };
    task.1.on_barrier(&mut task.0, request).unwrap().keyed.unwrap().encode().unwrap()
}

#[test]
fn a_late_row_is_counted_once_and_goes_to_the_late_output() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &[row(10, 1)]);
    run.watermark(0, 60);
    run.data(0, &[row(59, 1), row(60, 1)]);
    assert_eq!(run.late, 1);
    assert_eq!(run.locals[0].0.metrics.get(Counter::Late), 1);
    assert_eq!(run.results.len(), 1);
}

#[test]
fn a_row_ahead_of_its_own_split_is_not_late_behind_faster_ones() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 2, 1, Tuning::default());
    run.watermark(0, 600);
    run.data(1, &[row(10, 1)]);
    run.watermark(1, 600);
    assert_eq!((run.results.len(), run.late), (1, 0));
}

#[test]
fn a_split_that_was_idle_counts_in_the_windows_that_are_left() {
    let hop = Window::Hop { size: 120, slide: 60, offset: 0 };
    let mut run = Run::new(spec(hop, &["k"]), 1, 1, Tuning::default());
    // The merged watermark went on without it.
    let mark = |run: &mut Run, ms| {
        let out = drive(&mut run.globals[0], |cx, op, out| {
            op.on_watermark(cx, Watermark(ms), out).unwrap()
        });
        run.collect(out);
    };
    mark(&mut run, 60);
    run.data(0, &[row(30, 1), row(-30, 1)]);
    run.barrier(1, false);
    mark(&mut run, 200);
    let ends: Vec<&String> = run.results.iter().map(|r| &r[r.len() - 2]).collect();
    assert_eq!(ends, ["1970-01-01T00:00:00.120"]);
    assert_eq!(run.globals[0].0.metrics.get(Counter::Late), 1);
}

/// A partial result that comes too late stands for as many rows as went into it, whether or not
/// one of the aggregates is their number.
#[test]
fn what_is_dropped_as_late_counts_in_rows() {
    for count in [true, false] {
        let mut spec = spec(MINUTE, &["k"]);
        spec.aggregates.retain(|call| call.name == if count { "count" } else { "sum_int" });
        let mut run = Run::new(spec, 1, 1, Tuning::default());
        let rows: Vec<Row> = (0..30).map(|n| row(n, n % 2)).collect();
        run.data(0, &rows);
        // Others went on without this split.
        let out = drive(&mut run.globals[0], |cx, op, out| {
            op.on_watermark(cx, Watermark(60), out).unwrap()
        });
        run.collect(out);
        run.exchange_all();
        assert_eq!(run.globals[0].0.metrics.get(Counter::Late), 30, "{count}");
        assert_eq!(run.globals[0].1.state_bytes(), 0);
    }
}

/// What is counted of late rows is no state: programs go on from what older ones have stored.
#[test]
fn the_number_of_rows_behind_a_partial_result_is_not_stored() {
    let mut spec = spec(MINUTE, &["k"]);
    spec.aggregates.retain(|call| call.name == "sum_int");
    let stored = state_schema(&spec).unwrap().columns;
    let travels = intermediate_schema(&spec).unwrap();
    assert_eq!(travels.fields().len(), stored.len() + 1);
    let mut run = Run::new(spec, 1, 1, Tuning::default());
    run.data(0, &[row(10, 1), row(20, 1)]);
    run.barrier(1, false);
    run.start(1);
    run.watermark(0, 60);
    assert_eq!(run.results[0][..2], ["1", "2"]);
}

/// Where splits are idle, subtasks may stand at different watermarks behind the same cut. What
/// each had given out must not come again, at any parallelism, after any number of restores.
#[test]
fn subtasks_that_differ_at_a_cut_give_out_each_window_once() {
    let hop = Window::Hop { size: 180, slide: 60, offset: 0 };
    let small = Tuning { rows: 3, span_slices: 2, ..Tuning::default() };
    let rows_at = |ts| (0..40).map(|k| row(ts, k)).collect::<Vec<_>>();
    let go_on = |run: &mut Run, marks: &[i64]| {
        for (s, mark) in marks.iter().enumerate() {
            let out = drive(&mut run.globals[s], |cx, op, out| {
                op.on_watermark(cx, Watermark(*mark), out).unwrap()
            });
            run.collect(out);
        }
    };
    let results = |tuning, restores: &[u32]| {
        let mut run = Run::new(spec(hop, &["k"]), 1, 2, tuning);
        run.data(0, &[rows_at(10), rows_at(70), rows_at(130)].concat());
        run.exchange_all();
        go_on(&mut run, &[120, 60]);
        let mut marks = vec![120, 60];
        for (n, parallelism) in restores.iter().enumerate() {
            run.barrier(n + 1, false);
            run.checkpoint.marks = marks;
            run.start(*parallelism);
            marks = vec![60; *parallelism as usize];
        }
        // Too late for windows that some subtask gave out, and in time for those of others.
        run.data(0, &rows_at(20));
        run.exchange_all();
        let all = vec![1_000; run.globals.len()];
        go_on(&mut run, &all);
        run.results.sort();
        run.results
    };
    for tuning in [Tuning::default(), small] {
        let calm = results(tuning, &[]);
        assert_eq!(calm.len(), 5 * 40);
        for parallelism in [1, 2, 3, 5] {
            assert_eq!(results(tuning, &[parallelism]), calm, "at parallelism {parallelism}");
        }
    }
}

#[test]
fn nothing_changed_is_an_empty_delta() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    assert!(snapshot(&mut run.globals[0], false)[0].is_empty_delta());
    run.data(0, &[row(10, 1)]);
    run.barrier(1, false);
    assert_eq!(run.checkpoint.segments[0].blocks.len(), 1);
    assert!(snapshot(&mut run.globals[0], false)[0].is_empty_delta());
    assert_eq!(snapshot(&mut run.globals[0], true)[0].blocks.len(), 1);
    run.watermark(0, 60);
    let gone = snapshot(&mut run.globals[0], false);
    assert_eq!(gone[0].blocks.len(), 1);
    assert!(snapshot(&mut run.globals[0], false)[0].is_empty_delta());
}

#[test]
fn a_delta_holds_only_the_groups_that_changed() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &(0..500).map(|k| row(10, k)).collect::<Vec<_>>());
    run.barrier(1, false);
    run.data(0, &[row(11, 7)]);
    run.barrier(2, false);
    let sizes: Vec<usize> = run.checkpoint.segments.iter().map(|s| s.bytes.len()).collect();
    assert!(sizes[1] * 50 < sizes[0], "{sizes:?}");
}

#[test]
fn what_is_frozen_stays_as_it_was_while_processing_goes_on() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &[row(10, 1), row(10, 2)]);
    run.exchange_all();
    let (cx, operator) = &mut run.globals[0];
    let request = SnapshotRequest { attempt: Attempt(1), full: false, last: false };
    let frozen = operator.on_barrier(cx, request).unwrap().keyed.unwrap();
    run.data(0, &[row(11, 1), row(11, 3)]);
    run.exchange_all();
    run.watermark(0, 60);
    run.checkpoint.segments = frozen.encode().unwrap();
    run.checkpoint.next_event = 1;
    run.start(3);
    run.watermark(0, 60);
    run.results.sort();
    let counts: Vec<&[String]> = run.results.iter().map(|r| &r[..2]).collect();
    assert_eq!(counts, [["1", "1"], ["2", "1"]]);
}

#[test]
fn applying_a_delta_twice_changes_nothing() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 2, Tuning::default());
    run.data(0, &[row(10, 1), row(10, 2)]);
    run.barrier(1, false);
    run.data(0, &[row(12, 2)]);
    run.barrier(2, false);
    let twice = run.checkpoint.segments[2..].to_vec();
    run.checkpoint.segments.extend(twice);
    run.start(1);
    run.watermark(0, 60);
    run.results.sort();
    let counts: Vec<&[String]> = run.results.iter().map(|r| &r[..2]).collect();
    assert_eq!(counts, [["1", "1"], ["2", "2"]]);
}

#[test]
fn many_groups_leave_in_bounded_batches() {
    let rows: Vec<Row> = (0..20_000).map(|n| row(n % 120, n % 9_000)).collect();
    let mut events: Vec<Event> =
        rows.chunks(3_000).map(|rows| Event::Data(0, rows.to_vec())).collect();
    events.insert(3, Event::Barrier { full: false });
    events.insert(5, Event::Barrier { full: false });
    events.insert(6, Event::Kill(3));
    check(MINUTE, &["k"], &events, Tuning::default());
}

#[test]
fn a_row_without_event_time_is_refused() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    let mut columns = records(&[row(1, 1)]).columns().to_vec();
    columns[0] = Arc::new(TimestampMillisecondArray::from(vec![None]));
    let batch = Batch::new(RecordBatch::try_new(schema(), columns).unwrap());
    let (cx, operator) = &mut run.locals[0];
    let error = operator.on_batch(cx, 0, batch, &mut Output::default()).unwrap_err();
    assert!(error.message.contains("no event time"), "{error}");
}

#[test]
fn state_of_other_aggregates_is_refused() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &[row(10, 1)]);
    run.barrier(1, false);
    let mut other = spec(MINUTE, &["k"]);
    other.aggregates.pop();
    let mut global = Global::new(Arc::new(Plan::new(&other).unwrap()));
    let segments = run.checkpoint.segments.clone();
    let state = Restored { segments, ..Restored::default() };
    let error = global.restore(&mut context(0, 1, &run.io), state).unwrap_err();
    assert!(error.message.contains("other keys or aggregates"), "{error}");
}

#[test]
fn the_local_half_lets_go_when_its_input_falls_silent() {
    let mut run = Run::new(spec(MINUTE, &["k"]), 1, 1, Tuning::default());
    run.data(0, &[row(10, 1)]);
    for _ in 0..2 {
        let out = drive(&mut run.locals[0], |cx, op, out| {
            op.on_tick(cx, out).unwrap();
            Progress::Done
        });
        run.exchange(out);
    }
    assert_eq!(run.locals[0].1.state_bytes(), 0);
    assert!(run.globals[0].1.state_bytes() > 0);
}

#[test]
fn sums_of_more_than_38_digits_are_null_and_integers_wrap() {
    let mut spec = spec(MINUTE, &["k"]);
    spec.aggregates = vec![
        call("sum", functions::SUM, Some("decimal"), false, false),
        call("int", functions::SUM, Some("int"), false, false),
    ];
    let mut run = Run::new(spec, 1, 1, Tuning::default());
    let large = |k| Row { decimal: Some(10_i128.pow(38) - 1), int: Some(i32::MAX), ..row(1, k) };
    run.data(0, &[large(1), large(1), large(2)]);
    run.watermark(0, 60);
    run.results.sort();
    let sums: Vec<&[String]> = run.results.iter().map(|r| &r[1..3]).collect();
    let all_nines = format!("{}.99", "9".repeat(36));
    assert_eq!(sums, [["NULL", "-2"], [all_nines.as_str(), "2147483647"]]);
}

/// Stored windows of version 1 must be readable for ever: these bytes may not change.
#[test]
fn the_stored_form_of_version_1_never_changes() {
    let mut spec = spec(MINUTE, &["k"]);
    let wanted = ["count", "sum_int", "min_text", "distinct_text"];
    spec.aggregates.retain(|call| wanted.contains(&call.name.as_str()));
    let mut run = Run::new(spec, 1, 1, Tuning::default());
    run.data(0, &[row(10, 1), row(20, 1)]);
    run.barrier(1, false);
    let segment = &run.checkpoint.segments[0];
    let bytes: String = segment.bytes.iter().map(|b| format!("{b:02x}")).collect();
    expect_test::expect!["1 fd0831397f607ed1450000003c000000000000003c000000000000000001000000000100000000000000000200000000000000000200000000000000000100000031000100000001000000000100000031"].assert_eq(&format!("{} {}", segment.schema, bytes));
}

#[test]
fn groups_of_all_slices_are_told_of_by_the_hashes_of_their_keys() {
    let window = Window::Tumble { size: 10, offset: 0 };
    let mut run = Run::new(spec(window, &["k"]), 1, 1, Tuning::default());
    let row = |n: i64| Row {
        ts: n / 20 * 10,
        k: Some(n % 20),
        int: None,
        float: None,
        text: None,
        decimal: None,
        flag: None,
    };
    let rows: Vec<Row> = (0..40).map(row).collect();
    run.data(0, &rows);
    run.barrier(1, false);
    let told = |most| {
        let mut told = Vec::new();
        let global = &run.globals[0].1;
        global.count_keys(most, &mut |hashes, each| told.push((hashes.to_vec(), each))).unwrap();
        told
    };
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20));
    let expected = weir_state::hash::hash_columns(&[keys], 20).values().to_vec();
    assert_eq!(told(100), [(expected.clone(), 1), (expected.clone(), 1)], "both slices");
    let some: Vec<u64> = expected.iter().step_by(4).copied().collect();
    assert_eq!(told(10), [(some.clone(), 4), (some, 4)]);

    // Slices of one group each are passed over as rows of one are.
    let mut run = Run::new(spec(window, &["k"]), 1, 1, Tuning::default());
    let rows: Vec<Row> = (0..30).map(|n| Row { ts: n * 10, ..row(n) }).collect();
    run.data(0, &rows);
    run.barrier(1, false);
    let mut told = Vec::new();
    let global = &run.globals[0].1;
    global.count_keys(10, &mut |hashes, each| told.push((hashes.len(), each))).unwrap();
    assert_eq!(told, [(1, 3); 10]);
}
