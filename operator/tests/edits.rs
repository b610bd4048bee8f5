//! What an edit needs comes with it, and what was counted before it stays.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod double;
mod model;

use model::stage::{Operator, Stage};
use serde_json::json;

fn runs(stage: &Stage) -> bool {
    stage.is("Running") && stage.condition("Ready").0 == "True"
}

async fn running() -> (Stage, Operator) {
    let stage = Stage::new();
    let mut operator = stage.operator();
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "parallelism": 2}));
    stage.until(&mut operator, "Running", runs).await;
    (stage, operator)
}

/// The workers that plan the new program do not have its variables yet.
#[tokio::test]
async fn a_variable_may_be_set_by_the_edit_that_uses_it() {
    let (stage, mut operator) = running().await;
    let was = stage.status().revisions.unwrap().current;
    stage.edit(|spec| {
        spec["sql"] = json!("INSERT INTO a SELECT '${env:CITY}'");
        spec["workers"] = json!({"env": [{"name": "CITY", "value": "Oslo"}]});
    });
    let other = |stage: &Stage| runs(stage) && stage.status().revisions.unwrap().current != was;
    stage.until(&mut operator, "the new program", other).await;
    let now = stage.status().revisions.unwrap().current;
    // One that nobody sets is still told before anything is stopped.
    stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT '${env:TOWN}'"));
    let refused = |stage: &Stage| stage.condition("SpecAccepted").1 == "DoesNotPlan";
    stage.until(&mut operator, "refused", refused).await;
    assert!(stage.condition("Stalled").2.contains("TOWN is not set"));
    assert_eq!(stage.status().revisions.unwrap().current, now);
}
