//! What is the job's goes with the job, after its savepoint; what is not the job's is left alone;
//! and where a job's state is known to have been, it never starts without it.

#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

mod double;
mod model;

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Resource, ResourceExt};
use model::stage::{JOB, NS, Operator, Stage};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use weir_crds::kube::StreamJob;
use weir_operator::orphans;

fn runs(stage: &Stage) -> bool {
    stage.is("Running") && stage.condition("Ready").0 == "True"
}

fn spec() -> Value {
    json!({"sql": "INSERT INTO a SELECT 1", "parallelism": 2})
}

async fn running() -> (Stage, Operator) {
    let stage = Stage::new();
    let mut operator = stage.operator();
    stage.apply(spec());
    stage.until(&mut operator, "Running", runs).await;
    (stage, operator)
}

fn told(stage: &Stage, namespace: &str, reason: &str) -> Vec<String> {
    let events: Vec<Event> = stage.cluster.list(namespace);
    let of = |event: &Event| event.reason.as_deref() == Some(reason);
    events.into_iter().filter(of).map(|event| event.note.unwrap_or_default()).collect()
}

/// What somebody else has made before the job came, in the job's way: it is neither written nor
/// deleted, at no time of the job's life, and the job says what to do.
async fn in_the_way<K>(name: &str, rest: Value)
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned,
{
    let stage = Stage::new();
    let mut operator = stage.operator();
    let mut theirs = rest;
    theirs["metadata"] = json!({"name": name, "namespace": NS, "labels": {"app": "theirs"}});
    stage.cluster.create(&serde_json::from_value::<K>(theirs).unwrap());
    stage.cluster.settle();
    let whole = |stage: &Stage| {
        let object = stage.cluster.get::<K>(NS, name).expect("it is still there");
        serde_json::to_value(object).unwrap()
    };
    let before = whole(&stage);
    stage.apply(spec());
    stage.rounds(&operator, 10).await;
    let kind = K::kind(&()).into_owned();
    let (stalled, reason, message) = stage.condition("Stalled");
    assert_eq!(
        (stalled.as_str(), reason.as_str()),
        ("True", "ObjectInTheWay"),
        "{kind}: {message}"
    );
    assert!(message.starts_with(&format!("{kind} {name} in namespace {NS}")), "{message}");
    assert!(message.contains(&format!("kubectl delete {}", kind.to_lowercase())), "{message}");
    assert_eq!(told(&stage, NS, "ObjectInTheWay"), [message]);
    assert_eq!(stage.condition("Degraded").1, "ObjectInTheWay");
    assert_eq!(stage.condition("Ready").0, "False");
    assert_eq!(before, whole(&stage), "{kind} was written");
    stage.cluster.delete::<StreamJob>(NS, JOB);
    stage.until(&mut operator, "gone", |stage| stage.job().is_none()).await;
    assert_eq!(before, whole(&stage), "{kind} was written with the deletion");
    // Once it is out of the way the job goes on by itself.
    stage.apply(spec());
    stage.rounds(&operator, 4).await;
    stage.cluster.delete::<K>(NS, name);
    stage.until(&mut operator, "Running", runs).await;
    assert_eq!(stage.condition("Degraded").0, "False");
}

#[tokio::test]
async fn an_object_of_somebody_else_is_never_written_nor_deleted() {
    let ports = json!([{"port": 80}]);
    in_the_way::<Service>("flights-workers", json!({"spec": {"ports": ports}})).await;
    in_the_way::<Service>("flights-coordinator", json!({"spec": {"clusterIP": "None"}})).await;
    let selector = json!({"matchLabels": {"app": "theirs"}});
    let budget = json!({"spec": {"selector": selector, "minAvailable": 1}});
    in_the_way::<PodDisruptionBudget>("flights-workers", budget).await;
    let policy = json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}});
    in_the_way::<NetworkPolicy>("flights-workers", policy).await;
}

#[tokio::test]
async fn a_program_or_a_set_of_somebody_else_is_in_the_way_like_any_other() {
    let (stage, mut operator) = running().await;
    let name = stage.sets()[0].name_any();
    stage.cluster.delete::<StreamJob>(NS, JOB);
    stage.until(&mut operator, "gone", |stage| stage.job().is_none()).await;
    in_the_way::<ConfigMap>(&name, json!({"data": {"a": "b"}})).await;
    let template = json!({
        "metadata": {"labels": {"app": "theirs"}},
        "spec": {"containers": [{"name": "a", "image": "b"}]},
    });
    let selector = json!({"matchLabels": {"app": "theirs"}});
    let set =
        json!({"serviceName": "a", "replicas": 0, "selector": selector, "template": template});
    in_the_way::<StatefulSet>(&name, json!({"spec": set})).await;
}

