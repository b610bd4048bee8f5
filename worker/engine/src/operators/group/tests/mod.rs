//! The operator against a naive model: any rows that come and go, in any batches.

mod run;
mod window;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use weir_protocol::{KeyGroupRange, OperatorUid, Subtask, Term};

use crate::RowKind::{Delete, Insert, UpdateAfter, UpdateBefore};
use crate::aggregate::testing::{Row, aggregates, call, records, schema};
use crate::aggregate::{InputRows, functions};
use crate::env::Clock;
use crate::operator::{OperatorMetrics, Waker};
use crate::operators::group::plan::Plan;
use crate::operators::group::spec::GroupAggregate;
use crate::operators::group::{operator, tables};
use crate::{Batch, Context, Operator, Output, Progress};

use run::{Change, Event, Run};

fn spec(input_rows: InputRows, keys: &[&str]) -> GroupAggregate {
    let input = schema();
    GroupAggregate {
        keys: keys.iter().map(|k| input.index_of(k).unwrap()).collect(),
        input,
        input_rows,
        aggregates: aggregates(),
        update_before: true,
        ttl: None,
        ends: None,
    }
}

/// Sums of these floats are exact in any order. NaN is left out: it stays in a sum.
fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(-0.0), (-4_i32..4).prop_map(|v| f64::from(v) / 2.0)]
}

fn any_row() -> impl Strategy<Value = Row> {
    let int = prop_oneof![4 => -3_i32..4, 1 => Just(i32::MAX), 1 => Just(i32::MIN)];
    (
        prop::option::weighted(0.9, -1_i64..3),
        prop::option::weighted(0.8, int),
        prop::option::weighted(0.8, any_float()),
        prop::option::of("[a-c]{0,2}|a long text that no view holds by itself [x-z]"),
        prop::option::of(-20_i128..20),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(k, int, float, text, decimal, flag)| Row {
            ts: 0,
            k,
            int,
            float,
            text,
            decimal,
            flag,
        })
}

fn any_change(retracted: bool) -> impl Strategy<Value = Change> {
    let (go, stray) = if retracted { (5, 1) } else { (0, 0) };
    prop_oneof![
        6 => any_row().prop_map(Change::Come),
        go => any::<prop::sample::Index>().prop_map(|index| Change::Go(index.index(1_000))),
        stray => any_row().prop_map(Change::Stray),
    ]
}

fn any_event(retracted: bool) -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => prop::collection::vec(any_change(retracted), 1..16).prop_map(Event::Batch),
        2 => Just(Event::Checkpoint),
        2 => prop::sample::select(vec![0, 1, usize::MAX]).prop_map(Event::Trim),
        1 => any::<bool>().prop_map(|whole| Event::Restore { whole }),
    ]
}

fn any_keys() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::select(vec![
        vec!["k"],
        vec!["text"],
        vec!["float"],
        vec!["flag", "k"],
        vec!["list"],
        vec!["row", "map"],
        vec![],
    ])
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn changes_fold_to_the_results_over_the_rows_that_are_there(
        keys in any_keys(),
        update_before in any::<bool>(),
        events in prop::collection::vec(any_event(true), 1..20),
    ) {
        let spec = GroupAggregate { update_before, ..spec(InputRows::Retracted, &keys) };
        let mut run = Run::new(spec);
        events.into_iter().for_each(|event| run.on(event));
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn where_rows_only_come_changes_fold_to_the_results_too(
        keys in any_keys(),
        events in prop::collection::vec(any_event(false), 1..20),
    ) {
        let mut run = Run::new(spec(InputRows::Appended, &keys));
        for event in events {
            // Rows that only come are of one kind.
            if let Event::Batch(changes) = &event {
                prop_assert!(changes.iter().all(|change| matches!(change, Change::Come(_))));
            }
            run.on(event);
        }
    }

    #[test]
    fn without_aggregates_groups_only_come_and_go(
        retracted in any::<bool>(),
        keys in any_keys().prop_filter("a key", |keys| !keys.is_empty()),
        events in prop::collection::vec(any_event(true), 1..20),
    ) {
        let input_rows = if retracted { InputRows::Retracted } else { InputRows::Appended };
        let spec = GroupAggregate { aggregates: Vec::new(), ..spec(input_rows, &keys) };
        let mut run = Run::new(spec);
        for event in events {
            let event = match event {
                Event::Batch(changes) if !retracted => {
                    let come = |change: &Change| matches!(change, Change::Come(_));
                    Event::Batch(changes.into_iter().filter(come).collect())
                }
                event => event,
            };
            run.on(event);
        }
    }
}

