//! The operator against a naive model: every way through the pattern, one after the other.

mod model;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use proptest::prelude::*;
use weir_protocol::Counter;

use self::model::{Condition, Model, wanted};
use super::operator::PatternRows;
use super::plan::Plan;
use super::spec::{
    Check, Measures, Of, Output, OutputColumn, Pattern, Place, Shape, Skip, Value, Variable, What,
};
use super::{Delay, delay, operator, output_schema, tables};
use crate::aggregate::functions::{COUNT, SUM};
use crate::aggregate::testing::{Row, schema};
use crate::aggregate::{AggregateCall, Function};
use crate::operators::rank::spec::SortColumn;
use crate::operators::testing::{Bench, Event, GROUPS, any_events, any_row, batch_behind};
use crate::{Operator, OperatorError, Output as Given, Watermark};

const INT: usize = 2;
const TEXT: usize = 4;
const NAMES: [&str; 4] = ["A", "B", "C", "D"];

fn row_value(of: Of, last: bool, offset: u32, shift: i64, whole: bool) -> Value {
    Value::Row { what: What::Column(INT), place: Place { of, last, offset, shift, whole } }
}

fn current() -> Value {
    row_value(Of::All, true, 0, 0, false)
}

fn aggregate(function: Function, input: Option<usize>, of: Of, whole: bool) -> Value {
    let call = AggregateCall {
        function,
        input,
        filter: None,
        distinct: false,
        name: "aggregate".to_owned(),
    };
    Value::Aggregate { call, of, whole }
}

/// The check that a condition is for the operator, which sees columns.
fn check(condition: Condition, variable: usize, may_fail: bool) -> Check {
    let own = || Of::Variables(vec![variable]);
    let values = match condition {
        Condition::AtLeast(_) => vec![row_value(own(), true, 0, 0, false)],
        Condition::AbovePrevious => vec![current(), row_value(Of::All, true, 0, -1, false)],
        Condition::NotNext => vec![current(), row_value(own(), true, 0, 1, false)],
        Condition::AboveLast => vec![current(), row_value(own(), true, 1, 0, false)],
        Condition::AboveFirst => {
            vec![current(), row_value(Of::Variables(vec![0]), false, 0, 0, false)]
        }
        Condition::AmongFirst(_) => vec![aggregate(COUNT, None, own(), false)],
        Condition::SumAtMost(_) => vec![aggregate(SUM, Some(INT), Of::All, false)],
        Condition::NotBehindFirst => {
            let place = Place { offset: 1, ..Place::current() };
            vec![Value::Row { what: What::Classifier, place }]
        }
    };
    let test = move |records: &RecordBatch| -> Result<BooleanArray, OperatorError> {
        let holds = |row: usize| {
            if let Condition::NotBehindFirst = condition {
                let names = records.column(0).as_string::<i32>();
                return Some(names.is_null(row) || names.value(row) != "A");
            }
            let number = |at: usize| {
                let numbers = cast(records.column(at), &DataType::Int64).unwrap();
                let numbers = numbers.as_primitive::<Int64Type>();
                numbers.is_valid(row).then(|| numbers.value(row))
            };
            let above = || match (number(0), number(1)) {
                (_, None) => Some(true),
                (int, Some(other)) => int.map(|int| int > other),
            };
            match condition {
                Condition::AtLeast(least) => number(0).map(|int| int >= i64::from(least)),
                Condition::AbovePrevious | Condition::AboveLast => above(),
                Condition::NotNext => Some(number(0)? != number(1)?),
                Condition::AboveFirst => Some(number(0)? >= number(1)?),
                Condition::AmongFirst(most) => number(0).map(|rows| rows <= most),
                Condition::SumAtMost(most) => number(0).map(|sum| sum <= i64::from(most)),
                Condition::NotBehindFirst => None,
            }
        };
        Ok((0..records.num_rows()).map(holds).collect())
    };
    Check { values, may_fail, test: Arc::new(test) }
}

