//! What a job costs in which nothing happens.

#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

mod double;
mod model;

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use serde_json::json;
use weir_operator::reconcile::reconcile;

use model::stage::{JOB, NS, Operator, Stage};

/// A job that runs, and an operator that has seen it run.
async fn running() -> (Stage, Operator) {
    let stage = Stage::new();
    let mut operator = stage.operator();
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "parallelism": 2}));
    stage.until(&mut operator, "Running", |stage| stage.is("Running")).await;
    // Its revision proves itself, and that is noted.
    stage.pass(Duration::from_secs(60));
    let proven = |stage: &Stage| stage.status().revisions.is_some_and(|it| it.stable.is_some());
    stage.until(&mut operator, "stable", proven).await;
    (stage, operator)
}

#[tokio::test]
async fn an_idle_round_reads_job_sets_and_pods_and_writes_nothing() {
    const ROUNDS: usize = 20;
    let (stage, operator) = running().await;
    let (reads, writes) = (operator.connection.requests().len(), operator.connection.writes());
    let mut pause = Duration::ZERO;
    for _ in 0..ROUNDS {
        pause = reconcile(&operator.context, NS, JOB).await.unwrap().unwrap();
    }
    assert_eq!(operator.connection.writes() - writes, 0);
    let requests: Vec<String> =
        operator.connection.requests()[reads..].iter().map(|it| it.uri.clone()).collect();
    assert_eq!(requests.len(), ROUNDS * 3, "{:#?}", &requests[..8]);
    assert_eq!(pause, Duration::from_secs(30), "and it is done ever less often");
    drop(stage);
}

#[tokio::test]
async fn a_child_that_is_gone_is_made_again_within_a_minute() {
    let (stage, operator) = running().await;
    let name = format!("{JOB}-coordinator");
    stage.cluster.delete::<Service>(NS, &name);
    reconcile(&operator.context, NS, JOB).await.unwrap();
    assert!(stage.cluster.get::<Service>(NS, &name).is_none(), "it was not looked for");
    stage.pass(Duration::from_secs(60));
    reconcile(&operator.context, NS, JOB).await.unwrap();
    assert!(stage.cluster.get::<Service>(NS, &name).is_some());
}
