//! The children of one plan: typed objects, and how far they have come.

use std::marker::PhantomData;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::Value;

use super::{Begin, patch};
use crate::build;
use crate::decide::{Facts, Plan};
use crate::observe::Observed;
use crate::validate::{Accepted, Refusal};

/// As they should be, and not written yet.
#[derive(Clone, Copy, Debug)]
pub enum Prepared {}

/// Written, or found as they should be. Only what is applied is spoken of in a status.
#[derive(Clone, Copy, Debug)]
pub enum Applied {}

/// What a plan makes of a job's children. A field that is none is not written by this plan, which
/// does not mean that there is no such object.
#[derive(Clone, Debug)]
pub struct Children<Stage> {
    /// A change of the job's own metadata.
    pub job: Option<Value>,
    /// The revision that the spec stands for; its program is kept.
    pub revision: Option<String>,
    /// Its program, where its pods or its plan need it.
    pub program: Option<ConfigMap>,
    /// How pods are found and protected.
    pub served: Option<Served>,
    /// Changes of sets that exist, by name.
    pub scaled: Vec<(String, Value)>,
    /// The set of the spec's revision.
    pub set: Option<StatefulSet>,
    /// The pod that plans the spec's program in its own image.
    pub plan_pod: Option<Pod>,
    /// The pod that deletes the job's state.
    pub state_pod: Option<Pod>,
    stage: PhantomData<Stage>,
}

/// How pods are found and protected.
#[derive(Clone, Debug)]
pub struct Served {
    /// Names for all worker pods.
    pub workers: Service,
    /// Where they look for their coordinator.
    pub coordinator: Service,
    /// How many a drain of nodes may take.
    pub budget: PodDisruptionBudget,
    /// Who may connect to them; none where everybody may.
    pub network_policy: Option<NetworkPolicy>,
}

/// What `plan` makes of the job's children.
#[must_use]
pub fn build(
    observed: &Observed,
    spec: &Result<Accepted, Refusal>,
    facts: &Facts,
    plan: &Plan,
) -> Children<Prepared> {
    let (owner, actions) = (&observed.owner, &plan.actions);
    let accepted = spec.as_ref().ok();
    let runs = accepted.filter(|_| facts.job.deleted_at.is_none());
    let needs_program = |accepted: &&Accepted| {
        let served = actions.serve.as_ref() == Some(&accepted.revision);
        actions.create.is_some() || actions.plan_pod || served
    };
    let set = |accepted: &Accepted, replicas| {
        let supersedes = facts.predecessors(&accepted.revision);
        build::build_set(owner, accepted, replicas, &Begin::of(facts, accepted, &supersedes))
    };
    let scaled = actions.scale.iter().map(|scale| {
        let of = accepted.filter(|it| facts.revision_of(&scale.name) == Some(&it.revision));
        let template = of.map(|accepted| set(accepted, scale.replicas));
        (scale.name.clone(), patch::build_scale(owner, accepted, scale, template))
    });
    Children {
        job: patch::build_job(&observed.job, accepted, actions),
        revision: accepted.map(|accepted| accepted.revision.clone()),
        program: runs.filter(needs_program).map(|accepted| build::build_config(owner, accepted)),
        served: actions.serve.as_ref().map(|revision| Served {
            workers: build::build_workers(owner),
            coordinator: build::build_coordinator(owner, revision),
            budget: build::build_budget(
                owner,
                observed.job.spec.workers.disruption_budget.max_unavailable,
            ),
            network_policy: (observed.job.spec.network_policy.enabled)
                .then(|| build::build_network_policy(owner)),
        }),
        scaled: scaled.collect(),
        set: accepted.zip(actions.create).map(|(accepted, replicas)| set(accepted, replicas)),
        plan_pod: accepted
            .filter(|_| actions.plan_pod)
            .map(|accepted| build::build_plan_pod(owner, accepted)),
        state_pod: accepted
            .filter(|_| actions.collect_state)
            .map(|accepted| build::build_state_pod(owner, accepted)),
        stage: PhantomData,
    }
}

impl Children<Prepared> {
    /// They are all written now.
    pub(crate) fn applied(self) -> Children<Applied> {
        // Destructured without `..`, so that a new child cannot be forgotten here.
        let Self { job, revision, program, served, scaled, set, plan_pod, state_pod, stage: _ } =
            self;
        let stage = PhantomData;
        Children { job, revision, program, served, scaled, set, plan_pod, state_pod, stage }
    }
}
