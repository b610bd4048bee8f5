//! JSON schemas of the cluster's own kinds, one file each, from the API server's OpenAPI: what it
//! would take is what a manifest is compared with, and no download is needed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use weir_e2e::testbed::cluster::Kubectl;

/// The groups that the chart uses.
const GROUPS: [&str; 8] = [
    "api/v1",
    "apis/apps/v1",
    "apis/batch/v1",
    "apis/policy/v1",
    "apis/networking.k8s.io/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/apiextensions.k8s.io/v1",
    "apis/coordination.k8s.io/v1",
];

/// Writes `KIND-GROUP-VERSION.json` for every kind, in lower case as kubeconform looks for them.
pub(super) fn write(kubectl: &Kubectl, folder: &Path) -> Result<()> {
    let mut count = 0;
    for group in GROUPS {
        let text = kubectl.run(&["get", "--raw", &format!("/openapi/v3/{group}")])?;
        let mut document: Value = serde_json::from_str(&text)?;
        let mut components = document["components"]["schemas"].take();
        let schemas = components.as_object_mut().context("schemas")?;
        schemas.values_mut().for_each(close);
        for (name, kind) in kinds(schemas) {
            let schema = json!({"$ref": format!("#/components/schemas/{name}"),
                "components": {"schemas": schemas}});
            fs::write(folder.join(format!("{kind}.json")), schema.to_string())?;
            count += 1;
        }
    }
    ensure!(count > 30, "only {count} schemas");
    Ok(())
}

/// Every kind: the name of its schema and that of its file.
fn kinds(schemas: &Map<String, Value>) -> Vec<(String, String)> {
    let mut kinds = Vec::new();
    for (name, schema) in schemas {
        let known = schema["x-kubernetes-group-version-kind"].as_array();
        for known in known.into_iter().flatten() {
            let word = |field: &str| known[field].as_str().unwrap_or_default().to_lowercase();
            let version = word("version");
            // kubeconform takes the group to be what stands before the slash of an apiVersion.
            let group = if word("group").is_empty() { version.clone() } else { word("group") };
            // Options of requests belong to all groups, and are no manifests.
            if !word("kind").ends_with("options") {
                kinds.push((name.clone(), format!("{}-{group}-{version}", word("kind"))));
            }
        }
    }
    kinds
}

/// Fields that are not listed are mistakes.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_open = fields.contains_key("additionalProperties")
                || fields.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
            if fields.get("properties").is_some_and(Value::is_object)
                && fields.get("type") == Some(&json!("object"))
                && !is_open
            {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