#[tokio::test]
async fn what_bears_the_jobs_plain_name_is_not_in_its_way() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    let budget = json!({
        "metadata": {"name": JOB, "namespace": NS},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "theirs"}}},
    });
    let policy = json!({
        "metadata": {"name": JOB, "namespace": NS},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    });
    let budget: PodDisruptionBudget = serde_json::from_value(budget).unwrap();
    let policy: NetworkPolicy = serde_json::from_value(policy).unwrap();
    let (budget, policy) = (stage.cluster.create(&budget), stage.cluster.create(&policy));
    stage.apply(spec());
    stage.until(&mut operator, "Running", runs).await;
    stage.cluster.delete::<StreamJob>(NS, JOB);
    stage.until(&mut operator, "gone", |stage| stage.job().is_none()).await;
    assert_eq!(stage.cluster.list::<PodDisruptionBudget>(NS), [budget]);
    assert_eq!(stage.cluster.list::<NetworkPolicy>(NS), [policy]);
}

#[tokio::test]
async fn an_object_in_the_way_of_a_running_job_stops_nothing() {
    let (stage, mut operator) = running().await;
    stage.cluster.delete::<PodDisruptionBudget>(NS, "flights-workers");
    let selector = json!({"matchLabels": {"app": "theirs"}});
    let theirs = json!({
        "metadata": {"name": "flights-workers", "namespace": NS},
        "spec": {"minAvailable": 1, "selector": selector},
    });
    stage.cluster.create(&serde_json::from_value::<PodDisruptionBudget>(theirs).unwrap());
    stage.pass(Duration::from_secs(61));
    let says = |stage: &Stage| stage.condition("Degraded").1 == "ObjectInTheWay" && runs(stage);
    stage.rounds(&operator, 5).await;
    assert!(says(&stage), "{:?}", stage.status().conditions);
    stage.edit(|spec| spec["parallelism"] = json!(3));
    stage.rounds(&operator, 20).await;
    assert!(stage.pods().len() == 3 && says(&stage), "{:?}", stage.status().conditions);
    // Another revision would start without what it needs.
    stage.edit(|spec| spec["sql"] = json!("INSERT INTO a SELECT 2"));
    stage.rounds(&operator, 20).await;
    assert!(stage.is("Running"));
    assert_eq!(stage.condition("Ready").0, "False", "the old revision runs");
    stage.cluster.delete::<PodDisruptionBudget>(NS, "flights-workers");
    stage.until(&mut operator, "the new one", |stage| runs(stage) && stage.pods().len() == 3).await;
}