fn row(k: i64, int: Option<i32>) -> Row {
    Row { ts: 0, k: Some(k), int, float: None, text: None, decimal: None, flag: None }
}

/// A run over these calls alone, by `k`.
fn run_of(input_rows: InputRows, names: &[&str], ttl: Option<u32>) -> Run {
    let mut spec = GroupAggregate { ttl, ..spec(input_rows, &["k"]) };
    spec.aggregates.retain(|call| names.contains(&call.name.as_str()));
    Run::new(spec)
}

fn rows(out: Vec<(crate::RowKind, Vec<String>)>) -> Vec<(crate::RowKind, String)> {
    out.into_iter().map(|(kind, row)| (kind, row.join(" "))).collect()
}

#[test]
fn a_group_leaves_one_change_per_batch() {
    let mut run = run_of(InputRows::Retracted, &["count", "sum_int"], None);
    let out = run.take_in(&[(row(1, Some(5)), Insert), (row(1, Some(2)), Insert)]);
    assert_eq!(rows(out), [(Insert, "1 2 7".to_owned())]);
    let out = run.take_in(&[
        (row(1, Some(5)), UpdateBefore),
        (row(1, Some(6)), UpdateAfter),
        (row(2, None), Insert),
    ]);
    let update = [(UpdateBefore, "1 2 7".to_owned()), (UpdateAfter, "1 2 8".to_owned())];
    assert_eq!(rows(out), [update.as_slice(), &[(Insert, "2 1 NULL".to_owned())]].concat());
    let out = run.take_in(&[(row(1, Some(6)), Delete), (row(1, Some(2)), Delete)]);
    assert_eq!(rows(out), [(Delete, "1 2 8".to_owned())]);
}

#[test]
fn a_result_that_stays_the_same_is_not_sent_again() {
    let mut run = run_of(InputRows::Retracted, &["min_day"], None);
    let _ = run.take_in(&[(row(1, Some(5)), Insert)]);
    assert_eq!(run.take_in(&[(row(1, Some(7)), Insert)]), []);
    assert_eq!(run.take_in(&[(row(1, Some(7)), Delete)]), []);
    assert_eq!(run.take_in(&[(row(1, Some(9)), Insert), (row(1, Some(9)), Delete)]), []);
}

#[test]
fn a_group_that_came_and_went_in_one_batch_leaves_nothing() {
    let mut run = run_of(InputRows::Retracted, &["count", "distinct_text"], None);
    assert_eq!(run.take_in(&[(row(1, None), Insert), (row(1, None), Delete)]), []);
    let out = run.take_in(&[(row(1, None), Delete), (row(1, None), Insert)]);
    assert_eq!(rows(out), [(Insert, "1 1 0".to_owned())]);
}

#[test]
fn a_sum_of_which_all_values_went_is_null_again() {
    let mut run = run_of(InputRows::Retracted, &["sum_int"], None);
    let _ = run.take_in(&[(row(1, Some(5)), Insert), (row(1, None), Insert)]);
    let out = run.take_in(&[(row(1, Some(5)), Delete)]);
    assert_eq!(rows(out), [(UpdateBefore, "1 5".to_owned()), (UpdateAfter, "1 NULL".to_owned())]);
}

