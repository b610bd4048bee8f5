//! What a user has got wrong, and what the world does to a job, ends in a condition and an event
//! that name the place, the cause and the fix; and the job goes on once it is put right.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod double;
mod model;

use std::time::Duration;

use double::PodOutcome;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use model::stage::{JOB, NS, Operator, Stage};
use serde_json::json;
use weir_crds::kube::StreamJob;

fn told(stage: &Stage, reason: &str) -> Vec<String> {
    let events: Vec<Event> = stage.cluster.list(NS);
    let of = |event: &Event| event.reason.as_deref() == Some(reason);
    events.into_iter().filter(of).map(|event| event.note.unwrap_or_default()).collect()
}

fn runs(stage: &Stage) -> bool {
    stage.is("Running") && stage.condition("Ready").0 == "True"
}

async fn start(stage: &Stage, operator: &mut Operator) {
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "parallelism": 2}));
    stage.until(operator, "Running", runs).await;
}

/// A job whose pods fare like `outcome` is degraded with `words`, and runs once they are well.
async fn check(outcome: PodOutcome, words: &[&str]) {
    let stage = Stage::new();
    let mut operator = stage.operator();
    stage.model.stick("", Some(outcome));
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1"}));
    let bad = |stage: &Stage| stage.condition("Degraded").0 == "True";
    stage.until(&mut operator, "Degraded", bad).await;
    let (_, _, message) = stage.condition("Degraded");
    for word in words {
        assert!(message.contains(word), "{word} is not in: {message}");
    }
    assert_eq!(told(&stage, "PodsNotRunning"), [message.as_str()]);
    // After the deadline a person has to act, and both Flux and Argo CD are told so.
    stage.cluster.advance(Duration::from_secs(301));
    stage.clock.advance(Duration::from_secs(301));
    let stalled = |stage: &Stage| stage.condition("Stalled").0 == "True";
    stage.until(&mut operator, "Stalled", stalled).await;
    stage.model.stick("", None);
    stage.until(&mut operator, "Running", runs).await;
    assert_eq!(stage.condition("Stalled").0, "False");
    assert_eq!(stage.condition("Degraded").0, "False");
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_named_with_the_field() {
    let outcome = PodOutcome::ImagePullBackOff("manifest unknown".to_owned());
    check(outcome, &["weir-worker:1", "manifest unknown", "spec.image"]).await;
}

#[tokio::test]
async fn a_missing_secret_is_named_with_the_command_that_makes_it() {
    let outcome = PodOutcome::Waiting {
        reason: "CreateContainerConfigError".to_owned(),
        message: "secret \"weir-s3\" not found".to_owned(),
    };
    check(outcome, &["weir-s3", "namespace shop", "kubectl create secret generic"]).await;
}

#[tokio::test]
async fn a_cluster_without_room_is_said_with_what_to_ask_less_of() {
    let outcome = PodOutcome::Unschedulable("0/3 nodes: insufficient memory".to_owned());
    check(outcome, &["insufficient memory", "spec.workers.resources"]).await;
}

#[tokio::test]
async fn a_crash_loop_is_told_with_the_last_words() {
    let outcome = PodOutcome::CrashLoopBackOff {
        exit_code: 1,
        message: "s3://bucket/weir: no such bucket".to_owned(),
        restarts: 4,
    };
    check(outcome, &["crashed 4 times", "no such bucket"]).await;
}

/// A job whose pods never start, because nobody has their image.
async fn start_mistyped(stage: &Stage, operator: &mut Operator) {
    stage.model.stick("", Some(PodOutcome::ImagePullBackOff("not found".to_owned())));
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "image": "weir-worker:typo"}));
    let bad = |stage: &Stage| stage.condition("Degraded").0 == "True";
    stage.until(operator, "Degraded", bad).await;
}

#[tokio::test]
async fn a_new_spec_is_taken_at_once_when_the_old_one_cannot_start() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    start_mistyped(&stage, &mut operator).await;
    let before = stage.cluster.now_ms();
    let broken = stage.sets()[0].metadata.labels.clone().unwrap()["weir.dev/revision"].clone();
    stage.model.stick("", None);
    stage.model.stick(&broken, Some(PodOutcome::ImagePullBackOff("not found".to_owned())));
    stage.edit(|spec| spec["image"] = json!("weir-worker:1"));
    stage.until(&mut operator, "Running", runs).await;
    assert!(stage.cluster.now_ms() - before < 10_000, "it waited for the old one");
}

/// From now on the cluster calls the pods of new revisions invalid.
fn refuse_pods(operator: &Operator) {
    operator.connection.refuse(|request| {
        (request.method == "POST" && request.uri.contains("/statefulsets")).then_some(422)
    });
}

