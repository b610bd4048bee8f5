//! The operator against a naive model, over a table that answers at once or later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::operator;
use super::spec::{LookupJoin as Spec, Retry};
use crate::lookup::{Found, Lookup, LookupSource};
use crate::operators::join::spec::Condition;
use crate::operators::testing::Bench;
use crate::{Batch, Context, EngineError, Output, Progress};

/// A key and a number, of either side.
type Row = (Option<i64>, i32);

fn schema(k: &str, n: &str) -> SchemaRef {
    let fields = vec![Field::new(k, DataType::Int64, true), Field::new(n, DataType::Int32, true)];
    Arc::new(Schema::new(fields))
}

fn records(names: [&str; 2], rows: &[Row]) -> RecordBatch {
    let k: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.0)));
    let n: ArrayRef = Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.1)));
    RecordBatch::try_new(schema(names[0], names[1]), vec![k, n]).unwrap()
}

/// A table in memory.
#[derive(Clone)]
struct Kept {
    rows: Arc<Mutex<Vec<Row>>>,
    at_once: bool,
    /// How often it was asked.
    asked: Arc<AtomicU32>,
    /// Rows that come once it was asked so often.
    later: Arc<Mutex<Vec<(u32, Row)>>>,
}

impl Kept {
    fn find(&self, keys: &ArrayRef) -> Result<Found, EngineError> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut later = self.later.lock();
        self.rows.lock().extend(later.iter().filter(|(at, _)| *at <= asked).map(|(_, row)| *row));
        later.retain(|(at, _)| *at > asked);
        let (mut of, mut found) = (Vec::new(), Vec::new());
        for (at, key) in keys.as_primitive::<Int64Type>().values().iter().enumerate() {
            for row in self.rows.lock().iter().filter(|row| row.0 == Some(*key)) {
                of.push(at as u32);
                found.push(*row);
            }
        }
        Ok(Found { rows: records(["key", "m"], &found), of })
    }
}

impl LookupSource for Kept {
    fn schema(&self) -> SchemaRef {
        schema("key", "m")
    }

    fn open(&self, _: &Context) -> Result<Arc<dyn Lookup>, EngineError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Lookup for Kept {
    async fn lookup(&self, keys: &[ArrayRef], rows: usize) -> Result<Found, EngineError> {
        assert_eq!(keys[0].len(), rows);
        tokio::task::yield_now().await;
        self.find(&keys[0])
    }

    fn at_once(&self, keys: &[ArrayRef], _: usize) -> Result<Option<Found>, EngineError> {
        if self.at_once { self.find(&keys[0]).map(Some) } else { Ok(None) }
    }
}

fn kept(rows: &[Row], at_once: bool) -> Kept {
    let rows = Arc::new(Mutex::new(rows.to_vec()));
    Kept { rows, at_once, asked: Arc::default(), later: Arc::default() }
}

fn spec(table: &Kept, outer: bool, conditioned: bool) -> Spec {
    let condition = Condition {
        columns: vec![1, 3],
        test: Arc::new(|pairs| {
            let n = |c: usize| pairs.column(c).as_primitive::<Int32Type>().iter();
            Ok(BooleanArray::from_iter(n(0).zip(n(1)).map(|(a, b)| Some(a? <= b?))))
        }),
    };
    Spec {
        outer,
        left: schema("k", "n"),
        keys: vec![0],
        table: Arc::new(table.clone()),
        condition: conditioned.then_some(condition),
        timeout: Duration::from_secs(5),
        retry: None,
    }
}

/// What an operator of this spec gives for batches, as text, in order.
fn given(spec: &Spec, batches: &[Vec<Row>]) -> Result<Vec<String>, EngineError> {
    let mut io = tokio::runtime::Builder::new_multi_thread();
    let io = io.worker_threads(1).enable_time().build().unwrap();
    let mut bench = Bench::new(Box::new(Nothing));
    bench.cx.io = io.handle().clone();
    let mut operator = operator(spec)?.create(&bench.cx)?;
    let mut rows = Vec::new();
    for batch in batches {
        let mut out = Output::default();
        let batch = Batch::new(records(["k", "n"], batch));
        let mut progress = operator.on_batch(&mut bench.cx, 0, batch, &mut out)?;
        while progress == Progress::More {
            while !operator.can_resume(&mut bench.cx) {
                std::thread::sleep(Duration::from_millis(1));
            }
            progress = operator.resume(&mut bench.cx, &mut out)?;
        }
        for (_, batch) in out.take() {
            let columns: Vec<_> = batch
                .records()
                .columns()
                .iter()
                .map(|c| crate::aggregate::testing::shown(c))
                .collect();
            rows.extend(
                (0..batch.num_rows()).map(|row| {
                    columns.iter().map(|c| c[row].clone()).collect::<Vec<_>>().join(" ")
                }),
            );
        }
    }
    Ok(rows)
}

/// Stands in for an operator while another one is made.
struct Nothing;

impl crate::Operator for Nothing {
    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        _: Batch,
        _: &mut Output,
    ) -> Result<Progress, EngineError> {
        Ok(Progress::Done)
    }
}

