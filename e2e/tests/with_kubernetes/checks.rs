//! What others say: checkers of manifests about the chart, Prometheus about metrics, Flux and
//! Argo CD about jobs.

mod schemas;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weir_e2e::cache;
use weir_e2e::job::repository;
use weir_e2e::testbed::cluster::{
    Checkers, GitOps, Kubectl, READY, RELEASE, Stage, ensure_installed,
};

use crate::wrong::GOOD;

/// What kube-score dislikes and why it stays: object, check, reason.
const EXCEPTIONS: [(&str, &str, &str); 7] = [
    ("Deployment", "container-resources", NO_CPU_LIMIT),
    ("Job", "container-resources", NO_CPU_LIMIT),
    ("Deployment", "container-image-pull-policy", PULL_POLICY),
    ("Job", "container-image-pull-policy", PULL_POLICY),
    ("Deployment", "pod-networkpolicy", EGRESS),
    ("Job", "pod-networkpolicy", EGRESS),
    (
        "Deployment",
        "deployment-has-host-podantiaffinity",
        "topologySpreadConstraints do the same without keeping a replica from a lone node",
    ),
];
const NO_CPU_LIMIT: &str =
    "a CPU limit throttles the process that recovers jobs just when it has most to do";
const PULL_POLICY: &str =
    "a restart must not need the registry; tags of releases do not move, and a digest can be set";
const EGRESS: &str =
    "it reaches the API server, whose address no policy can select, and workers in every namespace";

/// kube-score's grade for "nothing to say".
const WELL: u64 = 10;

pub(crate) fn the_chart_passes_the_checks_of_others(stage: &Stage, _: &str) -> Result<()> {
    let checkers = Checkers::install()?;
    let folder = tempfile::tempdir()?;
    schemas::write(&stage.cluster.kubectl(), folder.path())?;
    let chart = repository().join("charts/weir").display().to_string();
    stage.cluster.helm(&["lint", "--strict", &chart])?;

    let mut seen = BTreeSet::new();
    for more in [
        &[][..],
        &["--set", "watchNamespace=default"],
        &[
            "--set",
            "metrics.podMonitor.enabled=true,metrics.alerts.enabled=true,\
             metrics.dashboards.enabled=true,uninstall.evenWithJobs=true",
        ],
    ] {
        let mut helm = Command::new(&ensure_installed(false)?.helm);
        helm.args(["template", "weir", &chart, "-n", "default", "--kube-version", "1.34.4"]);
        let rendered = cache::run(helm.args(stage.chart_values()).args(more))?;
        conform(&checkers, folder.path(), &rendered).with_context(|| format!("{more:?}"))?;
        score(&checkers, &rendered, &mut seen).with_context(|| format!("{more:?}"))?;
    }
    // An exception that nothing needs any more would hide the next fault.
    for (kind, check, why) in EXCEPTIONS {
        ensure!(
            seen.contains(&(kind.to_owned(), check.to_owned())),
            "kube-score no longer has anything against {check} of the {kind}; remove: {why}"
        );
    }
    let wrong =
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1, porrt: 1}]}";
    ensure!(conform(&checkers, folder.path(), wrong).is_err(), "the schemas allow anything");
    Ok(())
}

fn conform(checkers: &Checkers, schemas: &std::path::Path, manifests: &str) -> Result<()> {
    let location = schemas.join("{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json");
    let mut check = Command::new(&checkers.kubeconform);
    check.args(["-summary", "-schema-location"]).arg(location);
    // Kinds of prometheus-operator, which the cluster does not have.
    check.args(["-skip", "PodMonitor,PrometheusRule"]);
    cache::run_with_input(&mut check, manifests.as_bytes()).map(drop)
}

