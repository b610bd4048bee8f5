//! When this process coordinates (PROTOCOL section 3).
//!
//! The rules give progress: normally one process believes that it is its turn. They never give
//! safety; two that believe so at once are told apart by the chain.
//!
//! Votes are counted by ordinal: a process that was moved to another address is found by what it
//! told those that it could still reach ([`Shared::whereabouts`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};
use weir_checkpoint::chain::Authority;
use weir_checkpoint::manifest::Member;
use weir_checkpoint::{Chain, ChainOptions, Manifest, Store};
use weir_coordinator::grpc::GrpcConnect;
use weir_coordinator::{Coordinator, CoordinatorConfig, CoordinatorHandle, Ending, MasterConfig};
use weir_crds::StreamJob;
use weir_engine::graph::JobGraph;
use weir_protocol::control::{FollowRequest, WorkerReport, job_end};
use weir_protocol::{JobName, Term, Version, WorkerId};

use super::finder::{ASK, ask};
use super::incarnation::{FENCED, Incarnation, STARTED};
use super::shared::Shared;
use super::trouble::explain;
use crate::cli::WorkerArgs;

/// A coordinator that is silent for so long is replaced.
const SILENCE: Duration = Duration::from_secs(4);
/// One that has closed the connection and does not answer where it was, so that its process or its
/// pod is gone, is replaced after so long: a process that is started again at once goes first.
const CLOSED: Duration = Duration::from_millis(500);
/// Each living worker with a lower ordinal has this much longer to take over first.
const PRECEDENCE: Duration = Duration::from_millis(1_500);
/// Whoever said within this time that it is about to coordinate is given the time to do so; it
/// says so twice a second.
const CALLED: Duration = Duration::from_secs(2);
/// How long others get to answer right after the connection was closed. Later they get
/// [`ASK`]: what is slow for long is not taken for gone.
const ASK_SOON: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(3));
/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Between two looks into the store.
const LOOK_INTO_STORE: Duration = Duration::from_secs(1);
/// Workers that are known to be there get so long to attach before the job starts without them.
const SHORT_PATIENCE_MS: u64 = 1_500;

/// Why the role's keeper has ended.
#[derive(Debug)]
pub(crate) enum RoleEnd {
    /// Another coordinator holds the job.
    Fenced(String),
    /// The job's state was never reached.
    GaveUp(String),
}

/// A worker of the head's assignment, as it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Peer {
    pub(crate) worker: WorkerId,
    /// It answers, and runs the same revision.
    pub(crate) reached: bool,
    /// It is attached to a coordinator.
    pub(crate) attached: bool,
}

impl Peer {
    fn unreached(worker: WorkerId) -> Self {
        Self { worker, reached: false, attached: false }
    }
}

/// What the head says about the role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HeadFacts {
    pub(crate) version: Version,
    pub(crate) revision: String,
    pub(crate) holder: WorkerId,
    /// It is another job's; the chain decides whether it may be adopted.
    pub(crate) foreign: bool,
}

/// Everything that a decision rests on; all of it has been read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    pub(crate) me: WorkerId,
    pub(crate) revision: String,
    /// Revisions that the operator has ended in favour of this one.
    pub(crate) supersedes: Vec<String>,
    /// Absent before the job's first manifest.
    pub(crate) head: Option<HeadFacts>,
    /// The head's holder answers and coordinates.
    pub(crate) holder_answers: bool,
    /// The head's holder has said that it ends, and that its role is free.
    pub(crate) vacated: bool,
    /// How long this worker has not been attached.
    pub(crate) silent: Duration,
    /// How long ago the coordinator's end closed the connection, if it did.
    pub(crate) closed: Option<Duration>,
    /// Another process has just said that it is about to coordinate.
    pub(crate) called: bool,
    /// The workers of the head's assignment.
    pub(crate) peers: Vec<Peer>,
    /// The pod has not used its right to take the role once on its own account.
    pub(crate) may_start: bool,
}

