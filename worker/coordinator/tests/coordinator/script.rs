//! The core with a clock and a stand-in for the chain: events in, what it wants done out.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_checkpoint::manifest::Assignment as Placed;
use weir_checkpoint::{
    CommitId, Manifest, OperatorEntry, OperatorState, PendingCommit, SubtaskRestore, TaskSnapshot,
};
use weir_coordinator::master::{
    Action, Event, Head, JobMaster, LinkId, MasterConfig, Plan, PlanOperator, PlanSource,
    PlanVertex, Reply, Request, RequestId,
};
use weir_engine::source::Assignment;
use weir_protocol::control::{self, FromWorker, RunState, ToWorker, from_worker, to_worker};
use weir_protocol::{
    CONTROL_VERSION, Committable, Epoch, JobName, OperatorUid, Split, StateSchema, Version,
    VertexId,
};

/// One source chain and one sink chain, each with the job's parallelism.
pub(crate) fn plan() -> Plan {
    let operator = |uid: &str, state: Option<StateSchema>| PlanOperator {
        uid: uid.into(),
        name: format!("the {uid}"),
        kind: "test",
        state,
        tables: Vec::new(),
    };
    let schema = StateSchema { version: 1, ..StateSchema::default() };
    Plan {
        hash: "plan".into(),
        max_parallelism: 8,
        replaces: None,
        vertices: vec![
            PlanVertex {
                id: VertexId(0),
                name: "source".into(),
                single: false,
                operators: vec![operator("source", None)],
                source: Some(PlanSource { bounded: true, assignment: Assignment::Pull }),
            },
            PlanVertex {
                id: VertexId(1),
                name: "sink".into(),
                single: false,
                operators: vec![operator("count", Some(schema)), operator("sink", None)],
                source: None,
            },
        ],
    }
}

/// The core with a clock, a stand-in for the chain, and what it has wanted so far.
pub(crate) struct Script {
    pub(crate) master: JobMaster,
    pub(crate) now: u64,
    pub(crate) head: Head,
    pub(crate) sent: Vec<(u64, to_worker::Kind)>,
    pub(crate) actions: Vec<Action>,
    /// Output that the next manifest need not list.
    acknowledged: BTreeSet<CommitId>,
}

impl Script {
    pub(crate) fn new(parallelism: u32) -> Self {
        Self::with(MasterConfig::new(JobName::from("ns/job"), parallelism), None)
    }

    pub(crate) fn with(config: MasterConfig, head: Option<Head>) -> Self {
        Self::of(plan(), config, head)
    }

    pub(crate) fn of(plan: Plan, config: MasterConfig, head: Option<Head>) -> Self {
        let sinks = [OperatorUid::from("sink")].into();
        let mut script = Self {
            master: JobMaster::new(config, plan, sinks),
            now: 0,
            head: head.clone().unwrap_or_default(),
            sent: Vec::new(),
            actions: Vec::new(),
            acknowledged: BTreeSet::new(),
        };
        script.on(Event::Opened { head });
        script
    }

    /// One event; `sent` and `actions` are what came of it.
    pub(crate) fn on(&mut self, event: Event) {
        self.clear();
        self.more(event);
    }

    pub(crate) fn clear(&mut self) {
        self.sent.clear();
        self.actions.clear();
    }

    pub(crate) fn more(&mut self, event: Event) {
        for action in self.master.on(event, self.now) {
            match action {
                // An answer to a heartbeat decides nothing.
                Action::Send {
                    message: ToWorker { kind: Some(to_worker::Kind::Heard(_)), .. },
                    ..
                } => {}
                Action::Send { link, message } => self.sent.push((link.0, message.kind.unwrap())),
                other => {
                    if let Action::Acknowledged { epoch, indices } = &other {
                        let id = |index: &u32| CommitId { epoch: Version(epoch.0), index: *index };
                        self.acknowledged.extend(indices.iter().map(id));
                    }
                    self.actions.push(other);
                }
            }
        }
    }

