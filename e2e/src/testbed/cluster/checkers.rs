//! Programs of others that judge what Weir renders, exposes and says of itself.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::install::program;
use crate::cache;
use crate::job::repository;
use crate::testbed::prometheus::promtool;

const KUBE_SCORE: &str = "1.20.0";

/// What GitOps tools take an object for: status and message of each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// Flux, by its library kstatus: `Current`, `InProgress`, `Failed` …
    pub kstatus: (String, String),
    /// Argo CD, by the rule that the chart ships: `Healthy`, `Progressing`, `Degraded` …
    pub argocd: (String, String),
}

/// The judges of manifests and metrics, installed.
#[derive(Clone, Debug)]
pub struct Checkers {
    /// Compares manifests with schemas of their kinds.
    pub kubeconform: PathBuf,
    /// Judges manifests by what experience recommends.
    pub kube_score: PathBuf,
    promtool: PathBuf,
}

impl Checkers {
    /// Installs and builds what is missing.
    ///
    /// # Errors
    /// When a program cannot be fetched or built.
    pub fn install() -> Result<Self> {
        Ok(Self {
            kubeconform: program("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform")?,
            kube_score: kube_score()?,
            promtool: promtool()?,
        })
    }

    /// Asks Prometheus' own linter about what a process exposes.
    ///
    /// # Errors
    /// What it dislikes.
    pub fn check_metrics(&self, text: &str) -> Result<()> {
        let mut check = Command::new(&self.promtool);
        cache::run_with_input(check.args(["check", "metrics"]), text.as_bytes()).map(drop)
    }
}

/// The judge of objects' health: the code of Flux and of Argo CD themselves.
#[derive(Clone, Debug)]
pub struct GitOps {
    program: PathBuf,
}

impl GitOps {
    /// Builds what is missing.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn install() -> Result<Self> {
        Ok(Self { program: program("health", "./health")? })
    }

    /// Asks Flux and Argo CD about an object.
    ///
    /// # Errors
    /// When the rule fails, or answers with a word that Argo CD does not know.
    pub fn health(&self, object: &Value) -> Result<Health> {
        let rule = repository().join("charts/weir/argocd/health.lua");
        let mut ask = Command::new(&self.program);
        let said = cache::run_with_input(ask.arg(rule), object.to_string().as_bytes())?;
        let said: Value = serde_json::from_str(&said).context("the answer about health")?;
        let of = |tool: &str| {
            let word = |field: &str| said[tool][field].as_str().unwrap_or_default().to_owned();
            (word("status"), word("message"))
        };
        Ok(Health { kstatus: of("kstatus"), argocd: of("argocd") })
    }
}

/// On its own: it does not compile with the libraries of Kubernetes that the other programs share.
fn kube_score() -> Result<PathBuf> {
    let folder = cache::folder(&format!("kube-score-{KUBE_SCORE}"), |folder| {
        let mut install = Command::new("go");
        install.args(["install", "-trimpath", "-ldflags", "-s -w"]);
        install.arg(format!("github.com/zegl/kube-score/cmd/kube-score@v{KUBE_SCORE}"));
        install.env("CGO_ENABLED", "0").env("GOBIN", std::path::absolute(folder)?);
        cache::run(&mut install).map(drop)
    })?;
    Ok(folder.join("kube-score"))
}
