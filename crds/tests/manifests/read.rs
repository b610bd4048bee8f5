//! What is taken, and as what.

use super::*;

#[test]
fn what_is_left_out_has_its_default() {
    let job = read(&with_spec(""));
    expect![[r#"
        {
          "metadata": {
            "name": "job",
            "namespace": "default"
          },
          "spec": {
            "sql": "SELECT 1",
            "parallelism": 1,
            "maxParallelism": 720,
            "desiredState": "Running",
            "state": {
              "checkpoint": {
                "interval": "10s",
                "timeout": "5m",
                "retained": 3,
                "unhealthyAfter": "3m"
              },
              "allowDroppedState": []
            },
            "upgrade": {
              "strategy": "Recreate",
              "progressDeadline": "5m"
            },
            "restart": {
              "backoff": {
                "initial": "1s",
                "max": "1m"
              },
              "resetAfter": "10m"
            },
            "nodeLostTimeout": "40s",
            "deletion": {
              "policy": "Savepoint",
              "timeout": "10m",
              "onTimeout": "KeepCheckpoint",
              "stateRetention": "Retain"
            },
            "workers": {
              "disruptionBudget": {
                "maxUnavailable": 1
              }
            },
            "networkPolicy": {
              "enabled": true
            }
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&job).expect("plain values"));
}

#[test]
fn every_field_is_read() {
    let job = read(
        r#"
apiVersion: weir.dev/v1alpha1
kind: StreamJob
metadata: {name: delays, namespace: air, labels: {team: airports}, annotations: {note: "7"}}
spec:
  sql: |
    SELECT 1
  parallelism: 6
  maxParallelism: 64
  state:
    root: s3://bucket/weir/
    checkpoint: {interval: 250ms, timeout: 1m30s, retained: 7}
    allowDroppedState: [top 10 routes, "hourly count"]
  restart:
    backoff: {initial: 2s, max: 2m}
    resetAfter: 1h
  workers: {nodeSelector: {disk: ssd}}
"#,
    );
    assert_eq!((job.metadata.name.as_str(), job.metadata.namespace.as_str()), ("delays", "air"));
    assert_eq!(job.metadata.labels["team"], "airports");
    assert_eq!(job.metadata.annotations["note"], "7");
    assert_eq!((job.spec.parallelism, job.spec.max_parallelism), (6, 64));
    assert_eq!(job.spec.state.root.as_deref(), Some("s3://bucket/weir"));
    assert_eq!(job.spec.state.checkpoint.interval, Duration::from_millis(250));
    assert_eq!(job.spec.state.checkpoint.timeout, Duration::from_secs(90));
    assert_eq!(job.spec.state.checkpoint.retained, 7);
    assert_eq!(job.spec.state.allow_dropped_state, ["top 10 routes", "hourly count"]);
    assert_eq!(job.spec.restart.backoff.initial, Duration::from_secs(2));
    assert_eq!(job.spec.restart.backoff.max, Duration::from_secs(120));
    assert_eq!(job.spec.restart.reset_after, Duration::from_secs(3600));
}

#[test]
fn a_job_written_as_json_reads_back() {
    let job = read(&with_spec("parallelism: 3\nstate: {root: /data/weir}"));
    let json = serde_json::to_string(&job).expect("plain values");
    let back: StreamJob = serde_json::from_str(&json).expect("what was written");
    assert_eq!((back.metadata, back.spec), (job.metadata, job.spec));
}

#[test]
fn aliases_and_a_closing_document_mark_are_plain_yaml() {
    let job = read(
        "---\napiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: job, labels: {a: &x one, b: *x}}\nspec: {sql: SELECT 1}\n---\n",
    );
    assert_eq!(job.metadata.labels["b"], "one");
}

#[test]
fn an_edit_names_the_fields_it_changes() {
    let running = read(&with_spec("parallelism: 2"));
    let edited = read(&with_spec("parallelism: 4\nstate: {checkpoint: {interval: 1s}}"));
    assert_eq!(
        edited.changed_fields(&running),
        ["spec.parallelism", "spec.state.checkpoint.interval"]
    );
    assert!(running.changed_fields(&running).is_empty());
}

#[test]
fn a_place_in_the_sql_is_a_place_in_the_file() {
    let locate = |text: &str, line, column| read(text).sql_position.locate(line, column);
    let head = "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: job}\nspec:\n";
    let block = format!("{head}  sql: |\n    SELECT 1\n      FROM t\n");
    assert_eq!(locate(&block, 1, 1), (6, Some(5)));
    assert_eq!(locate(&block, 2, 3), (7, Some(7)));
    let with_comment =
        format!("{head}  # the program\n  sql: |- # here\n\n    SELECT 1\n\n    FROM t\n");
    assert_eq!(locate(&with_comment, 2, 1), (8, Some(5)), "a block may begin with an empty line");
    assert_eq!(locate(&with_comment, 4, 6), (10, Some(10)));
    let indented = format!("{head}  sql: |2\n        SELECT 1\n");
    assert_eq!(locate(&indented, 1, 5), (6, Some(9)), "an indent given by hand");
    let plain = format!("{head}  sql: SELECT 1\n");
    assert_eq!(locate(&plain, 1, 8), (5, Some(15)));
    let quoted = format!("{head}  sql: \"SELECT 1\"\n");
    assert_eq!(locate(&quoted, 1, 8), (5, Some(16)));
    let folded = format!("{head}  sql: >\n    SELECT\n    1\n");
    assert_eq!(locate(&folded, 1, 8), (6, None), "folding joins lines");
}
