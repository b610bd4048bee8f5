//! The `CustomResourceDefinition`: what the derive makes of the types, with bounds, list types,
//! Kubernetes' own types in short, and the rules.
//!
//! - **In**: the types of `spec` and `status` with their comments and defaults.
//! - **Out**: a structural schema that an API server accepts within its budget for rules.
//! - **Always**: every text, list and map below `spec` has a bound; objects default to `{}`, so
//!   that each field's own default is the one place of its value.

use serde_json::{Map, Value, json};

use crate::duration::DURATIONS;
use crate::limits;
use crate::rules::{Rule, rules};

/// The definition could not be made: a path names no field of the types.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A bound or rule is for a field that the types do not have.
    #[error("the schema of StreamJob has no field {0}; correct the path of its bound or rule")]
    NoSuchField(String),
    /// The definition has no form as JSON or YAML.
    #[error("writing the definition of StreamJob: {0}")]
    Write(String),
}

/// The definition as YAML, with a comment on its origin.
///
/// # Errors
/// See [`SchemaError`]; tests make sure that there is none.
pub fn definition_yaml() -> Result<String, SchemaError> {
    let text = serde_yaml_ng::to_string(&definition()?)
        .map_err(|error| SchemaError::Write(error.to_string()))?;
    Ok(format!(
        "# Generated from the types in crds/; do not edit.\n\
         # cargo run -p weir-crds --features kube --bin weir-crd > charts/weir/files/crds/streamjobs.yaml\n\
         {text}"
    ))
}

/// The definition.
///
/// # Errors
/// See [`SchemaError`]; tests make sure that there is none.
pub fn definition() -> Result<Value, SchemaError> {
    let derived = <crate::kube::StreamJob as kube::CustomResourceExt>::crd();
    let mut definition =
        serde_json::to_value(derived).map_err(|error| SchemaError::Write(error.to_string()))?;
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    tidy(schema);
    // A status says what is known; what nobody has said must not be filled in. That nobody has said
    // anything yet is filled in: to tools that wait for a job, one without a status would be well.
    if let Some(status) = schema.pointer_mut("/properties/status") {
        forget_defaults(status);
        status["default"] = json!({"observedGeneration": -1});
    }
    describe_foreign_types(schema)?;
    bound(schema)?;
    for rule in rules() {
        add_rule(schema, &rule)?;
    }
    Ok(definition)
}

/// Takes out what an API server does not know or does better without.
fn tidy(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        if let Value::Array(items) = schema {
            items.iter_mut().for_each(tidy);
        }
        return;
    };
    // A null is dropped before defaults are filled in, which is what its author means.
    fields.remove("nullable");
    match fields.get("format").and_then(Value::as_str) {
        Some("uint32" | "uint16" | "uint8") => {
            fields.insert("format".to_owned(), "int32".into());
        }
        Some("uint64" | "uint") => {
            fields.insert("format".to_owned(), "int64".into());
        }
        _ => {}
    }
    // Comments are wrapped for those who read the source.
    if let Some(Value::String(description)) = fields.get_mut("description") {
        let paragraphs: Vec<String> =
            description.split("\n\n").map(|text| text.replace('\n', " ")).collect();
        *description = paragraphs.join("\n\n");
    }
    if fields.get("default").is_some_and(Value::is_object) {
        fields.insert("default".to_owned(), json!({}));
    }
    for (name, value) in fields.iter_mut() {
        match value {
            // The names in here are fields of users, not keywords.
            Value::Object(properties) if name == "properties" => {
                properties.values_mut().for_each(tidy);
            }
            value if name != "default" && name != "enum" => tidy(value),
            _ => {}
        }
    }
}

fn forget_defaults(schema: &mut Value) {
    if let Value::Object(fields) = schema {
        fields.remove("default");
        for name in ["properties", "items"] {
            match fields.get_mut(name) {
                Some(Value::Object(properties)) if name == "properties" => {
                    properties.values_mut().for_each(forget_defaults);
                }
                Some(items) => forget_defaults(items),
                None => {}
            }
        }
    }
}

/// The schema of a field.
fn field<'s>(schema: &'s mut Value, path: &str) -> Result<&'s mut Map<String, Value>, SchemaError> {
    let missing = || SchemaError::NoSuchField(path.to_owned());
    let mut at = schema;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        at = match name {
            "[]" => at.get_mut("items"),
            "{}" => at.get_mut("additionalProperties"),
            name => at.get_mut("properties").and_then(|properties| properties.get_mut(name)),
        }
        .ok_or_else(missing)?;
    }
    at.as_object_mut().ok_or_else(missing)
}

fn set(schema: &mut Value, path: &str, keywords: Value) -> Result<(), SchemaError> {
    let field = field(schema, path)?;
    if let Value::Object(keywords) = keywords {
        field.extend(keywords);
    }
    Ok(())
}

fn add_rule(schema: &mut Value, rule: &Rule) -> Result<(), SchemaError> {
    let mut entry = json!({"rule": rule.rule, "message": rule.message});
    if let Some(field) = rule.field {
        entry["fieldPath"] = field.into();
    }
    let field = field(schema, &rule.at)?;
    let listed = field.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Value::Array(listed) = listed {
        listed.push(entry);
    }
    Ok(())
}

