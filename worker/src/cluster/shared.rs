//! What the parts of one process know of each other.

use std::collections::VecDeque;
use std::sync::OnceLock;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_coordinator::grpc::Seat;
use weir_coordinator::{CoordinatorHandle, MemberView};
use weir_protocol::control::{JobEnd, WorkerReport, job_end};
use weir_protocol::{Term, WorkerId};

/// Operation ids that are remembered, so that asking again is harmless.
const REMEMBERED: usize = 256;

/// Who this process is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) worker: WorkerId,
    /// Random, new with every start of the process.
    pub(crate) incarnation: String,
    pub(crate) revision: String,
    pub(crate) job_uid: String,
    /// Where its control service is reached, `host:port`.
    pub(crate) control: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The coordinator that this process knows of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Known {
    /// `host:port`; empty when it knows none.
    pub(crate) address: String,
    pub(crate) term: u64,
}

/// What is known in this process.
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    member: OnceLock<watch::Receiver<MemberView>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: Known,
    /// When another process last said that it coordinates.
    called: Option<Instant>,
    coordinator: Option<CoordinatorHandle>,
    /// How the job has ended, as its coordinator told this worker.
    end: Option<JobEnd>,
    trouble: String,
    /// Ids of operations that this process's coordinator was asked for.
    operations: VecDeque<String>,
}

impl Shared {
    pub(crate) fn new(identity: Identity) -> Self {
        Self { identity, member: OnceLock::new(), state: Mutex::default() }
    }

    /// Takes notice of the member of this process.
    pub(crate) fn watch_member(&self, view: watch::Receiver<MemberView>) {
        self.member.set(view).ok(); // There is one member.
    }

    /// What the member shows.
    pub(crate) fn member(&self) -> MemberView {
        self.member.get().map(|view| view.borrow().clone()).unwrap_or_default()
    }

    /// Whether the member holds a connection to a coordinator.
    pub(crate) fn is_attached(&self) -> bool {
        self.member.get().is_some_and(|view| view.borrow().attached)
    }

    pub(crate) fn known(&self) -> Known {
        self.state.lock().known.clone()
    }

    /// A coordinator says where it is. Whoever is attached to one only believes a newer one.
    pub(crate) fn follow(&self, term: Term, address: &str) {
        let attached = self.is_attached();
        let mut state = self.state.lock();
        if !address.is_empty() && (term.0 > state.known.term || !attached) {
            state.known = Known { address: address.to_owned(), term: term.0 };
        }
    }

    /// Another process says that it coordinates, or is about to.
    pub(crate) fn called(&self, term: Term, address: &str) {
        self.state.lock().called = Some(Instant::now());
        self.follow(term, address);
    }

    /// When another process last said so.
    pub(crate) fn last_called(&self) -> Option<Instant> {
        self.state.lock().called
    }

    /// Somebody else was faster: this process never held the role.
    pub(crate) fn step_back(&self) {
        let mut state = self.state.lock();
        state.coordinator = None;
        state.known = Known::default();
    }

    /// This process has taken the coordinator's role.
    pub(crate) fn coordinate(&self, handle: CoordinatorHandle) {
        let mut state = self.state.lock();
        state.known.address.clone_from(&self.identity.control);
        state.coordinator = Some(handle);
        state.operations.clear();
    }

    /// The coordinator in this process, also one whose work has ended.
    pub(crate) fn coordinator(&self) -> Option<CoordinatorHandle> {
        self.state.lock().coordinator.clone()
    }

    pub(crate) fn job_ended(&self, end: JobEnd) {
        self.state.lock().end = Some(end);
    }

    pub(crate) fn end(&self) -> Option<JobEnd> {
        self.state.lock().end.clone()
    }

    pub(crate) fn set_trouble(&self, trouble: &str) {
        let mut state = self.state.lock();
        if state.trouble != trouble {
            if !trouble.is_empty() {
                tracing::warn!(trouble, "the worker cannot work");
            }
            trouble.clone_into(&mut state.trouble);
        }
    }

    /// Whether the id is new; it is remembered either way.
    pub(crate) fn remember(&self, id: &str) -> bool {
        let mut state = self.state.lock();
        if state.operations.iter().any(|known| known == id) {
            return false;
        }
        if state.operations.len() >= REMEMBERED {
            state.operations.pop_front();
        }
        state.operations.push_back(id.to_owned());
        true
    }

    /// An operation that was not begun after all.
    pub(crate) fn forget(&self, id: &str) {
        self.state.lock().operations.retain(|known| known != id);
    }

    /// Who this worker is, whom it follows, and the job as its coordinator sees it.
    pub(crate) fn report(&self) -> WorkerReport {
        let view = self.member();
        let state = self.state.lock();
        let coordinating = state.coordinator.as_ref().map(CoordinatorHandle::report);
        let status = coordinating.as_ref().and_then(|c| c.status.as_ref());
        let term = status.map_or(state.known.term.max(view.term.0), |s| s.term);
        WorkerReport {
            worker: self.identity.worker.0,
            incarnation: self.identity.incarnation.clone(),
            revision: self.identity.revision.clone(),
            job_uid: self.identity.job_uid.clone(),
            attached: view.attached,
            coordinator: state.known.address.clone(),
            term,
            coordinating,
            trouble: if view.attached { String::new() } else { state.trouble.clone() },
        }
    }

    /// Whether the job runs here, or has ended as it should; else why not.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        let view = self.member();
        let end = self.end();
        if let Some(end) = end.filter(|_| !view.attached) {
            return match end.kind() {
                job_end::Kind::Finished | job_end::Kind::Stopped => Ok(()),
                _ => Err(format!("the job has failed: {}", end.message)),
            };
        }
        if !view.attached {
            let state = self.state.lock();
            let trouble = &state.trouble;
            let why = if trouble.is_empty() { "no coordinator answers yet" } else { trouble };
            return Err(why.to_owned());
        }
        match view.state.as_str() {
            "Running" | "Rescaling" | "Stopping" => Ok(()),
            "" => Err("attached; the coordinator has not said how the job is".to_owned()),
            state => Err(format!("attached; the job is {state}")),
        }
    }
}

impl Seat for Shared {
    fn holder(&self) -> Result<CoordinatorHandle, String> {
        let state = self.state.lock();
        state.coordinator.clone().ok_or_else(|| {
            let me = self.identity.worker;
            if state.known.address.is_empty() {
                format!("worker {me} does not coordinate, and knows of nobody who does")
            } else {
                format!("worker {me} does not coordinate; ask {}", state.known.address)
            }
        })
    }
}
