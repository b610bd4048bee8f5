//! The operator against a naive model: any rows that come and go, in any batches.

mod at_end;
mod run;
mod window;

use proptest::prelude::*;

use crate::RowKind::{self, Delete, Insert, UpdateAfter, UpdateBefore};
use crate::aggregate::InputRows;
use crate::aggregate::testing::{Row, records, schema};
use crate::operators::rank::spec::{RankFunction, SortColumn, TopN};
use crate::operators::rank::{operator, output_schema, tables};
use crate::{Batch, Operator};

use run::{Change, Event, Run};

fn sort(column: &str, descending: bool, nulls_first: bool) -> SortColumn {
    SortColumn { column: schema().index_of(column).unwrap(), descending, nulls_first }
}

fn spec(input_rows: InputRows, keys: &[&str], order: Vec<SortColumn>) -> TopN {
    let input = schema();
    TopN {
        keys: keys.iter().map(|k| input.index_of(k).unwrap()).collect(),
        input,
        input_rows,
        order,
        function: RankFunction::RowNumber,
        from: 1,
        to: 2,
        rank: None,
        window_end: None,
        at_end: false,
        ttl: None,
    }
}

/// Few values, so that rows are often equal in their order, or as a whole.
fn any_row() -> impl Strategy<Value = Row> {
    let float = prop_oneof![Just(0.0), Just(-0.0), Just(f64::NAN), (-2_i32..3).prop_map(f64::from)];
    (
        prop::option::weighted(0.9, -1_i64..2),
        prop::option::weighted(0.8, -2_i32..3),
        prop::option::weighted(0.8, float),
        prop::option::of("[ab]{0,2}|a long text that no view holds by itself"),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(k, int, float, text, flag)| Row {
            ts: 0,
            k,
            int,
            float,
            text,
            decimal: None,
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

fn any_events(retracted: bool) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        8 => prop::collection::vec(any_change(retracted), 1..12).prop_map(Event::Batch),
        2 => Just(Event::Checkpoint),
        2 => prop::sample::select(vec![0, 1, usize::MAX]).prop_map(Event::Trim),
        1 => any::<bool>().prop_map(|whole| Event::Restore { whole }),
    ];
    prop::collection::vec(event, 1..20)
}

fn any_spec(retracted: bool) -> impl Strategy<Value = TopN> {
    let input_rows = if retracted { InputRows::Retracted } else { InputRows::Appended };
    let column = prop::sample::select(vec!["int", "float", "text", "flag", "k"]);
    let order = prop::collection::vec((column, any::<bool>(), any::<bool>()), 0..3);
    let functions = vec![RankFunction::RowNumber, RankFunction::Rank, RankFunction::DenseRank];
    (
        prop::sample::select(vec![
            vec!["k"],
            vec!["flag", "k"],
            vec!["float"],
            vec!["row"],
            vec![],
        ]),
        order,
        prop::sample::select(functions),
        1_u64..4,
        0_u64..3,
        any::<bool>(),
    )
        .prop_map(move |(keys, order, function, from, more, ranked)| {
            let order = order.into_iter().map(|(c, down, nulls)| sort(c, down, nulls)).collect();
            let rank = ranked.then(|| "rank".to_owned());
            TopN { function, from, to: from + more, rank, ..spec(input_rows, &keys, order) }
        })
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn changes_fold_to_the_first_of_the_rows_that_are_there(
        spec in any_spec(true),
        events in any_events(true),
    ) {
        let mut run = Run::new(spec);
        events.into_iter().for_each(|event| run.on(event));
    }

    #[test]
    fn where_rows_only_come_changes_fold_to_the_first_too(
        spec in any_spec(false),
        events in any_events(false),
    ) {
        let mut run = Run::new(spec);
        events.into_iter().for_each(|event| run.on(event));
    }
}

fn row(k: i64, int: i32, text: &str) -> Row {
    let text = Some(text.to_owned());
    Row { ts: 0, k: Some(k), int: Some(int), float: None, text, decimal: None, flag: None }
}

/// What came out: kind, `int`, `text` and the rank.
fn short(out: Vec<(RowKind, Vec<String>)>) -> Vec<(RowKind, String)> {
    let pick = |row: Vec<String>| {
        let rank = schema().fields().len();
        [row.get(2), row.get(4), row.get(rank)].into_iter().flatten().cloned().collect::<Vec<_>>()
    };
    out.into_iter().map(|(kind, row)| (kind, pick(row).join(" "))).collect()
}

fn expect(out: Vec<(RowKind, Vec<String>)>, wanted: &[(RowKind, &str)]) {
    let wanted: Vec<_> = wanted.iter().map(|(kind, row)| (*kind, (*row).to_owned())).collect();
    assert_eq!(short(out), wanted);
}

#[test]
fn a_row_that_is_pushed_out_goes_before_the_other_one_comes() {
    let mut run = Run::new(spec(InputRows::Appended, &["k"], vec![sort("int", true, false)]));
    let out = run.take_in(&[(row(1, 5, "a"), Insert), (row(1, 3, "b"), Insert)]);
    expect(out, &[(Insert, "5 a"), (Insert, "3 b")]);
    let out = run.take_in(&[(row(1, 4, "c"), Insert), (row(1, 1, "d"), Insert)]);
    expect(out, &[(Delete, "3 b"), (Insert, "4 c")]);
    assert_eq!(run.kept(), 2, "rows that never come back are forgotten");
}

#[test]
fn of_equal_rows_the_incumbent_stays() {
    let mut run = Run::new(spec(InputRows::Appended, &["k"], vec![sort("int", false, true)]));
    let _ = run.take_in(&[(row(1, 5, "a"), Insert), (row(1, 5, "b"), Insert)]);
    expect(run.take_in(&[(row(1, 5, "c"), Insert)]), &[]);
}

#[test]
fn a_rank_that_is_given_out_corrects_the_row_that_has_it() {
    let order = vec![sort("int", false, true)];
    let rank = Some("rn".to_owned());
    let mut run = Run::new(TopN { rank, ..spec(InputRows::Retracted, &["k"], order) });
    let _ = run.take_in(&[(row(1, 5, "a"), Insert), (row(1, 7, "b"), Insert)]);
    let out = run.take_in(&[(row(1, 6, "c"), Insert)]);
    expect(out, &[(UpdateBefore, "7 b 2"), (UpdateAfter, "6 c 2")]);
    let out = run.take_in(&[(row(1, 5, "a"), Delete)]);
    expect(
        out,
        &[
            (UpdateBefore, "5 a 1"),
            (UpdateAfter, "6 c 1"),
            (UpdateBefore, "6 c 2"),
            (UpdateAfter, "7 b 2"),
        ],
    );
    let out = run.take_in(&[(row(1, 6, "c"), UpdateBefore)]);
    expect(out, &[(UpdateBefore, "6 c 1"), (UpdateAfter, "7 b 1"), (Delete, "7 b 2")]);
}

#[test]
fn without_an_order_the_first_to_come_are_the_first() {
    let mut run = Run::new(spec(InputRows::Retracted, &[], Vec::new()));
    let rows: Vec<_> = (0..200).map(|int| (row(1, int, "a"), Insert)).collect();
    expect(run.take_in(&rows), &[(Insert, "0 a"), (Insert, "1 a")]);
    let gone: Vec<_> = (0..150).map(|int| (row(1, int, "a"), Delete)).collect();
    let out = run.take_in(&gone);
    expect(out, &[(Delete, "1 a"), (Delete, "0 a"), (Insert, "150 a"), (Insert, "151 a")]);
}

#[test]
fn rows_are_forgotten_after_their_time_to_live() {
    let order = vec![sort("int", false, true)];
    let mut run = Run::new(TopN { ttl: Some(10), ..spec(InputRows::Appended, &["k"], order) });
    let _ = run.take_in(&[(row(1, 1, "a"), Insert), (row(1, 2, "b"), Insert)]);
    run.now += 9;
    expect(run.take_in(&[(row(1, 3, "c"), Insert)]), &[]);
    run.now += 1;
    expect(run.take_in(&[(row(1, 3, "c"), Insert)]), &[(Insert, "3 c")]);
}

#[test]
fn rows_whose_rank_is_given_out_are_forgotten_together() {
    let (order, rank) = (vec![sort("int", false, true)], Some("rn".to_owned()));
    let ranked = TopN { ttl: Some(10), rank, ..spec(InputRows::Retracted, &["k"], order) };
    let mut run = Run::new(ranked);
    let _ = run.take_in(&[(row(1, 1, "a"), Insert)]);
    run.now += 9;
    let _ = run.take_in(&[(row(1, 2, "b"), Insert)]);
    // The row before it would be forgotten by now, and "b" is the second one still.
    run.now += 2;
    expect(run.take_in(&[(row(1, 2, "b"), Delete)]), &[(Delete, "2 b 2")]);
}

#[test]
fn a_batch_that_changes_nothing_leaves_the_table_as_it_is() {
    let mut run = Run::new(spec(InputRows::Appended, &["k"], vec![sort("int", false, true)]));
    let _ = run.take_in(&[(row(1, 1, "a"), Insert), (row(1, 2, "b"), Insert)]);
    run.checkpoint();
    let _ = run.take_in(&[(row(1, 3, "c"), Insert)]);
    assert!(run.operator.tables().iter().all(|table| !table.is_dirty()));
}

#[test]
fn rows_that_go_are_refused_where_none_was_expected() {
    let mut run = Run::new(spec(InputRows::Appended, &["k"], Vec::new()));
    let batch = Batch::new(records(&[row(1, 1, "a")])).with_kinds(Some([Delete].into()));
    let error = run.operator.take_in(&batch, 1).unwrap_err();
    assert!(error.message.contains("rows that only come"), "{error}");
}

#[test]
fn what_is_declared_is_what_the_operator_has() {
    let spec = spec(InputRows::Retracted, &["k"], vec![sort("int", true, false)]);
    let mut run = Run::new(TopN { rank: Some("rn".to_owned()), ..spec });
    let declared: Vec<_> = run.operator.tables().iter().map(|t| t.spec().clone()).collect();
    assert_eq!(declared, tables(&run.spec).unwrap());
    assert_eq!(output_schema(&run.spec).unwrap().fields().len(), schema().fields().len() + 1);
    let empty = TopN { from: 3, to: 2, ..run.spec.clone() };
    assert!(operator(&empty).err().unwrap().message.contains("is empty"));
}
