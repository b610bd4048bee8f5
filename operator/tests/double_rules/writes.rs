//! Objects: creates, updates, patches, server-side apply.

use super::*;

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
