//! A cluster with an operator on it, and time that passes when it is told to.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use serde_json::{Value, json};
use weir_crds::kube::{StreamJob, StreamJobStatus};
use weir_operator::clock::Clock;
use weir_operator::config::Defaults;
use weir_operator::reconcile::{Context, reconcile};

use super::Model;
use crate::double::{Cluster, Connection};

/// Time between two rounds.
pub const TICK: Duration = Duration::from_millis(500);
/// Rounds within which everything must have come to rest.
const PATIENCE: usize = 120;
/// The namespace of the jobs.
pub const NS: &str = "shop";
/// The job.
pub const JOB: &str = "flights";

/// The cluster, the model of its workers, the time.
pub struct Stage {
    pub cluster: Cluster,
    pub model: Model,
    pub clock: Clock,
    /// Another operator that has a round after each of the first's.
    pub second: Option<Operator>,
}

/// An operator's process.
pub struct Operator {
    pub connection: Connection,
    pub context: Context,
}

impl Stage {
    pub fn new() -> Self {
        let cluster = Cluster::new();
        let namespace = json!({"metadata": {"name": NS}});
        let namespace: k8s_openapi::api::core::v1::Namespace =
            serde_json::from_value(namespace).unwrap();
        cluster.create(&namespace);
        let model = Model::attach(&cluster);
        let clock = Clock::manual(cluster.now_ms());
        Self { cluster, model, clock, second: None }
    }

    /// A fresh process of the operator.
    pub fn operator(&self) -> Operator {
        self.operator_with("s3://bucket/weir")
    }

    /// A fresh process of an operator that was installed with this `state.root`.
    pub fn operator_with(&self, root: &str) -> Operator {
        let connection = self.cluster.connect("weir-operator");
        let defaults = Defaults {
            image: "weir-worker:1".to_owned(),
            state_root: root.to_owned(),
            credentials_secret: "weir-s3".to_owned(),
            service_account: "default".to_owned(),
            ..Defaults::default()
        };
        let context = Context::new(
            connection.client(),
            Arc::new(self.model.clone()),
            self.clock.clone(),
            defaults,
            "weir-system",
            "weir-operator-0",
        );
        Operator { connection, context }
    }

    /// Rounds and time, whether or not anything comes to rest.
    pub async fn rounds(&self, operator: &Operator, count: usize) {
        for _ in 0..count {
            self.round(operator).await;
            self.tick();
        }
    }

