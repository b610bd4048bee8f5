//! Better words than a schema has: what was found, why it is wrong, what to write instead.
//!
//! Nothing here decides whether a value is taken; what has no words here is told in those of the
//! schema or of its rule.

use serde_json::Value as Json;

use super::schema::Schema;
use crate::duration::{DURATIONS, format_duration, parse_duration};
use crate::limits;
use crate::yaml::{Node, shorten};

/// What is said of `value` at `path`, which is out of its bounds or breaks a rule, and the field
/// it is said of. `root` is the manifest, `tree` what could be read of it.
pub(super) fn better(
    path: &str,
    value: &Json,
    root: &Node,
    tree: &Json,
) -> Option<(String, String)> {
    let spec = &tree["spec"];
    let text = value.as_str().unwrap_or_default();
    let message = match path {
        "metadata.name" => label(text, limits::NAME_LEN, true),
        "metadata.namespace" => label(text, 63, false),
        "spec" if spec.get("sql").is_none() => {
            let what = match root.at("spec").and_then(|spec| spec.at("sql")) {
                Some(_) => "is empty",
                None => "is missing",
            };
            return Some(("spec.sql".to_owned(), format!("{what}; {}", what_belongs("spec.sql"))));
        }
        "spec" => {
            let message = "sql and sqlFrom are both given; keep one";
            return Some(("spec.sqlFrom".to_owned(), message.to_owned()));
        }
        "spec.sql" if text.is_empty() => {
            "is empty; a job needs at least one INSERT INTO".to_owned()
        }
        "spec.sql" => format!("{} bytes; at most {}", text.len(), limits::SQL_BYTES),
        "spec.parallelism" => {
            let max = spec["maxParallelism"].as_i64().unwrap_or(limits::MAX_PARALLELISM.into());
            match value.as_i64()? {
                0 => "0 would do no work; parallelism is at least 1; to pause the job write desiredState: Suspended".to_owned(),
                n if n < 0 => format!("{n} is below 1; parallelism can be 1 to {max} for this job"),
                n => format!("{n} is above maxParallelism {max}; parallelism can be 1 to {max} for this job"),
            }
        }
        "spec.state.root" => match text.split_once("://") {
            _ if text.trim().is_empty() => {
                "is empty; write a directory or s3://bucket/prefix".to_owned()
            }
            Some(("file", _)) => {
                format!("'{text}' is not an absolute path; write file:///path or just the path")
            }
            Some(("s3", rest)) if rest.split('/').next().is_some_and(|it| it.len() < 3) => format!(
                "'{text}' names no bucket of at least 3 characters; write s3://bucket/prefix"
            ),
            Some((scheme, _)) if scheme != "s3" => format!(
                "stores of the kind '{scheme}://' are not supported; write a directory or s3://bucket/prefix"
            ),
            _ => return None,
        },
        "spec.state.adopt" => format!(
            "'{}' is not a UID; write the deleted job's metadata.uid, such as 6f3a0c52-91d4-4d3e-8a1b-2c5e7f90ab12",
            shorten(text)
        ),
        "spec.restart.backoff.initial" if duration(path, text).is_none() => {
            let backoff = &spec["restart"]["backoff"];
            let shown = |name: &str| {
                backoff[name]
                    .as_str()
                    .and_then(|text| parse_duration(text).ok())
                    .map(format_duration)
            };
            let (initial, max) = (shown("initial")?, shown("max")?);
            let message =
                format!("initial {initial} is longer than max {max}; raise max or lower initial");
            return Some(("spec.restart.backoff".to_owned(), message));
        }
        _ if path.starts_with("spec.workers.resources.") => {
            format!("'{}' is not a quantity; write it as 500m, 2 or 1Gi", shorten(text))
        }
        _ => duration(path, text)?,
    };
    Some((path.to_owned(), message))
}

fn duration(path: &str, text: &str) -> Option<String> {
    let field = path.strip_prefix("spec.")?;
    if !DURATIONS.contains(&field) {
        return None;
    }
    let least = match field {
        "nodeLostTimeout" => limits::MIN_NODE_LOST,
        _ => limits::MIN_DURATION,
    };
    match parse_duration(text) {
        Err(message) => Some(message),
        Ok(given) if given < limits::MIN_DURATION => Some(format!(
            "{text} is too short; the least is {}",
            format_duration(limits::MIN_DURATION)
        )),
        Ok(given) if given < least => Some(format!(
            "{} is too short; the least is {}, since a healthy node renews its lease every 10s",
            format_duration(given),
            format_duration(least)
        )),
        Ok(given) if given > limits::MAX_DURATION => Some(format!(
            "{text} is too long; the most is {}",
            format_duration(limits::MAX_DURATION)
        )),
        Ok(_) => None,
    }
}

/// What is wrong with a DNS label.
fn label(text: &str, longest: usize, letter_first: bool) -> String {
    let shown = shorten(text);
    let wrong = text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'));
    match wrong {
        _ if text.is_empty() => "is empty; give it a name such as 'my-job'".to_owned(),
        _ if text.chars().count() > longest => {
            format!("'{shown}' has {} characters; at most {longest}", text.chars().count())
        }
        Some(wrong) => format!("'{shown}' contains '{wrong}'; use a to z, 0 to 9 and '-' only"),
        None if text.ends_with('-') && !text.starts_with('-') => {
            format!("'{shown}' must end with a letter or digit")
        }
        None if letter_first => format!("'{shown}' must start with a letter"),
        None => format!("'{shown}' must start with a letter or digit"),
    }
}

