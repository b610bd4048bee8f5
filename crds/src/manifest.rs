//! From a tree to a [`StreamJob`]: which fields there are, their defaults, ranges and names.

use std::collections::BTreeMap;

use saphyr_parser::ScalarStyle;

use crate::fields::{Faults, Field, Fields, closest};
use crate::types::{
    Backoff, Checkpoint, Metadata, Restart, SqlPosition, State, StreamJob, StreamJobSpec, Workers,
};
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
        .and_then(|field| read_spec(&field, file, faults));
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
        if let Some(value) = faults.text(&Field { path, line: key.line, node }) {
            map.insert(key.name.clone(), value.text.clone());
        }
    }
    map
}

fn read_spec(
    field: &Field<'_>,
    file: &str,
    faults: &mut Faults<'_>,
) -> Option<(StreamJobSpec, SqlPosition)> {
    let known = ["sql", "parallelism", "maxParallelism", "state", "restart", "workers"];
    let fields = faults.fields(field.node, field.line, &field.path, &known)?;
    let defaults = StreamJobSpec::default();
    let sql = fields
        .require(faults, "sql", "write the job's program as 'sql: |' and the statements below it")
        .and_then(|field| read_sql(&field, file, faults));

    let max_parallelism = match fields.get("maxParallelism") {
        Some(field) => faults.integer_within(&field, 1, limits::MAX_PARALLELISM),
        None => Some(defaults.max_parallelism),
    };
    let parallelism = match fields.get("parallelism") {
        Some(field) => read_parallelism(&field, max_parallelism, faults),
        None => Some(defaults.parallelism),
    };
    let state = match fields.get("state") {
        Some(field) => read_state(&field, faults),
        None => Some(defaults.state),
    };
    let restart = match fields.get("restart") {
        Some(field) => read_restart(&field, faults),
        None => Some(defaults.restart),
    };
    let workers = match fields.get("workers") {
        Some(field) => read_workers(&field, faults),
        None => Some(defaults.workers),
    };
    let (sql, position) = sql?;
    let spec = StreamJobSpec {
        sql,
        parallelism: parallelism?,
        max_parallelism: max_parallelism?,
        state: state?,
        restart: restart?,
        workers: workers?,
    };
    Some((spec, position))
}

fn read_sql(
    field: &Field<'_>,
    file: &str,
    faults: &mut Faults<'_>,
) -> Option<(String, SqlPosition)> {
    let scalar = faults.text(field)?;
    if scalar.text.trim().is_empty() {
        faults.add(field.line, &field.path, "is empty; a job needs at least one INSERT INTO");
        return None;
    }
    if scalar.text.len() > limits::SQL_BYTES {
        let (length, most) = (scalar.text.len(), limits::SQL_BYTES);
        let message = format!("{length} bytes; at most {most}");
        faults.add(field.line, &field.path, message);
        return None;
    }
    let one_line = !scalar.text.trim_end().contains('\n');
    let exact = match scalar.style {
        ScalarStyle::Literal => true,
        ScalarStyle::Plain => one_line,
        // Escapes in quotes move the columns behind them.
        ScalarStyle::SingleQuoted => one_line && !scalar.text.contains('\''),
        ScalarStyle::DoubleQuoted => one_line && !scalar.text.contains(['"', '\\']),
        ScalarStyle::Folded => false,
    };
    let position = SqlPosition {
        file: file.to_owned(),
        line: scalar.line,
        indent: exact.then_some(scalar.indent),
    };
    Some((scalar.text.clone(), position))
}

fn read_parallelism(field: &Field<'_>, max: Option<u32>, faults: &mut Faults<'_>) -> Option<u32> {
    let number = faults.integer(field)?;
    // A wrong maxParallelism has its own fault; the range is then the widest there is.
    let max = max.unwrap_or(limits::MAX_PARALLELISM);
    let message = match u32::try_from(number) {
        Ok(number) if (1..=max).contains(&number) => return Some(number),
        Ok(0) => "0 would do no work; parallelism is at least 1 (stop the job to pause it)".into(),
        _ if number < 0 => {
            format!("{number} is below 1; parallelism can be 1 to {max} for this job")
        }
        _ => format!(
            "{number} is above maxParallelism {max}; parallelism can be 1 to {max} for this job"
        ),
    };
    faults.add(field.line, &field.path, message);
    None
}

