//! `kubectl` as a user has it.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cache;
use crate::process::wait_for;

/// `kubectl` for one cluster and, if chosen, one namespace.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: Option<String>,
}

impl Kubectl {
    pub(super) fn new(program: &Path, kubeconfig: &Path) -> Self {
        Self { program: program.to_owned(), kubeconfig: kubeconfig.to_owned(), namespace: None }
    }

    /// The same for one namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self.clone() }
    }

    /// A command that only lacks its arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("kubectl").arg("--kubeconfig").arg(&self.kubeconfig);
        if let Some(namespace) = &self.namespace {
            command.args(["-n", namespace]);
        }
        command
    }

    /// Runs it and returns what it prints.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        cache::run(self.command().args(arguments))
    }

    /// Makes `folder` one in which others find a program `kubectl`; it knows no cluster by itself.
    /// Returns the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn on_path<'a>(&self, folder: &'a Path) -> Result<&'a Path> {
        let file = folder.join("kubectl");
        let script = format!("#!/bin/sh\nexec '{}' kubectl \"$@\"\n", self.program.display());
        fs::write(&file, script)?;
        fs::set_permissions(&file, Permissions::from_mode(0o755))?;
        Ok(folder)
    }

    /// Applies manifests.
    ///
    /// # Errors
    /// What the API server refuses.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        let mut child = self
            .command()
            .args(["apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start kubectl")?;
        child.stdin.take().context("kubectl's input")?.write_all(manifests.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("kubectl apply: {}\n{manifests}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Objects of a kind, or one of them, as JSON.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn get(&self, what: &[&str]) -> Result<Value> {
        let text = self.run(&[&["get"], what, &["-o", "json"]].concat())?;
        serde_json::from_str(&text).context("kubectl get -o json")
    }

    /// One object as JSON, `None` when it is not there.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub fn find(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        let text = self.run(&["get", kind, name, "--ignore-not-found", "-o", "json"])?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&text)?))
    }

    /// Waits until `done` says yes to an object; one that is not there (yet) is asked for again.
    ///
    /// # Errors
    /// When it has not within `limit`; the message holds the object's last status.
    pub fn wait_until(
        &self,
        kind: &str,
        name: &str,
        wish: &str,
        limit: Duration,
        mut done: impl FnMut(&Value) -> bool,
    ) -> Result<Value> {
        let mut last = Value::Null;
        let waited = wait_for(&format!("{kind} {name} {wish}"), limit, || {
            last = self.find(kind, name)?.unwrap_or_default();
            Ok(!last.is_null() && done(&last))
        });
        waited.with_context(|| format!("its last status: {:#}", last["status"]))?;
        Ok(last)
    }
}

/// The condition of that type in an object's status.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|each| each["type"] == kind)
}

/// Whether an object has a condition that is true.
#[must_use]
pub fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|found| found["status"] == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_that_is_absent_or_unknown_is_not_true() {
        let object = json!({"status": {"conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "Unknown"}]}});
        assert!(is_true(&object, "Ready"));
        assert!(!is_true(&object, "Stalled"));
        assert!(!is_true(&object, "Complete"));
        assert!(!is_true(&json!({}), "Ready"));
    }
}
