//! What the definition says, the manifest's reader keeps: every keyword of the schema is broken
//! once, and every rule is asked about many jobs by the reader and by another implementation of CEL.
#![allow(clippy::panic, reason = "a test's way to fail")]

#[path = "common/api_server.rs"]
mod api_server;

use api_server::{manifest, refusals, schema};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use weir_crds::{ManifestError, StreamJob};

fn read(job: &Value) -> Result<StreamJob, Vec<ManifestError>> {
    StreamJob::from_yaml(&manifest(job), "job.yaml")
}

/// Calls `look` with every schema below `at` and the way to it.
fn walk(schema: &Value, way: &[&str], look: &mut impl FnMut(&[&str], &Value)) {
    look(way, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &[way, &[name]].concat(), look);
    }
    for (keyword, step) in [("items", "0"), ("additionalProperties", "a")] {
        if schema[keyword].is_object() {
            walk(&schema[keyword], &[way, &[step]].concat(), look);
        }
    }
}

/// A value that may stand there.
fn good(way: &[&str], schema: &Value) -> Value {
    let sample = match way.last().copied().unwrap_or_default() {
        "root" | "mountPath" => Some("/data"),
        "adopt" => Some("6f3a0c52-91d4-4d3e-8a1b-2c5e7f90ab12"),
        _ if schema["x-kubernetes-validations"].to_string().contains("is not a duration") => {
            Some(if way.ends_with(&["max"]) { "2m" } else { "15s" })
        }
        _ => schema["enum"][0].as_str(),
    };
    match schema["type"].as_str() {
        Some("string") => sample.unwrap_or("a").into(),
        Some("array") => json!([good(&[way, &["0"]].concat(), &schema["items"])]),
        Some("boolean") => true.into(),
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten();
            required
                .filter_map(Value::as_str)
                .map(|name| {
                    let field = &schema["properties"][name];
                    (name.to_owned(), good(&[way, &[name]].concat(), field))
                })
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        _ => 1.into(),
    }
}

/// A job with `value` at `way`, and around it what belongs there.
fn job(way: &[&str], value: Value) -> Value {
    let whole = schema();
    let mut job = json!({"metadata": {"name": "job"}, "spec": {"sql": "SELECT 1"}});
    if way.starts_with(&["spec", "workers", "volumeMounts"]) {
        job["spec"]["workers"] = json!({"volumes": [{"name": "a"}]});
    }
    let (mut at, mut here) = (&mut job, &whole);
    for (depth, step) in way.iter().enumerate() {
        let to = &way[..=depth];
        here = match *step {
            "0" => &here["items"],
            name if here["properties"][name].is_object() => &here["properties"][name],
            _ => &here["additionalProperties"],
        };
        at = match at {
            Value::Array(items) => &mut items[0],
            fields => &mut fields[*step],
        };
        if at.is_null() {
            *at = good(to, here);
        }
        if to == ["spec", "workers", "envFrom", "0"] && way.get(4) != Some(&"configMapRef") {
            *at = json!({"secretRef": {"name": "a"}});
        }
    }
    *at = value;
    job
}

/// The way as a fault names it.
fn path(way: &[&str]) -> String {
    let mut path = String::new();
    for step in way {
        match *step {
            "0" => path.push_str("[0]"),
            name if path.is_empty() => path.push_str(name),
            name => path.push_str(&format!(".{name}")),
        }
    }
    path
}

