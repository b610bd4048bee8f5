//! `plan`: what applying a manifest would do, found out as the operator finds it out: the cluster
//! fills in its defaults, [`weir_operator::validate`] tells the revision, and a revision that does
//! not run is planned by the job that does.

mod forbidden;
mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::Value;
use weir_crds::DesiredState;
use weir_crds::kube::StreamJob;
use weir_operator::config::Defaults;
use weir_operator::names;
use weir_operator::validate::{Accepted, Program, read_program, validate};
use weir_operator::workers::{GrpcWorkers, PlanReply};
use weir_protocol::view::took;

use crate::Output;
use crate::ask::{Cluster, JOBS, is_label, name_of, named, namespace_of};
use crate::exit::{CHANGES, REFUSED};
use crate::out::{print, print_json};
use forbidden::{Forbidden, forbidden};
use verdict::{Fate, Plan, Verdict, differences, of_reply};

/// `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The job's manifest.
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,
    /// End with code 2 when something would change.
    #[arg(long)]
    exit_code: bool,
    /// How to show it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) fn run(cluster: &Cluster, args: &PlanArgs) -> anyhow::Result<u8> {
    let plan = plan(cluster, &args.filename.display().to_string())?;
    match args.output {
        Output::Text => print(&plan.text())?,
        Output::Json => print_json(&plan.json())?,
    }
    Ok(match plan.verdict {
        Verdict::Incompatible(_) => REFUSED,
        Verdict::Unknown(_) => 1,
        Verdict::Unchanged => 0,
        _ if args.exit_code => CHANGES,
        _ => 0,
    })
}

fn plan(cluster: &Cluster, file: &str) -> anyhow::Result<Plan> {
    let filename = format!("--filename={file}");
    let written = read_manifest(cluster, file)?;
    let (name, namespace) = (name_of(&written).to_owned(), namespace_of(&written).to_owned());
    let cluster = cluster.within(&namespace);
    let object = named(JOBS, &name)?;
    let there = cluster.read(&["get", &object, "--ignore-not-found", "--output=json"])?;
    let running: Option<Value> = match there.is_empty() {
        true => None,
        false => Some(serde_json::from_slice(&there).context("kubectl get")?),
    };
    let mut plan = Plan {
        name: name.clone(),
        verdict: Verdict::New,
        changes: Vec::new(),
        fates: Vec::new(),
        notes: Vec::new(),
    };
    let wanted = match cluster.json::<Value>(&["apply", &filename, "--dry-run=server"]) {
        Ok(wanted) => wanted,
        Err(error) => {
            let said = format!("{error:#}");
            let faults = faults(file);
            plan.verdict = match forbidden(&said) {
                Some(Forbidden::Right(right)) => {
                    plan.notes.push(format!("not checked by the cluster: {right}"));
                    Verdict::New
                }
                Some(Forbidden::Unreached(who, why)) => {
                    Verdict::Unknown(format!("the cluster's {who} was not reached: {why}"))
                }
                Some(Forbidden::Denied(by, why)) => {
                    let all = [faults, vec![format!("{by} denies it: {why}")]].concat();
                    Verdict::Incompatible(all.join("\n"))
                }
                None if faults.is_empty() => Verdict::Incompatible(said),
                None => Verdict::Incompatible(faults.join("\n")),
            };
            if plan.verdict != Verdict::New {
                return Ok(plan);
            }
            replaced(running.as_ref(), written)
        }
    };
    let faults = faults(file);
    if !faults.is_empty() {
        plan.verdict = Verdict::Incompatible(faults.join("\n"));
        return Ok(plan);
    }
    let Some(running) = running else {
        plan.notes.push(format!("whether its program can run is told by `weir plan {file}`"));
        return Ok(plan);
    };
    let wanted: StreamJob =
        serde_json::from_value(wanted).context("what the cluster made of it")?;
    let had: StreamJob = serde_json::from_value(running).context("the job as it is")?;
    plan.changes =
        differences(&serde_json::to_value(&had.spec)?, &serde_json::to_value(&wanted.spec)?);
    decide(&cluster, &had, &wanted, &mut plan)?;
    Ok(plan)
}

/// A manifest as kubectl reads it, so that it means what it means to `kubectl apply`; whether its
/// fields are right is told later, by who can say where they are wrong.
pub(crate) fn read_manifest(cluster: &Cluster, file: &str) -> anyhow::Result<Value> {
    let filename = format!("--filename={file}");
    let written: Value =
        cluster.json(&["create", &filename, "--dry-run=client", "--validate=false"])?;
    let is_ours = written["apiVersion"].as_str().is_some_and(|it| it.starts_with("weir.dev/"));
    anyhow::ensure!(
        is_ours && written["kind"] == "StreamJob",
        "{file}: it has to hold one StreamJob"
    );
    for (field, value) in [("name", name_of(&written)), ("namespace", namespace_of(&written))] {
        anyhow::ensure!(
            is_label(value),
            "{file}: metadata.{field}: {value:?} cannot be a {field}; it is of lower-case letters, \
             digits and '-'"
        );
    }
    Ok(written)
}

/// Everything that is wrong with a file's fields, each with its line; none of what is no file here.
fn faults(file: &str) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(file) else { return Vec::new() };
    match weir_crds::StreamJob::from_yaml(&text, file) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// What the manifest makes of the job, as far as that can be told without the cluster: its spec in
