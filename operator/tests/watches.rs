//! The whole loop over watches: what they miss is found all the same.

mod double;
mod model;

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use model::stage::{NS, Stage};
use serde_json::json;
use weir_operator::config::Options;
use weir_operator::run::control;

/// Real time within which each goal must be reached; rounds are half a second apart.
const PATIENCE: Duration = Duration::from_secs(40);

async fn until(stage: &Stage, what: &str, goal: impl Fn(&Stage) -> bool) {
    let reached = async {
        while !goal(stage) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            stage.tick();
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    assert!(reached.is_ok(), "{what} was not reached: {:#?}", stage.status());
}

fn runs(parallelism: u32) -> impl Fn(&Stage) -> bool {
    move |stage| {
        stage.is("Running")
            && stage.status().parallelism.is_some_and(|it| it.actual == parallelism)
            && stage.pods().len() == parallelism as usize
    }
}

#[tokio::test]
async fn a_job_follows_its_manifest_through_gaps_in_every_watch() {
    let stage = Stage::new();
    let operator = stage.operator();
    let (connection, context) = (operator.connection, Arc::new(operator.context));
    let options = Options::parse_from(["weir-operator"]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let client = connection.client();
    let halt = async move {
        let _ended = stopped.await;
    };
    let halt: std::pin::Pin<Box<dyn Future<Output = ()> + Send + Sync>> = Box::pin(halt);
    let running = tokio::spawn(async move { control(&client, &options, context, halt).await });

    stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "parallelism": 1}));
    until(&stage, "a start", runs(1)).await;

    // Nothing is delivered: the poll finds the edit.
    connection.hold_watches(true);
    stage.edit(|spec| spec["parallelism"] = json!(2));
    until(&stage, "an edit unseen by watches", runs(2)).await;

    // Every watch is cut, and its place in history is forgotten.
    connection.hold_watches(false);
    stage.cluster.compact();
    connection.cut_watches();
    stage.edit(|spec| spec["desiredState"] = json!("Suspended"));
    until(&stage, "an edit after a gap", |stage| stage.is("Suspended") && stage.pods().is_empty())
        .await;

    // A rested job is not polled often: only a watch tells of this.
    stage.edit(|spec| spec["desiredState"] = json!("Running"));
    until(&stage, "an edit of a rested job", runs(2)).await;
    assert_eq!(stage.cluster.list::<weir_crds::kube::StreamJob>(NS).len(), 1);

    // Its kubelet takes its time; the process hands its work on at once, and one that stays does not.
    stage.cluster.hold_terminations(true);
    let pods = stage.pods();
    let [leaves, stays] = [0, 1].map(|pod: usize| pods[pod].uid().expect("a UID"));
    stage.cluster.delete::<Pod>(NS, &pods[0].name_any());
    until(&stage, "leave", |stage| stage.model.has_left(&leaves)).await;
    assert_eq!(stage.pods().len(), 2, "the pod is still there");
    stage.cluster.hold_terminations(false);
    until(&stage, "a pod in its place", runs(2)).await;
    assert!(!stage.model.has_left(&stays));
    drop(stop);
    tokio::time::timeout(PATIENCE, running).await.expect("it ends when told").expect("no panic");
}