fn score(checkers: &Checkers, rendered: &str, seen: &mut BTreeSet<(String, String)>) -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), rendered)?;
    let mut score = Command::new(&checkers.kube_score);
    score.args(["score", "--kubernetes-version", "v1.34", "--output-format", "json"]);
    // Its exit code knows no exceptions: it is its findings that count.
    let output = score.arg(file.path()).output().context("start kube-score")?;
    let said: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let objects = said.as_array().context("a list of objects")?;
    ensure!(objects.len() > 2, "kube-score saw {} objects", objects.len());
    for object in objects {
        let kind = object["type_meta"]["kind"].as_str().unwrap_or_default();
        for check in object["checks"].as_array().into_iter().flatten() {
            if check["skipped"] == true || check["grade"].as_u64().unwrap_or(0) >= WELL {
                continue;
            }
            let id = check["check"]["id"].as_str().unwrap_or_default();
            ensure!(
                EXCEPTIONS.iter().any(|known| (known.0, known.1) == (kind, id)),
                "{}: {id}: {}",
                object["object_name"],
                check["comments"]
            );
            seen.insert((kind.to_owned(), id.to_owned()));
        }
    }
    Ok(())
}

pub(crate) fn prometheus_flux_and_argo_understand_jobs(stage: &Stage, name: &str) -> Result<()> {
    let (home, checkers) = (stage.namespace(name)?, Checkers::install()?);
    let git_ops = GitOps::install()?;
    home.apply_job("well", GOOD, &json!({}))?;
    home.apply_job("refused", "INSERT INTO nowhere SELECT 1;", &json!({}))?;
    home.apply_job("starting", GOOD, &json!({"workers": {"nodeSelector": {"disk": "none"}}}))?;
    home.apply_job("resting", GOOD, &json!({"desiredState": "Suspended"}))?;
    for (job, kstatus, argocd) in [
        ("well", "Current", "Healthy"),
        ("refused", "Failed", "Degraded"),
        ("starting", "InProgress", "Progressing"),
    ] {
        let mut last = None;
        let wish = format!("{kstatus} and {argocd}");
        let waited = home.kubectl.wait_until("sj", job, &wish, READY, |object| {
            last = git_ops.health(object).ok();
            last.as_ref().is_some_and(|it| it.kstatus.0 == kstatus && it.argocd.0 == argocd)
        });
        waited.with_context(|| format!("they say {last:?}"))?;
    }
    let resting = home.wait_for_state("resting", "Suspended", READY)?;
    let health = git_ops.health(&resting)?;
    ensure!(health.argocd.0 == "Suspended" && health.kstatus.0 == "Current", "{health:?}");

    let worker = metrics(&home.kubectl, &home.pods("well")?[0], 7103)?;
    ensure!(worker.contains("weir_job_"), "no figures of the job: {worker}");
    checkers.check_metrics(&worker).context("a worker's metrics")?;
    let operators = stage.cluster.kubectl().in_namespace(RELEASE);
    let list = operators.get(&["pods", "-l", "app.kubernetes.io/name=weir-operator"])?;
    let mut texts = Vec::new();
    for pod in list["items"].as_array().context("a list")? {
        texts.push(metrics(
            &operators,
            pod["metadata"]["name"].as_str().unwrap_or_default(),
            8080,
        )?);
    }
    ensure!(
        texts.iter().any(|text| text.contains("weir_controller_condition")),
        "no operator shows the conditions of jobs"
    );
    for text in texts {
        checkers.check_metrics(&text).context("an operator's metrics")?;
    }
    ensure!(checkers.check_metrics("weirCount 1\n").is_err(), "promtool likes anything");
    home.delete()
}

/// What a pod exposes, read by way of the API server.
pub(crate) fn metrics(kubectl: &Kubectl, pod: &str, port: u16) -> Result<String> {
    let namespace = kubectl.get(&["pod", pod])?["metadata"]["namespace"].clone();
    let namespace = namespace.as_str().context("a namespace")?;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics");
    let mut text = String::new();
    let limit = Duration::from_secs(30);
    weir_e2e::process::wait_for(&format!("metrics of {pod}"), limit, || {
        text = kubectl.run(&["get", "--raw", &path]).unwrap_or_default();
        Ok(!text.is_empty())
    })?;
    Ok(text)
}