/// Values that break one keyword of `schema` each, with the field at fault below it.
fn broken(way: &[&str], schema: &Value) -> Vec<(&'static str, Value, String)> {
    let mut broken = Vec::new();
    let mut add =
        |keyword, value: Value, below: &str| broken.push((keyword, value, below.to_owned()));
    let another = match schema["type"].as_str() {
        Some("string") => json!(7),
        Some("integer") => json!("x"),
        Some("boolean") => json!("maybe"),
        Some("array") => json!({}),
        Some("object") => json!([]),
        _ => json!(true),
    };
    add("type", another, "");
    let number = |keyword: &str| schema[keyword].as_i64();
    let length = |keyword: &str| schema[keyword].as_u64().map(|length| length as usize);
    if schema["enum"].is_array() {
        add("enum", json!("Nonsense"), "");
    }
    if schema["pattern"].is_string() {
        add("pattern", json!("one"), "");
    }
    if let Some(least) = length("minLength") {
        add("minLength", json!("a".repeat(least - 1)), "");
    }
    if let Some(most) = length("maxLength") {
        add("maxLength", json!("a".repeat(most + 1)), "");
        // Characters count, not bytes.
        add("maxLength", json!("é".repeat(most + 1)), "");
    }
    if let Some(least) = number("minimum") {
        add("minimum", json!(least - 1), "");
    }
    if let Some(most) = number("maximum") {
        add("maximum", json!(most + 1), "");
    }
    if let Some(most) = length("maxItems") {
        add("maxItems", json!(vec![good(way, schema)[0].clone(); most + 1]), "");
    }
    if let Some(most) = length("maxProperties") {
        let value = good(&[way, &["a"]].concat(), &schema["additionalProperties"]);
        let fields = (0..=most).map(|i| (format!("k{i}"), value.clone()));
        add("maxProperties", Value::Object(fields.collect()), "");
    }
    if ["set", "map"].iter().any(|kind| schema["x-kubernetes-list-type"] == *kind) {
        add("x-kubernetes-list-type", json!(vec![good(way, schema)[0].clone(); 2]), "[1]");
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let mut value = good(way, schema);
        value[name] = Value::Null;
        add("required", value, &format!(".{name}"));
    }
    if schema["properties"].is_object() && schema["x-kubernetes-preserve-unknown-fields"] != true {
        let mut value = good(way, schema);
        value["zzz"] = json!(1);
        add("properties", value, ".zzz");
    }
    broken
}

#[test]
fn every_keyword_of_the_definition_is_kept_by_the_reader() {
    let mut told = 0;
    let spec = &schema()["properties"]["spec"];
    walk(spec, &["spec"], &mut |way, schema| {
        for (keyword, value, below) in broken(way, schema) {
            let wrong = if way == ["spec"] {
                let mut wrong = job(&["spec", "sql"], json!("SELECT 1"));
                match value {
                    Value::Object(fields) => wrong["spec"]["zzz"] = fields["zzz"].clone(),
                    other => wrong["spec"] = other,
                }
                wrong
            } else {
                job(way, value)
            };
            let place = format!("{}{below}", path(way));
            let faults = read(&wrong).expect_err(&format!("{keyword} of {place}: {wrong}"));
            assert!(
                faults.iter().any(|fault| fault.path == place),
                "{keyword} of {place}: {faults:#?}\nfor {wrong}"
            );
            told += 1;
        }
    });
    assert!(told > 200, "{told}");
}

#[test]
fn what_is_just_within_the_definition_is_taken_where_no_rule_refuses_it() {
    let spec = &schema()["properties"]["spec"];
    let mut taken = 0;
    walk(spec, &["spec"], &mut |way, schema| {
        if way.len() == 1 || way.contains(&"sqlFrom") {
            return;
        }
        let text = |length: &Value| length.as_u64().map(|it| json!("é".repeat(it as usize)));
        let edges = [
            Some(good(way, schema)),
            text(&schema["minLength"]),
            text(&schema["maxLength"]),
            schema["minimum"].as_i64().map(Value::from),
            schema["maximum"].as_i64().map(Value::from),
        ];
        for value in edges.into_iter().flatten() {
            // No word is a choice; a local run keeps its state in any directory.
            let other = !schema["enum"].is_null() || way.ends_with(&["root"]);
            if other && value.as_str().is_some_and(|text| text.contains('é')) {
                continue;
            }
            let job = job(way, value);
            let (ours, theirs) = (read(&job), refusals(&job, None));
            assert_eq!(ours.is_ok(), theirs.is_empty(), "{job}: {ours:#?} {theirs:#?}");
            taken += usize::from(ours.is_ok());
        }
    });
    assert!(taken > 100, "{taken}");
}

/// Mostly what is taken, so that each rule is also broken alone.
fn mostly<T: std::fmt::Debug>(
    good: impl Strategy<Value = T> + 'static,
    any: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![5 => good, 1 => any]
}

fn duration(good: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    let edges = ["10ms", "9ms", "15s", "14999ms", "8760h", "8760h1ms", "1m", "60s", "0s"];
    let any = prop_oneof![
        "([1-9][0-9]{0,2}h)?([1-9][0-9]?m)?([1-9][0-9]?s)?([1-9][0-9]{0,3}ms)?",
        "[0-9hms. -]{0,6}",
        select(edges.to_vec()).prop_map(str::to_owned),
    ];
    option::of(mostly(select(good).prop_map(str::to_owned), any))
}

fn variables() -> impl Strategy<Value = Vec<Value>> {
    let good = vec![json!({"value": "1"}), json!({"valueFrom": {}}), json!({})];
    let entry = mostly(select(good), Just(json!({"value": "", "valueFrom": {"a": 1}})));
    let name = mostly(select(vec!["A", "WEIR", "weir_a"]), Just("WEIR_A"));
    btree_map(name, entry, 0..3).prop_map(|entries| {
        let named = |(name, mut entry): (&str, Value)| {
            entry["name"] = name.into();
            entry
        };
        entries.into_iter().map(named).collect()
    })
}

