//! Every rule of the definition refuses what its message says, and nothing else.
//!
//! The rules are evaluated here as an API server does: defaults first, then CEL.
#![allow(clippy::panic, reason = "a test's way to fail")]

#[path = "common/api_server.rs"]
mod api_server;

use std::collections::BTreeSet;

use api_server::{refusals, schema};
use kube_cel::{ScopeContext, analyze_rule, compile_schema};
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_crds::kube::rules;
use weir_crds::{StreamJob, limits, parse_duration};

/// A small good job with `value` at `path` of its spec.
fn with(path: &str, value: Value) -> Value {
    let mut job = json!({"metadata": {"name": "job"}, "spec": {"sql": "SELECT 1"}});
    let mut at = &mut job["spec"];
    for name in path.split('.').filter(|name| !name.is_empty()) {
        at = &mut at[name];
    }
    *at = value;
    job
}

fn named(name: &str) -> Value {
    let mut job = with("parallelism", json!(1));
    job["metadata"]["name"] = name.into();
    job
}

/// Wrong jobs, each with words of the one message it must be refused with.
fn wrong() -> Vec<(&'static str, Value)> {
    let mount = |path: &str| json!([{"name": "v", "mountPath": path}]);
    let mounted = |path: &str| {
        let mut job = with("workers.volumes", json!([{"name": "v", "emptyDir": {}}]));
        job["spec"]["workers"]["volumeMounts"] = mount(path);
        job
    };
    let config = json!({"configMapKeyRef": {"name": "a", "key": "b"}});
    vec![
        ("metadata.name has more than 40", named(&"a".repeat(41))),
        ("metadata.name must consist", named("7-days")),
        ("metadata.name must consist", named("a.b")),
        ("metadata.name must consist", named("delays-")),
        ("exactly one of sql and sqlFrom", with("sqlFrom", config)),
        ("exactly one of sql and sqlFrom", with("", json!({"parallelism": 1}))),
        ("spec.parallelism is above", with("parallelism", json!(721))),
        ("spec.parallelism must be at least 1", with("parallelism", json!(0))),
        ("spec.parallelism must be at least 1", with("parallelism", json!(-3))),
        ("spec.image is not", with("image", json!("weir 1"))),
        ("spec.image is not", with("image", json!("-weir"))),
        ("spec.state.root must be", with("state.root", json!("gs://bucket/x"))),
        ("spec.state.root must be", with("state.root", json!("s3://b"))),
        ("spec.state.root must be", with("state.root", json!("state"))),
        ("spec.state.root must be", with("state.root", json!("file://state"))),
        (
            "spec.state.adopt must be",
            with("state.adopt", json!("6F3A0C52-91d4-4d3e-8a1b-2c5e7f90ab12")),
        ),
        ("backoff.initial is longer", with("restart.backoff", json!({"initial": "2m"}))),
        ("nodeLostTimeout must be at least 15s", with("nodeLostTimeout", json!("14s"))),
        (
            "both value and valueFrom",
            with("workers.env", json!([{"name": "A", "value": "1", "valueFrom": {}}])),
        ),
        ("begins with WEIR_", with("workers.env", json!([{"name": "WEIR_POD_IP"}]))),
        ("exactly one of secretRef", with("workers.envFrom", json!([{"prefix": "A"}]))),
        (
            "exactly one of secretRef",
            with(
                "workers.envFrom",
                json!([{"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}]),
            ),
        ),
        ("named job, tmp or local", with("workers.volumes", json!([{"name": "tmp"}]))),
        ("not absolute", mounted("data")),
        ("folder that Weir itself mounts", mounted("/var/lib/weir")),
        ("does not have", with("workers.volumeMounts", mount("/data"))),
    ]
}

#[test]
fn every_rule_refuses_what_its_message_says_and_nothing_else() {
    for (words, job) in wrong() {
        let told = refusals(&job, None);
        assert!(told.len() == 1 && told[0].contains(words), "{words}: {told:#?}\nfor {job:#}");
    }
}

#[test]
fn every_rule_has_a_wrong_job() {
    let mut told: BTreeSet<String> = BTreeSet::new();
    for (_, job) in wrong() {
        told.extend(refusals(&job, None));
    }
    for rule in rules().iter().filter(|rule| rule.rule.contains("oldSelf")) {
        // Changes have a test of their own.
        told.insert(rule.message.clone());
    }
    let silent: Vec<_> = rules()
        .into_iter()
        .filter(|rule| !told.contains(&rule.message))
        // So have durations, field by field.
        .filter(|rule| {
            !rule.message.contains("is not a duration") && !rule.message.contains("8760h")
        })
        .collect();
    assert!(silent.is_empty(), "no job breaks {silent:#?}");
    assert!(rules().len() >= 15);
}

#[test]
fn good_jobs_break_no_rule() {
    let everything = with(
        "",
        json!({
            "sqlFrom": {"configMapKeyRef": {"name": "a", "key": "b"}},
            "image": "registry.example:5000/weir/weir@sha256:0123abc",
            "parallelism": 6,
            "maxParallelism": 6,
            "restartToken": "1",
            "state": {
                "root": "s3://my.bucket-1/pre fix/x",
                "adopt": "6f3a0c52-91d4-4d3e-8a1b-2c5e7f90ab12",
                "checkpoint": {"interval": "1h30m", "unhealthyAfter": "2h", "timeout": "250ms"},
            },
            "workers": {
                "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"x": 1}}],
                "envFrom": [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}],
                "volumes": [{"name": "v", "emptyDir": {}}],
                "volumeMounts": [{"name": "v", "mountPath": "/data"}],
            },
        }),
    );
    for job in [with("parallelism", json!(1)), everything, named(&"a".repeat(40)), named("a")] {
        assert_eq!(refusals(&job, None), Vec::<String>::new(), "{job:#}");
        assert_eq!(refusals(&job, Some(&job)), Vec::<String>::new(), "{job:#}");
    }
    for root in ["/data/state", "file:///data", "s3://bucket"] {
        assert_eq!(refusals(&with("state.root", json!(root)), None), Vec::<String>::new());
    }
}

#[test]
fn what_holds_state_together_cannot_be_changed() {
    let rooted = |root: &str| with("state.root", json!(root));
    let plain = with("parallelism", json!(1));
    for (old, new, words) in [
        (plain.clone(), with("maxParallelism", json!(64)), "spec.maxParallelism cannot be changed"),
        (rooted("s3://one/a"), rooted("s3://one/b"), "spec.state.root cannot be"),
        (plain.clone(), rooted("s3://one/b"), "spec.state.root cannot be"),
        (rooted("s3://one/a"), plain.clone(), "spec.state.root cannot be"),
    ] {
        let told = refusals(&new, Some(&old));
        assert!(told.len() == 1 && told[0].contains(words), "{words}: {told:#?}");
    }
    let edited = with("state.checkpoint.interval", json!("1s"));
    assert_eq!(refusals(&edited, Some(&plain)), Vec::<String>::new());
}

#[test]
fn a_message_names_its_field_and_the_way_out() {
    for rule in rules() {
        let field = if rule.at.is_empty() { "metadata.name" } else { rule.at.as_str() };
        assert!(rule.message.starts_with(field), "{field}: {}", rule.message);
        assert!(!rule.message.contains('\n') && rule.message.len() < 300, "{}", rule.message);
        let ways = [
            "choose",
            "write",
            "lower",
            "raise",
            "set ",
            "start a job",
            "must be",
            "keep",
            "make",
            "begin",
            "add it",
        ];
        assert!(ways.iter().any(|way| rule.message.contains(way)), "{}", rule.message);
    }
}

#[test]
fn rules_compile_and_stay_within_the_budget() {
    let compiled = compile_schema(&schema());
    assert!(!compiled.has_errors(), "{:#?}", compiled.compilation_errors());
    for rule in rules() {
        let warnings = analyze_rule(&rule.rule, &compiled, ScopeContext::CrdValidation);
        // The analysis warns early, and counts 1,000 items for each list within a list; an API
        // server refuses a rule above 10,000,000. (The variables of `all` and `exists` it takes
        // for unknown ones.)
        let cost = |message: &str| {
            let number = message.strip_prefix("estimated cost ").and_then(|m| m.split(' ').next());
            number.and_then(|number| number.parse::<u64>().ok()).unwrap_or(u64::MAX)
        };
        let grave: Vec<_> = warnings
            .iter()
            .filter(|warning| matches!(warning.kind, kube_cel::WarningKind::CostExceeded))
            .filter(|warning| cost(&warning.message) > 10_000_000)
            .collect();
        assert!(grave.is_empty(), "{grave:#?}");
    }
}

const DURATIONS: [&str; 9] = [
    "state.checkpoint.interval",
    "state.checkpoint.timeout",
    "state.checkpoint.unhealthyAfter",
    "upgrade.progressDeadline",
    "restart.backoff.initial",
    "restart.backoff.max",
    "restart.resetAfter",
    "nodeLostTimeout",
    "deletion.timeout",
];

#[test]
fn every_duration_field_refuses_what_is_none() {
    for path in DURATIONS {
        for text in ["", "10", "ten", "1m1h", "1m1m", "-1s", "1.5s", "10 s"] {
            let told = refusals(&with(path, json!(text)), None);
            let wanted = format!("spec.{path} is not a duration");
            assert!(told.len() == 1 && told[0].starts_with(&wanted), "{path} {text}: {told:#?}");
        }
        for text in ["1ms", "0s", "8761h", "99999h"] {
            let told = refusals(&with(path, json!(text)), None);
            let wanted = format!("spec.{path} must be at least 10ms");
            assert!(told.iter().any(|m| m.starts_with(&wanted)), "{path} {text}: {told:#?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A manifest that `weir run` takes is one that a cluster takes, as far as durations go.
    #[test]
    fn rule_and_reader_agree_about_durations(
        text in "([1-9][0-9]{0,3}h)?([1-9][0-9]{0,3}m)?([1-9][0-9]{0,4}s)?([1-9][0-9]{0,4}ms)?|[0-9hms ]{0,8}",
    ) {
        let ours = parse_duration(&text)
            .is_ok_and(|d| (limits::MIN_DURATION..=limits::MAX_DURATION).contains(&d));
        let theirs = refusals(&with("deletion.timeout", json!(text)), None).is_empty();
        // Digits beyond what any duration within the bounds has are refused by the rule alone.
        let padded = text.contains("00") || text.starts_with('0');
        prop_assert!(ours == theirs || padded, "{text}: reader {ours}, rule {theirs}");
    }
}

/// The manifest's reader has the rules from the definition, and evaluates them by itself.
#[test]
fn the_reader_refuses_what_the_rules_refuse_and_names_the_field() {
    let read = |job: &Value| StreamJob::from_yaml(&api_server::manifest(job), "job.yaml");
    for (words, job) in wrong() {
        // A local run keeps its state in any directory.
        if job["spec"]["state"]["root"] == "state" {
            assert!(read(&job).is_ok(), "{words}");
            continue;
        }
        let faults = read(&job).expect_err(words);
        assert_eq!(faults.len(), 1, "{words}: {faults:#?}");
        let told = refusals(&job, None).remove(0);
        let place = told.split(' ').next().unwrap_or_default();
        let related = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
        assert!(related(place, &faults[0].path), "{words}: {faults:#?}");
    }
}
