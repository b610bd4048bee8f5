//! What connectors are told about tables.

use std::sync::{Arc, Mutex};

use weir_connectors::table::{Place, Problem, SinkParts, SourceParts, Table};

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