fn variables_from() -> impl Strategy<Value = Vec<Value>> {
    let (secret, config) = (json!({"name": "a"}), json!({"name": "b"}));
    let both = json!({"secretRef": secret, "configMapRef": config});
    let good = vec![json!({"secretRef": secret}), json!({"configMapRef": config, "prefix": "b"})];
    vec(mostly(select(good), select(vec![both, json!({})])), 0..3)
}

fn volumes() -> impl Strategy<Value = Option<Vec<Value>>> {
    let any = subsequence(vec!["a", "b", "job", "tmp", "local", "tmp2"], 0..3);
    option::of(mostly(Just(vec!["a", "b", "tmp2"]), any)).prop_map(|names| {
        let volume = |name: &str| json!({ "name": name });
        names.map(|names| names.into_iter().map(volume).collect())
    })
}

fn mounts() -> impl Strategy<Value = Option<Vec<Value>>> {
    let covered = vec!["/", "/tmp", "data", "/etc/weir", "/var/lib/weir"];
    let path = mostly(select(vec!["/tmp/", "/data", "/etc/weir2"]), select(covered));
    let name = mostly(select(vec!["a", "b"]), Just("c"));
    option::weighted(0.3, btree_map(path, name, 0..3)).prop_map(|mounts| {
        let mount = |(path, name): (&str, &str)| json!({"name": name, "mountPath": path});
        mounts.map(|mounts| mounts.into_iter().map(mount).collect())
    })
}

/// A job whose shape is right, and whose values may break any rule.
fn any_job() -> impl Strategy<Value = Value> {
    let name =
        mostly("[a-z][a-z0-9-]{0,8}[a-z0-9]", prop_oneof!["[a-zA-Z0-9.-]{1,4}", "[a-z]{39,42}"]);
    let widths = mostly((1..5i64, 4..9i64), (-1..9i64, 1..9i64));
    let roots = vec![
        "s3://",
        "s3://ab",
        "s3://abc/",
        "s3://ABC/x",
        "s3://-abc",
        "s4://abc",
        "file://a",
        "x://y",
    ];
    let good = vec!["/", "/a", "s3://abc", "s3://a.b-c/d e", "file:///a"];
    let root = option::of(mostly(select(good), select(roots)));
    let image = option::of(mostly("[a-z0-9][a-z0-9._/:@-]{0,6}", "[ -~]{1,3}"));
    let pods = (variables(), variables_from(), volumes(), mounts());
    let backoff = (duration(&["1s", "250ms", "1m"]), duration(&["1m", "2m", "60s"]));
    let times = (duration(&["15s", "1h30m"]), duration(&["10ms", "8760h"]));
    ((name, image), widths, root, pods, backoff, times).prop_map(
        |((name, image), widths, root, pods, backoff, times)| {
            let mut job = json!({
                "metadata": {"name": name},
                "spec": {
                    "sql": "SELECT 1",
                    "parallelism": widths.0,
                    "maxParallelism": widths.1,
                    "image": image,
                    "state": {"root": root, "checkpoint": {"interval": times.1}},
                    "restart": {"backoff": {"initial": backoff.0, "max": backoff.1}},
                    "nodeLostTimeout": times.0,
                    "workers": {
                        "env": pods.0,
                        "envFrom": pods.1,
                        "volumes": pods.2,
                        "volumeMounts": pods.3,
                    },
                },
            });
            drop_nulls(&mut job);
            job
        },
    )
}

fn drop_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

/// The field that a refusal of the API server is about.
fn place(message: &str) -> &str {
    message.split(' ').next().unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn reader_and_api_server_ask_the_rules_alike(job in any_job()) {
        let theirs = refusals(&job, None);
        let ours = read(&job).err().unwrap_or_default();
        prop_assert_eq!(ours.is_empty(), theirs.is_empty(), "{}: {:#?} {:#?}", job, ours, theirs);
        for message in &theirs {
            let at = place(message);
            let related = |fault: &ManifestError| at.starts_with(&fault.path) || fault.path.starts_with(at);
            prop_assert!(ours.iter().any(related), "{}: {} {:#?}", job, message, ours);
        }
        for fault in &ours {
            let related = |message: &String| place(message).starts_with(&fault.path) || fault.path.starts_with(place(message));
            prop_assert!(theirs.iter().any(related), "{}: {} {:#?}", job, fault, theirs);
        }
    }
}
