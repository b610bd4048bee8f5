//! Golden children: what the smallest job becomes. `UPDATE_EXPECT=1` rewrites them.

use expect_test::expect_file;
use serde_json::{Value, json};

use super::*;
use crate::config::Defaults;
use crate::validate::validate;

fn owner() -> Owner {
    Owner {
        name: "flights".into(),
        namespace: "shop".into(),
        uid: "4be0".into(),
        operator_namespace: "weir".into(),
    }
}

fn accepted(spec: Value) -> Accepted {
    let job = json!({
        "apiVersion": weir_crds::API_VERSION, "kind": "StreamJob",
        "metadata": {"name": "flights", "namespace": "shop"}, "spec": spec,
    });
    let defaults = Defaults {
        image: "weir-worker:1".into(),
        state_root: "s3://bucket/weir".into(),
        endpoint: "http://s3:7070".into(),
        region: "eu-west-1".into(),
        credentials_secret: "weir-s3".into(),
        service_account: "default".into(),
        ..Defaults::default()
    };
    validate(&serde_json::from_value(job).unwrap(), None, &defaults, None).unwrap()
}

/// The first start of a job.
fn first() -> Begin<'static> {
    Begin { supersedes: &[], stable: None, must_exist: false, since: Timestamp::UNIX_EPOCH }
}

fn yaml(objects: &[Value]) -> String {
    let texts: Vec<String> =
        objects.iter().map(|object| serde_yaml_ng::to_string(object).unwrap()).collect();
    texts.join("---\n")
}

#[test]
fn the_smallest_job_becomes_these_objects() {
    let accepted = accepted(json!({"sql": "INSERT INTO a SELECT 1;\n", "parallelism": 2}));
    let owner = owner();
    let begin = Begin { supersedes: &["0ld".to_owned()], stable: Some("0ld"), ..first() };
    let objects = [
        json!(build_config(&owner, &accepted)),
        json!(build_set(&owner, &accepted, 2, &begin)),
        json!(build_workers(&owner)),
        json!(build_coordinator(&owner, &accepted.revision)),
        json!(build_budget(&owner, 1)),
        json!(build_network_policy(&owner)),
        json!(build_state_pod(&owner, &accepted)),
        json!(build_plan_pod(&owner, &accepted)),
    ];
    expect_file!["./children.yaml"].assert_eq(&yaml(&objects));
}

#[test]
fn what_a_user_says_about_pods_is_in_them_and_what_weir_needs_stays() {
    let accepted = accepted(json!({
        "sql": "INSERT INTO a SELECT 1",
        "workers": {
            "env": [{"name": "AWS_REGION", "value": "us-east-1"}],
            "envFrom": [{"secretRef": {"name": "mine"}}],
            "resources": {"limits": {"memory": "4Gi"}},
            "nodeSelector": {"disk": "fast"},
            "podTemplate": {
                "metadata": {"labels": {"team": "air", "weir.dev/job": "other"}},
                "spec": {
                    "priorityClassName": "high",
                    "containers": [{"name": "side", "image": "logs:1"}],
                },
            },
        },
    }));
    let set = json!(build_set(&owner(), &accepted, 1, &first()));
    let template = &set["spec"]["template"];
    assert_eq!(template["metadata"]["labels"]["team"], "air");
    assert_eq!(template["metadata"]["labels"]["weir.dev/job"], "flights");
    let spec = &template["spec"];
    assert_eq!(spec["priorityClassName"], "high");
    assert_eq!(spec["nodeSelector"]["disk"], "fast");
    let containers = spec["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 2);
    let worker = containers.iter().find(|it| it["name"] == "worker").unwrap();
    let env = worker["env"].as_array().unwrap();
    let regions: Vec<&Value> = env.iter().filter(|it| it["name"] == "AWS_REGION").collect();
    assert_eq!(regions, [&json!({"name": "AWS_REGION", "value": "us-east-1"})]);
    assert_eq!(worker["envFrom"], json!([{"secretRef": {"name": "mine"}}]));
    assert_eq!(worker["resources"], json!({"limits": {"memory": "4Gi"}}));
}

#[test]
fn pages_show_rows_only_where_the_manifest_says_so() {
    let shows = |workers: Value| {
        let accepted = accepted(json!({"sql": "INSERT INTO a SELECT 1", "workers": workers}));
        let set = json!(build_set(&owner(), &accepted, 1, &first()));
        let env = set["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        env.iter().find(|it| it["name"] == "WEIR_SHOW_ROWS").map(|it| it["value"].clone())
    };
    // Said in any case: others may name variables, in `envFrom` and in the Secret of the credentials.
    let from = json!([{"configMapRef": {"name": "theirs"}}]);
    assert_eq!(shows(json!({})), Some(json!("false")));
    assert_eq!(shows(json!({"showRows": false})), Some(json!("false")));
    assert_eq!(shows(json!({"showRows": true})), Some(json!("true")));
    assert_eq!(shows(json!({"envFrom": from})), Some(json!("false")));
}

#[test]
fn pods_are_within_the_restricted_pod_security_standard() {
    let accepted = accepted(json!({"sql": "INSERT INTO a SELECT 1"}));
    let set = json!(build_set(&owner(), &accepted, 1, &first()));
    for spec in [
        &set["spec"]["template"]["spec"],
        &json!(build_state_pod(&owner(), &accepted))["spec"],
        &json!(build_plan_pod(&owner(), &accepted))["spec"],
    ] {
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in spec["containers"].as_array().unwrap() {
            let rights = &container["securityContext"];
            assert_eq!(rights["allowPrivilegeEscalation"], false);
            assert_eq!(rights["readOnlyRootFilesystem"], true);
            assert_eq!(rights["capabilities"], json!({"drop": ["ALL"]}));
            assert!(container["resources"]["limits"]["memory"].is_string());
        }
    }
}
