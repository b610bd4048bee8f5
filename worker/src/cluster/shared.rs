//! What the parts of one process know of each other.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use weir_coordinator::grpc::LocalCoordinator;
use weir_coordinator::{CoordinatorHandle, MemberView};
use weir_protocol::control::{Candidate, JobEnd, RunState, WorkerReport, job_end};
use weir_protocol::{Term, WorkerId};

use super::peers::{PeerRegistry, Source};

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
    /// UID of its pod; empty where it was not told.
    pub(crate) pod_uid: String,
    /// Where its control service is reached, `host:port`.
    pub(crate) control: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Identity {
    /// As it says to others while it looks for its coordinator.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            worker: self.worker.0,
            revision: self.revision.clone(),
            control: self.control.clone(),
        }
    }
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
    /// A coordinator has said where it is.
    news: Notify,
    /// The pod is being deleted.
    termination: Notify,
}

#[derive(Default)]
struct State {
    known: Known,
    /// When another process last said that it coordinates, and where it is.
    called: Option<(Instant, String)>,
    coordinator: Option<CoordinatorHandle>,
    /// How the job has ended, as its coordinator told this worker.
    end: Option<JobEnd>,
    problem: String,
    /// Ids of operations that this process's coordinator was asked for.
    operations: VecDeque<String>,
    peers: PeerRegistry,
    /// The process was told to end.
    leaving: bool,
}

impl Shared {
    pub(crate) fn new(identity: Identity) -> Self {
        let (state, news, termination) = (Mutex::default(), Notify::new(), Notify::new());
        Self { identity, member: OnceLock::new(), state, news, termination }
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

    /// Waits until the member holds no connection to a coordinator.
    pub(crate) async fn detached(&self) {
        match self.member.get() {
            // An error is impossible: the member holds the sender.
            Some(view) => drop(view.clone().wait_for(|view| !view.attached).await),
            None => std::future::pending().await,
        }
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
        self.state.lock().called = Some((Instant::now(), address.to_owned()));
        let before = self.known();
        self.follow(term, address);
        // It says so again and again, which must not disturb those who are on their way to it.
        if self.known() != before {
            self.news.notify_waiters();
        }
    }

    /// Waits until a coordinator says where it is, in this process or another.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Where another process is that said within this time that it coordinates.
    pub(crate) fn other_coordinator(&self, within: Duration) -> Option<String> {
        let state = self.state.lock();
        let called = state.called.as_ref().filter(|(at, _)| at.elapsed() < within);
        called.map(|(_, address)| address.clone())
    }

    /// Somebody who watches pods says that the one of this UID is being deleted.
    ///
    /// # Errors
    /// It is not this process's.
    pub(crate) fn terminate(&self, pod_uid: &str) -> Result<(), String> {
        let mine = &self.identity.pod_uid;
        if mine.is_empty() {
            return Err("this process does not know its pod: WEIR_POD_UID is not set".to_owned());
        }
        if mine != pod_uid {
            return Err(format!("this is pod {mine}, not {pod_uid}"));
        }
        self.termination.notify_one();
        Ok(())
    }

    /// Waits until this process's pod is being deleted.
    pub(crate) async fn terminated(&self) {
        self.termination.notified().await;
    }

    /// The process was told to end: it takes no role any more.
    pub(crate) fn leave(&self) {
        self.state.lock().leaving = true;
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.state.lock().leaving
    }

    /// Another worker looks for its coordinator.
    pub(crate) fn note_candidate(&self, candidate: Candidate, source: Source) {
        let Identity { worker, revision, .. } = &self.identity;
        if candidate.worker != worker.0 && candidate.revision == *revision {
            self.state.lock().peers.add(candidate, source);
        }
    }

    /// Where a worker that looks for its coordinator has last been, `host:port`.
    pub(crate) fn peer_address(&self, worker: WorkerId) -> Option<String> {
        self.state.lock().peers.address(worker)
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
        drop(state);
        self.news.notify_waiters();
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

    pub(crate) fn set_problem(&self, problem: &str) {
        let mut state = self.state.lock();
        if state.problem != problem {
            if !problem.is_empty() {
                tracing::warn!(problem, "the worker cannot work");
            }
            problem.clone_into(&mut state.problem);
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
        let mut candidates: Vec<Candidate> = state.peers.first_hand().cloned().collect();
        if !view.attached {
            candidates.push(self.identity.candidate());
        }
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
            candidates,
            problem: if view.attached { String::new() } else { state.problem.clone() },
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
            let problem = &state.problem;
            let why = if problem.is_empty() { "no coordinator answers yet" } else { problem };
            return Err(why.to_owned());
        }
        match view.state {
            RunState::Running | RunState::Rescaling | RunState::Stopping => Ok(()),
            RunState::Unspecified => {
                Err("attached; the coordinator has not said how the job is".to_owned())
            }
            state => Err(format!("attached; the job is {}", state.name())),
        }
    }
}

impl LocalCoordinator for Shared {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(worker: u32) -> Shared {
        Shared::new(Identity {
            worker: WorkerId(worker),
            incarnation: format!("process {worker}"),
            revision: "r1".into(),
            job_uid: "uid".into(),
            pod_uid: format!("pod {worker}"),
            control: format!("10.0.0.{worker}:7101"),
            namespace: "default".into(),
            name: "job".into(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn workers_with_new_addresses_find_each_other_by_whom_both_have_asked() {
        let (survivor, second, third) = (shared(1), shared(2), shared(3));
        for asking in [&second, &third] {
            survivor.note_candidate(asking.identity.candidate(), Source::Itself);
        }
        for candidate in survivor.report().candidates {
            second.note_candidate(candidate, Source::Another);
        }
        assert_eq!(second.peer_address(WorkerId(3)).as_deref(), Some("10.0.0.3:7101"));
        assert_eq!(second.peer_address(WorkerId(1)).as_deref(), Some("10.0.0.1:7101"));
        assert_eq!(second.peer_address(WorkerId(2)), None, "it is nobody else to itself");
        let told: Vec<u32> = second.report().candidates.iter().map(|it| it.worker).collect();
        assert_eq!(told, [2], "what it only heard of it does not pass on");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(survivor.peer_address(WorkerId(3)), None, "who asks no more is no voice");
    }

    #[tokio::test(start_paused = true)]
    async fn only_its_own_pods_deletion_terminates_a_process() {
        let shared = shared(1);
        let refused = shared.terminate("pod 2").expect_err("that is another pod");
        assert_eq!(refused, "this is pod pod 1, not pod 2");
        let soon = Duration::from_secs(1);
        assert!(tokio::time::timeout(soon, shared.terminated()).await.is_err());
        assert_eq!(shared.terminate("pod 1"), Ok(()));
        assert!(tokio::time::timeout(soon, shared.terminated()).await.is_ok());
    }

    #[test]
    fn another_revision_has_no_voice() {
        let survivor = shared(1);
        let other = Candidate { revision: "r2".into(), ..shared(2).identity.candidate() };
        survivor.note_candidate(other, Source::Itself);
        assert_eq!(survivor.peer_address(WorkerId(2)), None);
    }
}
