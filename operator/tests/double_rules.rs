//! The double keeps the rules of the real API server: what the other tests rely on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod double;

use std::time::Duration;

use double::{Cluster, Last, PodOutcome};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Service};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent,
    WatchParams,
};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use weir_crds::kube::StreamJob;

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn config(name: &str, data: Value) -> ConfigMap {
    object(json!({"metadata": {"name": name}, "data": data}))
}

fn set(name: &str, replicas: i32) -> StatefulSet {
    object(json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": "workers",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "worker", "image": "weir:1"}]},
            },
        },
    }))
}

fn job(name: &str) -> StreamJob {
    object(json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "StreamJob",
        "metadata": {"name": name},
        "spec": {"sql": "INSERT INTO a SELECT * FROM b"},
    }))
}

fn api<K>(client: &Client) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), "default")
}

/// Code and message of the refusal.
fn refused<T: std::fmt::Debug>(result: Result<T, kube::Error>) -> (u16, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.message),
        other => panic!("{other}"),
    }
}

fn manager(name: &str) -> PatchParams {
    PatchParams::apply(name)
}

fn apply(value: &impl Serialize) -> Patch<Value> {
    Patch::Apply(serde_json::to_value(value).unwrap())
}

#[test]
fn a_new_cluster_is_at_rest() {
    let cluster = Cluster::new();
    assert_eq!(cluster.step(), None);
    assert_eq!(cluster.list::<Node>("").len(), 3);
}

#[tokio::test]
async fn what_is_created_can_be_read_until_it_is_deleted() {
    let client = Cluster::new().connect("test").client();
    let configs: Api<ConfigMap> = api(&client);
    let made =
        configs.create(&PostParams::default(), &config("a", json!({"k": "v"}))).await.unwrap();
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    assert_eq!(configs.get("a").await.unwrap(), made);
    let again = refused(configs.create(&PostParams::default(), &config("a", json!({}))).await);
    assert_eq!(again, (409, "configmaps \"a\" already exists".into()));
    configs.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(refused(configs.get("a").await), (404, "configmaps \"a\" not found".into()));
    let sets: Api<StatefulSet> = api(&client);
    assert_eq!(refused(sets.get("a").await), (404, "statefulsets.apps \"a\" not found".into()));
    let elsewhere: Api<ConfigMap> = Api::namespaced(client, "nowhere");
    let nowhere = refused(elsewhere.create(&PostParams::default(), &config("a", json!({}))).await);
    assert_eq!(nowhere, (404, "namespaces \"nowhere\" not found".into()));
}

#[tokio::test]
async fn an_update_from_an_old_version_is_refused() {
    let cluster = Cluster::new();
    let configs: Api<ConfigMap> = api(&cluster.connect("test").client());
    let first = cluster.create(&config("a", json!({"k": "1"})));
    let mut mine = first.clone();
    mine.data.as_mut().unwrap().insert("k".into(), "2".into());
    let second = configs.replace("a", &PostParams::default(), &mine).await.unwrap();
    assert_ne!(second.resource_version(), first.resource_version());
    let (code, message) = refused(configs.replace("a", &PostParams::default(), &mine).await);
    assert_eq!(code, 409);
    assert!(message.contains("the object has been modified"), "{message}");
    let same = configs.replace("a", &PostParams::default(), &second).await.unwrap();
    assert_eq!(same.resource_version(), second.resource_version(), "nothing changed");
}

#[tokio::test]
async fn lists_are_narrowed_by_labels_and_fields() {
    let cluster = Cluster::new();
    for (name, app) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let mut config = config(name, json!({}));
        config.labels_mut().insert("app".into(), app.into());
        cluster.create(&config);
    }
    let configs: Api<ConfigMap> = api(&cluster.connect("test").client());
    let names = async |params: ListParams| {
        let listed = configs.list(&params).await.unwrap();
        listed.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
    };
    assert_eq!(names(ListParams::default()).await, ["a", "b", "c"]);
    assert_eq!(names(ListParams::default().labels("app=x")).await, ["a", "c"]);
    assert_eq!(names(ListParams::default().labels("app in (y, z),app")).await, ["b"]);
    assert_eq!(names(ListParams::default().labels("app!=x")).await, ["b"]);
    assert_eq!(names(ListParams::default().labels("!app")).await, Vec::<String>::new());
    assert_eq!(names(ListParams::default().fields("metadata.name=c")).await, ["c"]);
}