    pub(crate) fn tick(&mut self, to_ms: u64) {
        self.clear();
        // Workers are not silent meanwhile.
        while self.now < to_ms {
            self.now = to_ms.min(self.now + 1_000);
            for link in 0..8 {
                self.say_more(link, from_worker::Kind::Heartbeat(control::Heartbeat::default()));
            }
        }
        self.more(Event::Tick);
    }

    pub(crate) fn say(&mut self, link: u64, kind: from_worker::Kind) {
        self.clear();
        self.say_more(link, kind);
    }

    pub(crate) fn say_more(&mut self, link: u64, kind: from_worker::Kind) {
        let message = FromWorker { term: self.master.term().0, kind: Some(kind) };
        self.more(Event::Message { link: LinkId(link), message });
    }

    pub(crate) fn hello(&mut self, worker: u32, link: u64, slots: u32) {
        self.hello_of(&format!("start of {link}"), worker, link, slots);
    }

    /// A process speaks, perhaps not for the first time.
    pub(crate) fn hello_of(&mut self, incarnation: &str, worker: u32, link: u64, slots: u32) {
        let incarnation = incarnation.to_owned();
        let (plan_hash, version) = ("plan".into(), CONTROL_VERSION);
        let hello = control::Hello {
            worker,
            incarnation,
            plan_hash,
            slots,
            version,
            ..control::Hello::default()
        };
        self.say(link, from_worker::Kind::Hello(hello));
    }

    pub(crate) fn wants_seal(&self) -> bool {
        self.actions.iter().any(|a| matches!(a, Action::Seal { .. }))
    }

    pub(crate) fn seal(&mut self) {
        let sealed = self.head_mut();
        sealed.term = sealed.term.next();
        sealed.version = sealed.version.next();
        self.on(Event::Sealed { head: self.head.clone() });
    }

    pub(crate) fn head_mut(&mut self) -> &mut Manifest {
        Arc::make_mut(&mut self.head.manifest)
    }

    pub(crate) fn told(&self, what: impl Fn(&to_worker::Kind) -> bool) -> Vec<u64> {
        self.sent.iter().filter(|(_, kind)| what(kind)).map(|(link, _)| *link).collect()
    }

    pub(crate) fn deployed(&mut self, links: &[u64]) {
        self.clear();
        for link in links {
            self.say_more(*link, from_worker::Kind::Deployed(control::Deployed {}));
        }
    }

    pub(crate) fn stopped(&mut self, links: &[u64]) {
        self.clear();
        for link in links {
            self.say_more(*link, from_worker::Kind::Stopped(control::Stopped {}));
        }
    }

    /// A job of parallelism 2 on workers 0 and 1, running since 0 ms.
    pub(crate) fn running() -> Self {
        Self::running_with(plan())
    }

    /// The same, by this plan.
    pub(crate) fn running_with(plan: Plan) -> Self {
        let mut script = Self::of(plan, MasterConfig::new(JobName::from("ns/job"), 2), None);
        script.hello(0, 0, 1);
        script.hello(1, 1, 1);
        assert!(script.wants_seal());
        script.seal();
        assert_eq!(script.told(|k| matches!(k, to_worker::Kind::Deploy(_))), [0, 1]);
        script.deployed(&[0, 1]);
        assert_eq!(script.master.run_state(), RunState::Running);
        script
    }

    pub(crate) fn trigger(&self) -> control::Trigger {
        let mut triggers = self.sent.iter().filter_map(|(_, kind)| match kind {
            to_worker::Kind::Trigger(trigger) => Some(trigger.clone()),
            _ => None,
        });
        triggers.next_back().unwrap_or_else(|| panic!("no trigger in {:?}", self.sent))
    }