/// What follows from the facts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    /// Somebody else is to act, or time has to pass.
    Wait,
    /// The job is not this process's to run; says why.
    NotMine(String),
    /// Take the role: alone, or with the consent of others.
    Coordinate { authority: Authority, alone: bool },
}

/// Decides whether this process takes the role.
pub(crate) fn decide(facts: &Facts) -> Decision {
    let first = facts.me == WorkerId(0);
    let own = Decision::Coordinate { authority: Authority::Own, alone: true };
    let Some(head) = &facts.head else {
        return if first { own } else { Decision::Wait };
    };
    if head.foreign {
        return if first { own } else { Decision::Wait };
    }
    if head.revision != facts.revision {
        if !facts.supersedes.contains(&head.revision) {
            return Decision::NotMine(format!(
                "revision {} coordinates this job; revision {} waits for the operator's word",
                head.revision, facts.revision
            ));
        }
        // The operator has ended the head's revision before it made this one.
        let authority = Authority::Activate { expected: head.version };
        return if first {
            Decision::Coordinate { authority, alone: true }
        } else {
            Decision::Wait
        };
    }
    if facts.holder_answers || facts.called {
        return Decision::Wait;
    }
    // The head that this was decided on: whoever was faster is not fenced for nothing.
    let authority = Authority::TakeOver { expected: head.version };
    let own = Decision::Coordinate { authority, alone: true };
    // The process that held the role was this pod's, or its predecessor's of the same ordinal.
    if head.holder == facts.me && (first || !facts.may_start) {
        return own;
    }
    let (waited, patience) = match facts.closed {
        _ if facts.vacated => (facts.silent, Duration::ZERO),
        Some(closed) => (closed, CLOSED),
        None => (facts.silent, SILENCE),
    };
    if waited < patience {
        return Decision::Wait;
    }
    if first && facts.may_start {
        return own;
    }
    let assigned = facts.peers.iter().any(|p| p.worker == facts.me);
    // A holder that gave its role up agrees with whoever takes it.
    let agreed = |p: &Peer| facts.vacated && p.worker == head.holder;
    let with_me = |p: &&Peer| p.worker == facts.me || agreed(p) || (p.reached && !p.attached);
    let votes = facts.peers.iter().filter(with_me).count();
    if !assigned || votes * 2 <= facts.peers.len() {
        return Decision::Wait;
    }
    let before = facts.peers.iter().filter(|p| p.reached && p.worker < facts.me).count();
    if waited < patience + PRECEDENCE * u32::try_from(before).unwrap_or(u32::MAX) {
        return Decision::Wait;
    }
    Decision::Coordinate { authority, alone: false }
}

/// Takes the coordinator's role when it is this process's turn.
pub(crate) struct Role {
    shared: Arc<Shared>,
    chain: Chain,
    store: Arc<dyn Store>,
    graph: Arc<JobGraph>,
    config: CoordinatorConfig,
    supersedes: Vec<String>,
    member_only: bool,
    patience: Duration,
    incarnation: Incarnation,
}

impl Role {
    pub(crate) fn new(
        args: &WorkerArgs,
        job: &StreamJob,
        graph: Arc<JobGraph>,
        store: Arc<dyn Store>,
        shared: Arc<Shared>,
    ) -> Self {
        let cluster = &args.cluster;
        let name = JobName(format!("{}/{}", job.metadata.namespace, job.metadata.name));
        let mut master = MasterConfig::new(name.clone(), job.spec.parallelism);
        crate::run::apply_spec(&mut master, job, args.retries);
        master.parallelism = cluster.parallelism.unwrap_or(job.spec.parallelism);
        master.keep_parallelism = true;
        let mut config = CoordinatorConfig::new(master);
        config.worker = shared.identity.worker;
        config.address.clone_from(&shared.identity.control);
        config.job_uid = Some(cluster.job_uid.clone()).filter(|uid| !uid.is_empty());
        config.adopt = cluster.adopt_uid.clone().filter(|uid| !uid.is_empty());
        config.revision.clone_from(&cluster.revision);
        config.must_exist = cluster.must_exist;
        config.chain = ChainOptions {
            retained: job.spec.state.checkpoint.retained as usize,
            ..ChainOptions::default()
        };
        let incarnation = Incarnation::of(cluster.local_dir.as_deref());
        Self {
            chain: Chain::attach(Arc::clone(&store), &name, ChainOptions::default()),
            member_only: cluster.member_only || incarnation.has(FENCED),
            supersedes: cluster.supersedes.iter().filter(|it| !it.is_empty()).cloned().collect(),
            patience: cluster.store_patience,
            shared,
            store,
            graph,
            config,
            incarnation,
        }
    }

