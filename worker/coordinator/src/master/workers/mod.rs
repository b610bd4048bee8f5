//! The workers that are attached: who they are, what they said last, and who was told to stop.
//!
//! Enters: greetings, signs of life, farewells. Leaves: whom to tell to stop, which connection to
//! end. What always holds: a worker has one connection, and each that was told to stop was told
//! once. That a worker is overdue is found here ([`Workers::find_silent`],
//! [`Workers::find_late`]); that it is lost is the owner's word ([`Event::Lost`]).

mod incarnations;

use std::collections::{BTreeMap, BTreeSet};

use weir_checkpoint::manifest::Member;
use weir_protocol::control::{self, OperatorShown, TaskStats};
use weir_protocol::{CONTROL_VERSION, WorkerId};

use super::event::LinkId;
use incarnations::Incarnations;

/// What happens to workers.
#[derive(Debug)]
pub(super) enum Event {
    /// A process is the worker from now on. [`Workers::decide_greeting`] has said so, and whoever
    /// it replaces is lost already.
    Attached { link: LinkId, hello: control::Hello },
    /// A worker has said something.
    Heard(WorkerId),
    /// What a worker's tasks have counted, and what they show because somebody looks.
    Counted { worker: WorkerId, tasks: Vec<TaskStats>, shown: Vec<OperatorShown> },
    /// A term has begun: what was counted is of tasks that are over.
    Sealed,
    /// Those of these that are there are to end their tasks, by the given time.
    Stop { workers: Vec<WorkerId>, until_ms: u64 },
    /// A worker has ended its tasks.
    Stopped(WorkerId),
    /// A worker is no longer there.
    Lost(WorkerId),
}

/// What comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// A worker is to be told to end its tasks.
    TellToStop(WorkerId),
    /// A connection is to be ended.
    Disconnect(LinkId),
}

/// What is to be done about a greeting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Greeting {
    /// The process is let go; says why.
    TurnAway(String),
    /// The process is the worker. One that is there under this name is lost to it, and why.
    Attach { replaces: Option<&'static str> },
}

/// A worker that is attached.
#[derive(Clone, Debug)]
struct Worker {
    link: LinkId,
    incarnation: String,
    /// Where its data exchange listens.
    address: String,
    /// Where its control service listens.
    control: String,
    slots: u32,
    heard_ms: u64,
    tasks: Vec<TaskStats>,
    shown: Vec<OperatorShown>,
}

/// Workers that were told to stop and have not answered.
#[derive(Debug, Default)]
struct Stopping {
    waiting: BTreeSet<WorkerId>,
    until_ms: u64,
}

/// All workers of the job.
#[derive(Debug)]
pub(super) struct Workers {
    silence_ms: u64,
    attached: BTreeMap<WorkerId, Worker>,
    links: BTreeMap<LinkId, WorkerId>,
    incarnations: Incarnations,
    stopping: Stopping,
}

impl Workers {
    /// Nobody is there. A worker that is silent for `silence_ms` is overdue.
    pub(super) fn new(silence_ms: u64) -> Self {
        Self {
            silence_ms,
            attached: BTreeMap::new(),
            links: BTreeMap::new(),
            incarnations: Incarnations::default(),
            stopping: Stopping::default(),
        }
    }

    pub(super) fn on(&mut self, event: Event, now_ms: u64) -> Vec<Outcome> {
        match event {
            Event::Attached { link, hello } => self.attach(link, hello, now_ms),
            Event::Heard(id) => {
                if let Some(worker) = self.attached.get_mut(&id) {
                    worker.heard_ms = now_ms;
                }
            }
            Event::Counted { worker, tasks, shown } => {
                if let Some(worker) = self.attached.get_mut(&worker) {
                    (worker.tasks, worker.shown) = (tasks, shown);
                }
            }
            Event::Sealed => {
                for worker in self.attached.values_mut() {
                    worker.tasks.clear();
                    worker.shown.clear();
                }
            }
            Event::Stop { workers, until_ms } => {
                self.stopping.until_ms = until_ms;
                let there = workers.into_iter().filter(|id| self.attached.contains_key(id));
                let waiting = &mut self.stopping.waiting;
                let told: Vec<_> =
                    there.filter(|id| waiting.insert(*id)).map(Outcome::TellToStop).collect();
                return told;
            }
            Event::Stopped(id) => {
                self.stopping.waiting.remove(&id);
            }
            Event::Lost(id) => {
                self.stopping.waiting.remove(&id);
                let lost = self.attached.remove(&id);
                let link = lost.map(|worker| worker.link);
                if let Some(link) = link {
                    self.links.remove(&link);
                }
                return link.map(Outcome::Disconnect).into_iter().collect();
            }
        }
        Vec::new()
    }

