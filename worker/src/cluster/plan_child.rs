//! Plans a manifest in a process of its own, so that no program, however large, takes memory or
//! time from the running job.
//!
//! The child is this program itself (`weir plan -o json`), started without a shell. Its memory is
//! limited (`RLIMIT_DATA`, set from outside right after the start), its time too; it is killed
//! when nobody waits for it any more.
//!
//! Whoever reaches the control port may have any program planned, and it may name any variable of
//! this pod. So the child has an empty environment, and only learns which variables are set: a
//! plan does not depend on values. What only a value could tell (whether it is a number, say, or
//! larger than another) is not checked here but by the job's own processes; an answer that
//! depended on it would tell the value bit by bit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use tokio::process::Command;
use weir_coordinator::master::Reads;

use crate::exit;

/// Longest time for a plan.
const TIME: Duration = Duration::from_secs(30);
/// Memory that a plan may use.
const MEMORY: u64 = 512 << 20;
/// Longest manifest: what a ConfigMap can hold, and some.
const MANIFEST: usize = 2 << 20;

/// What came of planning.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) hash: String,
    /// Its operators, by uid.
    pub(crate) operators: BTreeMap<String, Reads>,
}

/// A file that goes when this is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// Plans a manifest's text.
///
/// # Errors
/// When the child could not do its work; errors of the manifest are part of the result.
pub(crate) async fn plan(manifest: &str) -> anyhow::Result<Plan> {
    if manifest.len() > MANIFEST {
        let errors = vec![format!("the manifest has {} bytes, at most {MANIFEST}", manifest.len())];
        return Ok(Plan { errors, ..Plan::default() });
    }
    let name = format!("weir-plan-{}.yaml", uuid::Uuid::new_v4());
    let file = Scratch(std::env::temp_dir().join(name));
    std::fs::write(&file.0, manifest)
        .with_context(|| format!("cannot write {}", file.0.display()))?;
    let program = std::env::current_exe().context("cannot find the weir program itself")?;
    let child = Command::new(program)
        .arg("plan")
        .arg(&file.0)
        .args(["--output", "json"])
        .arg(format!("--withhold={}", set_variables(manifest)))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start another process to plan")?;
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
        let limit = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
        prlimit(Some(pid), Resource::Data, limit).context("cannot limit a plan's memory")?;
    }
    let Ok(output) = tokio::time::timeout(TIME, child.wait_with_output()).await else {
        let errors = vec![format!("planning took longer than {} s and was ended", TIME.as_secs())];
        return Ok(Plan { errors, ..Plan::default() });
    };
    let output = output.context("the process that plans could not be heard")?;
    let file = file.0.display().to_string();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&file, "job.yaml");
    let (text, words) = (said(&output.stdout), said(&output.stderr));
    match output.status.code() {
        Some(code) if code == i32::from(exit::DONE) => read_plan(&text),
        Some(code) if code == i32::from(exit::REFUSED) => read_errors(&text),
        _ => bail!(
            "planning ended with {} (it may use {} MiB): {}",
            output.status,
            MEMORY >> 20,
            words.trim()
        ),
    }
}

/// Names of variables that are set here and occur in the manifest: there may be thousands of
/// others.
fn set_variables(manifest: &str) -> String {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let named = names.filter(|name| !name.contains(',') && manifest.contains(name.as_str()));
    named.collect::<Vec<_>>().join(",")
}

fn read_plan(text: &str) -> anyhow::Result<Plan> {
    let value: Value = serde_json::from_str(text).context("the plan cannot be read")?;
    let strings = |v: &Value| -> Vec<String> {
        let items = v.as_array().into_iter().flatten();
        items.filter_map(|w| w.as_str().map(str::to_owned)).collect()
    };
    let chains = value["chains"].as_array().into_iter().flatten();
    let operators = chains.filter_map(|c| c["operators"].as_array()).flatten();
    let operators = operators.filter_map(|operator| {
        let name = operator["name"].as_str().unwrap_or_default().to_owned();
        // A plan of this very program: the schema has this form, or is null.
        let state = serde_json::from_value(operator["state"].clone()).ok().flatten();
        let tables = serde_json::from_value(operator["tables"].clone()).unwrap_or_default();
        Some((operator["uid"].as_str()?.to_owned(), Reads { name, state, tables }))
    });
    Ok(Plan {
        errors: Vec::new(),
        warnings: strings(&value["warnings"]),
        hash: value["hash"].as_str().unwrap_or_default().to_owned(),
        operators: operators.collect(),
    })
}

/// The errors as the author of the spec reads them: the manifest is the operator's, and so are its
/// lines; a place in the SQL is one in `spec.sql`.
fn read_errors(text: &str) -> anyhow::Result<Plan> {
    let faults: Vec<Value> = serde_json::from_str(text).context("the errors cannot be read")?;
    let errors = faults.iter().map(|fault| {
        let excerpt = fault["sql"]["excerpt"].as_str();
        excerpt.or(fault["message"].as_str()).unwrap_or_default().to_owned()
    });
    Ok(Plan { errors: errors.collect(), ..Plan::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_sql_are_told_at_their_place_in_the_sql() {
        let said = r#"[
            {"file": "/tmp/x.yaml", "line": 17, "column": 38, "message": "no column",
             "sql": {"line": 13, "column": 34, "excerpt": "sql:13:34: no column\n  13 | SELECT"}},
            {"file": "/tmp/x.yaml", "line": 4, "column": null, "message": "spec.restart: unknown"}
        ]"#;
        let plan = read_errors(said).unwrap();
        assert_eq!(plan.errors, ["sql:13:34: no column\n  13 | SELECT", "spec.restart: unknown"]);
    }
}