#[tokio::test]
async fn a_generation_counts_changes_of_the_spec_only() {
    let cluster = Cluster::new();
    let jobs: Api<StreamJob> = api(&cluster.connect("test").client());
    let made = cluster.create(&job("a"));
    assert_eq!(made.meta().generation, Some(1));
    assert_eq!(made.spec.max_parallelism, 720, "defaults are filled in");
    let labelled = json!({"metadata": {"labels": {"x": "y"}}, "status": {"state": "Running"}});
    let edited = jobs.patch("a", &PatchParams::default(), &Patch::Merge(labelled)).await.unwrap();
    assert_eq!((edited.meta().generation, &edited.status), (Some(1), &None));
    let status = json!({"spec": {"parallelism": 9}, "status": {"state": "Running"}});
    let told =
        jobs.patch_status("a", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    assert_eq!((told.meta().generation, told.spec.parallelism), (Some(1), 1));
    assert!(told.status.is_some());
    let wider = json!({"spec": {"parallelism": 2}});
    let rescaled = jobs.patch("a", &PatchParams::default(), &Patch::Merge(wider)).await.unwrap();
    assert_eq!(rescaled.meta().generation, Some(2));
    assert!(rescaled.status.is_some());
}

#[tokio::test]
async fn kubectl_scale_changes_the_parallelism() {
    let cluster = Cluster::new();
    let jobs: Api<StreamJob> = api(&cluster.connect("test").client());
    cluster.create(&job("a"));
    assert_eq!(jobs.get_scale("a").await.unwrap().spec.unwrap().replicas, Some(1));
    let to_three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    jobs.patch_scale("a", &PatchParams::default(), &to_three).await.unwrap();
    assert_eq!(jobs.get("a").await.unwrap().spec.parallelism, 3);
    let to_none = Patch::Merge(json!({"spec": {"replicas": 0}}));
    let (code, message) = refused(jobs.patch_scale("a", &PatchParams::default(), &to_none).await);
    assert_eq!(code, 422);
    assert!(message.contains("desiredState: Suspended"), "{message}");
}

#[tokio::test]
async fn a_job_that_its_schema_refuses_is_not_stored() {
    let cluster = Cluster::new();
    let mut wrong = job("a");
    wrong.spec.parallelism = 721;
    assert_eq!(cluster.try_create(&wrong).unwrap_err()["code"], 422);
    cluster.create(&job("a"));
    for change in [json!({"maxParallelism": 8}), json!({"state": {"root": "s3://bucket/x"}})] {
        let edited = cluster.try_edit::<StreamJob>("default", "a", |job| {
            for (field, value) in change.as_object().unwrap() {
                job["spec"][field.as_str()] = value.clone();
            }
        });
        let message = edited.unwrap_err()["message"].to_string();
        assert!(message.contains("cannot be changed"), "{message}");
    }
}

#[tokio::test]
async fn server_side_apply_owns_what_it_names_and_prunes_what_it_no_longer_names() {
    let cluster = Cluster::new();
    let sets: Api<StatefulSet> = api(&cluster.connect("op").client());
    let mut desired = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "s", "labels": {"a": "1", "b": "2"}},
        "spec": serde_json::to_value(set("s", 2).spec).unwrap(),
    });
    let container = "/spec/template/spec/containers/0";
    desired.pointer_mut(container).unwrap()["env"] =
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    let made = sets.patch("s", &manager("op"), &apply(&desired)).await.unwrap();
    assert_eq!(made.meta().generation, Some(1));
    // The same again changes nothing.
    let same = sets.patch("s", &manager("op"), &apply(&desired)).await.unwrap();
    assert_eq!(same.resource_version(), made.resource_version());
    // Somebody else adds a label of their own.
    let own = Patch::Merge(json!({"metadata": {"labels": {"c": "3"}}}));
    sets.patch("s", &manager("kubectl"), &own).await.unwrap();
    desired["metadata"]["labels"] = json!({"a": "1"});
    desired.pointer_mut(container).unwrap()["env"] = json!([{"name": "B", "value": "2"}]);
    let pruned = sets.patch("s", &manager("op"), &apply(&desired)).await.unwrap();
    assert_eq!(Vec::from_iter(pruned.labels().keys()), ["a", "c"]);
    let pod = pruned.spec.unwrap().template.spec.unwrap();
    let env: Vec<_> = pod.containers[0].env.iter().flatten().map(|e| e.name.as_str()).collect();
    assert_eq!(env, ["B"]);
}

