//! Kill any process, pod or container: no row is lost or repeated.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;
use weir_e2e::process;
use weir_e2e::testbed::cluster::{Namespace, READY, RELEASE, Stage};
use weir_e2e::testbed::kafka::Kafka;

use crate::figures::{Figure, tries};
use crate::flights::{Feed, Input, topic_to_hours, topic_to_hours_by_numbers};

const RECOVERED: Duration = Duration::from_secs(90);
const WORKERS: usize = 3;
/// Rows a second.
const RATE: u32 = 4_000;

/// A job under a steady load that lasts for all faults, and what they cost it.
struct Struck<'a> {
    stage: &'a Stage,
    home: Namespace<'a>,
    input: Input,
    feed: Feed,
}

impl<'a> Struck<'a> {
    fn start(
        stage: &'a Stage,
        name: &str,
        rows: usize,
        program: impl FnOnce(&Kafka, &str, &str) -> String,
    ) -> Result<Self> {
        let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
        let input = Input::new(rows)?;
        let feed = input.feed(kafka, name, RATE)?;
        let sql = program(kafka, name, &home.sink("hourly"));
        home.apply_job("hours", &sql, &json!({"parallelism": WORKERS}))?;
        home.wait_for_condition("hours", "Ready", READY)?;
        home.wait_for_new_output("hourly", RECOVERED)?;
        Ok(Self { stage, home, input, feed })
    }