fn bound(schema: &mut Value) -> Result<(), SchemaError> {
    let text = |least: usize, most: usize| json!({"minLength": least, "maxLength": most});
    let name = text(1, limits::OBJECT_NAME_LEN);
    set(schema, "spec.sql", text(1, limits::SQL_BYTES))?;
    set(schema, "spec.sqlFrom.configMapKeyRef.name", name.clone())?;
    set(schema, "spec.sqlFrom.configMapKeyRef.key", name.clone())?;
    set(schema, "spec.image", text(1, limits::IMAGE_LEN))?;
    // Too low has a rule, whose message says what to do instead.
    field(schema, "spec.parallelism")?.remove("minimum");
    let most = limits::MAX_PARALLELISM;
    set(schema, "spec.parallelism", json!({"maximum": most}))?;
    set(schema, "spec.maxParallelism", json!({"minimum": 1, "maximum": most}))?;
    set(schema, "spec.restartToken", text(1, limits::TEXT_LEN))?;
    set(schema, "spec.state.root", text(1, limits::ROOT_LEN))?;
    set(schema, "spec.state.adopt", text(36, 36))?;
    let retained = json!({"minimum": 1, "maximum": limits::MAX_RETAINED});
    set(schema, "spec.state.checkpoint.retained", retained)?;
    let names = json!({"maxItems": limits::LIST_LEN, "x-kubernetes-list-type": "set"});
    set(schema, "spec.state.allowDroppedState", names)?;
    set(schema, "spec.state.allowDroppedState.[]", text(1, limits::TEXT_LEN))?;
    set(schema, "spec.workers.serviceAccountName", name)?;
    let budget = json!({"minimum": 0, "maximum": most});
    set(schema, "spec.workers.disruptionBudget.maxUnavailable", budget)?;
    for path in DURATIONS {
        set(schema, &format!("spec.{path}"), json!({"maxLength": 40}))?;
    }
    let by_type = json!({
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    });
    set(schema, "status.conditions", by_type)?;
    Ok(())
}

/// Kubernetes' own types: enough for messages at once, the rest is left to the pod's own checks.
/// Their whole schemas would be several times as long as all of ours.
fn describe_foreign_types(schema: &mut Value) -> Result<(), SchemaError> {
    let text =
        |most: u32, text: &str| json!({"type": "string", "maxLength": most, "description": text});
    let any = |text: &str| {
        json!({
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
            "description": text,
        })
    };
    let by = |key: &str, most: u32, items: Value| {
        json!({
            "type": "array",
            "maxItems": most,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": [key],
            "items": items,
        })
    };
    let quantities = |text: &str| {
        json!({
            "type": "object",
            "maxProperties": 32,
            "description": text,
            "additionalProperties": {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "x-kubernetes-int-or-string": true,
                "pattern": "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$",
            },
        })
    };
    let reference = |text: &str| {
        json!({
            "type": "object",
            "required": ["name"],
            "description": text,
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 253, "description": "Its name, in the job's namespace."},
                "optional": {"type": "boolean", "description": "Whether it may be missing."},
            },
        })
    };
    let resources = json!({
        "type": "object",
        "properties": {
            "requests": quantities("What is set aside for each worker, such as cpu: 500m and memory: 1Gi."),
            "limits": quantities("What each worker may use at most. Memory pools are shares of the memory limit."),
        },
    });
    let env = json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 256, "description": "Name of the variable."},
            "value": text(32_768, "Its value."),
            "valueFrom": any("Where its value comes from, as in a pod: secretKeyRef, configMapKeyRef, fieldRef or resourceFieldRef."),
        },
    });
    let env_from = json!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "properties": {
                "prefix": text(256, "Stands before each name."),
                "secretRef": reference("The Secret."),
                "configMapRef": reference("The ConfigMap."),
            },
        },
    });
    let volume = json!({
        "type": "object",
        "required": ["name"],
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 63, "description": "Name of the volume."}},
    });
    let mount = json!({
        "type": "object",
        "required": ["name", "mountPath"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 63, "description": "Name of the volume."},
            "mountPath": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "The folder in which it is seen."},
            "subPath": text(1024, "The part of the volume that is seen."),
            "readOnly": {"type": "boolean", "description": "Whether the workers may only read it."},
        },
    });
    let toleration = json!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "properties": {
                "key": text(316, "Key of the taint; empty for all keys."),
                "operator": {"type": "string", "enum": ["Exists", "Equal"], "description": "Exists, or Equal to value."},
                "value": text(63, "Value of the taint."),
                "effect": {"type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"], "description": "Effect of the taint; without it all effects."},
                "tolerationSeconds": {"type": "integer", "format": "int64", "description": "How long a NoExecute taint is accepted; without it for ever."},
            },
        },
    });
    let pod_template = json!({
        "type": "object",
        "properties": {
            "metadata": any("Labels and annotations of the pods."),
            "spec": any("As in a pod."),
        },
    });
    let selector = json!({
        "type": "object",
        "maxProperties": 64,
        "x-kubernetes-map-type": "atomic",
        "additionalProperties": {"type": "string", "maxLength": 63},
    });
    for (field_name, described) in [
        ("resources", resources),
        ("env", by("name", 256, env)),
        ("envFrom", env_from),
        ("volumes", by("name", 64, volume)),
        ("volumeMounts", by("mountPath", 64, mount)),
        ("tolerations", toleration),
        ("podTemplate", pod_template),
        ("nodeSelector", selector),
    ] {
        let described_at = field(schema, &format!("spec.workers.{field_name}"))?;
        let description = described_at.get("description").cloned();
        described_at.clear();
        if let Some(description) = description {
            described_at.insert("description".to_owned(), description);
        }
        set(schema, &format!("spec.workers.{field_name}"), described)?;
    }
    Ok(())
}
