//! Calc over batches: metadata stays with its rows.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field as ArrowField, Int32Type, Schema};
use weir_engine::{Batch, RowKind};

use crate::bind::expr::{Scope, bind_plain};
use crate::calc::Calc;
use crate::expr::Expr;
use crate::parse::parse_expr;
use crate::rel::{Field, Role};
use crate::types::{Kind, SqlType};

fn bind(sql: &str) -> Expr {
    let fields =
        [Field { name: "n".to_owned(), ty: SqlType::nullable(Kind::Int), role: Role::Plain }];
    let scope = Scope { fields: &fields, qualifier: None, place: "t", aliases: &[], joined: None };
    bind_plain(&parse_expr(sql).unwrap(), &scope, "").unwrap()
}

fn schema(nullable: bool) -> Arc<Schema> {
    Arc::new(Schema::new(vec![ArrowField::new("m", DataType::Int32, nullable)]))
}

fn batch() -> Batch {
    let n = Int32Array::from(vec![Some(1), Some(2), None, Some(4)]);
    let records =
        RecordBatch::try_from_iter_with_nullable(vec![("n", Arc::new(n) as _, true)]).unwrap();
    Batch::new(records)
        .with_kinds(Some(
            [RowKind::Insert, RowKind::Delete, RowKind::Insert, RowKind::UpdateAfter].into(),
        ))
        .with_behind(Some(Int64Array::from(vec![None, Some(7), None, Some(9)])))
        .with_hashes(UInt64Array::from(vec![1, 2, 3, 4]))
}

#[test]
fn a_filter_keeps_metadata_with_its_rows_and_drops_hashes() {
    let calc = Calc::new(Some(&bind("n >= 2")), &[bind("n * 10")], schema(true));
    let out = calc.apply(batch()).unwrap();
    assert_eq!(out.records().column(0).as_primitive::<Int32Type>().values(), &[20, 40]);
    assert_eq!(out.kinds().map(|k| k.to_vec()), Some(vec![RowKind::Delete, RowKind::UpdateAfter]));
    assert_eq!(out.behind().map(|b| b.values().to_vec()), Some(vec![7, 9]));
    assert!(out.hashes().is_none());
}

#[test]
fn a_filter_that_nothing_passes_gives_an_empty_batch() {
    let calc = Calc::new(Some(&bind("n > 100")), &[bind("1 / (n - n)")], schema(true));
    let out = calc.apply(batch()).unwrap();
    assert_eq!(out.num_rows(), 0);
    assert_eq!(out.records().schema(), schema(true));
}

#[test]
fn null_in_a_not_null_column_is_an_error_with_its_words() {
    let calc = Calc::new(None, &[bind("n")], schema(false))
        .with_not_null(vec![(0, "m must not be NULL".to_owned())]);
    assert_eq!(calc.apply(batch()).unwrap_err().message, "m must not be NULL");
    let calc = Calc::new(Some(&bind("n IS NOT NULL")), &[bind("n")], schema(false))
        .with_not_null(vec![(0, String::new())]);
    assert_eq!(calc.apply(batch()).unwrap().records().column(0).null_count(), 0);
}

/// Runs a plan's operators by hand: rows of the source go in, what reaches the sink comes out.
fn run(sql: &str, records: RecordBatch, watermark: i64) -> Vec<String> {
    let graph = super::planned(sql).graph;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut carried = vec![Batch::new(records)];
    for vertex in &graph.vertices {
        for (info, node) in &vertex.chain {
            let weir_engine::graph::Node::Operator(factory) = node else {
                continue;
            };
            if info.kind == "sink" {
                continue;
            }
            let mut cx = weir_engine::Context {
                uid: info.uid.clone(),
                name: info.name.as_str().into(),
                subtask: weir_protocol::Subtask(0),
                parallelism: 1,
                max_parallelism: graph.max_parallelism,
                key_groups: weir_protocol::KeyGroupRange::all(graph.max_parallelism),
                term: weir_protocol::Term(1),
                clock: weir_engine::env::Clock::manual(0),
                io: runtime.handle().clone(),
                waker: weir_engine::operator::Waker::none(),
                metrics: Arc::default(),
            };
            let mut operator = factory.create(&cx).unwrap();
            let mut out = weir_engine::Output::default();
            let mut given = Vec::new();
            let mut settle = |operator: &mut Box<dyn weir_engine::Operator>,
                              cx: &mut weir_engine::Context,
                              out: &mut weir_engine::Output,
                              mut progress| {
                given.extend(out.take().into_iter().map(|(_, batch)| batch));
                while progress == weir_engine::Progress::More {
                    progress = operator.resume(cx, out).unwrap();
                    given.extend(out.take().into_iter().map(|(_, batch)| batch));
                }
            };
            for batch in carried {
                let progress = operator.on_batch(&mut cx, 0, batch, &mut out).unwrap();
                settle(&mut operator, &mut cx, &mut out, progress);
            }
            let progress = operator
                .on_watermark(&mut cx, weir_engine::Watermark(watermark), &mut out)
                .unwrap();
            settle(&mut operator, &mut cx, &mut out, progress);
            carried = given;
        }
    }
    let mut rows: Vec<String> = carried
        .iter()
        .flat_map(|batch| {
            let columns = batch.records().columns().to_vec();
            let cell = |c: &arrow::array::ArrayRef, r: usize| {
                arrow::util::display::array_value_to_string(c, r).unwrap()
            };
            (0..batch.num_rows())
                .map(move |r| columns.iter().map(|c| cell(c, r)).collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn a_planned_window_gives_flinks_rows() {
    use arrow::array::{StringArray, TimestampMillisecondArray};
    const HOUR: i64 = 3_600_000;
    let tables = "CREATE TABLE flights (t TIMESTAMP(3), delay INT, origin STRING, WATERMARK FOR t AS t) WITH ('connector' = 'filesystem');
        CREATE TABLE result (s TIMESTAMP(3), o STRING, n BIGINT, late BIGINT, average INT, total DOUBLE) WITH ('connector' = 'print');";
    let insert = "INSERT INTO result
        SELECT window_start, LOWER(origin), COUNT(*), COUNT(*) FILTER (WHERE delay > 15), AVG(delay), SUM(delay) / 2E0
        FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(t), INTERVAL '1' HOUR))
        WHERE delay IS NULL OR delay < 1000
        GROUP BY window_start, window_end, LOWER(origin)
        HAVING COUNT(*) > 1;";
    // Columns as the source gives them: t, delay, origin.
    let t = TimestampMillisecondArray::from(vec![0, 1, HOUR - 1, HOUR, HOUR + 5, 7, 9]);
    let delay =
        Int32Array::from(vec![Some(10), Some(21), None, Some(-3), Some(-4), Some(5000), Some(1)]);
    let origin =
        StringArray::from(vec![Some("A"), Some("a"), Some("A"), None, None, Some("A"), Some("B")]);
    let records = RecordBatch::try_from_iter_with_nullable(vec![
        ("t", Arc::new(t) as _, true),
        ("delay", Arc::new(delay) as _, true),
        ("origin", Arc::new(origin) as _, true),
    ])
    .unwrap();
    let rows = run(&format!("{tables}{insert}"), records, 2 * HOUR);
    // AVG of INT is the quotient cut off: 31 / 2 = 15, -7 / 2 = -3; NULL is a key.
    assert_eq!(rows, ["1970-01-01T00:00:00 a 3 1 15 15.5", "1970-01-01T01:00:00  2 0 -3 -3.5"]);
}