#[tokio::test]
async fn server_side_apply_stops_at_a_field_of_another_manager_unless_forced() {
    let cluster = Cluster::new();
    let sets: Api<StatefulSet> = api(&cluster.connect("op").client());
    let mut desired = serde_json::to_value(set("s", 2)).unwrap();
    desired["apiVersion"] = "apps/v1".into();
    desired["kind"] = "StatefulSet".into();
    sets.patch("s", &manager("op"), &apply(&desired)).await.unwrap();
    let scaled = Patch::Merge(json!({"spec": {"replicas": 5}}));
    sets.patch("s", &manager("hpa"), &scaled).await.unwrap();
    let (code, message) = refused(sets.patch("s", &manager("op"), &apply(&desired)).await);
    assert_eq!(code, 409);
    assert_eq!(message, "Apply failed with 1 conflict: conflict with \"hpa\": .spec.replicas");
    let forced = sets.patch("s", &manager("op").force(), &apply(&desired)).await.unwrap();
    assert_eq!(forced.spec.unwrap().replicas, Some(2));
    // What it does not name it leaves to the other.
    desired["spec"].as_object_mut().unwrap().remove("replicas");
    sets.patch("s", &manager("hpa"), &scaled).await.unwrap();
    let left = sets.patch("s", &manager("op"), &apply(&desired)).await.unwrap();
    assert_eq!(left.spec.unwrap().replicas, Some(5));
}

#[tokio::test]
async fn server_side_apply_with_a_uid_never_makes_the_object_anew() {
    let cluster = Cluster::new();
    let configs: Api<ConfigMap> = api(&cluster.connect("op").client());
    let desired = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "gone"},
    });
    let (code, message) = refused(configs.patch("a", &manager("op"), &apply(&desired)).await);
    assert_eq!(code, 409);
    assert!(message.contains("uid mismatch"), "{message}");
}

#[tokio::test]
async fn a_dry_run_is_checked_and_forgotten() {
    let cluster = Cluster::new();
    let connection = cluster.connect("op");
    let configs: Api<ConfigMap> = api(&connection.client());
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    configs.create(&dry, &config("a", json!({}))).await.unwrap();
    assert_eq!(cluster.get::<ConfigMap>("default", "a"), None);
    assert_eq!(connection.writes(), 0);
    assert_eq!(refused(configs.create(&dry, &config("A", json!({}))).await).0, 422);
}

#[tokio::test]
async fn json_patches_apply_whole_or_not_at_all() {
    let cluster = Cluster::new();
    let version = cluster.create(&config("a", json!({"k": "v"}))).resource_version();
    let client = cluster.connect("op").client();
    let configs: Api<ConfigMap> = api(&client);
    let patch = |operations: Value| -> Patch<Value> {
        Patch::Json(serde_json::from_value(operations).unwrap())
    };
    let wrong = patch(json!([
        {"op": "add", "path": "/data/x", "value": "1"},
        {"op": "test", "path": "/data/k", "value": "other"},
    ]));
    assert_eq!(refused(configs.patch("a", &PatchParams::default(), &wrong).await).0, 422);
    assert_eq!(configs.get("a").await.unwrap().resource_version(), version);
    let right = patch(json!([
        {"op": "test", "path": "/data/k", "value": "v"},
        {"op": "add", "path": "/metadata/annotations", "value": {}},
        {"op": "add", "path": "/metadata/annotations/weir.dev~1x", "value": "1"},
        {"op": "remove", "path": "/data/k"},
    ]));
    let patched = configs.patch("a", &PatchParams::default(), &right).await.unwrap();
    assert_eq!(patched.annotations()["weir.dev/x"], "1");
    assert_eq!(patched.data, Some(Default::default()));
}

