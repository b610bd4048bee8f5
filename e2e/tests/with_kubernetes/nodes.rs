//! Lose a node: survivors go on without Kubernetes, its pods are replaced without a person, and
//! what comes back with it writes nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::time::Instant;
use weir_e2e::process::at_once;
use weir_e2e::testbed::cluster::{Kubectl, Namespace, Node, READY, Stage, is_true};

use crate::flights::{Input, topic_to_hours};

/// From the cut to the next output, with survivors.
const TAKEN_OVER: Duration = Duration::from_secs(15);
/// Kubernetes calls a silent node lost after 50 s; the job's own patience is over before that.
const REPLACED: Duration = Duration::from_secs(150);
const WORKERS: u32 = 3;

/// A job of three workers on two nodes.
struct Spread {
    name: &'static str,
    /// Where its coordinator is, which starts first.
    coordinator: Node,
    /// How many workers are with it.
    first: u32,
}

/// What one node takes from each.
const JOBS: [Spread; 2] = [
    Spread { name: "loses-a-worker", coordinator: Node(0), first: 2 },
    Spread { name: "loses-its-coordinator", coordinator: Node(1), first: 1 },
];

/// Node 1 is cut off and comes back: one job loses a worker with it, the other its coordinator.
pub(crate) fn a_lost_node_costs_no_row(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let nodes = stage.cluster.kubectl();
    let input = Input::new(400_000)?;
    let mut feeds = Vec::new();
    for job in &JOBS {
        let topic = format!("{name}-{}", job.name);
        feeds.push(input.feed(kafka, &topic, 1_500)?);
        let sql = topic_to_hours(kafka, &topic, &home.sink(job.name));
        only_on(&nodes, job.coordinator)?;
        // One node must hold both jobs while the other is gone.
        let workers = json!({"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}});
        home.apply_job(job.name, &sql, &json!({"parallelism": job.first, "workers": workers}))?;
        home.wait_for_condition(job.name, "Ready", READY)?;
        only_on(&nodes, Node(1 - job.coordinator.0))?;
        home.patch_job(job.name, &json!({"parallelism": WORKERS}))?;
        whole(&home, job.name, READY)?;
    }
    anywhere(&nodes)?;
    let lost = JOBS.iter().map(|job| at_stake(&home, job)).collect::<Result<Vec<_>>>()?;
    for feed in &mut feeds {
        ensure!(feed.is_under_way()?, "the load ended before the fault");
    }

    let start = Instant::now();
    stage.cluster.partition(Node(1), true)?;
    let cut = at_once(&lost, |lost| survives(&home, lost, start));
    stage.cluster.partition(Node(1), false)?;
    cut?;
    for feed in &mut feeds {
        ensure!(feed.is_under_way()?, "the load ended before the node came back");
    }
    nodes.wait_until("node", &Node(1).name(), "back", READY, |node| {
        is_true(node, "Ready") && node["spec"]["taints"].is_null()
    })?;
    for job in &JOBS {
        home.wait_for_new_output(job.name, READY)?;
    }
    for (job, feed) in JOBS.iter().zip(feeds) {
        feed.finish()?;
        home.wait_for_rows(job.name, &Input::columns(), input.expected(), 2 * READY)?;
        home.wait_for_condition(job.name, "Ready", READY)?;
    }
    home.delete()
}

/// What a job has on the node that will be lost.
struct Lost {
    job: &'static str,
    /// Name and UID of each pod.
    pods: Vec<(String, String)>,
    /// The newest that the job has published.
    term: u64,
}

/// Looks at a job before its node is cut off: it must stand as planned.
fn at_stake(home: &Namespace<'_>, job: &Spread) -> Result<Lost> {
    home.wait_for_new_output(job.name, READY)?;
    let pods = pods_of(home, job.name, Node(1))?;
    let coordinator = home.coordinator(job.name)?;
    ensure!(!pods.is_empty() && pods.len() < WORKERS as usize, "on the lost node: {pods:?}");
    let is_there = pods.iter().any(|(pod, _)| *pod == coordinator);
    ensure!(is_there == (job.coordinator == Node(1)), "{coordinator} coordinates, lost: {pods:?}");
    Ok(Lost { job: job.name, pods, term: home.newest_term(job.name)? })
}

/// The rest of a job goes on soon, and is whole again without a person and without the node.
fn survives(home: &Namespace<'_>, lost: &Lost, start: Instant) -> Result<()> {
    home.wait_for_output_after(lost.job, lost.term, TAKEN_OVER)?;
    println!("  {}: output {:.1} s after the cut", lost.job, start.elapsed().as_secs_f64());
    for (pod, uid) in &lost.pods {
        home.kubectl.wait_until("pod", pod, "replaced", REPLACED, |pod| {
            pod["metadata"]["uid"] != **uid
                && pod["spec"]["nodeName"] == Node(0).name()
                && is_true(pod, "Ready")
        })?;
    }
    println!("  {}: pods replaced {:.1} s after the cut", lost.job, start.elapsed().as_secs_f64());
    whole(home, lost.job, READY)?;
    home.wait_for_new_output(lost.job, READY)
}

/// Waits until every worker has its share.
fn whole(home: &Namespace<'_>, job: &str, limit: Duration) -> Result<()> {
    home.wait_for_ready_pods(job, WORKERS as usize, limit)?;
    home.kubectl.wait_until("sj", job, "whole", limit, |job| {
        job["status"]["parallelism"]["actual"] == WORKERS && job["status"]["state"] == "Running"
    })?;
    Ok(())
}

/// Name and UID of the job's pods on a node.
pub(crate) fn pods_of(
    home: &Namespace<'_>,
    job: &str,
    node: Node,
) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for pod in home.pods(job)? {
        let object = home.kubectl.get(&["pod", &pod])?;
        if object["spec"]["nodeName"] == node.name() {
            found.push((pod, object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()));
        }
    }
    Ok(found)
}

/// New pods come to this node only.
pub(crate) fn only_on(nodes: &Kubectl, node: Node) -> Result<()> {
    nodes.run(&["uncordon", &node.name()])?;
    nodes.run(&["cordon", &Node(1 - node.0).name()])?;
    Ok(())
}

pub(crate) fn anywhere(nodes: &Kubectl) -> Result<()> {
    nodes.run(&["uncordon", &Node(0).name(), &Node(1).name()])?;
    Ok(())
}