fn shown(row: &Row) -> String {
    format!("{} {}", row.0.map_or("NULL".to_owned(), |k| k.to_string()), row.1)
}

fn joined(left: &[Row], right: &[Row], outer: bool, conditioned: bool) -> Vec<String> {
    let mut rows = Vec::new();
    for l in left {
        let matches = |r: &&Row| l.0.is_some() && l.0 == r.0 && (!conditioned || l.1 <= r.1);
        let before = rows.len();
        rows.extend(right.iter().filter(matches).map(|r| format!("{} {}", shown(l), shown(r))));
        if rows.len() == before && outer {
            rows.push(format!("{} NULL NULL", shown(l)));
        }
    }
    rows
}

fn any_rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((prop::option::weighted(0.9, 0_i64..5), 0_i32..4), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_row_meets_what_the_table_has_in_the_order_of_the_rows(
        batches in prop::collection::vec(any_rows(12), 1..4),
        right in any_rows(12),
        outer in any::<bool>(),
        conditioned in any::<bool>(),
        at_once in any::<bool>(),
    ) {
        let table = kept(&right, at_once);
        let found = given(&spec(&table, outer, conditioned), &batches).unwrap();
        assert_eq!(found, joined(&batches.concat(), &right, outer, conditioned));
    }
}

#[test]
fn a_row_with_many_matches_is_given_in_steps() {
    let right: Vec<Row> = (0..20_000).map(|n| (Some(1), n)).collect();
    for conditioned in [false, true] {
        let left = vec![(Some(2), 0), (Some(1), 19_998), (Some(1), 20_001), (Some(2), 1)];
        let table = kept(&right, true);
        let found = given(&spec(&table, true, conditioned), std::slice::from_ref(&left)).unwrap();
        assert_eq!(found, joined(&left, &right, true, conditioned));
    }
}

#[test]
fn keys_without_a_row_are_asked_for_again() {
    for at_once in [false, true] {
        let table = kept(&[(Some(1), 10)], at_once);
        *table.later.lock() = vec![(2, (Some(2), 20)), (9, (Some(3), 30))];
        let retry = Retry { attempts: 4, delay: Duration::from_millis(1) };
        let spec = Spec { retry: Some(retry), ..spec(&table, true, false) };
        let left = vec![(Some(3), 0), (Some(2), 0), (Some(1), 0)];
        let found = given(&spec, &[left]).unwrap();
        assert_eq!(found, ["3 0 NULL NULL", "2 0 2 20", "1 0 1 10"]);
    }
}

#[test]
fn a_table_that_does_not_answer_is_an_error_that_says_so() {
    struct Silent;
    #[async_trait]
    impl Lookup for Silent {
        async fn lookup(&self, _: &[ArrayRef], _: usize) -> Result<Found, EngineError> {
            std::future::pending().await
        }
    }
    impl LookupSource for Silent {
        fn schema(&self) -> SchemaRef {
            schema("key", "m")
        }
        fn open(&self, _: &Context) -> Result<Arc<dyn Lookup>, EngineError> {
            Ok(Arc::new(Self))
        }
    }
    let timeout = Duration::from_millis(20);
    let spec = Spec { table: Arc::new(Silent), timeout, ..spec(&kept(&[], false), true, false) };
    let error = given(&spec, &[vec![(Some(1), 0)]]).unwrap_err();
    assert!(error.message.starts_with("the table has not answered within 20ms"), "{error}");
}