    /// Every task acknowledges; `output` is staged by subtask 0 of the sink.
    pub(crate) fn acknowledge(&mut self, attempt: u64, output: &[&str]) {
        let parallelism = self.master.status().parallelism;
        self.clear();
        for (vertex, subtask) in (0..2).flat_map(|v| (0..parallelism).map(move |s| (v, s))) {
            let mut ack = control::Ack { attempt, vertex, subtask, ..control::Ack::default() };
            let output = if (vertex, subtask) == (1, 0) { output } else { &[] };
            ack.snapshot_json = json(&TaskSnapshot {
                committables: output.iter().map(|o| item(o)).collect(),
                ..TaskSnapshot::default()
            });
            self.say_more(0, from_worker::Kind::Ack(ack));
        }
    }

    /// The store takes the manifest that the core wants published.
    pub(crate) fn publish(&mut self) -> Epoch {
        let published = self.actions.iter().find_map(|action| match action {
            Action::Publish { body } => Some(body.clone()),
            _ => None,
        });
        let body = published.unwrap_or_else(|| panic!("{:?}", self.actions));
        let (attempt, known) = (body.attempt, std::mem::take(&mut self.acknowledged));
        let head = self.head_mut();
        let version = head.version.next();
        (head.version, head.state_of, head.max_parallelism) = (version, Some(version), 8);
        (head.operators, head.watermarks) = (body.operators, body.watermarks);
        head.pending.retain(|p| !known.contains(&p.id()));
        let new = (0..).zip(body.commits).map(|(index, committable)| PendingCommit {
            epoch: version,
            index,
            committable,
            lineage: None,
        });
        head.pending.extend(new);
        self.on(Event::Published { attempt, head: self.head.clone() });
        version.into()
    }

    pub(crate) fn commits(&self) -> Vec<(u64, u64, usize)> {
        let commits = self.sent.iter().filter_map(|(link, kind)| match kind {
            to_worker::Kind::Commit(c) => Some((*link, c.epoch, c.committables.len())),
            _ => None,
        });
        commits.collect()
    }

    pub(crate) fn committed(
        &mut self,
        link: u64,
        epoch: Epoch,
        results: Vec<control::CommitResult>,
    ) {
        let committed = control::Committed { epoch: epoch.0, results };
        self.say(link, from_worker::Kind::Committed(committed));
    }

    pub(crate) fn ask(&mut self, id: u64, request: Request) {
        self.on(Event::Request { id: RequestId(id), request, operation: String::new() });
    }

    pub(crate) fn replies(&self) -> Vec<&Reply> {
        let replies = self.actions.iter().filter_map(|a| match a {
            Action::Reply { reply, .. } => Some(reply),
            _ => None,
        });
        replies.collect()
    }
}

/// A manifest of version 9 with these operators.
pub(crate) fn head(operators: impl IntoIterator<Item = (&'static str, OperatorEntry)>) -> Manifest {
    Manifest {
        version: Version(9),
        max_parallelism: 8,
        operators: operators.into_iter().map(|(uid, entry)| (uid.into(), entry)).collect(),
        ..Manifest::default()
    }
}

pub(crate) fn entry(state: OperatorState) -> OperatorEntry {
    OperatorEntry { state, ..OperatorEntry::default() }
}

/// Who runs what.
pub(crate) fn assignment(deploy: &control::Deploy) -> Placed {
    serde_json::from_slice(&deploy.assignment_json).unwrap()
}

/// The parallelism of what is to be deployed.
pub(crate) fn parallelism(deploy: &control::Deploy) -> u32 {
    assignment(deploy).parallelism
}

/// What is to be restored.
pub(crate) fn restores(json: &[Vec<u8>]) -> Vec<SubtaskRestore> {
    json.iter().map(|json| serde_json::from_slice(json).unwrap()).collect()
}

pub(crate) fn item(text: &str) -> Committable {
    Committable { sink: "sink".into(), payload: text.to_owned().into() }
}

pub(crate) fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

pub(crate) fn done(index: u32) -> control::CommitResult {
    control::CommitResult { index, ..control::CommitResult::default() }
}

pub(crate) fn split(id: &str) -> Split {
    let (position, watermark, lower_bound, size) = (vec![].into(), None, Some(0), 1);
    Split { id: id.into(), position, watermark, lower_bound, size }
}