fn pods_refused(stage: &Stage) -> bool {
    stage.condition("SpecAccepted").1 == "InvalidTemplate"
}

/// Pods that the cluster calls invalid are told with the field to look at, and what runs goes on.
#[tokio::test]
async fn pods_that_the_cluster_refuses_stop_nothing_that_runs() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    refuse_pods(&operator);
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1"}));
    stage.rounds(&operator, 10).await;
    assert!(pods_refused(&stage), "{:?}", stage.condition("SpecAccepted"));
    assert_eq!(stage.condition("Stalled").0, "True");
    assert!(stage.condition("Stalled").2.contains("workers.podTemplate"));
    assert_eq!(told(&stage, "SpecRefused").len(), 1);
    operator.connection.refuse_nothing();
    stage.until(&mut operator, "Running", runs).await;

    let running = stage.status().revisions.unwrap().current;
    refuse_pods(&operator);
    stage.edit(|spec| spec["workers"] = json!({"nodeSelector": {"disk": "ssd"}}));
    stage.until(&mut operator, "refused", pods_refused).await;
    assert!(stage.is("Running"));
    assert_eq!(stage.condition("Ready").0, "False", "of the spec that was asked for");
    assert_eq!(stage.status().revisions.unwrap().current, running);
    assert!(stage.condition("Stalled").2.contains("keeps running"));
    operator.connection.refuse_nothing();
    stage.cluster.advance(Duration::from_secs(61));
    stage.clock.advance(Duration::from_secs(61));
    let other = |stage: &Stage| runs(stage) && stage.status().revisions.unwrap().current != running;
    stage.until(&mut operator, "the new template", other).await;
}

/// That nobody coordinates the old pods is no reason to give them up for none.
#[tokio::test]
async fn pods_that_do_not_work_stand_until_their_successors_can_be_made() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    start_mistyped(&stage, &mut operator).await;
    let before = stage.sets();
    refuse_pods(&operator);
    stage.edit(|spec| spec["image"] = json!("weir-worker:1"));
    stage.rounds(&operator, 10).await;
    assert!(pods_refused(&stage), "{:?}", stage.condition("SpecAccepted"));
    let pods = |sets: &[StatefulSet]| {
        let replicas = |set: &StatefulSet| set.spec.as_ref().and_then(|spec| spec.replicas);
        sets.iter().map(|set| (set.metadata.name.clone(), replicas(set))).collect::<Vec<_>>()
    };
    assert_eq!(pods(&stage.sets()), pods(&before));
    operator.connection.refuse_nothing();
    stage.model.stick("", None);
    stage.until(&mut operator, "Running", runs).await;
}

#[tokio::test]
async fn a_missing_program_is_named_and_taken_once_it_is_there() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    let from = json!({"configMapKeyRef": {"name": "sql", "key": "job.sql"}});
    stage.apply(json!({"sqlFrom": from}));
    let refused = |stage: &Stage| stage.condition("SpecAccepted").1 == "ProgramMissing";
    stage.until(&mut operator, "refused", refused).await;
    assert!(stage.condition("Stalled").2.contains("kubectl create configmap sql -n shop"));
    assert_eq!(told(&stage, "SpecRefused").len(), 1);
    let map = json!({"metadata": {"name": "sql", "namespace": NS},
        "data": {"job.sql": "INSERT INTO a SELECT 1"}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    stage.cluster.create(&map);
    stage.until(&mut operator, "Running", runs).await;
    // Its text is part of the revision.
    let was = stage.status().revisions.unwrap().current;
    stage.cluster.edit::<ConfigMap>(NS, "sql", |map| {
        map["data"]["job.sql"] = json!("INSERT INTO a SELECT 2");
    });
    let other = |stage: &Stage| runs(stage) && stage.status().revisions.unwrap().current != was;
    stage.until(&mut operator, "the new text", other).await;
}

#[tokio::test]
async fn the_pod_of_a_dead_node_is_replaced_once_its_heartbeat_stood_still_long_enough() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    start(&stage, &mut operator).await;
    let pod = stage.pods()[0].clone();
    let node = pod.spec.unwrap().node_name.unwrap();
    stage.cluster.lose_node(&node);
    stage.model.lose_node(&node);
    let replaced = |stage: &Stage| {
        let told = told(stage, "NodeLost").len();
        let pods = stage.pods();
        told == 1
            && runs(stage)
            && pods.len() == 2
            && pods.iter().all(|pod| pod.spec.as_ref().unwrap().node_name.as_ref() != Some(&node))
    };
    let lost = stage.cluster.now_ms();
    for _ in 0..8 {
        // Long waits, in steps that are shorter than a lease.
        for _ in 0..10 {
            stage.round(&operator).await;
            stage.tick();
            stage.cluster.advance(Duration::from_millis(500));
            stage.clock.advance(Duration::from_millis(500));
        }
        if replaced(&stage) {
            break;
        }
        let given_up = !told(&stage, "NodeLost").is_empty();
        let waited = stage.cluster.now_ms() - lost;
        assert!(!given_up || waited >= 40_000, "given up after only {waited} ms");
    }
    stage.until(&mut operator, "replaced", replaced).await;
    // The job's patience (40 s) runs beside that of Kubernetes (another 40 s), not after it.
    let waited = stage.cluster.now_ms() - lost;
    assert!(waited < 70_000, "replaced only after {waited} ms");
}

