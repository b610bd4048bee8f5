//! What an edit needs comes with it, and what was counted before it stays.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod double;
mod model;

use double::PodOutcome;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use model::stage::{NS, Operator, Stage};
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

#[tokio::test]
async fn a_finished_job_whose_edit_finds_nothing_to_read_says_so() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1 FROM BOUNDED"}));
    let finished = |stage: &Stage| stage.is("Finished") && stage.pods().is_empty();
    stage.until(&mut operator, "Finished", finished).await;
    assert!(stage.condition("Complete").2.contains("every result is written"));
    let first = stage.sets()[0].name_any();
    stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT 2 FROM BOUNDED"));
    let again =
        |stage: &Stage| finished(stage) && stage.sets().iter().all(|set| set.name_any() != first);
    stage.until(&mut operator, "Finished again", again).await;
    for condition in ["Complete", "Ready"] {
        assert_eq!(stage.condition(condition).2, "nothing was left to read");
    }
    let events: Vec<Event> = stage.cluster.list(NS);
    let told = events.iter().filter(|it| it.reason.as_deref() == Some("Finished"));
    assert!(told.clone().any(|it| it.note.as_deref() == Some("nothing was left to read")));
}

fn failures(stage: &Stage) -> u64 {
    stage.status().failures.map_or(0, |failures| failures.count)
}

#[tokio::test]
async fn failures_of_pods_that_are_replaced_stay_counted() {
    let (stage, mut operator) = running().await;
    let crashes = |restarts| {
        let message = "out of memory".to_owned();
        let outcome = PodOutcome::CrashLoopBackOff { exit_code: 137, message, restarts };
        stage.model.stick("", Some(outcome));
    };
    // Two pods, each of which was started again three times.
    crashes(3);
    stage.until(&mut operator, "crashes", |stage| failures(stage) == 6).await;
    stage.model.stick("", None);
    stage.until(&mut operator, "Running", runs).await;
    assert_eq!(failures(&stage), 6);
    let pod = stage.pods()[0].clone();
    stage.cluster.delete::<Pod>(NS, &pod.name_any());
    stage.tick();
    let replaced =
        |stage: &Stage| runs(stage) && stage.pods().iter().all(|it| it.uid() != pod.uid());
    stage.until(&mut operator, "replaced", replaced).await;
    assert_eq!(failures(&stage), 6, "of the pod that is gone as well");
    // One that comes is counted from its own beginning.
    crashes(4);
    stage.until(&mut operator, "new crashes", |stage| failures(stage) == 6 + 1 + 4).await;
    stage.edit(|spec| spec["desiredState"] = json!("Suspended"));
    stage.model.stick("", None);
    stage.until(&mut operator, "Suspended", |stage| stage.is("Suspended")).await;
    assert_eq!((stage.pods().len(), failures(&stage)), (0, 11));
    let last = stage.status().failures.unwrap().last.unwrap();
    assert_eq!(last.message.as_deref(), Some("out of memory"));
}