/// Measures of every kind; the model computes the same.
fn measures() -> Measures {
    let [a, b] = [0, 1].map(|variable| Of::Variables(vec![variable]));
    let values = vec![
        row_value(a.clone(), false, 0, 0, false),
        row_value(b.clone(), true, 1, 0, false),
        current(),
        row_value(b.clone(), true, 0, 0, true),
        row_value(a.clone(), false, 0, -1, false),
        Value::Row { what: What::Classifier, place: Place::current() },
        Value::MatchNumber,
        aggregate(COUNT, None, a, false),
        aggregate(COUNT, None, b, true),
        aggregate(SUM, Some(INT), Of::All, false),
        aggregate(SUM, Some(INT), Of::All, true),
        Value::Row { what: What::Column(0), place: Place { whole: true, ..Place::current() } },
    ];
    let types = [
        DataType::Int32,
        DataType::Int32,
        DataType::Int32,
        DataType::Int32,
        DataType::Int32,
        DataType::Utf8,
        DataType::Int64,
        DataType::Int64,
        DataType::Int64,
        DataType::Int32,
        DataType::Int32,
        DataType::Int64,
    ];
    let fields = types.into_iter().enumerate();
    let fields = fields.map(|(at, of)| Field::new(format!("m{at}"), of, true)).collect();
    let compute = |values: &RecordBatch| -> Result<Vec<ArrayRef>, OperatorError> {
        let last = values.num_columns() - 1;
        let column = |(at, column): (usize, &ArrayRef)| match at == last {
            true => Ok(cast(column, &DataType::Int64)?),
            false => Ok(column.clone()),
        };
        values.columns().iter().enumerate().map(column).collect()
    };
    Measures { values, fields, compute: Arc::new(compute) }
}

fn one(variable: usize) -> Shape {
    Shape::Variable { variable, excluded: variable == 3 }
}

/// Rows of the last variable are left out of what ALL ROWS gives.
fn is_excluded(_: &Shape, variable: usize) -> bool {
    variable == 3
}

fn repeat(of: Shape, least: u32, most: Option<u32>, reluctant: bool) -> Shape {
    Shape::Repeat { of: Box::new(of), least, most, reluctant }
}

struct Case {
    spec: Pattern,
    conditions: Vec<Vec<Condition>>,
}

fn case(
    keys: &[&str],
    shape: Shape,
    conditions: Vec<Vec<Condition>>,
    skip: Skip,
    within: Option<i64>,
    (all_rows, sorted, fails): (bool, bool, bool),
) -> Case {
    let input = schema();
    let by_int = SortColumn { column: INT, descending: true, nulls_first: false };
    let keys: Vec<usize> = keys.iter().map(|k| input.index_of(k).unwrap()).collect();
    let variables = NAMES.iter().zip(&conditions).enumerate();
    let variables = variables.map(|(number, (name, conditions))| Variable {
        name: (*name).to_owned(),
        checks: conditions.iter().map(|c| check(*c, number, fails)).collect(),
    });
    let variables = variables.collect();
    let measures = measures();
    let inputs = keys
        .iter()
        .chain([&TEXT])
        .map(|&column| OutputColumn { name: format!("i{column}"), of: Output::Input(column) });
    let outputs = (0..measures.fields.len())
        .map(|at| OutputColumn { name: format!("m{at}"), of: Output::Measure(at) });
    let output = inputs.chain(outputs).collect();
    let spec = Pattern {
        input,
        keys,
        time: 0,
        order: if sorted { vec![by_int] } else { Vec::new() },
        variables,
        shape,
        skip,
        within,
        measures,
        all_rows,
        output,
    };
    Case { spec, conditions }
}

fn any_condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        4 => (-1_i32..3).prop_map(Condition::AtLeast),
        1 => Just(Condition::AbovePrevious),
        1 => Just(Condition::NotNext),
        2 => Just(Condition::AboveLast),
        2 => Just(Condition::AboveFirst),
        2 => (1_i64..4).prop_map(Condition::AmongFirst),
        2 => (-1_i32..5).prop_map(Condition::SumAtMost),
        1 => Just(Condition::NotBehindFirst),
    ]
}