/// As an earlier version made it: tied to its job by owner references, under the old names.
fn age(stage: &Stage) {
    let uid = stage.job().unwrap().uid().unwrap();
    let owner = json!([{
        "apiVersion": "weir.dev/v1alpha1", "kind": "StreamJob", "name": JOB, "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    }]);
    let older = |object: &mut Value| {
        object["metadata"]["ownerReferences"] = owner.clone();
        object["metadata"]["labels"]["weir.dev/job-uid"] = Value::Null;
        for later in ["weir.dev/published", "weir.dev/resolved"] {
            object["metadata"]["annotations"][later] = Value::Null;
        }
    };
    let name = stage.sets()[0].name_any();
    stage.cluster.edit::<StatefulSet>(NS, &name, older);
    stage.cluster.edit::<ConfigMap>(NS, &name, older);
    for name in ["flights-workers", "flights-coordinator"] {
        stage.cluster.edit::<Service>(NS, name, older);
    }
    let renamed = |object: Value| {
        let mut object = object;
        object["metadata"] = json!({
            "name": JOB, "namespace": NS, "labels": object["metadata"]["labels"],
        });
        older(&mut object);
        object["metadata"]["labels"].as_object_mut().unwrap().remove("weir.dev/job-uid");
        object["metadata"].as_object_mut().unwrap().remove("annotations");
        object
    };
    let budget = stage.cluster.get::<PodDisruptionBudget>(NS, "flights-workers").unwrap();
    let budget = renamed(serde_json::to_value(budget).unwrap());
    stage.cluster.delete::<PodDisruptionBudget>(NS, "flights-workers");
    stage.cluster.create(&serde_json::from_value::<PodDisruptionBudget>(budget).unwrap());
    let policy = stage.cluster.get::<NetworkPolicy>(NS, "flights-workers").unwrap();
    let policy = renamed(serde_json::to_value(policy).unwrap());
    stage.cluster.delete::<NetworkPolicy>(NS, "flights-workers");
    stage.cluster.create(&serde_json::from_value::<NetworkPolicy>(policy).unwrap());
}

#[tokio::test]
async fn a_job_of_an_earlier_operator_is_untied_while_its_pods_run_on() {
    let (stage, operator) = running().await;
    let pods = || stage.pods().iter().map(|pod| pod.uid().unwrap()).collect::<Vec<_>>();
    let before = pods();
    age(&stage);
    drop(operator);
    let mut operator = stage.operator();
    let untied = |stage: &Stage| {
        let tied = |owners: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference]| {
            !owners.is_empty()
        };
        let services: Vec<Service> = stage.cluster.list(NS);
        let configs: Vec<ConfigMap> = stage.cluster.list(NS);
        let budgets: Vec<PodDisruptionBudget> = stage.cluster.list(NS);
        let policies: Vec<NetworkPolicy> = stage.cluster.list(NS);
        runs(stage)
            && !stage.sets().iter().any(|it| tied(it.owner_references()))
            && !services.iter().any(|it| tied(it.owner_references()))
            && !configs.iter().any(|it| tied(it.owner_references()))
            && budgets.iter().map(ResourceExt::name_any).collect::<Vec<_>>() == ["flights-workers"]
            && policies.iter().map(ResourceExt::name_any).collect::<Vec<_>>() == ["flights-workers"]
    };
    stage.until(&mut operator, "untied", untied).await;
    assert_eq!(pods(), before, "no pod was restarted");
    let set = &stage.sets()[0];
    assert_eq!(set.annotations()["weir.dev/published"], "s3://bucket/weir");
    assert!(set.annotations().contains_key("weir.dev/resolved"));
    stage.cluster.delete_by::<StreamJob>(NS, JOB, "Foreground");
    stage.until(&mut operator, "gone", |stage| stage.job().is_none()).await;
    assert_eq!(stage.model.chain(NS, JOB).unwrap().savepoints.len(), 1);
}

#[tokio::test]
async fn a_deletion_in_the_foreground_deletes_state_where_that_is_asked_for() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    let mut spec = spec();
    spec["deletion"] = json!({"stateRetention": "Delete"});
    stage.apply(spec);
    stage.until(&mut operator, "Running", runs).await;
    stage.cluster.delete_by::<StreamJob>(NS, JOB, "Foreground");
    stage.until(&mut operator, "gone", |stage| stage.job().is_none()).await;
    assert!(stage.model.chain(NS, JOB).is_none(), "its state is deleted");
    assert_eq!(stage.pods().len(), 0);
}

#[tokio::test]
async fn what_the_deletion_of_a_namespace_cannot_keep_is_told_where_it_can_be_read() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    let mut spec = spec();
    spec["deletion"] = json!({"stateRetention": "Delete"});
    stage.apply(spec);
    stage.until(&mut operator, "Running", runs).await;
    let uid = stage.job().unwrap().uid().unwrap();
    stage.cluster.delete::<Namespace>("", NS);
    let gone = |stage: &Stage| stage.cluster.get::<Namespace>("", NS).is_none();
    stage.until(&mut operator, "gone with its namespace", gone).await;
    let warned = told(&stage, "default", "NamespaceDeleted");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].starts_with("StreamJob shop/flights: "), "{warned:?}");
    assert!(warned[0].contains(&format!("state.adopt: {uid}")), "{warned:?}");
    let kept = told(&stage, "default", "StateKept");
    assert!(kept[0].contains("weir state delete s3://bucket/weir/shop/flights --uid"), "{kept:?}");
}

#[tokio::test]
async fn what_a_job_without_its_finalizer_leaves_behind_is_removed() {
    let (stage, operator) = running().await;
    let client = operator.connection.client();
    assert_eq!(orphans::sweep(&client, "").await.unwrap(), 0);
    assert_eq!(stage.pods().len(), 2);
    stage.cluster.edit::<StreamJob>(NS, JOB, |job| job["metadata"]["finalizers"] = json!([]));
    stage.cluster.delete::<StreamJob>(NS, JOB);
    stage.tick();
    assert_eq!(stage.pods().len(), 2, "nobody has looked yet");
    assert_eq!(orphans::sweep(&client, "").await.unwrap(), 1);
    stage.tick();
    assert_eq!((stage.pods().len(), stage.sets().len()), (0, 0));
    assert_eq!(stage.cluster.list::<Service>(NS).len(), 0);
    assert_eq!(stage.cluster.list::<ConfigMap>(NS).len(), 0);
    assert_eq!(orphans::sweep(&client, "").await.unwrap(), 0);
}

#[tokio::test]
async fn a_job_of_the_same_name_removes_what_the_one_before_left_behind() {
    let (stage, mut operator) = running().await;
    let before: Vec<_> = stage.pods().iter().map(|pod| pod.uid().unwrap()).collect();
    stage.cluster.edit::<StreamJob>(NS, JOB, |job| job["metadata"]["finalizers"] = json!([]));
    let uid = stage.job().unwrap().uid().unwrap();
    stage.cluster.delete::<StreamJob>(NS, JOB);
    let mut spec = spec();
    spec["state"] = json!({"adopt": uid});
    stage.apply(spec);
    let other = |stage: &Stage| {
        let pods = stage.pods();
        runs(stage) && !pods.iter().any(|pod| before.contains(&pod.uid().unwrap()))
    };
    stage.until(&mut operator, "Running", other).await;
}

