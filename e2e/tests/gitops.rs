//! What Flux and Argo CD take a job for, from what its status says: their own judgement, by their
//! own code. `cluster/checks.rs` asks them about jobs of a real operator.

use anyhow::Result;
use serde_json::{Value, json};
use weir_crds::kube::definition;
use weir_e2e::testbed::cluster::GitOps;

/// A job of generation 2 with conditions that are true or false.
fn job(state: &str, observed: u64, conditions: &[(&str, bool, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, holds, message)| {
            json!({"type": kind, "status": if *holds { "True" } else { "False" },
                "reason": "Said", "message": message})
        })
        .collect();
    json!({"apiVersion": "weir.dev/v1alpha1", "kind": "StreamJob",
        "metadata": {"name": "flights", "namespace": "shop", "generation": 2},
        "spec": {"sql": "SELECT 1"},
        "status": {"state": state, "observedGeneration": observed, "conditions": conditions}})
}

#[test]
fn flux_and_argo_see_what_a_person_would() -> Result<()> {
    let git_ops = GitOps::install()?;
    let well = [("Ready", true, ""), ("Reconciling", false, ""), ("Stalled", false, "")];
    let refused =
        [("Ready", false, "sql:2:8"), ("Reconciling", false, ""), ("Stalled", true, "sql:2:8")];
    let starting =
        [("Ready", false, ""), ("Reconciling", true, "no pod yet"), ("Stalled", false, "")];
    let resting = [("Reconciling", false, ""), ("Stalled", false, "")];
    let mut leaving = job("Deleting", 2, &well);
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut new = job("", 0, &[]);
    // As the API server fills it in: the operator has not seen it yet.
    new["status"] = definition()?["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        ["status"]["default"]
        .clone();
    for (what, job, kstatus, argocd, words) in [
        ("new", new, "InProgress", "Progressing", ""),
        ("healthy", job("Running", 2, &well), "Current", "Healthy", ""),
        ("finished", job("Finished", 2, &well), "Current", "Healthy", ""),
        (
            "refused while the old one runs",
            job("Running", 2, &refused),
            "Failed",
            "Degraded",
            "sql:2:8",
        ),
        ("starting", job("Starting", 2, &starting), "InProgress", "Progressing", "no pod yet"),
        ("with a newer spec", job("Running", 1, &well), "InProgress", "Progressing", "newest spec"),
        (
            "refused before the newest spec",
            job("Running", 1, &refused),
            "InProgress",
            "Progressing",
            "",
        ),
        ("on its way out", leaving, "Terminating", "Progressing", "deleted"),
    ] {
        let health = git_ops.health(&job)?;
        assert_eq!(
            (&*health.kstatus.0, &*health.argocd.0),
            (kstatus, argocd),
            "{what}: {health:?}"
        );
        assert!(health.argocd.1.contains(words), "{what}: {health:?}");
    }
    // What rests because its spec says so is no fault, and Argo CD has a word for it.
    let health = git_ops.health(&job("Suspended", 2, &resting))?;
    assert_eq!((&*health.kstatus.0, &*health.argocd.0), ("Current", "Suspended"), "{health:?}");
    Ok(())
}