    pub fn apply(&self, spec: Value) {
        let job = json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "StreamJob",
            "metadata": {"name": JOB, "namespace": NS}, "spec": spec,
        });
        let job: StreamJob = serde_json::from_value(job).unwrap();
        self.cluster.create(&job);
    }

    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        self.cluster.edit::<StreamJob>(NS, JOB, |job| change(&mut job["spec"]));
    }

    pub fn job(&self) -> Option<StreamJob> {
        self.cluster.get(NS, JOB)
    }

    pub fn status(&self) -> StreamJobStatus {
        self.job().and_then(|job| job.status).unwrap_or_default()
    }

    /// A condition's status, reason and message.
    pub fn condition(&self, type_: &str) -> (String, String, String) {
        let conditions = self.status().conditions;
        let found = conditions.into_iter().find(|condition| condition.type_ == type_);
        found.map(|it| (it.status, it.reason, it.message)).unwrap_or_default()
    }

    pub fn is(&self, state: &str) -> bool {
        let state_now = serde_json::to_value(self.status().state).unwrap();
        let generation = self.job().and_then(|job| job.metadata.generation);
        state_now == state && self.status().observed_generation == generation
    }

    pub fn sets(&self) -> Vec<StatefulSet> {
        self.cluster.list(NS)
    }

    pub fn pods(&self) -> Vec<Pod> {
        self.cluster.list(NS)
    }

    /// One round of one operator. False when it failed.
    pub async fn round(&self, operator: &Operator) -> bool {
        for _ in 0..4 {
            match reconcile(&operator.context, NS, JOB).await {
                Ok(Some(again)) if again.is_zero() => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// Time passes; controllers, kubelets and workers do their part.
    pub fn tick(&self) {
        self.cluster.advance(TICK);
        self.clock.advance(TICK);
        self.model.step(&self.cluster);
        self.cluster.settle();
        self.model.step(&self.cluster);
    }

    /// A longer time passes in which nothing happens.
    pub fn pass(&self, time: Duration) {
        self.cluster.advance(time);
        self.clock.advance(time);
    }

    /// Rounds and time until `goal` holds and nothing is written any more. `operator` is replaced
    /// by a fresh one whenever it has died.
    pub async fn until(&self, operator: &mut Operator, what: &str, goal: impl Fn(&Stage) -> bool) {
        let mut quiet = 0;
        for _ in 0..PATIENCE {
            let before = operator.connection.writes();
            let fine = self.round(operator).await;
            if let Some(second) = &self.second {
                self.round(second).await;
            }
            let wrote = operator.connection.writes() != before;
            if operator.connection.is_dead() {
                *operator = self.operator();
            }
            self.tick();
            quiet = match (goal(self), wrote) {
                (true, false) if fine => quiet + 1,
                // A round that failed on a read says nothing about rest.
                (true, false) => quiet,
                _ => 0,
            };
            if quiet >= 2 {
                return;
            }
        }
        let sets: Vec<String> = self
            .sets()
            .iter()
            .map(|set| {
                let replicas = set.spec.as_ref().and_then(|spec| spec.replicas);
                format!("{} × {replicas:?} {:?}", set.name_any(), set.annotations())
            })
            .collect();
        let pods: Vec<String> = self.pods().iter().map(ResourceExt::name_any).collect();
        let tail = self.cluster.history();
        let tail = &tail[tail.len().saturating_sub(30)..];
        panic!(
            "{what} was not reached:\n{:#?}\nsets {sets:#?}\npods {pods:?}\nchain {:?}\n{tail:#?}",
            self.status(),
            self.model.chain(NS, JOB)
        );
    }

    /// What is left, in words that do not depend on how it came to be.
    pub fn summary(&self) -> String {
        let mut lines = Vec::new();
        if let Some(job) = self.job() {
            let status = job.status.clone().unwrap_or_default();
            let conditions: Vec<String> = status
                .conditions
                .iter()
                .map(|it| format!("{}={}/{}", it.type_, it.status, it.reason))
                .collect();
            lines.push(format!("{:?} {}", status.state, conditions.join(" ")));
            lines.push(format!("{:?} {:?}", status.parallelism, status.revisions));
            lines.push(format!("{:?}", job.finalizers()));
        }
        for set in self.sets() {
            let replicas = set.spec.as_ref().and_then(|spec| spec.replicas);
            let stopped = set.annotations().get("weir.dev/stopped").map(|text| {
                let stopped: Value = serde_json::from_str(text).unwrap();
                let saved = stopped["savepoint"].as_str().is_some_and(|it| !it.is_empty());
                format!("{} {saved}", stopped["kind"])
            });
            lines.push(format!("set {} × {replicas:?} {stopped:?}", set.name_any()));
        }
        let pods = self.pods();
        lines.push(format!("pods {:?}", names(&pods)));
        lines.push(format!("services {:?}", names(&self.cluster.list::<Service>(NS))));
        lines.push(format!("configs {:?}", names(&self.cluster.list::<ConfigMap>(NS))));
        lines.push(format!("budgets {:?}", names(&self.cluster.list::<PodDisruptionBudget>(NS))));
        lines.push(format!("policies {:?}", names(&self.cluster.list::<NetworkPolicy>(NS))));
        let chain = self.model.chain(NS, JOB);
        lines.push(format!(
            "chain {:?}",
            chain.map(|chain| (chain.parallelism, chain.savepoints.len(), chain.finished))
        ));
        lines.join("\n")
    }
}

fn names<K: kube::Resource>(objects: &[K]) -> Vec<String> {
    objects.iter().map(ResourceExt::name_any).collect()
}