#[tokio::test]
async fn an_immutable_config_map_keeps_its_data() {
    let cluster = Cluster::new();
    let mut fixed = config("a", json!({"k": "v"}));
    fixed.immutable = Some(true);
    cluster.create(&fixed);
    let configs: Api<ConfigMap> = api(&cluster.connect("op").client());
    for patch in [json!({"data": {"k": "w"}}), json!({"immutable": false})] {
        let edited = configs.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await;
        assert_eq!(refused(edited).0, 422);
    }
    let label = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}));
    configs.patch("a", &PatchParams::default(), &label).await.unwrap();
}

#[tokio::test]
async fn a_service_keeps_the_address_it_was_given() {
    let cluster = Cluster::new();
    let service = |spec: Value| object::<Service>(json!({"metadata": {"name": "s"}, "spec": spec}));
    let made = cluster.create(&service(json!({"ports": [{"port": 7101}]})));
    let address = made.spec.unwrap().cluster_ip.unwrap();
    assert!(address.starts_with("10.96."), "{address}");
    let services: Api<Service> = api(&cluster.connect("op").client());
    let other = Patch::Merge(json!({"spec": {"clusterIP": "None"}}));
    let edited = services.patch("s", &PatchParams::default(), &other).await;
    assert_eq!(refused(edited).0, 422);
    cluster.delete::<Service>("default", "s");
    let headless = cluster.create(&service(json!({"clusterIP": "None"})));
    assert_eq!(headless.spec.unwrap().cluster_ip.as_deref(), Some("None"));
}

#[tokio::test]
async fn of_a_stateful_set_only_some_fields_may_change() {
    let cluster = Cluster::new();
    cluster.create(&set("s", 1));
    let edit = |field: &'static str, value: Value| {
        cluster.try_edit::<StatefulSet>("default", "s", move |set| set["spec"][field] = value)
    };
    edit("replicas", json!(4)).unwrap();
    let refusal = edit("podManagementPolicy", json!("OrderedReady")).unwrap_err();
    assert!(refusal["message"].as_str().unwrap().contains("updates to statefulset spec"));
    let refusal = edit("template", json!({"metadata": {"labels": {"app": "other"}}})).unwrap_err();
    assert!(refusal["message"].as_str().unwrap().contains("does not match template"));
}

#[tokio::test]
async fn deletion_waits_for_finalizers_and_takes_no_new_ones() {
    let cluster = Cluster::new();
    let jobs: Api<StreamJob> = api(&cluster.connect("op").client());
    let mut held = job("a");
    held.finalizers_mut().push("weir.dev/state".into());
    cluster.create(&held);
    let answer = jobs.delete("a", &DeleteParams::default()).await.unwrap();
    let dying = answer.left().expect("the object, since it stays");
    assert!(dying.meta().deletion_timestamp.is_some());
    assert_eq!(dying.meta().generation, Some(2));
    let more = Patch::Merge(json!({"metadata": {"finalizers": ["weir.dev/state", "x.y/z"]}}));
    let (code, message) = refused(jobs.patch("a", &PatchParams::default(), &more).await);
    assert_eq!(code, 422);
    assert!(message.contains("no new finalizers can be added"), "{message}");
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    jobs.patch("a", &PatchParams::default(), &none).await.unwrap();
    assert_eq!(cluster.get::<StreamJob>("default", "a"), None);
}