/// How often at least and at most, where it is not once.
type Times = Option<(u32, Option<u32>)>;

/// What Flink takes: variables one after the other, each with a quantifier.
fn any_plain() -> impl Strategy<Value = Shape> {
    let times = prop_oneof![
        3 => Just(None),
        1 => Just(Some((0, Some(1)))),
        2 => Just(Some((1, None))),
        2 => Just(Some((0, None))),
        1 => (0_u32..3, 0_u32..2).prop_map(|(n, more)| Some((n, Some((n + more).max(1))))),
        1 => (1_u32..3).prop_map(|n| Some((n, None))),
    ];
    prop::collection::vec((times, any::<bool>()), 1..5).prop_map(|parts| {
        let part = |(variable, (times, reluctant)): (usize, (Times, bool))| match times {
            None => one(variable),
            Some((least, most)) => repeat(one(variable), least, most, reluctant),
        };
        Shape::Sequence(parts.into_iter().enumerate().map(part).collect())
    })
}

/// All that the standard has beyond it.
fn any_shape() -> impl Strategy<Value = Shape> {
    (0_usize..4).prop_map(one).prop_recursive(3, 10, 3, |inner| {
        let times = (0_u32..3, prop::option::of(0_u32..2));
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Shape::Sequence),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Shape::Choice),
            (inner, times, any::<bool>()).prop_map(|(of, (least, more), reluctant)| {
                let most = more.map(|more| (least + more).max(1));
                if of.may_be_empty() { of } else { repeat(of, least, most, reluctant) }
            }),
        ]
    })
}

/// The skip, and the shape made such that it always goes further.
fn any_skip(shape: impl Strategy<Value = Shape>) -> impl Strategy<Value = (Shape, Skip)> {
    let skip = prop::sample::select(vec![
        Skip::PastLastRow,
        Skip::ToNextRow,
        Skip::ToFirst(vec![1]),
        Skip::ToLast(vec![1, 2]),
    ]);
    (shape, skip).prop_map(|(shape, skip)| match skip {
        Skip::PastLastRow | Skip::ToNextRow => (shape, skip),
        skip => (Shape::Sequence(vec![one(0), shape, one(1)]), skip),
    })
}

fn any_conditions() -> impl Strategy<Value = Vec<Vec<Condition>>> {
    let of_variable = prop::collection::vec(any_condition(), 0..3);
    prop::collection::vec(of_variable, NAMES.len())
}

fn fresh(spec: &Pattern) -> Box<dyn Operator> {
    Box::new(PatternRows::new(spec, GROUPS).unwrap())
}

fn run(case: Case, events: Vec<Event>) {
    let Case { spec, conditions } = case;
    let plan = Plan::new(&spec).unwrap();
    let mut bench = Bench::new(fresh(&spec));
    let mut model = Model::new(spec, conditions, plan.ahead, plan.ends);
    for event in events.into_iter().chain([Event::Watermark(i64::MAX)]) {
        match event {
            Event::Batch(rows) => {
                bench.batch(batch_behind(&rows));
                rows.into_iter().for_each(|(row, by)| model.take_in(row, by.is_some()));
            }
            Event::Watermark(mark) => {
                model.mark = model.mark.max(mark);
                let Some(wanted) = wanted(&model) else { return };
                bench.watermark(mark);
                let mut given: Vec<_> = bench.out.iter().map(|(_, row)| row.clone()).collect();
                given.sort();
                assert_eq!(given, wanted, "at {}", model.mark);
            }
            Event::Checkpoint => bench.checkpoint(),
            Event::Trim(want) => bench.trim(want),
            Event::Restore { whole } => bench.restore(fresh(&model.spec), whole),
        }
    }
    assert_eq!(bench.cx.metrics.get(Counter::Late), model.late);
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

fn any_keys() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::select(vec![vec!["k"], vec!["flag", "k"], vec![]])
}