fn read_state(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<State> {
    let known = ["root", "checkpoint", "allowDroppedState"];
    let fields = faults.fields(field.node, field.line, &field.path, &known)?;
    let root = match fields.get("root") {
        Some(field) => read_root(&field, faults).map(Some),
        None => Some(None),
    };
    let checkpoint = match fields.get("checkpoint") {
        Some(field) => read_checkpoint(&field, faults),
        None => Some(Checkpoint::default()),
    };
    let allow_dropped_state = match fields.get("allowDroppedState") {
        Some(field) => text_list(&field, faults),
        None => Vec::new(),
    };
    Some(State { root: root?, checkpoint: checkpoint?, allow_dropped_state })
}

/// A root is a directory or an S3 URL; whether it can be reached is found out when it is opened.
fn read_root(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = faults.text(field)?.text.clone();
    let fault = match text.split_once("://") {
        _ if text.trim().is_empty() => {
            Some("is empty; write a directory or s3://bucket/prefix".to_owned())
        }
        None => None,
        Some(("file", path)) if path.starts_with('/') => None,
        Some(("file", _)) => {
            Some(format!("'{text}' is not an absolute path; write file:///path or just the path"))
        }
        Some(("s3", rest)) => {
            let bucket = rest.split('/').next().unwrap_or_default();
            (bucket.len() < 3).then(|| {
                format!(
                    "'{text}' names no bucket of at least 3 characters; write s3://bucket/prefix"
                )
            })
        }
        Some((scheme, _)) => Some(format!(
            "stores of the kind '{scheme}://' are not supported; write a directory or s3://bucket/prefix"
        )),
    };
    match fault {
        None => Some(match text.trim_end_matches('/') {
            "" => text,
            trimmed => trimmed.to_owned(),
        }),
        Some(message) => {
            faults.add(field.line, &field.path, message);
            None
        }
    }
}

fn read_checkpoint(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Checkpoint> {
    let known = ["interval", "timeout", "retained"];
    let fields = faults.fields(field.node, field.line, &field.path, &known)?;
    let defaults = Checkpoint::default();
    let interval = match fields.get("interval") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.interval),
    };
    let timeout = match fields.get("timeout") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.timeout),
    };
    let retained = match fields.get("retained") {
        Some(field) => faults.integer_within(&field, 1, limits::MAX_RETAINED),
        None => Some(defaults.retained),
    };
    Some(Checkpoint { interval: interval?, timeout: timeout?, retained: retained? })
}

fn read_restart(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Restart> {
    let fields = faults.fields(field.node, field.line, &field.path, &["backoff", "resetAfter"])?;
    let defaults = Restart::default();
    let backoff = match fields.get("backoff") {
        Some(field) => read_backoff(&field, faults),
        None => Some(defaults.backoff),
    };
    let reset_after = match fields.get("resetAfter") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.reset_after),
    };
    Some(Restart { backoff: backoff?, reset_after: reset_after? })
}

fn read_backoff(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Backoff> {
    let fields = faults.fields(field.node, field.line, &field.path, &["initial", "max"])?;
    let defaults = Backoff::default();
    let initial = match fields.get("initial") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.initial),
    };
    let max = match fields.get("max") {
        Some(field) => faults.duration(&field),
        None => Some(defaults.max),
    };
    let backoff = Backoff { initial: initial?, max: max? };
    if backoff.initial > backoff.max {
        let (initial, max) =
            (crate::format_duration(backoff.initial), crate::format_duration(backoff.max));
        let message =
            format!("initial {initial} is longer than max {max}; raise max or lower initial");
        faults.add(field.line, &field.path, message);
        return None;
    }
    Some(backoff)
}

fn read_workers(field: &Field<'_>, faults: &mut Faults<'_>) -> Option<Workers> {
    let fields = faults.fields(field.node, field.line, &field.path, &["slots"])?;
    let slots = match fields.get("slots") {
        Some(field) => faults.integer_within(&field, 1, limits::MAX_SLOTS)?,
        None => Workers::default().slots,
    };
    Some(Workers { slots })
}

fn text_list(field: &Field<'_>, faults: &mut Faults<'_>) -> Vec<String> {
    let Value::Sequence(items) = &field.node.value else {
        faults.expected(field, "a list such as [\"hourly count by origin\"]");
        return Vec::new();
    };
    if items.len() > limits::LIST_LEN {
        let message = format!("{} entries; at most {}", items.len(), limits::LIST_LEN);
        faults.add(field.line, &field.path, message);
        return Vec::new();
    }
    items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| {
            let path = format!("{}[{index}]", field.path);
            faults.text(&Field { path, line: node.line, node }).map(|scalar| scalar.text.clone())
        })
        .collect()
}
