//! A resource becomes a manifest that reads back as the same job.
#![allow(clippy::panic, reason = "a test's way to fail")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_crds::kube as resource;
use weir_crds::{
    Backoff, Checkpoint, Deletion, DeletionPolicy, DesiredState, DisruptionBudget, NetworkPolicy,
    Restart, State, StateRetention, StreamJob, StreamJobSpec, Upgrade, Workers, limits,
};

/// Text with all that YAML makes difficult.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{1,12}",
        "\\PC{1,12}",
        "(true|null|~|1|1e3|0x1F|- a|a: b|#|'|\"|\\*x|&x|!|%|@|`|\\||>|\\?|: |,|\\[|\\{|no|\\.5|\\+1|2001-01-01){1,3}",
        "(y|On|off|YES|010|08|0o7|0X1f|0b1|1_000|1:30|[.]inf|<<)",
    ]
}

/// A program: lines, some of them empty, indented, with a trailing blank.
fn program() -> impl Strategy<Value = String> {
    let lines = vec(
        prop_oneof!["\\PC{0,30}", "[ ]{0,3}SELECT '[a-z]{0,5}'[ ]{0,2}", Just(String::new())],
        1..6,
    );
    (lines, prop_oneof![Just(""), Just("\n"), Just("\n\n"), Just("\t"), Just("\r\n")])
        .prop_map(|(lines, end)| format!("{};{end}", lines.join("\n")))
}

