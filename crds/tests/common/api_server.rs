//! What an API server makes of a job: defaults first, then the rules in CEL.

use std::sync::OnceLock;

use kube_cel::{RootContext, Validator, apply_defaults};
use serde_json::{Value, json};
use weir_crds::kube::definition;

pub(crate) fn schema() -> Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let make = || {
        let definition = definition().expect("paths of bounds and rules exist");
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    };
    SCHEMA.get_or_init(make).clone()
}

/// The messages with which an API server refuses `object`, or its change from `old`.
pub(crate) fn refusals(object: &Value, old: Option<&Value>) -> Vec<String> {
    let context = RootContext {
        api_version: "weir.dev/v1alpha1".to_owned(),
        api_group: "weir.dev".to_owned(),
        kind: "StreamJob".to_owned(),
    };
    let schema = schema();
    let (object, old) = (fill(&schema, object), old.map(|old| fill(&schema, old)));
    match Validator::new().validate_with_context(&schema, &object, old.as_ref(), Some(&context)) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().into_iter().map(|error| error.message).collect(),
    }
}

/// Fills in defaults as an API server does: also those of an object that is a default itself.
fn fill(schema: &Value, object: &Value) -> Value {
    let mut filled = object.clone();
    loop {
        let more = apply_defaults(schema, &filled);
        if more == filled {
            return filled;
        }
        filled = more;
    }
}

/// The job as a manifest: JSON is YAML.
pub(crate) fn manifest(job: &Value) -> String {
    let manifest = json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "StreamJob",
        "metadata": job["metadata"],
        "spec": job["spec"],
    });
    manifest.to_string()
}
