//! What follows a write: deletion, owners, stateful sets, nodes.

use super::*;

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
