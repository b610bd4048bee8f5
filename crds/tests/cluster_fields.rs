//! What a manifest may say that only a cluster acts upon, and the exact words for what it may not.
#![allow(clippy::panic, reason = "a test's way to fail")]

mod common;

use std::time::Duration;

use common::{check, with_spec};
use expect_test::expect;
use weir_crds::{DeletionPolicy, DesiredState, StateRetention, StreamJob};

fn read(text: &str) -> StreamJob {
    StreamJob::from_yaml(text, "job.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn every_field_of_a_cluster_is_read() {
    let job = read(&with_spec(
        r#"image: weir:1
desiredState: Suspended
restartToken: "7"
state:
  adopt: 6f3a0c52-91d4-4d3e-8a1b-2c5e7f90ab12
  checkpoint: {unhealthyAfter: 1m}
upgrade: {strategy: Recreate, progressDeadline: 90s}
nodeLostTimeout: 20s
deletion: {policy: Checkpoint, timeout: 1m, onTimeout: KeepCheckpoint, stateRetention: Delete}
workers:
  resources: {requests: {cpu: 1, memory: 2Gi}}
  serviceAccountName: reader
  env: [{name: LEVEL, value: debug}, {name: KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}]
  envFrom: [{secretRef: {name: weir-s3, optional: true}}]
  volumes: [{name: v, emptyDir: {}}]
  volumeMounts: [{name: v, mountPath: /data}]
  nodeSelector: {disk: ssd}
  tolerations: [{key: a, operator: Exists, tolerationSeconds: 10}]
  podTemplate: {spec: {priorityClassName: high}}
  disruptionBudget: {maxUnavailable: 2}
  showRows: true
networkPolicy: {enabled: false}"#,
    ));
    let spec = job.spec;
    assert_eq!(spec.image.as_deref(), Some("weir:1"));
    assert_eq!(spec.desired_state, DesiredState::Suspended);
    assert_eq!(spec.restart_token.as_deref(), Some("7"));
    assert_eq!(spec.state.checkpoint.unhealthy_after, Duration::from_secs(60));
    assert_eq!(spec.upgrade.progress_deadline, Duration::from_secs(90));
    assert_eq!(spec.node_lost_timeout, Duration::from_secs(20));
    assert_eq!(spec.deletion.policy, DeletionPolicy::Checkpoint);
    assert_eq!(spec.deletion.state_retention, StateRetention::Delete);
    let requests = &spec.workers.resources.expect("resources")["requests"];
    assert_eq!(*requests, serde_json::json!({"cpu": 1, "memory": "2Gi"}));
    assert_eq!(spec.workers.env.len(), 2);
    assert_eq!(spec.workers.env_from[0]["secretRef"]["optional"], true);
    assert_eq!(spec.workers.volume_mounts[0]["mountPath"], "/data");
    assert_eq!(spec.workers.node_selector["disk"], "ssd");
    assert_eq!(spec.workers.tolerations[0]["tolerationSeconds"], 10);
    assert_eq!(spec.workers.disruption_budget.max_unavailable, 2);
    assert!(spec.workers.show_rows);
    assert!(!spec.network_policy.enabled);
}

#[test]
fn a_program_of_a_config_map_is_read_in_a_cluster_only() {
    let from = "sqlFrom: {configMapKeyRef: {name: a, key: b}}";
    check(
        &with_spec(from),
        expect![[r#"
        job.yaml:7 spec.sqlFrom: sql and sqlFrom are both given; keep one
    "#]],
    );
    check(
        &with_spec("").replace("sql: SELECT 1", from),
        expect![[r#"
        job.yaml:6 spec.sqlFrom: a ConfigMap can only be read in a cluster; to run the job here, write its program into spec.sql
    "#]],
    );
}

#[test]
fn what_only_a_cluster_can_do_is_checked_too() {
    for (lines, expected) in [
        (
            "image: ''",
            expect![[r#"
            job.yaml:7 spec.image: 0 characters; 1 to 512 are possible
        "#]],
        ),
        (
            "image: 7",
            expect![[r#"
            job.yaml:7 spec.image: expected text, found the number 7; write "7"
        "#]],
        ),
        (
            "desiredState: suspended",
            expect![[r#"
            job.yaml:7 spec.desiredState: 'suspended' is not known; did you mean Suspended?
        "#]],
        ),
        (
            "desiredState: Off",
            expect![[r#"
            job.yaml:7 spec.desiredState: expected text, found the boolean Off; write "Off"
        "#]],
        ),
        (
            "desiredState: true",
            expect![[r#"
            job.yaml:7 spec.desiredState: expected text, found the boolean true; write "true"
        "#]],
        ),
        (
            "restartToken: 3",
            expect![[r#"
            job.yaml:7 spec.restartToken: expected text, found the number 3; write "3"
        "#]],
        ),
        (
            "state: {adopt: latest}",
            expect![[r#"
            job.yaml:7 spec.state.adopt: 'latest' is not a UID; write the deleted job's metadata.uid, such as 6f3a0c52-91d4-4d3e-8a1b-2c5e7f90ab12
        "#]],
        ),
        (
            "upgrade: Recreate",
            expect![[r#"
            job.yaml:7 spec.upgrade: expected a mapping such as 'strategy: …', found 'Recreate'
        "#]],
        ),
        (
            "upgrade: {strategy: Standby}",
            expect![[r#"
            job.yaml:7 spec.upgrade.strategy: 'Standby' is not known; write Recreate
        "#]],
        ),
        (
            "upgrade: {progressDeadline: 5}",
            expect![[r#"
            job.yaml:7 spec.upgrade.progressDeadline: 5 has no unit; write it as 10s, 5m, 1h30m or 250ms
        "#]],
        ),
        (
            "nodeLostTimeout: 5s",
            expect![[r#"
            job.yaml:7 spec.nodeLostTimeout: 5s is too short; the least is 15s, since a healthy node renews its lease every 10s
        "#]],
        ),
        (
            "deletion: {policy: Keep}",
            expect![[r#"
            job.yaml:7 spec.deletion.policy: 'Keep' is not known; here can stand Savepoint, Checkpoint
        "#]],
        ),
        (
            "deletion: {onTimeout: Wait}",
            expect![[r#"
            job.yaml:7 spec.deletion.onTimeout: 'Wait' is not known; write KeepCheckpoint
        "#]],
        ),
        (
            "deletion: {stateRetention: Retained}",
            expect![[r#"
            job.yaml:7 spec.deletion.stateRetention: 'Retained' is not known; did you mean Retain?
        "#]],
        ),
        (
            "deletion: {timout: 1m}",
            expect![[r#"
            job.yaml:7 spec.deletion.timout: unknown field; did you mean 'timeout'?
        "#]],
        ),
        (
            "networkPolicy: {enabled: maybe}",
            expect![[r#"
            job.yaml:7 spec.networkPolicy.enabled: expected true or false, found 'maybe'
        "#]],
        ),
        (
            "networkPolicy: {enabled: \"true\"}",
            expect![[r#"
                job.yaml:7 spec.networkPolicy.enabled: expected true or false, found text; write true without quotes
            "#]],
        ),
        (
            "networkPolicy: false",
            expect![[r#"
            job.yaml:7 spec.networkPolicy: expected a mapping such as 'enabled: …', found the boolean false
        "#]],
        ),
        (
            "workers: 3",
            expect![[r#"
            job.yaml:7 spec.workers: expected a mapping such as 'resources: …', found the number 3
        "#]],
        ),
        (
            "workers: {replicas: 3}",
            expect![[r#"
            job.yaml:7 spec.workers.replicas: unknown field; here can stand resources, serviceAccountName, env, envFrom, volumes, volumeMounts, nodeSelector, tolerations, podTemplate, disruptionBudget, showRows
        "#]],
        ),
        (
            "workers: {resources: 2Gi}",
            expect![[r#"
            job.yaml:7 spec.workers.resources: expected a mapping such as 'requests: {memory: 2Gi}', found '2Gi'
        "#]],
        ),
        (
            "workers: {serviceAccountName: 1}",
            expect![[r#"
            job.yaml:7 spec.workers.serviceAccountName: expected text, found the number 1; write "1"
        "#]],
        ),
        (
            "workers: {env: {LEVEL: debug}}",
            expect![[r#"
            job.yaml:7 spec.workers.env: expected a list such as [{name: LEVEL, value: debug}], found a mapping
        "#]],
        ),
        (
            "workers: {env: [LEVEL]}",
            expect![[r#"
            job.yaml:7 spec.workers.env[0]: expected a mapping as in [{name: LEVEL, value: debug}], found 'LEVEL'
        "#]],
        ),
        (
            "workers: {env: [{value: debug}]}",
            expect![[r#"
            job.yaml:7 spec.workers.env[0].name: is missing; write it as in [{name: LEVEL, value: debug}]
        "#]],
        ),
        (
            "workers: {volumes: [{emptyDir: {}}]}",
            expect![[r#"
            job.yaml:7 spec.workers.volumes[0].name: is missing; write it as in [{name: certificates, secret: {…}}]
        "#]],
        ),
        (
            "workers: {volumeMounts: /data}",
            expect![[r#"
            job.yaml:7 spec.workers.volumeMounts: expected a list such as [{name: certificates, mountPath: /certificates}], found '/data'
        "#]],
        ),
        (
            "workers: {nodeSelector: [ssd]}",
            expect![[r#"
            job.yaml:7 spec.workers.nodeSelector: expected a mapping such as 'team: airports', found a list
        "#]],
        ),
        (
            "workers: {nodeSelector: {ssd: true}}",
            expect![[r#"
            job.yaml:7 spec.workers.nodeSelector.ssd: expected text, found the boolean true; write "true"
        "#]],
        ),
        (
            "workers: {tolerations: [all]}",
            expect![[r#"
            job.yaml:7 spec.workers.tolerations[0]: expected a mapping as in [{key: dedicated, operator: Exists}], found 'all'
        "#]],
        ),
        (
            "workers: {podTemplate: [spec]}",
            expect![[r#"
            job.yaml:7 spec.workers.podTemplate: expected a mapping such as 'spec: {affinity: {…}}', found a list
        "#]],
        ),
        (
            "workers: {disruptionBudget: {maxUnavailable: -1}}",
            expect![[r#"
            job.yaml:7 spec.workers.disruptionBudget.maxUnavailable: -1 is out of range; maxUnavailable can be 0 to 32768
        "#]],
        ),
        (
            "workers: {disruptionBudget: {minAvailable: 1}}",
            expect![[r#"
                job.yaml:7 spec.workers.disruptionBudget.minAvailable: unknown field; here can stand maxUnavailable
            "#]],
        ),
        (
            "program: {args: []}",
            expect![[r#"
            job.yaml:7 spec.program: unknown field; here can stand sql, sqlFrom, image, parallelism, maxParallelism, desiredState, restartToken, state, upgrade, restart, nodeLostTimeout, deletion, workers, networkPolicy
        "#]],
        ),
        (
            "rescale: {mode: Live}",
            expect![[r#"
            job.yaml:7 spec.rescale: unknown field; here can stand sql, sqlFrom, image, parallelism, maxParallelism, desiredState, restartToken, state, upgrade, restart, nodeLostTimeout, deletion, workers, networkPolicy
        "#]],
        ),
        (
            "autoscale: {max: 4}",
            expect![[r#"
            job.yaml:7 spec.autoscale: unknown field; here can stand sql, sqlFrom, image, parallelism, maxParallelism, desiredState, restartToken, state, upgrade, restart, nodeLostTimeout, deletion, workers, networkPolicy
        "#]],
        ),
    ] {
        check(&with_spec(lines), expected);
    }
}

/// What only the rules and bounds of the definition say, in their words.
#[test]
fn what_a_cluster_would_refuse_is_refused_here() {
    for (lines, expected) in [
        (
            "image: weir 1",
            expect![[r#"
            job.yaml:7 spec.image: is not the name of an image; write it as registry/name:tag or registry/name@sha256:digest
        "#]],
        ),
        (
            "workers: {resources: {limits: {memory: 2 GB}}}",
            expect![[r#"
            job.yaml:7 spec.workers.resources.limits.memory: '2 GB' is not a quantity; write it as 500m, 2 or 1Gi
        "#]],
        ),
        (
            "workers: {resources: {requests: {cpu: 0.5}}}",
            expect![[r#"
            job.yaml:7 spec.workers.resources.requests.cpu: expected text or a whole number, found the number 0.5; write "0.5"
        "#]],
        ),
        (
            "workers:\n  env:\n    - {name: A, value: 1}\n    - {name: WEIR_A, value: b}",
            expect![[r#"
                job.yaml:9 spec.workers.env[0].value: expected text, found the number 1; write "1"
                job.yaml:10 spec.workers.env: sets a variable whose name begins with WEIR_; those are set by the operator, choose another name
            "#]],
        ),
        (
            "workers: {env: [{name: A, valeu: b}, {name: A}]}",
            expect![[r#"
            job.yaml:7 spec.workers.env[0].valeu: unknown field; did you mean 'value'?
            job.yaml:7 spec.workers.env[1]: has the same name as [0]; keep one
        "#]],
        ),
        (
            "workers:\n  env:\n    - {name: A}\n    - {name: WEIR_A, value: b}",
            expect![[r#"
            job.yaml:10 spec.workers.env: sets a variable whose name begins with WEIR_; those are set by the operator, choose another name
        "#]],
        ),
        (
            "workers:\n  env:\n    - {name: A}\n    - {name: B, value: b, valueFrom: {}}",
            expect![[r#"
                job.yaml:10 spec.workers.env: has an entry with both value and valueFrom; keep one of them
            "#]],
        ),
        (
            "workers: {envFrom: [{prefix: A}]}",
            expect![[r#"
            job.yaml:7 spec.workers.envFrom: has an entry without exactly one of secretRef and configMapRef; make one entry of each
        "#]],
        ),
        (
            "workers: {volumes: [{name: tmp, emptyDir: {}}]}",
            expect![[r#"
            job.yaml:7 spec.workers.volumes: has a volume named job, tmp or local; those are the operator's, choose another name
        "#]],
        ),
        (
            "workers: {volumeMounts: [{name: v}]}",
            expect![[r#"
            job.yaml:7 spec.workers.volumeMounts[0].mountPath: is missing; write it as in [{name: certificates, mountPath: /certificates}]
            job.yaml:7 spec.workers.volumeMounts: names a volume that spec.workers.volumes does not have; add it there
        "#]],
        ),
        (
            "workers: {volumeMounts: [{name: v, mountPath: /data}]}",
            expect![[r#"
            job.yaml:7 spec.workers.volumeMounts: names a volume that spec.workers.volumes does not have; add it there
        "#]],
        ),
        (
            "workers:\n  volumes: [{name: v}]\n  volumeMounts: [{name: v, mountPath: /tmp}]",
            expect![[r#"
                job.yaml:9 spec.workers.volumeMounts: covers a folder that Weir itself mounts (/tmp, /etc/weir, /var/lib/weir); choose another mountPath
            "#]],
        ),
        (
            "workers: {tolerations: [{effect: NoStart}]}",
            expect![[r#"
            job.yaml:7 spec.workers.tolerations[0].effect: 'NoStart' is not known; here can stand NoSchedule, PreferNoSchedule, NoExecute
        "#]],
        ),
        (
            "state: {allowDroppedState: [a, b, a]}",
            expect![[r#"
            job.yaml:7 spec.state.allowDroppedState[2]: is the same as [0]; keep one
        "#]],
        ),
        (
            "state: {checkpoint: {interval: 0000000000000000000000000000000000000000010s}}",
            expect![[r#"
                job.yaml:7 spec.state.checkpoint.interval: 44 characters; 0 to 40 are possible
            "#]],
        ),
        (
            "restart: {backoff: {initial: 2m}}",
            expect![[r#"
            job.yaml:7 spec.restart.backoff: initial 2m is longer than max 1m; raise max or lower initial
        "#]],
        ),
    ] {
        check(&with_spec(lines), expected);
    }
}