    /// Aims and strikes, waits for output of a later term, measures that, and waits until all is
    /// well.
    fn strike(
        &mut self,
        figure: &mut Figure,
        aim: impl FnOnce(&Stage, &Namespace<'_>) -> Result<Blow>,
    ) -> Result<()> {
        ensure!(self.feed.is_under_way()?, "the load ended before the faults");
        let blow = aim(self.stage, &self.home)?;
        let term = self.home.newest_term("hourly")?;
        let start = Instant::now();
        blow()?;
        self.home.wait_for_output_after("hourly", term, RECOVERED)?;
        figure.add(start.elapsed());
        self.home.wait_for_ready_pods("hours", WORKERS, RECOVERED)?;
        self.home.kubectl.wait_until("sj", "hours", "whole again", RECOVERED, |job| {
            job["status"]["parallelism"]["actual"] == WORKERS && job["status"]["state"] == "Running"
        })?;
        // From here on a fault meets a job at rest, as a figure needs it.
        self.home.wait_for_new_output("hourly", RECOVERED)
    }

    /// All rows are there once, and the job is well.
    fn all_is_well(self) -> Result<()> {
        self.feed.finish()?;
        let columns = Input::columns();
        self.home.wait_for_rows("hourly", &columns, self.input.expected(), 2 * RECOVERED)?;
        self.home.wait_for_condition("hours", "Ready", RECOVERED)?;
        self.home.delete()
    }
}

/// The pod that coordinates the job now, and the others: first the one whose container was
/// restarted most often. A container that has ended again and again is kept waiting by the
/// kubelet, twice as long each time, which says nothing about the job; a new pod begins anew.
fn roles(home: &Namespace<'_>) -> Result<(String, Vec<String>)> {
    let coordinator = home.coordinator("hours")?;
    let mut pods = home.pods_by_restarts("hours")?;
    pods.retain(|(pod, _)| *pod != coordinator);
    ensure!(pods.len() + 1 == WORKERS, "{coordinator} coordinates {pods:?}");
    pods.sort_by_key(|(_, restarts)| std::cmp::Reverse(*restarts));
    Ok((coordinator, pods.into_iter().map(|(pod, _)| pod).collect()))
}

/// Ends something; to find out what takes several questions, which are no part of a figure.
type Blow = Box<dyn FnOnce() -> Result<()>>;

/// Ends pods as a failing node does: at once.
fn kill_pods(home: &Namespace<'_>, pods: Vec<String>) -> Blow {
    let kubectl = home.kubectl.clone();
    Box::new(move || {
        let mut arguments = vec!["delete", "pod", "--grace-period=0", "--force", "--wait=false"];
        arguments.extend(pods.iter().map(String::as_str));
        kubectl.run(&arguments).map(drop)
    })
}

/// As an OOM kill does where cgroups are of version 2: all processes of a container at once.
fn kill_container(stage: &Stage, home: &Namespace<'_>, pod: &str) -> Result<Blow> {
    let processes = stage.cluster.container_processes(home.name(), pod)?;
    ensure!(processes.len() >= 2, "supervisor and worker: {processes:?}");
    Ok(Box::new(move || {
        for id in processes {
            // One that the end of another has ended already is gone.
            let _ = process::signal(id, Signal::KILL);
        }
        Ok(())
    }))
}

/// The full flights under a steady load, while everything that can be killed is killed in turn.
pub(crate) fn whatever_is_killed_costs_no_row(stage: &Stage, name: &str) -> Result<()> {
    let mut job = Struck::start(stage, name, 3_000_000, topic_to_hours)?;
    let mut figures = [
        Figure::new("pod of a worker killed → output of the next term"),
        Figure::new("pod of the coordinator killed → output of the next term"),
        Figure::new("container of a worker killed → output of the next term"),
        Figure::new("container of the coordinator killed → output of the next term"),
    ];
    for _ in 0..tries() {
        let [pod, coordinators_pod, container, coordinators_container] = &mut figures;
        job.strike(pod, |_, home| Ok(kill_pods(home, vec![roles(home)?.1.swap_remove(0)])))?;
        job.strike(coordinators_pod, |_, home| Ok(kill_pods(home, vec![roles(home)?.0])))?;
        job.strike(container, |stage, home| kill_container(stage, home, &roles(home)?.1[1]))?;
        job.strike(coordinators_container, |stage, home| {
            kill_container(stage, home, &roles(home)?.0)
        })?;
    }
    figures.into_iter().for_each(Figure::done);
    job.all_is_well()
}

/// Nobody survives, or one that is no majority: the pods that replace them go on.
pub(crate) fn pods_killed_at_once_cost_no_row(stage: &Stage, name: &str) -> Result<()> {
    let mut job = Struck::start(stage, name, 1_000_000, topic_to_hours_by_numbers)?;
    let mut most = Figure::new("pods of a worker and of the coordinator killed → output");
    let mut all = Figure::new("all pods killed → output");
    for _ in 0..tries() {
        job.strike(&mut most, |_, home| {
            let (coordinator, mut others) = roles(home)?;
            Ok(kill_pods(home, vec![coordinator, others.swap_remove(0)]))
        })?;
        job.strike(&mut all, |_, home| Ok(kill_pods(home, home.pods("hours")?)))?;
    }
    most.done();
    all.done();
    job.all_is_well()
}

/// In the middle of a change, both replicas at once.
pub(crate) fn a_killed_operator_costs_nothing(stage: &Stage, name: &str) -> Result<()> {
    let mut job = Struck::start(stage, name, 1_000_000, topic_to_hours)?;
    let operators = stage.cluster.kubectl().in_namespace(RELEASE);
    let mut figure = Figure::new("both operators killed amid a rescale → rescaled");
    for round in 0..tries() {
        ensure!(job.feed.is_under_way()?, "the load ended before the faults");
        let parallelism = if round % 2 == 0 { 2 } else { WORKERS };
        let start = Instant::now();
        job.home.patch_job("hours", &json!({"parallelism": parallelism}))?;
        operators.run(&[
            "delete",
            "pods",
            "-l",
            "app.kubernetes.io/name=weir-operator",
            "--grace-period=0",
            "--force",
        ])?;
        // The job does not wait for its operator.
        job.home.wait_for_new_output("hourly", RECOVERED)?;
        job.home.kubectl.wait_until("sj", "hours", "rescaled", RECOVERED, |job| {
            job["status"]["parallelism"]["actual"] == parallelism
                && job["status"]["state"] == "Running"
        })?;
        figure.add(start.elapsed());
    }
    figure.done();
    job.all_is_well()
}