#[tokio::test]
async fn a_deletion_with_a_precondition_only_hits_that_object() {
    let cluster = Cluster::new();
    let configs: Api<ConfigMap> = api(&cluster.connect("op").client());
    let old = cluster.create(&config("a", json!({})));
    cluster.delete::<ConfigMap>("default", "a");
    let new = cluster.create(&config("a", json!({})));
    let with = |uid: Option<String>, version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version: version }),
        ..DeleteParams::default()
    };
    let by_uid = configs.delete("a", &with(old.uid(), None)).await;
    let (code, message) = refused(by_uid);
    assert_eq!(code, 409);
    assert!(message.contains("UID in precondition"), "{message}");
    assert_eq!(refused(configs.delete("a", &with(None, old.resource_version())).await).0, 409);
    configs.delete("a", &with(new.uid(), new.resource_version())).await.unwrap();
}

#[test]
fn children_go_with_their_last_owner() {
    let cluster = Cluster::new();
    let owner = cluster.create(&config("owner", json!({})));
    let mut child = config("child", json!({}));
    child.meta_mut().owner_references = Some(vec![object(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid(),
    }))]);
    cluster.create(&child);
    cluster.settle();
    assert!(cluster.get::<ConfigMap>("default", "child").is_some());
    cluster.delete::<ConfigMap>("default", "owner");
    cluster.create(&config("owner", json!({})));
    cluster.settle();
    assert_eq!(cluster.get::<ConfigMap>("default", "child"), None, "another UID, another owner");
}

#[tokio::test]
async fn a_foreground_deletion_ends_with_the_owner() {
    let cluster = Cluster::new();
    cluster.create(&set("s", 2));
    cluster.settle();
    let sets: Api<StatefulSet> = api(&cluster.connect("op").client());
    sets.delete("s", &DeleteParams::foreground()).await.unwrap();
    cluster.hold_terminations(true);
    cluster.settle();
    assert!(cluster.get::<StatefulSet>("default", "s").is_some());
    assert_eq!(cluster.list::<Pod>("default").len(), 2);
    cluster.hold_terminations(false);
    cluster.settle();
    assert_eq!(cluster.get::<StatefulSet>("default", "s"), None);
}

#[test]
fn a_terminating_namespace_takes_nothing_new_and_is_emptied() {
    let cluster = Cluster::new();
    cluster.create(&object::<Namespace>(json!({"metadata": {"name": "air"}})));
    let in_air = |name: &str| {
        let mut config = config(name, json!({}));
        config.meta_mut().namespace = Some("air".into());
        config
    };
    let mut held = in_air("held");
    held.finalizers_mut().push("weir.dev/state".into());
    cluster.create(&held);
    cluster.create(&in_air("free"));
    cluster.delete::<Namespace>("", "air");
    let refusal = cluster.try_create(&in_air("late")).unwrap_err();
    assert_eq!(refusal["code"], 403);
    assert_eq!(refusal["details"]["causes"][0]["reason"], "NamespaceTerminating");
    cluster.settle();
    assert_eq!(cluster.list::<ConfigMap>("air").len(), 1, "a finalizer holds the namespace");
    cluster.edit::<ConfigMap>("air", "held", |c| c["metadata"]["finalizers"] = Value::Null);
    cluster.settle();
    assert_eq!(cluster.get::<Namespace>("", "air"), None);
}

#[test]
fn a_stateful_set_gets_its_pods_and_loses_the_highest_first() {
    let cluster = Cluster::new();
    cluster.create(&set("s", 3));
    cluster.settle();
    let pods = cluster.list::<Pod>("default");
    let names: Vec<_> = pods.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["s-0", "s-1", "s-2"]);
    assert_eq!(pods[2].labels()["apps.kubernetes.io/pod-index"], "2");
    let status = pods[2].status.as_ref().unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert!(status.pod_ip.is_some());
    let counted = cluster.get::<StatefulSet>("default", "s").unwrap().status.unwrap();
    assert_eq!((counted.replicas, counted.ready_replicas), (3, Some(3)));
    cluster.edit::<StatefulSet>("default", "s", |set| set["spec"]["replicas"] = 1.into());
    cluster.settle();
    assert_eq!(cluster.list::<Pod>("default").len(), 1);
    cluster.delete::<Pod>("default", "s-0");
    cluster.settle();
    let again = cluster.get::<Pod>("default", "s-0").unwrap();
    assert_ne!(again.uid(), pods[0].uid(), "a new pod of the same name");
}

