//! From a tree to a [`StreamJob`]: which fields there are, their defaults, ranges and names.

mod folded;
mod spec;
mod state;
mod workers;

use std::collections::BTreeMap;

use crate::fields::{Faults, Field, Fields, closest};
use crate::scalar::Meaning;
use crate::types::{Metadata, StreamJob};
use crate::yaml::{self, Node, Value, shorten};
use crate::{API_VERSION, ManifestError, limits};

/// Reads the one job in `text`.
pub(crate) fn read(text: &str, file: &str) -> Result<StreamJob, Vec<ManifestError>> {
    let mut faults = Faults::new(file);
    let job = match yaml::documents(text) {
        Err(fault) => {
            faults.add(fault.line, "", fault.message);
            None
        }
        Ok(documents) => match documents.as_slice() {
            [] => {
                faults.add(1, "", "the file is empty; a manifest begins with 'kind: StreamJob'");
                None
            }
            [document] => read_job(document, file, &mut faults),
            [_, second, ..] => {
                let message = format!(
                    "the file holds {} documents; keep one StreamJob per file",
                    documents.len()
                );
                faults.add(second.line, "", message);
                None
            }
        },
    };
    match job {
        Some(job) if faults.is_empty() => Ok(job),
        _ => Err(faults.into_sorted()),
    }
}

fn read_job(node: &Node, file: &str, faults: &mut Faults<'_>) -> Option<StreamJob> {
    // Fields of another kind would all be unknown: the kind decides whether they are looked at.
    if let Value::Mapping(entries) = &node.value {
        let kind = entries.iter().find(|(key, _)| key.name == "kind");
        if let Some((key, Node { value: Value::Scalar(kind), .. })) = kind
            && kind.text != "StreamJob"
            && closest(&kind.text, &["StreamJob"]).is_none()
        {
            let message =
                format!("'{}' cannot be run; the kind must be StreamJob", shorten(&kind.text));
            faults.add(key.line, "kind", message);
            return None;
        }
    }
    let fields = faults.fields(node, node.line, "", &["apiVersion", "kind", "metadata", "spec"])?;
    constant(&fields, faults, "apiVersion", API_VERSION);
    constant(&fields, faults, "kind", "StreamJob");
    let metadata = fields
        .require(faults, "metadata", "a job needs a name: 'metadata: {name: my-job}'")
        .and_then(|field| read_metadata(&field, faults));
    let spec = fields
        .require(faults, "spec", "a job needs at least 'spec: {sql: …}'")
        .and_then(|field| spec::read_spec(&field, file, faults));
    let (spec, sql_position) = spec?;
    Some(StreamJob { metadata: metadata?, spec, sql_position })
}

fn constant(fields: &Fields<'_>, faults: &mut Faults<'_>, name: &str, wanted: &str) {
    let fix = format!("write '{name}: {wanted}'");
    let Some(field) = fields.require(faults, name, &fix) else {
        return;
    };
    let Some(scalar) = faults.scalar(&field, wanted) else {
        return;
    };
    if scalar.text != wanted {
        let message = format!("'{}' is not known; write {wanted}", shorten(&scalar.text));
        faults.add(field.line, &field.path, message);
    }
}

fn read_metadata(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Metadata> {
    let known = ["name", "namespace", "labels", "annotations"];
    let fields = faults.fields(field.node, field.line, &field.path, &known)?;
    let name = fields
        .require(faults, "name", "give the job a name such as 'my-job'")
        .and_then(|field| label(&field, faults, limits::NAME_LEN, true));
    let namespace = match fields.get("namespace") {
        Some(field) => label(&field, faults, 63, false),
        None => Some("default".to_owned()),
    };
    let mut map = |name| match fields.get(name) {
        Some(field) => text_map(&field, faults),
        None => BTreeMap::new(),
    };
    let labels = map("labels");
    let annotations = map("annotations");
    Some(Metadata { name: name?, namespace: namespace?, labels, annotations })
}

/// A DNS label; a job's name also starts with a letter, since Services are named after it.
fn label(
    field: &Field<'_>,
    faults: &mut Faults<'_>,
    longest: usize,
    letter_first: bool,
) -> Option<String> {
    let text = &faults.text(field)?.text;
    let first_ok = match text.chars().next() {
        Some(c) => c.is_ascii_lowercase() || (!letter_first && c.is_ascii_digit()),
        None => false,
    };
    let shown = shorten(text);
    let fault = if text.is_empty() {
        Some("is empty; give it a name such as 'my-job'".to_owned())
    } else if text.chars().count() > longest {
        Some(format!("'{shown}' has {} characters; at most {longest}", text.chars().count()))
    } else if let Some(wrong) =
        text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'))
    {
        Some(format!("'{shown}' contains '{wrong}'; use a to z, 0 to 9 and '-' only"))
    } else if !first_ok {
        let what = if letter_first { "a letter" } else { "a letter or digit" };
        Some(format!("'{shown}' must start with {what}"))
    } else if text.ends_with('-') {
        Some(format!("'{shown}' must end with a letter or digit"))
    } else {
        None
    };
    match fault {
        None => Some(text.clone()),
        Some(message) => {
            faults.add(field.line, &field.path, message);
            None
        }
    }
}

fn text_map(field: &Field<'_>, faults: &mut Faults<'_>) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    let Value::Mapping(entries) = &field.node.value else {
        faults.expected(field, "a mapping such as 'team: airports'");
        return map;
    };
    if entries.len() > limits::LIST_LEN {
        let message = format!("{} entries; at most {}", entries.len(), limits::LIST_LEN);
        faults.add(field.line, &field.path, message);
    }
    for (key, node) in entries {
        let path = format!("{}.{}", field.path, key.name);
        if key.meaning() != Meaning::Text {
            let read = key.meaning().to_json(&key.name);
            let message =
                format!("the key {} is {read} to kubectl; write \"{}\"", key.name, key.name);
            faults.add(key.line, &path, message);
            continue;
        }
        if let Some(value) = faults.text(&Field { path, line: key.line, node }) {
            map.insert(key.name.clone(), value.text.clone());
        }
    }
    map
}

fn text_list(field: &Field<'_>, faults: &mut Faults<'_>, example: &str) -> Vec<String> {
    let Some(items) = faults.list(field, example) else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| {
            let text = &faults.text(item)?.text;
            if text.is_empty() || text.chars().count() > limits::TEXT_LEN {
                let most = limits::TEXT_LEN;
                let message =
                    format!("{} characters; 1 to {most} are possible", text.chars().count());
                faults.add(item.line, &item.path, message);
                return None;
            }
            Some(text.clone())
        })
        .collect()
}