/// An update may be split over batches and subtasks so that what goes comes last or first.
#[test]
fn a_value_may_go_before_it_comes() {
    let names = ["sum_int", "min_day", "avg_int"];
    let mut run = run_of(InputRows::Retracted, &names, None);
    let _ = run.take_in(&[(row(1, Some(5)), Insert), (row(1, None), Insert)]);
    let _ = run.take_in(&[(row(1, Some(3)), UpdateBefore)]);
    let _ = run.take_in(&[(row(1, Some(3)), UpdateAfter), (row(1, None), Insert)]);
    let _ = run.take_in(&[(row(1, Some(7)), Insert)]);
    assert_eq!(run.folded[&vec!["1".to_owned()]], ["12", "6", "1970-01-06"]);
}

#[test]
fn what_is_left_of_a_groups_values_goes_with_it() {
    let mut run = run_of(InputRows::Retracted, &["distinct_float", "count"], None);
    let of = |float| Row { float: Some(float), ..row(1, None) };
    let _ = run.take_in(&[(of(5.0), Insert)]);
    let out = run.take_in(&[(of(3.0), Delete)]);
    assert_eq!(rows(out), [(Delete, "1 1 1".to_owned())]);
    let out = run.take_in(&[(of(5.0), Insert)]);
    assert_eq!(rows(out), [(Insert, "1 1 1".to_owned())]);
}

#[test]
fn nan_goes_out_of_extremes_and_sets_again() {
    let mut run = run_of(InputRows::Retracted, &["max_single", "distinct_float"], None);
    let of = |float| Row { float: Some(float), ..row(1, None) };
    let out = run.take_in(&[(of(f64::NAN), Insert), (of(1.0), Insert), (of(-f64::NAN), Insert)]);
    assert_eq!(rows(out), [(Insert, "1 NaN 2".to_owned())]);
    let _ = run.take_in(&[(of(f64::NAN), Delete)]);
    let _ = run.take_in(&[(of(f64::NAN), Delete)]);
    assert_eq!(run.folded[&vec!["1".to_owned()]], ["1.0", "1"]);
}

#[test]
fn a_group_is_forgotten_after_its_time_to_live() {
    let mut run = run_of(InputRows::Retracted, &["count", "min_day", "distinct_float"], Some(10));
    let of = |int: i32| Row { float: Some(f64::from(int)), ..row(1, Some(int)) };
    let _ = run.take_in(&[(of(1), Insert)]);
    run.now += 9;
    let out = run.take_in(&[(of(2), Insert)]);
    assert_eq!(rows(out)[1], (UpdateAfter, "1 2 1970-01-02 2".to_owned()));
    run.now += 9;
    run.restore(false);
    let out = run.take_in(&[(of(2), Insert)]);
    assert_eq!(rows(out)[1], (UpdateAfter, "1 3 1970-01-02 2".to_owned()));
    run.now += 10;
    run.folded.clear();
    let out = run.take_in(&[(of(4), Insert)]);
    assert_eq!(rows(out), [(Insert, "1 1 1970-01-05 1".to_owned())]);
}

/// Who stands behind forgets what it hears nothing of.
#[test]
fn with_a_time_to_live_results_that_stay_the_same_are_sent_again() {
    let mut run = run_of(InputRows::Appended, &["min_day"], Some(10));
    let _ = run.take_in(&[(row(1, Some(1)), Insert)]);
    let same = "1 1970-01-02".to_owned();
    let out = run.take_in(&[(row(1, Some(1)), Insert)]);
    assert_eq!(rows(out), [(UpdateBefore, same.clone()), (UpdateAfter, same)]);
}

#[test]
fn keys_of_select_distinct_live_as_long_as_rows_repeat_them() {
    let mut run = run_of(InputRows::Appended, &[], Some(10));
    assert_eq!(run.take_in(&[(row(1, None), Insert), (row(1, None), Insert)]).len(), 1);
    run.now += 9;
    assert_eq!(run.take_in(&[(row(1, None), Insert)]), []);
    run.now += 9;
    assert_eq!(run.take_in(&[(row(1, None), Insert)]), []);
    run.now += 10;
    run.folded.clear();
    assert_eq!(rows(run.take_in(&[(row(1, None), Insert)])), [(Insert, "1".to_owned())]);
}

