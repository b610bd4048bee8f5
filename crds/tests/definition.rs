//! The definition of `StreamJob` as an API server gets it.
#![allow(clippy::panic, reason = "a test's way to fail")]

use std::path::Path;

use kube_cel::apply_defaults;
use serde_json::{Value, json};
use weir_crds::StreamJobSpec;
use weir_crds::kube::{definition, definition_yaml};

fn schema() -> Value {
    let definition = definition().expect("paths of bounds and rules exist");
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Calls `look` with every schema below `at` and its path.
fn walk(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &format!("{path}.{name}"), look);
    }
    for (keyword, shown) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[keyword].is_object() {
            walk(&schema[keyword], &format!("{path}{shown}"), look);
        }
    }
}

#[test]
fn the_charts_definition_is_the_one_that_the_types_make() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/weir/files/crds/streamjobs.yaml");
    let made = definition_yaml().expect("a definition");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &made).expect("a file that can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("the chart's definition");
    assert!(
        committed == made,
        "the chart's definition is not what the types make; write it again as its first line says"
    );
}

#[test]
fn the_definition_is_small() {
    let made = definition_yaml().expect("a definition");
    assert!(made.len() < 100_000, "{} bytes", made.len());
}

#[test]
fn every_field_explains_itself() {
    let schema = schema();
    let mut silent = Vec::new();
    walk(&schema, "", &mut |path, field| {
        let described = field["description"].as_str().is_some_and(|text| text.ends_with('.'));
        // Items are described by their list; the root's other fields are Kubernetes' own.
        if !described && !path.is_empty() && !path.ends_with(['[', ']', '{', '}']) {
            silent.push(path.to_owned());
        }
    });
    silent.retain(|path| path != ".status");
    assert!(silent.is_empty(), "without a description: {silent:#?}");
}

#[test]
fn everything_below_spec_is_bounded() {
    let schema = schema();
    let mut unbounded = Vec::new();
    walk(&schema["properties"]["spec"], "spec", &mut |path, field| {
        let bounded = match field["type"].as_str() {
            Some("string") => !field["maxLength"].is_null() || !field["enum"].is_null(),
            Some("array") => !field["maxItems"].is_null(),
            Some("integer") => !field["maximum"].is_null() || path.ends_with("tolerationSeconds"),
            Some("object") if field["additionalProperties"].is_object() => {
                !field["maxProperties"].is_null()
            }
            _ => true,
        };
        if !bounded {
            unbounded.push(path.to_owned());
        }
    });
    assert!(unbounded.is_empty(), "without a bound: {unbounded:#?}");
}

#[test]
fn no_keyword_is_unknown_to_an_api_server() {
    let schema = schema();
    let known = [
        "title",
        "type",
        "description",
        "default",
        "enum",
        "format",
        "items",
        "properties",
        "required",
        "additionalProperties",
        "maxLength",
        "minLength",
        "maxItems",
        "maximum",
        "minimum",
        "maxProperties",
        "pattern",
        "anyOf",
        "x-kubernetes-validations",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
    ];
    let formats = ["int32", "int64", "date-time"];
    walk(&schema, "", &mut |path, field| {
        for keyword in field.as_object().into_iter().flatten().map(|(name, _)| name.as_str()) {
            assert!(known.contains(&keyword), "{path}: {keyword}");
        }
        let format = field["format"].as_str();
        assert!(format.is_none_or(|format| formats.contains(&format)), "{path}: {format:?}");
        // A structural schema says the type of everything that is not both text and number.
        let typed = field["type"].is_string() || field["x-kubernetes-int-or-string"] == true;
        assert!(typed, "{path} has no type");
    });
}

#[test]
fn an_api_server_fills_in_the_defaults_of_the_types() {
    let smallest = json!({"spec": {"sql": "SELECT 1"}});
    // Once for each level: defaults of objects are empty, their fields have their own.
    let filled = (0..4).fold(smallest, |job, _| apply_defaults(&schema(), &job));
    let ours = StreamJobSpec { sql: "SELECT 1".to_owned(), ..StreamJobSpec::default() };
    assert_eq!(filled["spec"], serde_json::to_value(ours).expect("plain values"));
}

#[test]
fn kubectl_shows_and_scales_a_job() {
    let definition = definition().expect("a definition");
    let version = &definition["spec"]["versions"][0];
    let columns: Vec<_> = version["additionalPrinterColumns"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|column| column["name"].as_str())
        .collect();
    assert_eq!(columns, ["State", "Ready", "Parallelism", "Restarts", "Last checkpoint", "Age"]);
    assert_eq!(
        version["subresources"],
        json!({
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.parallelism",
                "statusReplicasPath": ".status.workers.replicas",
                "labelSelectorPath": ".status.workers.selector",
            },
        })
    );
    let names = &definition["spec"]["names"];
    assert_eq!((&names["shortNames"], &names["plural"]), (&json!(["sj"]), &json!("streamjobs")));
}