#[test]
fn a_test_decides_what_becomes_of_a_pod() {
    let cluster = Cluster::new();
    cluster.create(&set("s", 3));
    cluster.decide_pods(|pod| match pod["metadata"]["name"].as_str().unwrap() {
        "s-0" => PodOutcome::ImagePullBackOff("no such image".into()),
        "s-1" => PodOutcome::Unschedulable("0/3 nodes are available".into()),
        _ => PodOutcome::CrashLoopBackOff { exit_code: 2, message: "line 3".into(), restarts: 4 },
    });
    cluster.settle();
    let status = |name: &str| cluster.get::<Pod>("default", name).unwrap().status.unwrap();
    let container = |name: &str| status(name).container_statuses.unwrap().remove(0);
    let pulled = container("s-0").state.unwrap().waiting.unwrap();
    assert_eq!(pulled.reason.as_deref(), Some("ImagePullBackOff"));
    assert_eq!(status("s-1").conditions.unwrap()[0].status, "False");
    let crashed = container("s-2");
    assert_eq!(crashed.restart_count, 4);
    let last = crashed.last_state.unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.message.as_deref()), (2, Some("line 3")));
    let one_shot: Pod = object(json!({
        "metadata": {"name": "once"},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "weir:1"}]},
    }));
    cluster.create(&one_shot);
    cluster.decide_pods(|pod| match pod["metadata"]["name"] == "once" {
        true => PodOutcome::Ended { exit_code: 1, message: "why".into() },
        false => PodOutcome::Unchanged,
    });
    cluster.settle();
    assert_eq!(status("once").phase.as_deref(), Some("Failed"));
}

#[test]
fn pods_of_a_lost_node_stay_until_they_are_deleted_by_force() {
    let cluster = Cluster::new();
    cluster.create(&set("s", 1));
    cluster.settle();
    let node = cluster.get::<Pod>("default", "s-0").unwrap().spec.unwrap().node_name.unwrap();
    cluster.lose_node(&node);
    let renewed = |node: &str| {
        let lease: Lease = cluster.get("kube-node-lease", node).unwrap();
        lease.spec.unwrap().renew_time
    };
    let before = renewed(&node);
    cluster.advance(Duration::from_secs(41));
    cluster.settle();
    assert_eq!(renewed(&node), before);
    let taints = cluster.get::<Node>("", &node).unwrap().spec.unwrap().taints.unwrap();
    assert!(taints.iter().any(|taint| taint.key == "node.kubernetes.io/unreachable"));
    cluster.delete::<Pod>("default", "s-0");
    cluster.settle();
    assert!(cluster.get::<Pod>("default", "s-0").unwrap().meta().deletion_timestamp.is_some());
    cluster.return_node(&node);
    cluster.settle();
    assert!(cluster.get::<Node>("", &node).unwrap().spec.unwrap().taints.is_none());
    assert!(cluster.get::<Pod>("default", "s-0").unwrap().meta().deletion_timestamp.is_none());
}

#[tokio::test]
async fn a_watch_tells_every_change_in_order_and_bookmarks() {
    let cluster = Cluster::new();
    let configs: Api<ConfigMap> = api(&cluster.connect("op").client());
    let from = cluster.version().to_string();
    let params = WatchParams::default().labels("app=x");
    let mut events = configs.watch(&params, &from).await.unwrap().boxed();
    let mut labelled = config("a", json!({}));
    labelled.labels_mut().insert("app".into(), "x".into());
    cluster.create(&config("unseen", json!({})));
    cluster.create(&labelled);
    cluster.edit::<ConfigMap>("default", "a", |config| config["data"] = json!({"k": "v"}));
    cluster.edit::<ConfigMap>("default", "a", |c| c["metadata"]["labels"] = json!({}));
    cluster.bookmark();
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(object) => format!("added {}", object.name_any()),
            WatchEvent::Modified(object) => format!("modified {}", object.name_any()),
            WatchEvent::Deleted(object) => format!("deleted {}", object.name_any()),
            WatchEvent::Bookmark(mark) => format!("bookmark {}", mark.metadata.resource_version),
            WatchEvent::Error(status) => format!("error {}", status.code),
        });
    }
    let bookmark = format!("bookmark {}", cluster.version());
    assert_eq!(told, ["added a", "modified a", "deleted a", &bookmark]);
}