proptest! {
    #![proptest_config(cases(1_800))]

    #[test]
    fn matches_are_those_that_trying_every_way_finds(
        keys in any_keys(),
        (shape, skip) in any_skip(any_plain()),
        conditions in any_conditions(),
        within in prop::option::of(1_i64..12),
        how in any::<(bool, bool, bool)>(),
        events in any_events(any_row(24), 6, 26),
    ) {
        prop_assume!(!shape.may_be_empty());
        run(case(&keys, shape, conditions, skip, within, how), events);
    }

    #[test]
    fn groups_and_alternatives_are_tried_in_the_order_of_preference(
        keys in any_keys(),
        (shape, skip) in any_skip(any_shape()),
        conditions in any_conditions(),
        within in prop::option::of(1_i64..12),
        how in any::<(bool, bool, bool)>(),
        events in any_events(any_row(24), 6, 26),
    ) {
        prop_assume!(!shape.may_be_empty());
        run(case(&keys, shape, conditions, skip, within, how), events);
    }
}

fn row(ts: i64, int: i32) -> Row {
    Row { ts, k: Some(1), int: Some(int), float: None, text: None, decimal: None, flag: None }
}

fn at_least(least: &[i32]) -> Vec<Vec<Condition>> {
    let own = least.iter().map(|least| vec![Condition::AtLeast(*least)]);
    own.chain((least.len()..NAMES.len()).map(|_| Vec::new())).collect()
}

fn simple(shape: Shape, least: &[i32], skip: Skip, within: Option<i64>) -> Pattern {
    case(&["k"], shape, at_least(least), skip, within, (false, false, false)).spec
}

#[test]
fn rows_that_no_match_can_have_any_more_are_forgotten() {
    let kept = |spec: &Pattern, mark: i64| {
        let mut bench = Bench::new(fresh(spec));
        let rows: Vec<_> = (0..100).map(|ts| (row(ts, i32::from(ts % 10 == 9)), None)).collect();
        let mut operator = PatternRows::new(spec, GROUPS).unwrap();
        let mut out = Given::default();
        let _ = operator.on_batch(&mut bench.cx, 0, batch_behind(&rows), &mut out).unwrap();
        let mut more = operator.on_watermark(&mut bench.cx, Watermark(mark), &mut out).unwrap();
        while more == crate::Progress::More {
            operator.keys_to_resume().unwrap();
            more = operator.resume(&mut bench.cx, &mut out).unwrap();
        }
        operator.rows_kept()
    };
    // A row of 1 and then one of 5, which never comes.
    let shape = || Shape::Sequence(vec![one(0), repeat(one(2), 0, None, true), one(1)]);
    let mut open = simple(shape(), &[1, 5], Skip::PastLastRow, None);
    // Of their own those would keep a row, and a row per key.
    open.measures.values.truncate(4);
    open.measures.fields.truncate(4);
    open.measures.compute = Arc::new(|values| Ok(values.columns().to_vec()));
    open.output.truncate(6);
    assert_eq!(kept(&open, 100), 91);
    let ending = Pattern { within: Some(20), ..open };
    assert_eq!(kept(&ending, 100), 11);
    assert_eq!(kept(&ending, 1_000), 0);
    // Measures that look back keep the row before.
    let looking_back = simple(Shape::Sequence(vec![one(0), one(0)]), &[7], Skip::ToNextRow, None);
    assert_eq!(kept(&looking_back, 100), 1, "the one before");
}

#[test]
fn skipping_to_where_a_match_begins_ends_the_attempt_as_does_an_absent_row() {
    let fails = |skip: Skip| {
        let parts = vec![one(0), repeat(one(1), 0, None, false), one(2)];
        let spec = simple(Shape::Sequence(parts), &[1, 5, 2], skip, None);
        let mut bench = Bench::new(fresh(&spec));
        bench.batch(batch_behind(&[(row(1, 1), None), (row(2, 2), None), (row(3, 0), None)]));
        let mut out = Given::default();
        let _ = bench.operator.on_watermark(&mut bench.cx, Watermark(9), &mut out).unwrap();
        bench.operator.keys_to_resume().unwrap();
        bench.operator.resume(&mut bench.cx, &mut out).unwrap_err().message
    };
    let itself = fails(Skip::ToFirst(vec![0]));
    assert!(itself.contains("SKIP TO FIRST A") && itself.contains("begins with it"), "{itself}");
    let absent = fails(Skip::ToLast(vec![1]));
    assert!(absent.contains("SKIP TO LAST B") && absent.contains("has no row of B"), "{absent}");
}

