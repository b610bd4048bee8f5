//! The chart, before it is installed: Helm likes it, and its rights are those that the operator uses.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use weir_e2e::cache;
use weir_e2e::job::repository;
use weir_e2e::testbed::cluster::{DEFINITION, RELEASE, Stage, ensure_installed};

pub(crate) fn the_chart_is_what_the_operator_needs(stage: &Stage, _: &str) -> Result<()> {
    let chart = repository().join("charts/weir").display().to_string();
    stage.cluster.helm(&["lint", "--strict", &chart])?;

    let ours = fs::read_to_string(repository().join("charts/weir/files/rbac.yaml"))?;
    let theirs = fs::read_to_string(repository().join("operator/rbac.yaml"))?;
    ensure!(ours == theirs, "charts/weir/files/rbac.yaml is not a copy of operator/rbac.yaml");

    let values = stage.chart_values();
    for more in [&[][..], &["--set", "watchNamespace=default", "--set", "replicas=1"]] {
        let mut helm = Command::new(&ensure_installed(false)?.helm);
        helm.args(["template", "weir", &chart, "-n", "default", "--kube-version", "1.34.4"]);
        helm.args(&values).args(more);
        let rendered = cache::run(&mut helm)?;
        let kinds: BTreeSet<_> =
            rendered.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
        for kind in ["ClusterRole", "CustomResourceDefinition", "Deployment", "Role", "Service"] {
            ensure!(kinds.contains(kind), "no {kind} in\n{rendered}");
        }
        // The API server itself says what it would not take.
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), &rendered)?;
        let path = file.path().display().to_string();
        stage
            .cluster
            .kubectl()
            .run(&["apply", "--dry-run=server", "-f", &path])
            .context("the API server refuses what the chart renders")?;
    }
    Ok(())
}

pub(crate) fn the_chart_stays_while_jobs_exist(stage: &Stage, name: &str) -> Result<()> {
    let home = stage.namespace(name)?;
    let sql = "CREATE TABLE t (a BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
CREATE TABLE n (a BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO n SELECT a FROM t;";
    home.apply_job("endless", sql, &serde_json::json!({}))?;
    let refused = stage.cluster.helm(&["uninstall", RELEASE, "-n", RELEASE, "--timeout", "60s"]);
    ensure!(refused.is_err(), "uninstalled although a job exists");
    let kubectl = stage.cluster.kubectl().in_namespace(RELEASE);
    let why = kubectl.run(&["logs", "job/weir-uninstall"])?;
    ensure!(why.contains(&format!("{name}/endless")), "it does not name the job: {why}");
    kubectl.run(&["rollout", "status", "deploy/weir", "--timeout=10s"])?;

    home.kubectl.run(&["delete", "sj", "endless", "--timeout=120s"])?;
    stage.cluster.helm(&["uninstall", RELEASE, "-n", RELEASE, "--wait", "--timeout", "60s"])?;
    // The definition stays, and a second installation takes it over.
    stage.cluster.kubectl().run(&["get", "crd", DEFINITION])?;
    stage.install_chart()?;
    home.delete()
}