#[test]
fn what_only_repeats_keys_changes_no_state() {
    let mut run = run_of(InputRows::Appended, &[], None);
    let _ = run.take_in(&[(row(1, None), Insert)]);
    run.checkpoint();
    let _ = run.take_in(&[(row(1, None), Insert)]);
    assert!(run.operator.tables().iter().all(|table| !table.is_dirty()));
}

#[test]
fn a_value_that_a_set_has_changes_no_set() {
    let mut run = run_of(InputRows::Appended, &["distinct_sum"], None);
    let flagged = Row { flag: Some(true), ..row(1, Some(5)) };
    let _ = run.take_in(&[(flagged.clone(), Insert)]);
    run.checkpoint();
    assert_eq!(run.take_in(&[(flagged, Insert)]), []);
    assert!(!run.operator.tables()[1].is_dirty());
}

#[test]
fn calls_with_the_same_argument_share_one_set_of_values() {
    let mut spec = spec(InputRows::Retracted, &["k"]);
    spec.aggregates = vec![
        call("a", functions::MIN, Some("int"), false, false),
        call("b", functions::MAX, Some("int"), false, false),
        call("c", functions::COUNT, Some("int"), false, true),
        call("d", functions::COUNT, Some("int"), true, true),
        call("e", functions::SUM, Some("int"), false, false),
    ];
    assert_eq!(Plan::new(&spec).unwrap().sets.len(), 2);
    spec.input_rows = InputRows::Appended;
    let plan = Plan::new(&spec).unwrap();
    assert_eq!(plan.sets.len(), 2);
    assert!(plan.sets.iter().all(|set| set.table.columns.is_empty()));
    assert!(plan.groups.column("$rows").is_none());
}

#[test]
fn rows_that_go_are_refused_where_none_was_expected() {
    let run = &mut run_of(InputRows::Appended, &["count"], None);
    let records = records(&[row(1, None)]);
    let batch = Batch::new(records).with_kinds(Some([Delete].into()));
    let error = run.operator.take_in(&batch, 1).unwrap_err();
    assert!(error.message.contains("rows that only come"), "{error}");
}

/// As the engine runs it: made by its factory, with the tables that a graph declares, by the
/// clock of the task.
#[test]
fn state_expires_by_the_wall_clock() {
    let io = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut cx = Context {
        uid: OperatorUid::from("group"),
        name: "group".into(),
        subtask: Subtask(0),
        parallelism: 1,
        max_parallelism: 8,
        key_groups: KeyGroupRange::all(8),
        term: Term(1),
        clock: Clock::manual(0),
        io: io.handle().clone(),
        waker: Waker::none(),
        metrics: Arc::new(OperatorMetrics::default()),
    };
    let spec = GroupAggregate { ttl: Some(10), ..spec(InputRows::Retracted, &["k"]) };
    let mut operator = operator(&spec).unwrap().create(&cx).unwrap();
    let declared = tables(&spec).unwrap();
    assert_eq!(operator.tables().iter().map(|t| t.spec().clone()).collect::<Vec<_>>(), declared);
    let mut kinds = Vec::new();
    for seconds in [0, 9, 9, 10] {
        cx.clock.advance(Duration::from_secs(seconds));
        let mut out = Output::default();
        let batch = Batch::new(records(&[row(1, Some(1))]));
        let done = operator.on_batch(&mut cx, 0, batch, &mut out).unwrap();
        assert_eq!(done, Progress::Done);
        let (_, batch) = out.take().remove(0);
        kinds.push(batch.kinds().map_or(Insert, |kinds| kinds[0]));
    }
    assert_eq!(kinds, [Insert, UpdateBefore, UpdateBefore, Insert]);
}
