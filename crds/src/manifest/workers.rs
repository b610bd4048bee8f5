//! `spec.workers`: what the pods look like. Only Kubernetes reads it, so only its shape is checked;
//! what stands inside Kubernetes' own types is checked by whoever builds pods.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::spec::bounded_text;
use super::text_map;
use crate::fields::{Faults, Field, or_default};
use crate::limits;
use crate::spec::{DisruptionBudget, Workers};
use crate::yaml::Value;

const KNOWN: [&str; 10] = [
    "resources",
    "serviceAccountName",
    "env",
    "envFrom",
    "volumes",
    "volumeMounts",
    "nodeSelector",
    "tolerations",
    "podTemplate",
    "disruptionBudget",
];

pub(super) fn read_workers(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Workers> {
    let fields = faults.fields(field.node, field.line, &field.path, &KNOWN)?;
    let resources = match fields.get("resources") {
        Some(field) => object(&field, faults, "requests: {memory: 2Gi}").map(Some),
        None => Some(None),
    };
    let service_account_name = match fields.get("serviceAccountName") {
        Some(field) => bounded_text(&field, faults, limits::OBJECT_NAME_LEN).map(Some),
        None => Some(None),
    };
    let mut list = |name, key, example| match fields.get(name) {
        Some(field) => objects(&field, faults, key, example),
        None => Some(Vec::new()),
    };
    let env = list("env", Some("name"), "[{name: LEVEL, value: debug}]");
    let env_from = list("envFrom", None, "[{secretRef: {name: weir-s3}}]");
    let volumes = list("volumes", Some("name"), "[{name: certificates, secret: {…}}]");
    let volume_mounts =
        list("volumeMounts", Some("name"), "[{name: certificates, mountPath: /certificates}]");
    let tolerations = list("tolerations", None, "[{key: dedicated, operator: Exists}]");
    let node_selector = match fields.get("nodeSelector") {
        Some(field) => text_map(&field, faults),
        None => BTreeMap::new(),
    };
    let pod_template = match fields.get("podTemplate") {
        Some(field) => object(&field, faults, "spec: {affinity: {…}}").map(Some),
        None => Some(None),
    };
    let disruption_budget =
        or_default(fields.get("disruptionBudget"), DisruptionBudget::default(), |f| {
            read_budget(f, faults)
        });
    Some(Workers {
        resources: resources?,
        service_account_name: service_account_name?,
        env: env?,
        env_from: env_from?,
        volumes: volumes?,
        volume_mounts: volume_mounts?,
        node_selector,
        tolerations: tolerations?,
        pod_template: pod_template?,
        disruption_budget: disruption_budget?,
    })
}

fn read_budget(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<DisruptionBudget> {
    let fields = faults.fields(field.node, field.line, &field.path, &["maxUnavailable"])?;
    let default = DisruptionBudget::default().max_unavailable;
    let max_unavailable = or_default(fields.get("maxUnavailable"), default, |f| {
        faults.integer_within(f, 0, limits::MAX_PARALLELISM)
    });
    Some(DisruptionBudget { max_unavailable: max_unavailable? })
}

fn object(field: &Field<'_>, faults: &mut Faults<'_>, example: &str) -> Option<Json> {
    let Value::Mapping(_) = &field.node.value else {
        faults.expected(field, &format!("a mapping such as '{example}'"));
        return None;
    };
    Some(field.node.to_json())
}

/// A list of mappings, each with the key that tells it from the others, if there is one.
fn objects(
    field: &Field<'_>,
    faults: &mut Faults<'_>,
    key: Option<&str>,
    example: &str,
) -> Option<Vec<Json>> {
    let items = faults.list(field, example)?;
    let mut read = Vec::new();
    for item in &items {
        let Value::Mapping(entries) = &item.node.value else {
            faults.expected(item, &format!("a mapping as in {example}"));
            continue;
        };
        if let Some(key) = key
            && !entries.iter().any(|(known, _)| known.name == key)
        {
            let message = format!("is missing; write it as in {example}");
            faults.add(item.line, &format!("{}.{key}", item.path), message);
            continue;
        }
        read.push(item.node.to_json());
    }
    (read.len() == items.len()).then_some(read)
}
