//! Lose a node: survivors go on without Kubernetes, its pods are replaced without a person, and
//! what comes back with it writes nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::time::Instant;
use weir_e2e::testbed::cluster::{Kubectl, Namespace, Node, READY, Stage, is_true};

use crate::flights::{Input, topic_to_hours};

/// From the cut to the next output, with survivors.
const TAKEN_OVER: Duration = Duration::from_secs(15);
/// Kubernetes calls a silent node lost after 50 s; the job's own patience is over before that.
const REPLACED: Duration = Duration::from_secs(150);
const WORKERS: u32 = 3;

/// The lost node holds one worker; the coordinator is elsewhere.
pub(crate) fn a_lost_node_of_workers_costs_no_row(stage: &Stage, name: &str) -> Result<()> {
    lose_a_node(stage, name, Node(0), 2)
}

/// The lost node holds the coordinator; the workers are elsewhere.
pub(crate) fn a_lost_node_of_the_coordinator_costs_no_row(stage: &Stage, name: &str) -> Result<()> {
    lose_a_node(stage, name, Node(1), 1)
}

/// Starts `first` pods on one node and the rest on the other, then cuts node 1 off.
fn lose_a_node(stage: &Stage, name: &str, node_of_first: Node, first: u32) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    let nodes = stage.cluster.kubectl();
    let input = Input::new(1_000_000)?;
    let mut feed = input.feed(kafka, name, 3_000)?;
    let sql = topic_to_hours(kafka, name, &home.sink("hourly"));
    let node_of_rest = Node(1 - node_of_first.0);
    only_on(&nodes, node_of_first)?;
    home.apply_job("hours", &sql, &json!({"parallelism": first}))?;
    home.wait_for_condition("hours", "Ready", READY)?;
    only_on(&nodes, node_of_rest)?;
    home.patch_job("hours", &json!({"parallelism": WORKERS}))?;
    whole(&home, READY)?;
    anywhere(&nodes)?;
    home.wait_for_new_output("hourly", READY)?;

    let lost = pods_of(&home, Node(1))?;
    ensure!(!lost.is_empty() && lost.len() < WORKERS as usize, "on the lost node: {lost:?}");
    let coordinator = home.coordinator("hours")?;
    let was_there = lost.iter().any(|(pod, _)| *pod == coordinator);
    ensure!(was_there == (node_of_first == Node(1)), "{coordinator} coordinates, lost: {lost:?}");
    ensure!(feed.is_under_way()?, "the load ended before the fault");
    let term = home.newest_term("hourly")?;
    let start = Instant::now();
    stage.cluster.partition(Node(1), true)?;
    let cut = (|| {
        home.wait_for_output_after("hourly", term, TAKEN_OVER)?;
        println!("  output {:.1} s after the cut", start.elapsed().as_secs_f64());
        for (pod, uid) in &lost {
            home.kubectl.wait_until("pod", pod, "replaced", REPLACED, |pod| {
                pod["metadata"]["uid"] != **uid
                    && pod["spec"]["nodeName"] == Node(0).name()
                    && is_true(pod, "Ready")
            })?;
        }
        println!("  pods replaced {:.1} s after the cut", start.elapsed().as_secs_f64());
        whole(&home, READY)?;
        home.wait_for_new_output("hourly", READY)
    })();
    stage.cluster.partition(Node(1), false)?;
    cut?;
    ensure!(feed.is_under_way()?, "the load ended before the node came back");
    nodes.wait_until("node", &Node(1).name(), "back", READY, |node| {
        is_true(node, "Ready") && node["spec"]["taints"].is_null()
    })?;
    home.wait_for_new_output("hourly", READY)?;
    feed.finish()?;
    home.wait_for_rows("hourly", &Input::columns(), input.expected(), 2 * READY)?;
    home.wait_for_condition("hours", "Ready", READY)?;
    home.delete()
}

/// Waits until every worker has its share.
fn whole(home: &Namespace<'_>, limit: Duration) -> Result<()> {
    home.wait_for_ready_pods("hours", WORKERS as usize, limit)?;
    home.kubectl.wait_until("sj", "hours", "whole", limit, |job| {
        job["status"]["parallelism"]["actual"] == WORKERS && job["status"]["state"] == "Running"
    })?;
    Ok(())
}

/// Name and UID of the job's pods on a node.
fn pods_of(home: &Namespace<'_>, node: Node) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for pod in home.pods("hours")? {
        let object = home.kubectl.get(&["pod", &pod])?;
        if object["spec"]["nodeName"] == node.name() {
            found.push((pod, object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()));
        }
    }
    Ok(found)
}

/// New pods come to this node only.
fn only_on(nodes: &Kubectl, node: Node) -> Result<()> {
    nodes.run(&["uncordon", &node.name()])?;
    nodes.run(&["cordon", &Node(1 - node.0).name()])?;
    Ok(())
}

fn anywhere(nodes: &Kubectl) -> Result<()> {
    nodes.run(&["uncordon", &Node(0).name(), &Node(1).name()])?;
    Ok(())
}