    /// The job's graph.
    pub(crate) fn graph(&self) -> &JobGraph {
        &self.graph
    }

    /// The job's settings.
    pub(crate) fn master(&self) -> &MasterConfig {
        &self.config.master
    }

    /// Looks after the role until this process has to end.
    pub(crate) async fn keep(self) -> RoleEnd {
        let began = Instant::now();
        let mut last_read: Option<Instant> = None;
        let mut head: Option<Manifest> = None;
        let mut reached = false;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if let Some(handle) = self.shared.coordinator() {
                match handle.ended().await {
                    Ending::Fenced(why) if !handle.has_reigned() => {
                        tracing::info!(why, "another worker was faster");
                        self.shared.step_back();
                        last_read = None;
                        continue;
                    }
                    Ending::Fenced(message) => {
                        self.incarnation.remember(FENCED);
                        return RoleEnd::Fenced(message);
                    }
                    // It stays to say how the job has ended.
                    _ => std::future::pending().await,
                }
            }
            if self.shared.is_attached() {
                reached = true;
                self.shared.set_trouble("");
                continue;
            }
            if self.shared.end().is_some() {
                continue;
            }
            let vacated = self.shared.member().vacated;
            // What the holder published last is in the chain when it says that it ends.
            let old = head.as_ref().is_some_and(|head| vacated.is_some_and(|it| it > head.term));
            if old || last_read.is_none_or(|at| at.elapsed() >= LOOK_INTO_STORE) {
                match self.chain.read_head().await {
                    Ok(read) => {
                        head = read;
                        reached = true;
                        self.shared.set_trouble("");
                    }
                    Err(error) => {
                        let trouble = explain(&error);
                        self.shared.set_trouble(&trouble);
                        if !reached && began.elapsed() >= self.patience {
                            return RoleEnd::GaveUp(trouble);
                        }
                        tokio::time::sleep(LOOK_INTO_STORE).await;
                        continue;
                    }
                }
                last_read = Some(Instant::now());
            }
            let (facts, others) = self.facts(head.as_ref(), began).await;
            if self.shared.is_attached() {
                continue; // Asking took its time.
            }
            match decide(&facts) {
                Decision::Wait => {}
                Decision::NotMine(why) => self.shared.set_trouble(&why),
                Decision::Coordinate { .. } if self.member_only || self.shared.is_leaving() => {}
                Decision::Coordinate { authority, alone } => {
                    self.coordinate(authority, alone, &others, head.as_ref());
                }
            }
        }
    }

    /// Reads every fact; also where the other workers of the assignment may be. `began` is when
    /// this process did.
    async fn facts(&self, head: Option<&Manifest>, began: Instant) -> (Facts, Others) {
        let member = self.shared.member();
        let me = self.shared.identity.worker;
        let mut facts = Facts {
            me,
            revision: self.config.revision.clone(),
            supersedes: self.supersedes.clone(),
            head: None,
            holder_answers: false,
            vacated: false,
            silent: member.heard.unwrap_or(began).elapsed(),
            closed: member.closed.map(|at| at.elapsed()),
            called: false,
            peers: Vec::new(),
            may_start: !self.incarnation.has(STARTED),
        };
        let Some(head) = head else { return (facts, Others::default()) };
        let foreign = match (&head.job_uid, &self.config.job_uid) {
            (Some(theirs), mine) => Some(theirs) != mine.as_ref(),
            (None, _) => false,
        };
        facts.head = Some(HeadFacts {
            version: head.version,
            revision: head.revision.clone(),
            holder: head.coordinator.worker,
            foreign,
        });
        facts.vacated = member.vacated == Some(head.term);
        // Nobody asks a process that has said that it ends.
        let gone = facts.vacated.then_some(head.coordinator.worker);
        let asked = others(head, me).filter(|member| Some(member.worker) != gone);
        let mut places: BTreeSet<String> = asked.flat_map(|it| self.places(it)).collect();
        let addresses = places.clone();
        if gone.is_none() {
            places.insert(head.coordinator.address.clone());
        }
        let within = match facts.closed {
            Some(closed) if closed < ASK_SOON.1 => ASK_SOON.0,
            _ => ASK,
        };
        let reports = self.ask_all(places, within).await;
        let holder = reports.get(&head.coordinator.address).filter(|_| gone.is_none());
        facts.holder_answers = holder.is_some_and(|report| self.coordinates(head, report));
        facts.called = self.shared.last_called().is_some_and(|at| at.elapsed() < CALLED);
        let peers = others(head, me).map(|member| match gone == Some(member.worker) {
            true => Peer::unreached(member.worker),
            false => self.peer(member, &reports),
        });
        facts.peers = peers.collect();
        let answering = facts.peers.iter().filter(|p| p.reached).count();
        if head.assignment.workers.iter().any(|m| m.worker == me) {
            facts.peers.push(Peer { worker: me, reached: true, attached: false });
        }
        (facts, Others { addresses, answering })
    }

    /// Asks processes all at once: each that is gone takes the whole of its time.
    async fn ask_all(
        &self,
        places: BTreeSet<String>,
        within: Duration,
    ) -> BTreeMap<String, WorkerReport> {
        let own = &self.shared.identity.control;
        let asked = places.into_iter().filter(|place| !place.is_empty() && place != own);
        let answers = asked.map(|place| async move {
            let report = ask(&self.shared, &place, within).await;
            report.map(|report| (place, report))
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    /// Where a worker of the assignment may be: where the head says, and where it asked from.
    fn places(&self, member: &Member) -> BTreeSet<String> {
        let told = self.shared.whereabouts(member.worker);
        told.into_iter().chain([member.control.clone()]).filter(|it| !it.is_empty()).collect()
    }

    fn peer(&self, member: &Member, reports: &BTreeMap<String, WorkerReport>) -> Peer {
        // An address may be another pod's by now.
        let is_it = |report: &&WorkerReport| {
            report.revision == self.config.revision && report.worker == member.worker.0
        };
        let mut answers = reports.values().filter(is_it);
        match answers.next() {
            Some(report) => {
                Peer { worker: member.worker, reached: true, attached: report.attached }
            }
            None => Peer::unreached(member.worker),
        }
    }

    /// Whether the process that holds the head's term coordinates; where it does, it is followed.
    fn coordinates(&self, head: &Manifest, report: &WorkerReport) -> bool {
        match report.coordinating.as_ref().map(|it| &it.end) {
            Some(None) => {
                self.shared.follow(head.term, &head.coordinator.address);
                true
            }
            Some(Some(end)) if end.kind() != job_end::Kind::Fenced => {
                self.shared.job_ended(end.clone());
                true
            }
            _ => false,
        }
    }

    fn coordinate(
        &self,
        authority: Authority,
        alone: bool,
        others: &Others,
        head: Option<&Manifest>,
    ) {
        let answering = others.answering;
        tracing::info!(?authority, alone, answering, "this worker takes the coordinator's role");
        if alone {
            self.incarnation.remember(STARTED);
        }
        let mut config = self.config.clone();
        config.authority = authority;
        if answering > 0 || head.is_some_and(|h| h.assignment.workers.len() == 1) {
            // Who is there attaches within a moment; who is not may be gone for long.
            config.master.patience_ms = SHORT_PATIENCE_MS;
            config.master.survivors = u32::try_from(answering).ok().map(|others| others + 1);
        }
        let handle = Coordinator::start(config, Arc::clone(&self.graph), Arc::clone(&self.store));
        self.shared.coordinate(handle.clone());
        if let Some(head) = head {
            let others = others.addresses.clone();
            tokio::spawn(call(others, handle, head.term, self.shared.identity.control.clone()));
        }
    }
}

/// The other workers of the head's assignment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Others {
    /// Where they may be; several places for one that has moved.
    addresses: BTreeSet<String>,
    /// How many answer.
    answering: usize,
}

fn others(head: &Manifest, me: WorkerId) -> impl Iterator<Item = &Member> {
    let reachable = move |m: &&Member| m.worker != me && !m.control.is_empty();
    head.assignment.workers.iter().filter(reachable)
}

/// Tells the workers of the assignment where their coordinator is, until its job runs: nobody has
/// to wait for a name to lead to it.
async fn call(others: BTreeSet<String>, handle: CoordinatorHandle, before: Term, address: String) {
    let mut again = interval(Duration::from_millis(500));
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = again.tick() => {}
            _ = handle.ended() => return,
        }
        let status = handle.status();
        let running = status.state == "Running";
        let term = status.term.max(before.0 + 1);
        let told = others.iter().map(|place| async {
            let told = async {
                let mut client = GrpcConnect::new(place).worker().await.ok()?;
                let follow = FollowRequest { term, address: address.clone() };
                client.follow(follow).await.ok()
            };
            tokio::time::timeout(Duration::from_secs(2), told).await.ok()
        });
        join_all(told).await;
        if running {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Decision = Decision::Coordinate { authority: Authority::Own, alone: true };
    const SEEN: Authority = Authority::TakeOver { expected: Version(7) };
    const OWN: Decision = Decision::Coordinate { authority: SEEN, alone: true };
    const TOGETHER: Decision = Decision::Coordinate { authority: SEEN, alone: false };

    fn peer(worker: u32, reached: bool) -> Peer {
        Peer { worker: WorkerId(worker), reached, attached: false }
    }

    /// Three workers; 0 held the role and is gone.
    fn lost(me: u32, silent_ms: u64) -> Facts {
        Facts {
            me: WorkerId(me),
            revision: "r1".into(),
            supersedes: Vec::new(),
            head: Some(HeadFacts {
                version: Version(7),
                revision: "r1".into(),
                holder: WorkerId(0),
                foreign: false,
            }),
            holder_answers: false,
            vacated: false,
            silent: Duration::from_millis(silent_ms),
            closed: None,
            called: false,
            peers: vec![peer(0, false), peer(1, true), peer(2, true)],
            may_start: true,
        }
    }

    #[test]
    fn a_job_without_state_is_started_by_ordinal_0_alone() {
        let empty = |me| decide(&Facts { head: None, ..lost(me, 60_000) });
        assert_eq!((empty(0), empty(1)), (FIRST, Decision::Wait));
    }

    #[test]
    fn the_lowest_living_ordinal_takes_over_after_four_seconds() {
        assert_eq!(decide(&lost(1, 3_900)), Decision::Wait);
        assert_eq!(decide(&lost(1, 4_000)), TOGETHER);
        assert_eq!(decide(&lost(2, 4_000)), Decision::Wait);
        assert_eq!(decide(&lost(2, 5_500)), TOGETHER, "in case worker 1 cannot");
    }

    #[test]
    fn one_whose_process_is_gone_is_replaced_soon() {
        let closed = |me, ms| {
            let mut facts = lost(me, ms + 900);
            facts.closed = Some(Duration::from_millis(ms));
            facts
        };
        assert_eq!(decide(&closed(1, 400)), Decision::Wait, "it may be back in a moment");
        assert_eq!(decide(&closed(1, 500)), TOGETHER);
        assert_eq!(decide(&closed(2, 500)), Decision::Wait, "the lowest ordinal goes first");
        assert_eq!(decide(&closed(2, 2_000)), TOGETHER, "in case worker 1 cannot");
        let lives = Facts { holder_answers: true, ..closed(1, 60_000) };
        assert_eq!(decide(&lives), Decision::Wait, "only the connection is gone");
        let mut alone = closed(1, 60_000);
        alone.peers[2].reached = false;
        assert_eq!(decide(&alone), Decision::Wait, "a minority");
    }

    #[test]
    fn a_minority_never_takes_over() {
        let mut facts = lost(1, 600_000);
        facts.peers = vec![peer(0, false), peer(1, true), peer(2, false)];
        assert_eq!(decide(&facts), Decision::Wait);
        facts.peers = vec![peer(0, false), peer(1, true)];
        assert_eq!(decide(&facts), Decision::Wait, "half is no majority");
    }

    #[test]
    fn workers_that_still_hear_their_coordinator_give_no_majority() {
        let mut facts = lost(1, 600_000);
        facts.peers[2].attached = true;
        assert_eq!(decide(&facts), Decision::Wait);
    }

    #[test]
    fn a_coordinator_that_was_killed_goes_on_at_once() {
        assert_eq!(decide(&lost(0, 0)), OWN);
    }

    #[test]
    fn ordinal_0_takes_a_silent_holders_role_once_a_pod() {
        let mut facts = lost(0, 4_000);
        facts.head.as_mut().expect("a head").holder = WorkerId(2);
        facts.peers = Vec::new();
        assert_eq!(decide(&facts), OWN);
        facts.may_start = false;
        assert_eq!(decide(&facts), Decision::Wait);
    }

    #[test]
    fn a_role_that_was_handed_over_is_taken_at_once() {
        let vacated = |me, silent_ms| Facts { vacated: true, ..lost(me, silent_ms) };
        assert_eq!(decide(&vacated(1, 0)), TOGETHER);
        assert_eq!(decide(&vacated(2, 0)), Decision::Wait, "the lowest ordinal goes first");
        assert_eq!(decide(&vacated(2, 1_500)), TOGETHER, "in case worker 1 cannot");
        let mut two = vacated(1, 0);
        two.peers = vec![peer(0, false), peer(1, true)];
        assert_eq!(decide(&two), TOGETHER, "the holder agrees");
        two.peers.extend([peer(2, false), peer(3, false)]);
        assert_eq!(decide(&two), Decision::Wait, "which makes no majority of a minority");
        assert_eq!(decide(&Facts { called: true, ..vacated(1, 0) }), Decision::Wait);
    }

    #[test]
    fn another_revision_waits_for_the_operators_word() {
        let mut facts = Facts { revision: "r2".into(), ..lost(0, 600_000) };
        assert!(matches!(decide(&facts), Decision::NotMine(why) if why.contains("revision r1")));
        facts.supersedes = vec!["r1".into()];
        let authority = Authority::Activate { expected: Version(7) };
        assert_eq!(decide(&facts), Decision::Coordinate { authority, alone: true });
        facts.me = WorkerId(1);
        assert_eq!(decide(&facts), Decision::Wait);
    }

    #[test]
    fn whoever_is_about_to_coordinate_is_given_the_time() {
        let facts = Facts { called: true, ..lost(1, 600_000) };
        assert_eq!(decide(&facts), Decision::Wait);
    }

    #[test]
    fn a_living_holder_is_left_alone() {
        let facts = Facts { holder_answers: true, ..lost(0, 600_000) };
        assert_eq!(decide(&facts), Decision::Wait);
    }
}