/// `kubectl replace` with a manifest that has neither annotations nor finalizers.
fn replace(stage: &Stage, change: impl FnOnce(&mut Value)) {
    stage.cluster.edit::<StreamJob>(NS, JOB, |job| {
        job["metadata"]["annotations"] = json!({});
        job["metadata"]["finalizers"] = json!([]);
        change(job);
    });
}

#[tokio::test]
async fn a_replaced_job_stays_where_it_was_accepted_whatever_the_chart_says_now() {
    let (stage, operator) = running().await;
    let pods = || stage.pods().iter().map(|pod| pod.uid().unwrap()).collect::<Vec<_>>();
    let before = pods();
    drop(operator);
    replace(&stage, |_| ());
    let mut operator = stage.operator_with("s3://other/weir");
    stage.until(&mut operator, "Running", runs).await;
    assert_eq!(pods(), before, "it was restarted somewhere else");
    let job = stage.job().unwrap();
    assert!(job.annotations()["weir.dev/resolved"].contains("s3://bucket/weir"));
    assert_eq!(job.annotations()["weir.dev/published"], "s3://bucket/weir");
}

#[tokio::test]
async fn a_job_that_has_published_never_starts_from_nothing_whichever_evidence_is_left() {
    // The note on the job, the note on its set, and the status each suffice.
    for evidence in ["job", "set", "status"] {
        let (stage, mut operator) = running().await;
        stage.edit(|spec| spec["desiredState"] = json!("Suspended"));
        stage
            .until(&mut operator, "Suspended", |stage| {
                stage.is("Suspended") && stage.pods().is_empty()
            })
            .await;
        stage.model.lose_chain(NS, JOB);
        let set = stage.sets()[0].name_any();
        if evidence != "set" {
            stage.cluster.delete::<StatefulSet>(NS, &set);
            stage.cluster.settle();
        }
        replace(&stage, |job| {
            if evidence == "job" {
                job["metadata"]["annotations"]["weir.dev/published"] = json!("s3://bucket/weir");
            }
            job["spec"]["desiredState"] = json!("Running");
        });
        if evidence != "status" {
            stage.cluster.edit_status::<StreamJob>(NS, JOB, |status| {
                status["lastCheckpoint"] = Value::Null;
            });
        }
        let says =
            |stage: &Stage| stage.is("Failed") && stage.condition("Stalled").2.contains("is gone");
        let mut operator = stage.operator();
        stage.until(&mut operator, evidence, says).await;
        assert_eq!(stage.model.violations(), Vec::<String>::new(), "{evidence}");
    }
}

#[tokio::test]
async fn a_pod_that_comes_after_the_first_checkpoint_never_starts_from_nothing() {
    let (stage, mut operator) = running().await;
    stage.model.lose_chain(NS, JOB);
    for pod in stage.pods() {
        stage.cluster.delete::<k8s_openapi::api::core::v1::Pod>(NS, &pod.name_any());
    }
    stage.cluster.settle();
    let says = |stage: &Stage| stage.condition("Stalled").2.contains("is gone");
    stage.until(&mut operator, "its state is gone", says).await;
    assert_eq!(stage.model.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_job_that_is_made_anew_does_not_show_the_checkpoint_of_the_one_before() {
    let (stage, mut operator) = running().await;
    stage.cluster.delete::<StreamJob>(NS, JOB);
    stage.until(&mut operator, "gone", |stage| stage.job().is_none()).await;
    stage.apply(spec());
    let failed = |stage: &Stage| stage.condition("Stalled").2.contains("belongs to a deleted job");
    stage.until(&mut operator, "refused", failed).await;
    assert_eq!(stage.status().last_checkpoint, None);
    assert_eq!(stage.status().restarts, None);
    // It has none of its own either, so it may start where there is none.
    assert!(!stage.job().unwrap().annotations().contains_key("weir.dev/published"));
}

#[tokio::test]
async fn a_job_that_takes_over_state_never_starts_without_it() {
    let stage = Stage::new();
    let mut operator = stage.operator();
    let mut spec = spec();
    spec["state"] = json!({"adopt": "6f3a0c52-91d4-4d3e-8a1b-2c5e7f90ab12"});
    stage.apply(spec);
    let says = |stage: &Stage| stage.condition("Stalled").2.contains("is gone");
    stage.until(&mut operator, "nothing to take over", says).await;
}