#[tokio::test]
async fn a_watch_from_forgotten_history_is_gone() {
    let cluster = Cluster::new();
    let configs: Api<ConfigMap> = api(&cluster.connect("op").client());
    let from = cluster.version().to_string();
    cluster.create(&config("a", json!({})));
    cluster.compact();
    let events = configs.watch(&WatchParams::default(), &from).await.unwrap();
    let events: Vec<_> = events.try_collect().await.unwrap();
    assert!(matches!(&events[..], [WatchEvent::Error(status)] if status.code == 410), "{events:?}");
}

#[tokio::test]
async fn watches_can_be_held_and_cut_and_lists_can_be_stale() {
    let cluster = Cluster::new();
    let connection = cluster.connect("op");
    let configs: Api<ConfigMap> = api(&connection.client());
    let before = cluster.version();
    let mut events =
        configs.watch(&WatchParams::default(), &before.to_string()).await.unwrap().boxed();
    connection.hold_watches(true);
    cluster.create(&config("a", json!({})));
    assert!(futures::poll!(events.next()).is_pending());
    connection.hold_watches(false);
    assert!(matches!(events.try_next().await, Ok(Some(WatchEvent::Added(_)))));
    connection.cut_watches();
    assert!(matches!(events.try_next().await, Ok(None)));
    connection.serve_stale_lists(Some(before));
    assert_eq!(configs.list(&ListParams::default().match_any()).await.unwrap().items.len(), 0);
    assert_eq!(configs.list(&ListParams::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_process_dies_at_its_nth_write() {
    for (last, stored) in [(Last::NotSent, 1), (Last::Lost, 2), (Last::Answered, 2)] {
        let cluster = Cluster::new();
        let connection = cluster.connect("op");
        let configs: Api<ConfigMap> = api(&connection.client());
        connection.die_after(2, last);
        configs.create(&PostParams::default(), &config("a", json!({}))).await.unwrap();
        configs.get("a").await.unwrap();
        let second = configs.create(&PostParams::default(), &config("b", json!({}))).await;
        assert_eq!(second.is_ok(), last == Last::Answered);
        assert!(connection.is_dead());
        assert!(configs.get("a").await.is_err());
        assert_eq!(cluster.list::<ConfigMap>("default").len(), stored, "{last:?}");
        let successor: Api<ConfigMap> = api(&cluster.connect("op").client());
        successor.get("a").await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_request_changes_nothing() {
    let cluster = Cluster::new();
    let connection = cluster.connect("op");
    let configs: Api<ConfigMap> = api(&connection.client());
    connection.refuse(|request| (request.method == "POST").then_some(503));
    let made = configs.create(&PostParams::default(), &config("a", json!({}))).await;
    assert_eq!(refused(made).0, 503);
    assert_eq!(refused(configs.get("a").await).0, 404);
    connection.refuse_nothing();
    configs.create(&PostParams::default(), &config("a", json!({}))).await.unwrap();
    let codes: Vec<_> = connection.requests().iter().map(|request| request.status).collect();
    assert_eq!(codes, [503, 404, 201]);
}

#[tokio::test]
async fn two_holders_of_a_lease_cannot_both_win() {
    let cluster = Cluster::new();
    let lease = |holder: &str| {
        object::<Lease>(json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": holder}}))
    };
    let made = cluster.create(&lease("nobody"));
    let take = async |holder: &str| {
        let leases: Api<Lease> = api(&cluster.connect(holder).client());
        let mut mine = lease(holder);
        mine.meta_mut().resource_version = made.resource_version();
        leases.replace("l", &PostParams::default(), &mine).await
    };
    take("a").await.unwrap();
    assert_eq!(refused(take("b").await).0, 409);
}
