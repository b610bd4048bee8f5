//! What the operator's log says about whom.

#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

mod double;
mod model;

use std::io::Write;
use std::sync::Arc;

use kube::ResourceExt;
use model::stage::{JOB, NS, Stage};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing_subscriber::fmt::format::FmtSpan;
use weir_operator::reconcile::reconcile;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_line_of_a_round_names_its_job_and_the_generation_it_is_about() {
    let lines = Lines::default();
    let to = lines.clone();
    let log = tracing_subscriber::fmt()
        .json()
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || to.clone())
        .finish();
    let _log = tracing::subscriber::set_default(log);
    let stage = Stage::new();
    let operator = stage.operator();
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1"}));
    stage.edit(|spec| spec["parallelism"] = json!(2));
    reconcile(&operator.context, NS, JOB).await.unwrap();
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let span = &line["span"];
    let uid = stage.job().unwrap().uid().unwrap();
    let named = json!({
        "name": "reconcile", "namespace": NS, "job": JOB, "uid": uid, "generation": 2,
    });
    assert_eq!(*span, named, "{text}");
}