fn duration() -> impl Strategy<Value = Duration> {
    (20_000u64..20_000_000).prop_map(Duration::from_millis)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6f64).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map("[a-zA-Z0-9./-]{1,8}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A mapping with anything in it, such as what a pod template leaves to Kubernetes.
fn fields() -> impl Strategy<Value = Value> {
    btree_map("[a-zA-Z0-9./-]{1,8}", value(), 0..3)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn variables() -> impl Strategy<Value = Vec<Value>> {
    btree_map(text(), text(), 0..3).prop_map(|variables| {
        let entry = |(name, value): (String, String)| json!({"name": name, "value": value});
        variables.into_iter().map(entry).collect()
    })
}

/// Volumes, and where they are seen.
fn volumes() -> impl Strategy<Value = (Vec<Value>, Vec<Value>)> {
    btree_map("v[a-z]{1,5}", value(), 0..3).prop_map(|volumes| {
        let mount = |name: &String| json!({"name": name, "mountPath": format!("/data/{name}")});
        let mounts = volumes.keys().map(mount).collect();
        let volume = |(name, value): (String, Value)| json!({"name": name, "csi": value});
        (volumes.into_iter().map(volume).collect(), mounts)
    })
}

fn resources() -> impl Strategy<Value = Value> {
    let quantity = prop_oneof![
        (0..9i64).prop_map(Value::from),
        "[1-9][0-9]{0,2}(m|Mi|Gi|e3)?".prop_map(Value::from),
    ];
    btree_map("[a-z./-]{1,8}", quantity, 0..3).prop_map(|requests| json!({"requests": requests}))
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[a-z./-]{1,8}", text(), 0..3)
}

fn workers() -> impl Strategy<Value = Workers> {
    let secret = text().prop_map(|name| json!({"secretRef": {"name": name}}));
    let toleration = text().prop_map(|key| json!({"key": key, "operator": "Exists"}));
    let lists = (variables(), vec(secret, 0..2), volumes(), vec(toleration, 0..2));
    let template = fields().prop_map(|fields| json!({"spec": fields}));
    let account = option::of("[a-z]{1,9}");
    (option::of(resources()), option::of(template), account, lists, labels(), 0..9u32).prop_map(
        |(resources, template, account, (env, env_from, volumes, tolerations), labels, budget)| {
            Workers {
                resources,
                service_account_name: account,
                env,
                env_from,
                volumes: volumes.0,
                volume_mounts: volumes.1,
                node_selector: labels,
                tolerations,
                pod_template: template,
                disruption_budget: DisruptionBudget { max_unavailable: budget },
                show_rows: budget % 2 == 1,
            }
        },
    )
}

fn spec() -> impl Strategy<Value = StreamJobSpec> {
    let state = (
        option::of("(s3://[a-z]{3,9}(/[a-z ]{1,5}){0,2}|/[a-z]{1,9})"),
        (duration(), duration(), 1..=limits::MAX_RETAINED),
        option::of("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        btree_set(text(), 0..3),
    )
        .prop_map(|(root, (interval, timeout, retained), adopt, dropped)| State {
            root,
            checkpoint: Checkpoint { interval, timeout, retained, unhealthy_after: interval * 2 },
            adopt,
            allow_dropped_state: dropped.into_iter().collect(),
        });
    let choices = (0..3usize, any::<bool>(), any::<bool>(), any::<bool>());
    let times = (duration(), duration(), duration(), duration(), duration());
    (
        program(),
        option::of("[a-zA-Z0-9][a-zA-Z0-9._/:@-]{0,9}"),
        option::of(text()),
        (1..=64u32, 64..=limits::MAX_PARALLELISM),
        state,
        choices,
        times,
        workers(),
    )
        .prop_map(|(sql, image, token, widths, state, choices, times, workers)| {
            StreamJobSpec {
                sql,
                sql_from: None,
                image,
                parallelism: widths.0,
                max_parallelism: widths.1,
                desired_state: [
                    DesiredState::Running,
                    DesiredState::Suspended,
                    DesiredState::Drained,
                ][choices.0],
                restart_token: token,
                state,
                upgrade: Upgrade { progress_deadline: times.0, ..Upgrade::default() },
                restart: Restart {
                    backoff: Backoff { initial: times.1, max: times.1 * 3 },
                    reset_after: times.2,
                },
                node_lost_timeout: times.3,
                deletion: Deletion {
                    policy: if choices.1 {
                        DeletionPolicy::Savepoint
                    } else {
                        DeletionPolicy::Checkpoint
                    },
                    timeout: times.4,
                    state_retention: if choices.2 {
                        StateRetention::Retain
                    } else {
                        StateRetention::Delete
                    },
                    ..Deletion::default()
                },
                workers,
                network_policy: NetworkPolicy { enabled: choices.3 },
            }
        })
}

fn job(spec: StreamJobSpec, labels: BTreeMap<String, String>) -> resource::StreamJob {
    let mut job = resource::StreamJob::new("delays", spec);
    job.metadata.namespace = Some("air".to_owned());
    job.metadata.labels = Some(labels);
    job
}

proptest! {
    #[test]
    fn what_the_operator_writes_is_what_a_worker_reads(spec in spec(), labels in labels()) {
        let job = job(spec, labels);
        let text = job.manifest_text().expect("plain values");
        let read = StreamJob::from_yaml(&text, "job.yaml")
            .map_err(|faults| TestCaseError::fail(format!("{faults:#?}\n{text}")))?;
        prop_assert_eq!(&read.metadata, &job.manifest().metadata);
        prop_assert_eq!(&read.spec, &job.spec, "{}", text);
        let again: StreamJobSpec =
            serde_json::from_value(serde_json::to_value(&job.spec).expect("plain values"))
                .expect("what was written");
        prop_assert_eq!(again, job.spec);
    }

    #[test]
    fn a_workers_manifest_depends_on_nothing_that_workers_ignore(spec in spec(), other in spec()) {
        let text = |spec: &StreamJobSpec| {
            job(spec.clone(), BTreeMap::new()).worker_manifest(&spec.sql, "s3://bucket/x")
        };
        let mut edited = other;
        edited.sql.clone_from(&spec.sql);
        edited.max_parallelism = spec.max_parallelism;
        edited.state.clone_from(&spec.state);
        edited.restart.clone_from(&spec.restart);
        prop_assert_eq!(text(&spec).expect("text"), text(&edited).expect("text"));
        let read = StreamJob::from_yaml(&text(&spec).expect("text"), "job.yaml")
            .map_err(|faults| TestCaseError::fail(format!("{faults:#?}")))?;
        prop_assert_eq!(read.spec.sql, spec.sql);
        prop_assert_eq!(read.spec.state.root.as_deref(), Some("s3://bucket/x"));
        prop_assert_eq!(read.spec.state.checkpoint, spec.state.checkpoint);
        prop_assert_eq!(read.spec.restart, spec.restart);
        prop_assert_eq!(read.spec.max_parallelism, spec.max_parallelism);
    }
}

#[test]
fn characters_that_end_lines_for_some_are_kept() {
    for c in ['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{7f}', '\u{1}', '\r', '\t'] {
        let spec = StreamJobSpec { sql: format!("a{c}b;\n  {c}c\n"), ..StreamJobSpec::default() };
        let text = job(spec.clone(), BTreeMap::new()).manifest_text().expect("plain values");
        let read = StreamJob::from_yaml(&text, "job.yaml");
        let read = read.unwrap_or_else(|faults| panic!("{c:?}: {faults:?}\n{text}"));
        assert_eq!(read.spec, spec, "{c:?}");
    }
}

#[test]
fn a_program_stays_a_block_of_lines() {
    let spec = StreamJobSpec {
        sql: "CREATE TABLE a (b INT);\n\nINSERT INTO c\n  SELECT b FROM a;\n".to_owned(),
        ..StreamJobSpec::default()
    };
    let text = job(spec, BTreeMap::new()).manifest_text().expect("plain values");
    let read =
        StreamJob::from_yaml(&text, "job.yaml").unwrap_or_else(|faults| panic!("{faults:?}"));
    let (line, column) = read.sql_position.locate(4, 3);
    let shown = text.lines().nth(line - 1).expect("a line of the manifest");
    assert_eq!(shown.trim(), "SELECT b FROM a;");
    assert_eq!(column, shown.find("SELECT").map(|at| at + 1));
}
