//! Bad input as a user would give it. What the API server refuses ends in kubectl's error; what it
//! takes ends in a condition and an event. Each names the place, the cause and the fix.
//!
//! All jobs are applied first and looked at afterwards: they go wrong at the same time.

mod accepted;
mod refused;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;
use weir_e2e::process::wait_for;
use weir_e2e::testbed::cluster::{Kubectl, Namespace, Stage, condition};

/// All of them fail within this time, on a machine that also starts their pods.
const TOLD: Duration = Duration::from_secs(150);
/// Between two looks: the API server has enough to do.
const PAUSE: Duration = Duration::from_secs(1);

/// A program that works.
pub(crate) const GOOD: &str =
    "CREATE TABLE t (a BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
CREATE TABLE n (a BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO n SELECT a FROM t;";

/// A manifest that the API server takes, and what it ends in.
pub(super) struct Accepted {
    name: &'static str,
    spec: Value,
    /// Type and reason of the condition that tells.
    condition: (&'static str, &'static str),
    /// Reason of the event.
    event: &'static str,
    /// What both must contain: place, cause, fix.
    words: Vec<String>,
}

/// A manifest with the least that a pod asks for, so that many fit.
fn manifest(name: &str, spec: &Value) -> Value {
    let least = json!({"requests": {"cpu": "10m", "memory": "32Mi"}});
    let mut spec = spec.clone();
    if spec["workers"].is_null() {
        spec["workers"] = json!({});
    }
    if spec["workers"].is_object() && spec["workers"]["resources"].is_null() {
        spec["workers"]["resources"] = least;
    }
    json!({"apiVersion": "weir.dev/v1alpha1", "kind": "StreamJob",
        "metadata": {"name": name}, "spec": spec})
}

pub(crate) fn what_is_refused_at_once_is_told_by_kubectl(stage: &Stage, name: &str) -> Result<()> {
    let home = stage.namespace(name)?;
    let mut faults = Vec::new();
    for (job, spec, words) in refused::cases() {
        match home.kubectl.apply(&manifest(&job, &spec).to_string()) {
            Ok(_) => faults.push(format!("{job} {spec}: it is accepted")),
            Err(error) => faults.extend(lacks(&job, &format!("{error:#}"), &words)),
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n\n"));
    home.delete()
}

pub(crate) fn what_is_accepted_and_wrong_is_told_in_a_condition_and_an_event(
    stage: &Stage,
    name: &str,
) -> Result<()> {
    let home = stage.namespace(name)?;
    home.kubectl.apply(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "program"},
            "data": {"job.sql": GOOD}})
        .to_string(),
    )?;
    let crowded = stage.namespace("wrong-and-full")?;
    crowded.kubectl.apply(
        &json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
            "spec": {"hard": {"pods": "0"}}})
        .to_string(),
    )?;
    let quota = accepted::quota();
    let cases = accepted::cases(name);
    for case in &cases {
        home.kubectl.apply(&manifest(case.name, &case.spec).to_string())?;
    }
    crowded.kubectl.apply(&manifest(quota.name, &quota.spec).to_string())?;

    let mut faults = Vec::new();
    look(&home, &cases, &mut faults)?;
    look(&crowded, std::slice::from_ref(&quota), &mut faults)?;
    ensure!(faults.is_empty(), "{}", faults.join("\n\n"));
    // A person gives up: none of them holds its own end up.
    home.delete()?;
    crowded.delete()
}

/// Waits until all cases are told; adds what is not.
fn look(home: &Namespace<'_>, cases: &[Accepted], faults: &mut Vec<String>) -> Result<()> {
    let began = Instant::now();
    let mut open: Vec<&Accepted> = cases.iter().collect();
    let mut missing = Vec::new();
    let waited = wait_for("all to be told", TOLD, || {
        // Once is enough: a job that starts again may meanwhile be as it should.
        let told = untold(&home.kubectl, &open)?;
        open.retain(|case| {
            let untold = told.contains_key(case.name);
            if !untold {
                println!("  {} is told after {:.0} s", case.name, began.elapsed().as_secs_f64());
            }
            untold
        });
        missing = told.into_values().flatten().collect();
        std::thread::sleep(PAUSE);
        Ok(open.is_empty())
    });
    if waited.is_err() {
        faults.append(&mut missing);
    }
    Ok(())
}

/// What is not told yet, by the job's name.
fn untold(kubectl: &Kubectl, cases: &[&Accepted]) -> Result<BTreeMap<&'static str, Vec<String>>> {
    let jobs = kubectl.get(&["streamjobs"])?;
    let events = kubectl.get(&["events"])?;
    let mut untold = BTreeMap::new();
    for case in cases {
        let mut faults = Vec::new();
        let list = jobs["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let job = list.iter().find(|job| job["metadata"]["name"] == case.name);
        let (kind, reason) = case.condition;
        let said = job.and_then(|job| condition(job, kind));
        let message = said.filter(|said| said["reason"] == reason);
        match message.and_then(|said| said["message"].as_str()) {
            Some(message) => {
                faults.extend(lacks(&format!("{} {kind}", case.name), message, &case.words));
            }
            None => faults.push(format!(
                "{}: no {kind} for {reason}, but {}",
                case.name,
                job.map(|job| job["status"]["conditions"].to_string()).unwrap_or_default()
            )),
        }
        let list = events["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let notes: Vec<&str> = list
            .iter()
            .filter(|event| event["involvedObject"]["kind"] == "StreamJob")
            .filter(|event| event["involvedObject"]["name"] == case.name)
            .filter(|event| event["reason"] == case.event && event["type"] == "Warning")
            .filter_map(|event| event["message"].as_str())
            .collect();
        let has_all = |note: &&&str| case.words.iter().all(|word| note.contains(word.as_str()));
        if !notes.iter().any(|note| has_all(&note)) {
            faults.push(format!("{}: no event {} says so: {notes:?}", case.name, case.event));
        }
        if !faults.is_empty() {
            untold.insert(case.name, faults);
        }
    }
    Ok(untold)
}

fn lacks(what: &str, text: &str, words: &[String]) -> Option<String> {
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(word.as_str())).collect();
    (!missing.is_empty()).then(|| format!("{what}: {missing:?} is not in: {text}"))
}