#[tokio::test]
async fn a_healthy_job_is_left_alone() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    start(&stage, &mut operator).await;
    let before = operator.connection.writes();
    for _ in 0..100 {
        assert!(stage.round(&operator).await);
        stage.tick();
    }
    assert_eq!(operator.connection.writes(), before, "an idle round writes nothing");
}

#[tokio::test]
async fn what_somebody_changes_in_a_child_is_put_right() {
    use k8s_openapi::api::core::v1::Service;
    let stage = Stage::new();
    let mut operator = stage.operator();
    start(&stage, &mut operator).await;
    stage.cluster.edit::<Service>(NS, "flights-coordinator", |service| {
        service["spec"]["selector"]["weir.dev/revision"] = json!("wrong");
    });
    let name = stage.sets()[0].metadata.name.clone().unwrap();
    stage.cluster.edit::<StatefulSet>(NS, &name, |set| set["spec"]["replicas"] = json!(3));
    let right = |stage: &Stage| {
        let service: Service = stage.cluster.get(NS, "flights-coordinator").unwrap();
        let selector = service.spec.unwrap().selector.unwrap();
        runs(stage) && selector["weir.dev/revision"] != "wrong" && stage.pods().len() == 2
    };
    // Such children are looked at once a minute.
    stage.pass(Duration::from_secs(60));
    stage.until(&mut operator, "put right", right).await;
}

#[tokio::test]
async fn a_job_whose_program_is_gone_can_still_be_deleted_with_its_state() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    let map = json!({"metadata": {"name": "sql", "namespace": NS},
        "data": {"job.sql": "INSERT INTO a SELECT 1"}});
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    stage.cluster.create(&map);
    stage.apply(json!({
        "sqlFrom": {"configMapKeyRef": {"name": "sql", "key": "job.sql"}},
        "deletion": {"stateRetention": "Delete"},
    }));
    stage.until(&mut operator, "Running", runs).await;
    stage.cluster.delete::<ConfigMap>(NS, "sql");
    let refused = |stage: &Stage| {
        stage.condition("SpecAccepted").1 == "ProgramMissing"
            && stage.condition("Ready").1 == "SpecRefused"
            && stage.is("Running")
    };
    stage.until(&mut operator, "refused, and still running", refused).await;
    stage.cluster.delete::<StreamJob>(NS, JOB);
    stage.until(&mut operator, "gone", |stage| stage.job().is_none()).await;
    assert!(stage.model.chain(NS, JOB).is_none(), "its state is deleted");
}

#[tokio::test]
async fn a_deletion_never_takes_longer_than_its_deadline() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1", "deletion": {"timeout": "20s"}}));
    stage.until(&mut operator, "Running", runs).await;
    stage.model.refuse_savepoints(u32::MAX);
    stage.cluster.delete::<StreamJob>(NS, JOB);
    let began = stage.cluster.now_ms();
    stage.until(&mut operator, "gone", |stage| stage.job().is_none()).await;
    let took = stage.cluster.now_ms() - began;
    assert!((20_000..40_000).contains(&took), "{took} ms");
    assert_eq!(told(&stage, "NoSavepoint").len(), 1);
    assert!(stage.model.chain(NS, JOB).is_some(), "the newest checkpoint is kept");
}

#[tokio::test]
async fn what_the_cluster_forbids_is_said_by_the_job() {
    // A quota on the sets themselves, a webhook that says no, one that does not answer.
    for (path, code, reason) in [
        ("/statefulsets", 403, "Refused"),
        ("/statefulsets", 400, "Refused"),
        ("/services", 403, "Refused"),
        ("/configmaps", 422, "Refused"),
    ] {
        let stage = Stage::new();
        let mut operator = stage.operator();
        operator.connection.refuse(move |request| {
            (request.method == "POST" && request.uri.contains(path)).then_some(code)
        });
        stage.apply(json!({"sql": "INSERT INTO a SELECT 1"}));
        stage.rounds(&operator, 10).await;
        let (stalled, why, message) = stage.condition("Stalled");
        assert_eq!((stalled.as_str(), why.as_str()), ("True", reason), "{path}: {message}");
        assert!(message.contains("cannot be written"), "{message}");
        assert!(stage.is("Failed"), "{:?}", stage.status().state);
        assert_eq!(stage.condition("Ready").0, "False");
        assert_eq!(told(&stage, reason).len(), 1, "{path}");
        assert_eq!(stage.pods().len(), 0);
        operator.connection.refuse_nothing();
        stage.until(&mut operator, "Running", runs).await;
        assert_eq!(stage.condition("Stalled").0, "False");
    }
}

