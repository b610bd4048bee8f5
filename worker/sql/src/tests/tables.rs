//! What connectors are told about tables.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, TimestampMillisecondArray};
use weir_connectors::table::{FirstRow, Place, Problem, SinkParts, SourceParts, Table};

use super::{fake::Fake, options};
use crate::{Parts, PlanOptions, plan};

/// Keeps every table that a connector is made for.
#[derive(Default)]
struct Listener(Mutex<Vec<Table>>);

impl Parts for Listener {
    fn source(
        &self,
        table: &Table,
        projection: &[usize],
        place: &Place,
    ) -> Result<SourceParts, Vec<Problem>> {
        self.0.lock().unwrap().push(table.clone());
        Fake.source(table, projection, place)
    }

    fn sink(&self, table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
        self.0.lock().unwrap().push(table.clone());
        Fake.sink(table, place)
    }
}

/// The event time that the connector of table `t` with these columns is told, by name.
fn event_time(columns: &str) -> Option<String> {
    let told = Arc::new(Listener::default());
    let sql = format!(
        "CREATE TABLE t (a INT, c AS a + 1, {columns}) WITH ('connector' = 'filesystem', 'path' = 't');
         CREATE TABLE o (a INT) WITH ('connector' = 'print'); INSERT INTO o SELECT a FROM t;"
    );
    plan(&sql, &PlanOptions { parts: told.clone(), ..options() }).map(|_| ()).unwrap();
    let tables = told.0.lock().unwrap();
    assert!(tables.iter().any(|t| t.name == "o" && t.event_time.is_none()));
    let table = tables.iter().find(|t| t.name == "t").unwrap();
    table.event_time.map(|index| table.schema.field(index).name().clone())
}

#[test]
fn a_connector_knows_the_event_time_where_it_reads_it() {
    let told = |columns: &str| event_time(columns);
    assert_eq!(told("ts TIMESTAMP(3), WATERMARK FOR ts AS ts"), Some("ts".to_owned()));
    let by_expression = "ts TIMESTAMP(3), WATERMARK FOR ts AS ts - a * INTERVAL '1' SECOND";
    assert_eq!(told(by_expression), Some("ts".to_owned()), "bounds are of times, not of marks");
    assert_eq!(told("ts TIMESTAMP(3)"), None);
    assert_eq!(told("ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts"), None);
    let metadata = "ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', WATERMARK FOR ts AS ts";
    assert_eq!(told(metadata), None);
}

/// What a table's watermark makes of a first row with these columns.
fn first_row(columns: &str, a: i32, ms: Option<i64>) -> Option<i64> {
    #[derive(Default)]
    struct Catch(Mutex<Option<FirstRow>>);
    impl Parts for Catch {
        fn source(
            &self,
            table: &Table,
            projection: &[usize],
            place: &Place,
        ) -> Result<SourceParts, Vec<Problem>> {
            self.0.lock().unwrap().clone_from(&place.first_row);
            Fake.source(table, projection, place)
        }

        fn sink(&self, table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
            assert!(place.first_row.is_none());
            Fake.sink(table, place)
        }
    }
    let caught = Arc::new(Catch::default());
    let sql = format!(
        "CREATE TABLE t (a INT, {columns}) WITH ('connector' = 'filesystem', 'path' = 't');
         CREATE TABLE o (a INT, ts TIMESTAMP_LTZ(3)) WITH ('connector' = 'print');
         INSERT INTO o SELECT a, CAST(NULL AS TIMESTAMP_LTZ(3)) FROM t;"
    );
    plan(&sql, &PlanOptions { parts: caught.clone(), ..options() }).map(|_| ()).unwrap();
    let first = caught.0.lock().unwrap().clone()?;
    let other: ArrayRef = if columns.contains("BIGINT") {
        Arc::new(Int64Array::from(vec![ms, None]))
    } else {
        Arc::new(TimestampMillisecondArray::from(vec![ms, None]))
    };
    let a: ArrayRef = Arc::new(Int32Array::from(vec![a, 0]));
    (first.0)(&RecordBatch::try_from_iter([("a", a), ("b", other)]).unwrap())
}

#[test]
fn a_connector_can_ask_what_the_first_row_of_a_split_allows() {
    let by_delay = "ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND";
    assert_eq!(first_row(by_delay, 3, Some(9_000)), Some(7_001));
    assert_eq!(first_row(by_delay, 3, None), None, "the reader tells what is wrong with it");
    let computed = "ms BIGINT, ts AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR ts AS ts";
    assert_eq!(first_row(computed, 3, Some(9_000)), Some(9_000));
    let by_column = "ts TIMESTAMP(3), WATERMARK FOR ts AS ts - a * INTERVAL '1' SECOND";
    assert_eq!(first_row(by_column, 3, Some(9_000)), Some(6_001));
    assert_eq!(first_row(by_column, -3, Some(9_000)), Some(9_000), "not beyond the row itself");
    assert_eq!(first_row("ts TIMESTAMP(3)", 3, Some(9_000)), None);
}
