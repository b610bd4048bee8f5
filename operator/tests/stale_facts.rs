//! Between the operator's look and its write the world moves on. A write that rests on old facts
//! must fail, whichever it is; the next round looks again and comes to the same end.

#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

mod double;
mod model;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use model::scenarios::Scenario;
use model::stage::{JOB, NS, Operator, Stage};
use parking_lot::Mutex;
use serde_json::json;
use weir_crds::kube::StreamJob;

/// Plays a scenario in which somebody else changes the object of the `n`-th change or deletion
/// (1 is the first) right before it is served. What is left, and how many there were.
async fn run(scenario: Scenario, n: Option<u64>) -> (String, u64) {
    let stage = Stage::new();
    let mut operator = stage.operator();
    let cluster = stage.cluster.clone();
    let seen = Arc::new(Mutex::new((0, None)));
    let shared = seen.clone();
    operator.connection.meddle(move |request| {
        if !request.write || request.method == "POST" {
            return;
        }
        let mut seen = shared.lock();
        seen.0 += 1;
        if Some(seen.0) == n && cluster.touch(&request.uri) {
            seen.1 = Some((request.method.clone(), request.uri.clone()));
        }
    });
    scenario.play(&stage, &mut operator).await;
    assert_eq!(stage.model.violations(), Vec::<String>::new(), "{scenario:?} {n:?}");
    let (count, touched) = seen.lock().clone();
    if let Some((method, uri)) = touched {
        let requests = operator.connection.requests();
        let write = requests.iter().filter(|it| it.write && it.method != "POST");
        let write = write.clone().nth(usize::try_from(n.unwrap()).unwrap() - 1).unwrap();
        assert_eq!((&write.method, &write.uri), (&method, &uri));
        assert_eq!(write.status, 409, "{scenario:?}: on old facts: {method} {uri}");
    }
    (stage.summary(), count)
}

#[test]
fn no_change_and_no_deletion_is_made_on_old_facts() {
    let changes = model::scenarios::for_each(|scenario| async move {
        let (calm, writes) = run(scenario, None).await;
        for n in 1..=writes {
            let (left, _) = run(scenario, Some(n)).await;
            assert_eq!(left, calm, "{scenario:?}: old facts at change {n}");
        }
        usize::try_from(writes).unwrap()
    });
    println!("changes: {changes}");
    assert!(changes >= 200, "only {changes} changes");
}

async fn running() -> (Stage, Operator) {
    let stage = Stage::new();
    let mut operator = stage.operator();
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "parallelism": 2}));
    stage.until(&mut operator, "Running", |stage| stage.is("Running")).await;
    (stage, operator)
}

/// Before the first request that `fits`, somebody acts on the cluster.
fn before(
    stage: &Stage,
    operator: &Operator,
    fits: impl Fn(&double::Request) -> bool + Send + 'static,
    act: impl FnOnce(&double::Cluster) + Send + 'static,
) {
    let (cluster, mut act) = (stage.cluster.clone(), Some(act));
    operator.connection.meddle(move |request| {
        if fits(request)
            && let Some(act) = act.take()
        {
            act(&cluster);
        }
    });
}

/// A set of the same name that somebody else has made since.
fn replace(cluster: &double::Cluster, name: &str) {
    cluster.delete::<StatefulSet>(NS, name);
    let theirs = json!({
        "metadata": {"name": name, "namespace": NS},
        "spec": {
            "replicas": 5,
            "serviceName": "theirs",
            "selector": {"matchLabels": {"app": "theirs"}},
            "template": {
                "metadata": {"labels": {"app": "theirs"}},
                "spec": {"containers": [{"name": "a", "image": "b"}]},
            },
        },
    });
    cluster.create(&serde_json::from_value::<StatefulSet>(theirs).unwrap());
}

#[tokio::test]
async fn a_set_that_took_the_name_of_ours_is_neither_scaled_nor_deleted() {
    for (edit, method) in [("parallelism", "PATCH"), ("delete", "DELETE")] {
        let (stage, operator) = running().await;
        let name = stage.sets()[0].name_any();
        let fits =
            move |it: &double::Request| it.method == method && it.uri.contains("/statefulsets/");
        let its = name.clone();
        before(&stage, &operator, fits, move |cluster| replace(cluster, &its));
        match edit {
            "delete" => stage.cluster.delete::<StreamJob>(NS, JOB),
            _ => stage.edit(|spec| spec["parallelism"] = json!(4)),
        }
        for _ in 0..30 {
            stage.round(&operator).await;
            stage.tick();
        }
        let theirs = stage.cluster.get::<StatefulSet>(NS, &name).expect("theirs is still there");
        assert_eq!(theirs.spec.unwrap().replicas, Some(5), "{edit}");
    }
}

#[tokio::test]
async fn a_finalizer_that_went_since_the_look_is_not_put_back() {
    let (stage, operator) = running().await;
    let releases = |it: &double::Request| it.method == "PATCH" && it.uri.contains("/streamjobs/");
    let released = move |it: &double::Request| releases(it) && !it.uri.contains("/status");
    stage.cluster.edit::<StreamJob>(NS, JOB, |job| {
        job["metadata"]["finalizers"].as_array_mut().unwrap().push(json!("theirs/first"));
    });
    before(&stage, &operator, released, |cluster| {
        // A deleted object takes no new finalizer; another of its finalizers may go.
        cluster.edit::<StreamJob>(NS, JOB, |job| {
            job["metadata"]["finalizers"].as_array_mut().unwrap().retain(|it| it != "theirs/first");
            job["metadata"]["annotations"]["theirs"] = json!("cleaned up");
        });
    });
    stage.cluster.delete::<StreamJob>(NS, JOB);
    for _ in 0..40 {
        stage.round(&operator).await;
        stage.tick();
    }
    assert!(stage.job().is_none(), "a finalizer was put back: {:?}", stage.job());
}

#[tokio::test]
async fn the_pod_that_took_the_place_of_a_lost_one_is_not_given_up() {
    let (stage, operator) = running().await;
    let pod = stage.pods()[0].clone();
    let node = pod.spec.as_ref().unwrap().node_name.clone().unwrap();
    stage.cluster.lose_node(&node);
    stage.model.lose_node(&node);
    let name = pod.name_any();
    let given_up = move |it: &double::Request| it.method == "DELETE" && it.uri.contains("/pods/");
    let its = name.clone();
    before(&stage, &operator, given_up, move |cluster| {
        cluster.delete_now::<Pod>(NS, &its);
        cluster.settle();
    });
    for _ in 0..200 {
        stage.round(&operator).await;
        stage.tick();
    }
    let writes = operator.connection.requests();
    let given_up = writes.iter().filter(|it| it.method == "DELETE" && it.uri.contains("/pods/"));
    assert_eq!(given_up.map(|it| it.status).collect::<Vec<_>>(), [409]);
    let now = stage.cluster.get::<Pod>(NS, &name).expect("the one that took its place");
    assert_ne!(now.uid(), pod.uid());
}
