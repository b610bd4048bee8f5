//! Keeps the coordinator's role: reads the facts that [`decide`] rests on, and acts.
//!
//! Votes are counted by ordinal: a process that was moved to another address is found by what it
//! told those that it could still reach ([`Shared::peer_address`]).

mod decide;

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
use weir_protocol::control::{FollowRequest, RunState, WorkerReport, job_end};
use weir_protocol::{JobName, Term, WorkerId};

use super::finder::{ASK, Unanswered, ask};
use super::incarnation::{FENCED, Incarnation, STARTED};
use super::problem::explain;
use super::shared::Shared;
use crate::cli::WorkerArgs;
use decide::{Decision, Facts, HeadFacts, Peer, decide};

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

/// Why the role's manifest writer has ended.
#[derive(Debug)]
pub(crate) enum RoleEnd {
    /// Another coordinator holds the job.
    Fenced(String),
    /// The job's state was never reached.
    GaveUp(String),
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
            let attached = self.shared.is_attached();
            tokio::select! {
                _ = look.tick() => {}
                // A coordinator that is lost is looked after at once.
                () = self.shared.detached(), if attached => {}
            }
            if let Some(handle) = self.shared.coordinator() {
                match handle.ended().await {
                    Ending::Fenced(why) if !handle.was_leader() => {
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
                self.shared.set_problem("");
                continue;
            }
            if self.shared.end().is_some() {
                continue;
            }
            let released = self.shared.member().released;
            // What the holder published last is in the chain when it says that it ends.
            let old = head.as_ref().is_some_and(|head| released.is_some_and(|it| it > head.term));
            if old || last_read.is_none_or(|at| at.elapsed() >= LOOK_INTO_STORE) {
                match self.chain.read_head().await {
                    Ok(read) => {
                        head = read;
                        reached = true;
                        self.shared.set_problem("");
                    }
                    Err(error) => {
                        let problem = explain(&error);
                        self.shared.set_problem(&problem);
                        if !reached && began.elapsed() >= self.patience {
                            return RoleEnd::GaveUp(problem);
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
                Decision::Wait => tracing::debug!(?facts, "nobody coordinates; not my turn"),
                Decision::NotMine(why) => self.shared.set_problem(&why),
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
            holder_gone: false,
            holder_replaced: false,
            released: false,
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
        facts.released = member.released == Some(head.term);
        // Nobody asks a process that has said that it ends.
        let gone = facts.released.then_some(head.coordinator.worker);
        let asked = others(head, me).filter(|member| Some(member.worker) != gone);
        let mut places: BTreeSet<String> = asked.flat_map(|it| self.places(it)).collect();
        let addresses = places.clone();
        if gone.is_none() {
            places.insert(head.coordinator.address.clone());
        }
        // Whoever called may have been told to end since then.
        let is_here = |it: &String| gone.is_none() || *it != head.coordinator.address;
        let caller = || self.shared.other_coordinator(CALLED).filter(is_here);
        places.extend(caller());
        let mine = head.coordinator.worker == me;
        let within = match facts.closed {
            Some(closed) if closed < ASK_SOON.1 => ASK_SOON.0,
            // Nobody but this process can be slow where it asks in its own place.
            _ if mine => ASK_SOON.0,
            _ => ASK,
        };
        let reports = self.ask_all(places, within).await;
        match reports.get(&head.coordinator.address).filter(|_| gone.is_none()) {
            Some(Ok(report)) => facts.holder_answers = self.coordinates(head, report),
            Some(Err(Unanswered::Gone)) => facts.holder_gone = true,
            Some(Err(Unanswered::Silent)) | None => {}
        }
        let elsewhere = |place: &String| *place != head.coordinator.address;
        let replaced = reports.iter().filter(|(place, _)| elsewhere(place)).any(|(_, answer)| {
            answer.as_ref().is_ok_and(|report| self.is_it(head.coordinator.worker, report))
        });
        facts.holder_replaced = mine || replaced;
        let ended = |place: &String| matches!(reports.get(place), Some(Err(Unanswered::Gone)));
        facts.called = caller().is_some_and(|place| !ended(&place));
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
    ) -> BTreeMap<String, Result<WorkerReport, Unanswered>> {
        let own = &self.shared.identity.control;
        let asked = places.into_iter().filter(|place| !place.is_empty() && place != own);
        let answers = asked.map(|place| async move {
            let answer = ask(&self.shared, &place, within).await;
            (place, answer)
        });
        join_all(answers).await.into_iter().collect()
    }

    /// Where a worker of the assignment may be: where the head says, and where it asked from.
    fn places(&self, member: &Member) -> BTreeSet<String> {
        let told = self.shared.peer_address(member.worker);
        told.into_iter().chain([member.control.clone()]).filter(|it| !it.is_empty()).collect()
    }

    fn peer(
        &self,
        member: &Member,
        reports: &BTreeMap<String, Result<WorkerReport, Unanswered>>,
    ) -> Peer {
        let mut answers = reports.values().flatten();
        match answers.find(|report| self.is_it(member.worker, report)) {
            Some(report) => {
                Peer { worker: member.worker, reached: true, attached: report.attached }
            }
            None => Peer::unreached(member.worker),
        }
    }

    /// Whether it is this worker that has answered: an address may be another pod's by now.
    fn is_it(&self, worker: WorkerId, report: &WorkerReport) -> bool {
        report.revision == self.config.revision && report.worker == worker.0
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
        if !alone || answering > 0 || head.is_some_and(|h| h.assignment.workers.len() == 1) {
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
        let running = status.state() == RunState::Running;
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