#[test]
fn a_pattern_with_very_many_ways_is_refused_before_it_runs_for_ever() {
    // Every row fits everything and no row fits the last variable.
    let loops = (0..3).map(|variable| repeat(one(variable), 1, None, true));
    let group = repeat(Shape::Sequence(loops.collect()), 1, None, true);
    let shape = Shape::Sequence(vec![group, one(3)]);
    let mut conditions = at_least(&[0, 0, 0, 9]);
    let rows: Vec<_> = (0..60).map(|ts| (row(ts, 1), None)).collect();
    let search = |conditions: Vec<Vec<Condition>>| {
        let how = (false, false, false);
        let case = case(&["k"], shape.clone(), conditions, Skip::PastLastRow, Some(50), how);
        let mut bench = Bench::new(fresh(&case.spec));
        bench.batch(batch_behind(&rows));
        let mut out = Given::default();
        let _ = bench.operator.on_watermark(&mut bench.cx, Watermark(100), &mut out).unwrap();
        bench.operator.keys_to_resume().unwrap();
        bench.operator.resume(&mut bench.cx, &mut out).map(|_| ()).map_err(|e| e.message)
    };
    // Where conditions look at rows alone, what failed once is not tried again.
    assert_eq!(search(conditions.clone()), Ok(()));
    // One that looks at the match, and always holds.
    conditions[3].insert(0, Condition::AmongFirst(1_000));
    let refused = search(conditions).unwrap_err();
    assert!(refused.contains("WITHIN"), "{refused}");
}

#[test]
fn the_watermark_is_held_back_where_a_match_may_leave_long_after_its_last_row() {
    let of = |shape: &Shape, within| delay(shape, std::iter::empty::<&Value>(), within).unwrap();
    let ending_open = Shape::Sequence(vec![one(0), repeat(one(1), 1, None, false)]);
    assert_eq!(of(&ending_open, Some(50)), Delay::Bounded(50));
    assert_eq!(of(&ending_open, None), Delay::Unbounded);
    let ending = Shape::Sequence(vec![one(0), repeat(one(1), 1, None, false), one(2)]);
    assert_eq!(of(&ending, Some(50)), Delay::None);
    let at_once = Shape::Sequence(vec![one(0), repeat(one(1), 1, None, true)]);
    assert_eq!(of(&at_once, Some(50)), Delay::None);
    let choice = Shape::Choice(vec![Shape::Sequence(vec![one(0), one(1), one(2)]), one(0)]);
    assert_eq!(of(&choice, Some(50)), Delay::Bounded(50));
    let ahead = row_value(Of::All, true, 0, 1, false);
    assert_eq!(delay(&ending, [&ahead].into_iter(), Some(50)).unwrap(), Delay::Unbounded);
    let mut spec = simple(ending_open, &[0, 0], Skip::PastLastRow, Some(50));
    spec.measures.values.iter_mut().for_each(|value| {
        if let Value::Row { place, .. } = value {
            place.shift = 0;
        }
    });
    let held = fresh(&spec);
    assert_eq!(held.outgoing(Watermark(1_000)), Watermark(950));
    assert_eq!(held.outgoing(Watermark::MAX), Watermark::MAX);
}

#[test]
fn what_is_declared_is_what_the_operator_has() {
    let spec = simple(one(0), &[0], Skip::PastLastRow, None);
    let declared: Vec<_> = fresh(&spec).tables().iter().map(|t| t.spec().clone()).collect();
    assert_eq!(declared, tables(&spec).unwrap());
    assert_eq!(output_schema(&spec).unwrap().fields().len(), spec.output.len());
    assert!(operator(&Pattern { time: INT, ..spec.clone() }).is_err());
    let long = repeat(repeat(one(0), 200, None, false), 200, None, false);
    assert!(operator(&Pattern { shape: long, ..spec }).is_err());
}