#[tokio::test]
async fn ready_speaks_of_the_spec_that_was_asked_for() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    start(&stage, &mut operator).await;
    // At no time between the edit and its refusal is the new generation called ready.
    stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT BAD"));
    let generation = stage.job().unwrap().metadata.generation;
    for _ in 0..20 {
        stage.round(&operator).await;
        let conditions = stage.status().conditions;
        let ready = conditions.iter().find(|it| it.type_ == "Ready").unwrap();
        let speaks = ready.observed_generation == generation;
        assert!(!speaks || ready.status == "False", "{ready:?}");
        stage.tick();
    }
    assert!(stage.condition("Ready").2.contains("BAD"), "{:?}", stage.condition("Ready"));
    assert!(stage.is("Running"), "what ran before goes on");
    stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT 2"));
    let generation = stage.job().unwrap().metadata.generation;
    let was = stage.status().revisions.unwrap().current;
    for _ in 0..40 {
        stage.round(&operator).await;
        let status = stage.status();
        let ready = status.conditions.iter().find(|it| it.type_ == "Ready").unwrap();
        if ready.status == "True" && ready.observed_generation == generation {
            assert_ne!(status.revisions.unwrap().current, was, "of the old revision");
            return;
        }
        stage.tick();
    }
    panic!("it was never ready");
}

#[tokio::test]
async fn a_lost_coordinator_is_told_and_counted_and_no_count_falls() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    start(&stage, &mut operator).await;
    for lost in 1..=2 {
        let coordinator = stage.status().coordinator.expect("it is shown").pod;
        stage.cluster.delete::<k8s_openapi::api::core::v1::Pod>(NS, &coordinator);
        stage.tick();
        let again = |stage: &Stage| runs(stage) && stage.status().restarts == Some(lost);
        stage.until(&mut operator, "taken over", again).await;
        let told = told(&stage, "Recovered");
        assert_eq!(told.len(), usize::try_from(lost).unwrap(), "{told:?}");
        assert!(
            told.iter().any(|it| it.contains(&coordinator) && it.contains("epoch")),
            "{told:?}"
        );
    }
    stage.edit(|spec| spec["desiredState"] = json!("Suspended"));
    stage.until(&mut operator, "Suspended", |stage| stage.is("Suspended")).await;
    stage.edit(|spec| spec["desiredState"] = json!("Running"));
    stage.until(&mut operator, "Running", runs).await;
    assert_eq!(stage.status().restarts, Some(2), "a resumption is no failure");
}

/// A decision is made once a round: what a write brings to light is told by the round that follows
/// at once, and the write is not made again before a while has passed.
#[tokio::test]
async fn what_a_write_brings_to_light_is_a_fact_of_the_next_round() {
    use weir_operator::reconcile::reconcile;
    let stage = Stage::new();
    let operator = stage.operator();
    operator.connection.refuse(|request| {
        (request.method == "POST" && request.uri.contains("/statefulsets")).then_some(403)
    });
    let tries = || {
        let requests = operator.connection.requests();
        let to_sets = |it: &&double::Request| it.method == "POST" && it.uri.contains("statefulset");
        requests.iter().filter(to_sets).count()
    };
    stage.apply(json!({"sql": "INSERT INTO a SELECT 1"}));
    let round = || async { reconcile(&operator.context, NS, JOB).await.unwrap().unwrap() };
    assert_eq!(round().await, Duration::ZERO, "the job is taken");
    assert_eq!(round().await, Duration::ZERO, "its set is refused");
    assert_eq!((tries(), stage.status().state), (1, None), "nothing is said of what was not done");
    assert_eq!(round().await, Duration::from_secs(5));
    assert_eq!(stage.condition("Stalled").1, "Refused");
    assert_eq!(tries(), 1, "not made again at once");
    let said = stage.status();
    stage.pass(Duration::from_secs(5));
    assert_eq!(round().await, Duration::ZERO);
    assert_eq!((tries(), stage.status()), (2, said), "made again, and no condition flaps");
    stage.edit(|spec| spec["parallelism"] = json!(2));
    assert_eq!(round().await, Duration::ZERO);
    assert_eq!(tries(), 3, "an edit may have put it right");
}