    fn attach(&mut self, link: LinkId, hello: control::Hello, now_ms: u64) {
        let id = WorkerId(hello.worker);
        self.incarnations.attached(id, &hello.incarnation);
        let worker = Worker {
            link,
            incarnation: hello.incarnation,
            address: hello.exchange_address,
            control: hello.control_address,
            slots: hello.slots.max(1),
            heard_ms: now_ms,
            tasks: Vec::new(),
            shown: Vec::new(),
        };
        self.links.insert(link, id);
        self.attached.insert(id, worker);
    }

    /// Whether a process may be the worker that it says it is, in a job whose plan has this hash.
    #[must_use]
    pub(super) fn decide_greeting(
        &self,
        link: LinkId,
        hello: &control::Hello,
        plan_hash: &str,
    ) -> Greeting {
        let id = WorkerId(hello.worker);
        if hello.plan_hash != plan_hash {
            return Greeting::TurnAway(format!(
                "worker {id} built plan {}, the coordinator {}; run the same program and options \
                 in every process of the job",
                short(&hello.plan_hash),
                short(plan_hash)
            ));
        }
        if hello.version != CONTROL_VERSION {
            return Greeting::TurnAway(format!(
                "worker {id} speaks version {} of the control protocol, the coordinator version \
                 {CONTROL_VERSION}; run the same version of Weir in every process of the job",
                hello.version
            ));
        }
        let before = self.attached.get(&id);
        let is_same = before.is_some_and(|before| before.incarnation == hello.incarnation);
        // Another process of the same worker came after this one, and is there. Without this
        // question a pod that still lives when its replacement comes, and the replacement, would
        // take each other's place again and again.
        if before.is_some() && !is_same && self.incarnations.knows(id, &hello.incarnation) {
            let reason = format!("another process has taken the place of worker {id}");
            return Greeting::TurnAway(reason);
        }
        let replaces = before.filter(|before| before.link != link).map(|_| match is_same {
            true => "it connected again",
            false => "its process was started anew",
        });
        Greeting::Attach { replaces }
    }

    /// Who has been silent for too long.
    #[must_use]
    pub(super) fn find_silent(&self, now_ms: u64) -> Vec<WorkerId> {
        let is_silent = |worker: &Worker| now_ms >= worker.heard_ms + self.silence_ms;
        self.attached.iter().filter(|(_, w)| is_silent(w)).map(|(id, _)| *id).collect()
    }

    /// Who has not ended its tasks in time.
    #[must_use]
    pub(super) fn find_late(&self, now_ms: u64) -> Vec<WorkerId> {
        let is_over = now_ms >= self.stopping.until_ms;
        let late = is_over.then_some(&self.stopping.waiting);
        late.into_iter().flatten().copied().collect()
    }

    /// When somebody will be overdue.
    pub(super) fn next_ms(&self) -> impl Iterator<Item = u64> {
        let silent = self.attached.values().map(|worker| worker.heard_ms + self.silence_ms);
        let late = (!self.stopping.waiting.is_empty()).then_some(self.stopping.until_ms);
        silent.chain(late)
    }

    /// Whether nobody is still ending tasks.
    #[must_use]
    pub(super) fn have_stopped(&self) -> bool {
        self.stopping.waiting.is_empty()
    }

    /// Where these workers are, as others find them; without addresses where they are not there.
    #[must_use]
    pub(super) fn members(&self, ids: &[WorkerId]) -> Vec<Member> {
        let member = |id: &WorkerId| {
            let known = self.attached.get(id);
            Member {
                worker: *id,
                address: known.map(|worker| worker.address.clone()).unwrap_or_default(),
                control: known.map(|worker| worker.control.clone()).unwrap_or_default(),
            }
        };
        ids.iter().map(member).collect()
    }

    /// Who speaks over a connection.
    #[must_use]
    pub(super) fn of_link(&self, link: LinkId) -> Option<WorkerId> {
        self.links.get(&link).copied()
    }

    /// Over which connection a worker is told something.
    #[must_use]
    pub(super) fn link(&self, worker: WorkerId) -> Option<LinkId> {
        self.attached.get(&worker).map(|worker| worker.link)
    }

