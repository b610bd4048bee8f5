//! From a tree to a [`StreamJob`]: what the definition says, and where a local run differs.
//!
//! - **In**: a tree with positions, and the definition that an API server has (`schema`), rules in
//!   CEL included (`cel`). **Out**: the job, or every fault at its place, in words of ours where
//!   there are better ones than the definition's (`words`).
//! - **Always**: what an API server refuses is refused, and what it takes is taken, with the
//!   exceptions in this file: a program in a ConfigMap, comments that YAML lets swallow what is
//!   below them, and the directory of a local run.
//! - **Deliberately absent**: the name of any field whose words need not be better.

mod cel;
mod cel_parser;
mod folded;
mod schema;
mod walk;
mod words;

use saphyr_parser::ScalarStyle;
use serde_json::Value as Json;

use self::folded::swallowing_comment;
use self::walk::{Faults, line_of};
use crate::ManifestError;
use crate::types::{SqlPosition, StreamJob};
use crate::yaml::{self, Node, Scalar, Value, shorten};

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
    if let Some(Value::Scalar(kind)) = node.at("kind").map(|kind| &kind.value)
        && kind.text != "StreamJob"
        && words::closest(&kind.text, &["StreamJob"]).is_none()
    {
        let message =
            format!("'{}' cannot be run; the kind must be StreamJob", shorten(&kind.text));
        faults.add(line_of(node, "kind", None), "kind", message);
        return None;
    }
    let tree = faults.read(node, schema::of_manifest());
    let from = "spec.sqlFrom";
    // Which text that is only an API server knows; whoever asked one has written it to `sql`.
    if tree["spec"]["sql"].is_null() && !tree["spec"]["sqlFrom"].is_null() {
        let message = "a ConfigMap can only be read in a cluster; to run the job here, write its program into spec.sql";
        faults.add(line_of(node, from, None), from, message);
    }
    let sql = match &node.at("spec")?.at("sql")?.value {
        Value::Scalar(scalar) => scalar,
        Value::Sequence(_) | Value::Mapping(_) => return None,
    };
    check_sql(sql, line_of(node, "spec.sql", None), faults);
    if !faults.is_empty() {
        return None;
    }
    let mut spec: crate::StreamJobSpec = typed(&tree, "spec", faults)?;
    // One folder, however its path ends.
    if let Some(root) = &mut spec.state.root {
        let trimmed = root.trim_end_matches('/').len();
        root.truncate(trimmed.max(1));
    }
    let metadata = typed(&tree, "metadata", faults)?;
    Some(StreamJob { metadata, spec, sql_position: position(sql, file) })
}

/// The value in our types; an error would be a definition that takes what they do not.
fn typed<T: serde::de::DeserializeOwned>(
    tree: &Json,
    name: &str,
    faults: &mut Faults<'_>,
) -> Option<T> {
    let read = T::deserialize(&tree[name]);
    let message = |error| format!("{error}; the definition takes it, so this is a fault of Weir");
    read.map_err(|error| faults.add(1, name, message(error))).ok()
}

/// What the rules of a cluster refuse and a run on one machine can do: keep its state in any
/// directory, one that is not absolute included.
fn is_taken_here(path: &str, value: &Json) -> bool {
    let is_directory = |root: &str| !root.contains("://") && !root.trim().is_empty();
    path == "spec.state.root" && value.as_str().is_some_and(is_directory)
}

fn check_sql(sql: &Scalar, line: usize, faults: &mut Faults<'_>) {
    if !sql.text.is_empty() && sql.text.trim().is_empty() {
        faults.add(line, "spec.sql", "is empty; a job needs at least one INSERT INTO");
    }
    if let Some(at) = swallowing_comment(sql) {
        let how =
            if sql.style == ScalarStyle::Folded { "`sql: >`" } else { "a text that is no block" };
        let message = format!(
            "the comment that begins with -- on this line takes in the lines below it, because {how} joins them to one; write `sql: |`, which keeps lines"
        );
        faults.add(sql.line + at, "spec.sql", message);
    }
}

fn position(sql: &Scalar, file: &str) -> SqlPosition {
    let one_line = !sql.text.trim_end().contains('\n');
    let exact = match sql.style {
        ScalarStyle::Literal => true,
        ScalarStyle::Plain => one_line,
        // Escapes in quotes move the columns behind them.
        ScalarStyle::SingleQuoted => one_line && !sql.text.contains('\''),
        ScalarStyle::DoubleQuoted => one_line && !sql.text.contains(['"', '\\']),
        ScalarStyle::Folded => false,
    };
    SqlPosition { file: file.to_owned(), line: sql.line, indent: exact.then_some(sql.indent) }
}
