//! The definition that an API server has of `StreamJob`, to read manifests by.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::Regex;
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use super::cel::Expr;
use super::cel_parser;
use crate::{API_VERSION, limits, yaml};

/// As the chart installs it; a test holds it to the types.
const DEFINITION: &str = include_str!("../../../charts/weir/files/crds/streamjobs.yaml");

/// What may stand in one place.
///
/// A keyword that is not known here is an error: it would be a rule that is not kept.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Schema {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) properties: BTreeMap<String, Schema>,
    pub(super) required: Vec<String>,
    pub(super) additional_properties: Option<Box<Schema>>,
    pub(super) max_properties: Option<usize>,
    pub(super) items: Option<Box<Schema>>,
    pub(super) max_items: Option<usize>,
    #[serde(rename = "enum")]
    pub(super) choices: Vec<String>,
    #[serde(deserialize_with = "pattern")]
    pub(super) pattern: Option<Regex>,
    pub(super) min_length: Option<usize>,
    pub(super) max_length: Option<usize>,
    pub(super) minimum: Option<i64>,
    pub(super) maximum: Option<i64>,
    pub(super) default: Option<Json>,
    #[serde(rename = "x-kubernetes-validations")]
    pub(super) rules: Vec<Rule>,
    #[serde(rename = "x-kubernetes-list-type")]
    pub(super) list_type: ListType,
    #[serde(rename = "x-kubernetes-list-map-keys")]
    pub(super) list_map_keys: Vec<String>,
    #[serde(rename = "x-kubernetes-preserve-unknown-fields")]
    pub(super) open: bool,
    /// Also says what `anyOf` says.
    #[serde(rename = "x-kubernetes-int-or-string")]
    pub(super) number_or_text: bool,
    #[serde(rename = "anyOf")]
    _either: IgnoredAny,
    #[serde(rename = "description")]
    _description: IgnoredAny,
    #[serde(rename = "title")]
    _title: IgnoredAny,
    /// Whole numbers have bounds of their own.
    #[serde(rename = "format")]
    _format: IgnoredAny,
    #[serde(rename = "x-kubernetes-map-type")]
    _map_type: IgnoredAny,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    #[default]
    Object,
    Array,
    String,
    Integer,
    Boolean,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ListType {
    #[default]
    Atomic,
    Set,
    Map,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    /// None where it is about a change: only an API server knows what was there before.
    #[serde(deserialize_with = "expression")]
    pub(super) rule: Option<Expr>,
    pub(super) message: String,
}

fn pattern<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Regex>, D::Error> {
    Regex::new(&String::deserialize(from)?).map(Some).map_err(D::Error::custom)
}

fn expression<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Expr>, D::Error> {
    let text = String::deserialize(from)?;
    if text.contains("oldSelf") {
        return Ok(None);
    }
    cel_parser::parse(&text).map(Some).map_err(D::Error::custom)
}

/// The schema of a manifest: that of the definition, and of what every resource has.
pub(super) fn of_manifest() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| read(DEFINITION).expect("a test reads this very definition"))
}

fn read(definition: &str) -> Result<Schema, String> {
    let documents = yaml::documents(definition).map_err(|error| error.message)?;
    let definition = documents.first().map(yaml::Node::to_json).unwrap_or_default();
    let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    if let Some(fields) = schema["properties"].as_object_mut() {
        // Nobody writes a status.
        fields.remove("status");
    }
    schema["properties"]["metadata"] = metadata();
    schema["properties"]["apiVersion"] = json!({"type": "string", "enum": [API_VERSION]});
    schema["properties"]["kind"] = json!({"type": "string", "enum": ["StreamJob"]});
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    serde_json::from_value(schema).map_err(|error| error.to_string())
}

/// What an API server knows of every resource, as far as a manifest has it. (The name has rules in
/// the definition.)
fn metadata() -> Json {
    let texts = json!({
        "type": "object",
        "maxProperties": limits::LIST_LEN,
        "additionalProperties": {"type": "string"},
    });
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "namespace": {
                "type": "string",
                "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
                "maxLength": 63,
                "default": "default",
            },
            "labels": texts,
            "annotations": texts,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charts_definition_is_understood_whole() {
        read(DEFINITION).unwrap();
    }
}