    /// Everybody, in order.
    #[must_use]
    pub(super) fn ids(&self) -> Vec<WorkerId> {
        self.attached.keys().copied().collect()
    }

    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.attached.len()
    }

    /// How many subtasks of each vertex each can run.
    #[must_use]
    pub(super) fn slots(&self) -> BTreeMap<WorkerId, u32> {
        self.attached.iter().map(|(id, worker)| (*id, worker.slots)).collect()
    }

    /// Slots of all workers.
    #[must_use]
    pub(super) fn total_slots(&self) -> u32 {
        self.attached.values().map(|worker| worker.slots).sum()
    }

    /// What tasks have counted, as far as workers have said.
    pub(super) fn tasks(&self) -> impl Iterator<Item = TaskStats> {
        self.attached.iter().flat_map(|(id, worker)| {
            let here = |task: &TaskStats| TaskStats { worker: id.0, ..task.clone() };
            worker.tasks.iter().map(here)
        })
    }

    /// What tasks show because somebody looks.
    pub(super) fn shown(&self) -> impl Iterator<Item = &OperatorShown> {
        self.attached.values().flat_map(|worker| &worker.shown)
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: WorkerId = WorkerId(1);

    fn hello(incarnation: &str) -> control::Hello {
        control::Hello {
            worker: W.0,
            incarnation: incarnation.into(),
            plan_hash: "plan".into(),
            version: CONTROL_VERSION,
            ..control::Hello::default()
        }
    }

    fn attached() -> Workers {
        let mut workers = Workers::new(4_000);
        let attached = Event::Attached { link: LinkId(1), hello: hello("first") };
        assert_eq!(workers.on(attached, 1_000), []);
        workers
    }

    #[test]
    fn a_worker_is_told_to_stop_once_and_is_late_when_its_time_is_over() {
        let mut workers = attached();
        let stop = |until_ms| Event::Stop { workers: vec![WorkerId(0), W], until_ms };
        assert_eq!(workers.on(stop(10_000), 0), [Outcome::TellToStop(W)], "worker 0 is not there");
        assert_eq!(workers.on(stop(11_000), 0), []);
        assert_eq!((workers.find_late(10_999), workers.find_late(11_000)), (vec![], vec![W]));
        workers.on(Event::Stopped(W), 0);
        assert!(workers.have_stopped() && workers.find_late(11_000).is_empty());
    }

    #[test]
    fn a_worker_is_overdue_after_a_silence_and_its_connection_ends_with_it() {
        let mut workers = attached();
        workers.on(Event::Heard(W), 2_000);
        assert_eq!(workers.next_ms().collect::<Vec<_>>(), [6_000]);
        assert_eq!((workers.find_silent(5_999), workers.find_silent(6_000)), (vec![], vec![W]));
        assert_eq!(workers.on(Event::Lost(W), 0), [Outcome::Disconnect(LinkId(1))]);
        assert_eq!(workers.on(Event::Lost(W), 0), [], "it is lost already");
        assert_eq!(workers.of_link(LinkId(1)), None);
    }

    #[test]
    fn what_a_worker_shows_is_of_its_last_word_and_of_the_term() {
        let mut workers = attached();
        let counted = |uid: &str| Event::Counted {
            worker: W,
            tasks: Vec::new(),
            shown: vec![OperatorShown { uid: uid.into(), ..OperatorShown::default() }],
        };
        let shown = |workers: &Workers| workers.shown().map(|o| o.uid.clone()).collect::<Vec<_>>();
        workers.on(counted("count"), 0);
        workers.on(counted("sum"), 0);
        assert_eq!(shown(&workers), ["sum"]);
        workers.on(Event::Sealed, 0);
        assert!(shown(&workers).is_empty(), "of tasks that are over");
        workers.on(counted("sum"), 0);
        workers.on(Event::Lost(W), 0);
        assert!(shown(&workers).is_empty());
    }

    #[test]
    fn a_newer_process_takes_a_workers_place_and_an_older_one_does_not() {
        let mut workers = attached();
        let greeting = |workers: &Workers, link, incarnation: &str| {
            workers.decide_greeting(LinkId(link), &hello(incarnation), "plan")
        };
        let again = Greeting::Attach { replaces: Some("it connected again") };
        assert_eq!(greeting(&workers, 2, "first"), again);
        let anew = Greeting::Attach { replaces: Some("its process was started anew") };
        assert_eq!(greeting(&workers, 2, "second"), anew);
        workers.on(Event::Lost(W), 0);
        workers.on(Event::Attached { link: LinkId(2), hello: hello("second") }, 0);
        assert!(matches!(greeting(&workers, 3, "first"), Greeting::TurnAway(_)));
        workers.on(Event::Lost(W), 0);
        assert_eq!(greeting(&workers, 3, "first"), Greeting::Attach { replaces: None });
    }
}