/// place of the job's.
fn replaced(running: Option<&Value>, written: Value) -> Value {
    match running {
        None => written,
        Some(running) => {
            let mut wanted = running.clone();
            wanted["spec"] = written["spec"].clone();
            wanted
        }
    }
}

/// The text of `spec.sqlFrom`.
fn program(cluster: &Cluster, job: &StreamJob) -> anyhow::Result<Option<Program>> {
    let Some(from) = &job.spec.sql_from else { return Ok(None) };
    let map = named("configmaps", &from.config_map_key_ref.name).context("spec.sqlFrom")?;
    let found = cluster.read(&["get", &map, "--ignore-not-found", "--output=json"])?;
    let namespace = job.metadata.namespace.as_deref().unwrap_or("default");
    if found.is_empty() {
        return Ok(Some(read_program(from, namespace, None)));
    }
    let mut map: Value = serde_json::from_slice(&found).context("the program's ConfigMap")?;
    let data: BTreeMap<String, String> = match map["data"].take() {
        Value::Null => BTreeMap::new(),
        data => serde_json::from_value(data).context("the program's ConfigMap")?,
    };
    Ok(Some(read_program(from, namespace, Some(data))))
}

/// The revision that a job stands for, with the defaults that it was accepted with.
fn accepted(
    cluster: &Cluster,
    had: &StreamJob,
    job: &StreamJob,
) -> anyhow::Result<Result<Accepted, Verdict>> {
    let annotation = |name: &str| had.metadata.annotations.as_ref()?.get(name);
    let Some(defaults) = annotation(names::RESOLVED) else {
        let why = "the operator has not taken the job yet; is it running?";
        return Ok(Err(Verdict::Unknown(why.to_owned())));
    };
    let defaults: Defaults = serde_json::from_str(defaults).context(names::RESOLVED)?;
    let published = annotation(names::PUBLISHED).map(String::as_str);
    let program = program(cluster, job)?;
    let accepted = validate(job, program.as_ref(), &defaults, published);
    Ok(accepted.map_err(|refusal| Verdict::refused(&refusal)))
}

/// Fills in the verdict for a job that is there.
fn decide(
    cluster: &Cluster,
    had: &StreamJob,
    wanted: &StreamJob,
    plan: &mut Plan,
) -> anyhow::Result<()> {
    let target = match accepted(cluster, had, wanted)? {
        Ok(target) => target,
        Err(verdict) => {
            plan.verdict = verdict;
            return Ok(());
        }
    };
    let status = had.status.clone().unwrap_or_default();
    let runs = status.revisions.clone().unwrap_or_default().current;
    let is_same = match &runs {
        Some(current) => *current == target.revision,
        // Of a job that rests: what it would start as.
        None => accepted(cluster, had, had)?.is_ok_and(|it| it.revision == target.revision),
    };
    if is_same {
        plan.verdict = match plan.changes.is_empty() {
            true => Verdict::Unchanged,
            false => Verdict::Live,
        };
        let last = status.last_operation.as_ref().filter(|it| it.type_ == "Rescale");
        let rescales = had.spec.parallelism != wanted.spec.parallelism;
        if let Some(ms) = last.and_then(|it| it.downtime_ms).filter(|_| rescales && runs.is_some())
        {
            plan.notes.push(format!("the last rescale paused output for {}", took(ms)));
        }
        if wanted.spec.desired_state != had.spec.desired_state {
            plan.notes.push(match wanted.spec.desired_state {
                DesiredState::Running => "it goes on from where it stopped".to_owned(),
                DesiredState::Suspended => "it stops behind a savepoint".to_owned(),
                DesiredState::Drained => "it stops behind its last result".to_owned(),
            });
        }
        return Ok(());
    }
    let coordinator = status.coordinator.as_ref().map(|it| it.pod.clone());
    let Some(pod) = coordinator.filter(|_| runs.is_some()) else {
        plan.verdict = Verdict::Restart;
        let note = "nobody runs the job who could be asked what becomes of its state: it is known \
                    when it starts";
        plan.notes.push(note.to_owned());
        return Ok(());
    };
    match ask(cluster, &pod, &target.asked) {
        Ok(reply) => {
            plan.verdict = of_reply(&reply);
            plan.fates = Fate::all(&reply);
            plan.notes
                .extend(reply.warnings.iter().map(|warning| format!("the program: {warning}")));
        }
        Err(error) => plan.verdict = Verdict::Unknown(format!("{error:#}")),
    }
    let image = had.spec.image.as_deref().unwrap_or_else(|| default_image(&target));
    if image != target.image {
        plan.notes.push(format!(
            "planned by the image that runs ({image}); before it stops anything the operator plans it \
             in {} too",
            target.image
        ));
    }
    Ok(())
}

fn default_image(target: &Accepted) -> &str {
    &target.resolved.image
}

/// Asks the job that runs, as the operator does.
fn ask(cluster: &Cluster, pod: &str, manifest: &str) -> anyhow::Result<PlanReply> {
    let way = cluster.forward(pod, None, names::CONTROL_PORT)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = GrpcWorkers::plan_at(way.address().to_owned(), manifest);
    runtime.block_on(asked).context("the running job was not asked")
}