/// What to do about a required field that is not there.
pub(super) fn what_belongs(path: &str) -> String {
    match path {
        "apiVersion" => format!("write 'apiVersion: {}'", crate::API_VERSION),
        "kind" => "write 'kind: StreamJob'".to_owned(),
        "metadata" => "a job needs a name: 'metadata: {name: my-job}'".to_owned(),
        "metadata.name" => "give the job a name such as 'my-job'".to_owned(),
        "spec" => "a job needs at least 'spec: {sql: …}'".to_owned(),
        "spec.sql" => "write the job's program as 'sql: |' and the statements below it".to_owned(),
        _ => match (example(path), path.rsplit_once('.')) {
            (Some(example), _) => format!("write it as in {example}"),
            (None, Some((_, name))) => format!("write '{name}: …'"),
            (None, None) => format!("write '{path}: …'"),
        },
    }
}

/// How a list or mapping of free form looks; items have that of their list.
fn example(path: &str) -> Option<&'static str> {
    Some(match path.split('[').next().unwrap_or_default() {
        "metadata.labels" | "metadata.annotations" | "spec.workers.nodeSelector" => {
            "team: airports"
        }
        "spec.state.allowDroppedState" => "[\"hourly count by origin\"]",
        "spec.workers.resources" => "requests: {memory: 2Gi}",
        "spec.workers.env" => "[{name: LEVEL, value: debug}]",
        "spec.workers.envFrom" => "[{secretRef: {name: weir-s3}}]",
        "spec.workers.volumes" => "[{name: certificates, secret: {…}}]",
        "spec.workers.volumeMounts" => "[{name: certificates, mountPath: /certificates}]",
        "spec.workers.tolerations" => "[{key: dedicated, operator: Exists}]",
        "spec.workers.podTemplate" => "spec: {affinity: {…}}",
        _ => return None,
    })
}

/// What is expected where a mapping belongs.
pub(super) fn mapping(path: &str, schema: &Schema) -> String {
    match example(path) {
        Some(example) if path.ends_with(']') => format!("a mapping as in {example}"),
        Some(example) => format!("a mapping such as '{example}'"),
        None => {
            let first = in_order(path, schema).first().copied().unwrap_or("field");
            format!("a mapping such as '{first}: …'")
        }
    }
}

/// What is expected where a list belongs.
pub(super) fn list(path: &str) -> String {
    example(path).map_or("a list".to_owned(), |example| format!("a list such as {example}"))
}

/// The fields of a mapping, those first that are mostly wanted; a schema has them by name.
pub(super) fn in_order<'s>(path: &str, schema: &'s Schema) -> Vec<&'s str> {
    let first: &[&str] = match path {
        "" => &["apiVersion", "kind", "metadata", "spec"],
        "metadata" => &["name", "namespace", "labels", "annotations"],
        "spec" => &[
            "sql",
            "sqlFrom",
            "image",
            "parallelism",
            "maxParallelism",
            "desiredState",
            "restartToken",
            "state",
            "upgrade",
            "restart",
            "nodeLostTimeout",
            "deletion",
            "workers",
            "networkPolicy",
        ],
        "spec.state" => &["root", "checkpoint", "adopt", "allowDroppedState"],
        "spec.state.checkpoint" => &["interval", "timeout", "retained", "unhealthyAfter"],
        "spec.upgrade" => &["strategy", "progressDeadline"],
        "spec.deletion" => &["policy", "timeout", "onTimeout", "stateRetention"],
        "spec.workers" => &[
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
            "showRows",
        ],
        _ => &[],
    };
    let mut fields: Vec<&str> = schema.properties.keys().map(String::as_str).collect();
    fields.sort_by_key(|field| first.iter().position(|known| known == field).unwrap_or(usize::MAX));
    fields
}

pub(super) fn is_duration(path: &str) -> bool {
    path.strip_prefix("spec.").is_some_and(|field| DURATIONS.contains(&field))
}

/// The fault of a number that people read otherwise than kubectl, or do not take for one.
pub(super) fn another_notation(text: &str, number: i64) -> Option<String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = digits.chars().all(|c| c.is_ascii_digit());
    if decimal && (digits.len() == 1 || !digits.starts_with('0')) {
        return None;
    }
    Some(match text.parse::<i64>() {
        Ok(other) if other != number => format!(
            "{text} is {number} to kubectl, which reads a leading zero as octal, and {other} to most others; write {number} or {other}"
        ),
        _ => format!("{text} is {number} to kubectl, and no number to some others; write {number}"),
    })
}

pub(super) fn unknown_field(name: &str, known: &[&str]) -> String {
    match closest(name, known) {
        Some(close) => format!("unknown field; did you mean '{close}'?"),
        None => format!("unknown field; here can stand {}", known.join(", ")),
    }
}

/// The known word that a misspelt one most probably stands for.
pub(super) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= (1 + candidate.len() / 5).min(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| *candidate)
}

pub(super) fn unknown_choice(text: &str, known: &[&str]) -> String {
    let shown = shorten(text);
    match (known, closest(text, known)) {
        ([only], _) => format!("'{shown}' is not known; write {only}"),
        (_, Some(close)) => format!("'{shown}' is not known; did you mean {close}?"),
        (_, None) => format!("'{shown}' is not known; here can stand {}", known.join(", ")),
    }
}
