//! What the parts of one process know of each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use weir_coordinator::grpc::Seat;
use weir_coordinator::{CoordinatorHandle, MemberView};
use weir_protocol::control::{JobEnd, Seeker, WorkerReport, job_end};
use weir_protocol::{Term, WorkerId};

/// Operation ids that are remembered, so that asking again is harmless.
const REMEMBERED: usize = 256;

/// A worker that looks for its coordinator asks several times a second; one that has not for so
/// long has found it, or is gone.
const SEEKS: Duration = Duration::from_secs(5);
/// Seekers that are remembered: those of a job of the largest parallelism, and some.
const MOST_SEEKERS: usize = 65_536;

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
    pub(crate) fn seeker(&self) -> Seeker {
        Seeker {
            worker: self.worker.0,
            revision: self.revision.clone(),
            control: self.control.clone(),
        }
    }
}

/// Where another worker was said to be.
struct Met {
    seeker: Seeker,
    at: Instant,
    /// It said so itself; only that is told to others, so that no rumour lives for ever.
    itself: bool,
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
    dismissal: Notify,
}

#[derive(Default)]
struct State {
    known: Known,
    /// When another process last said that it coordinates, and where it is.
    called: Option<(Instant, String)>,
    coordinator: Option<CoordinatorHandle>,
    /// How the job has ended, as its coordinator told this worker.
    end: Option<JobEnd>,
    trouble: String,
    /// Ids of operations that this process's coordinator was asked for.
    operations: VecDeque<String>,
    /// Other workers that look for a coordinator, by ordinal.
    met: BTreeMap<u32, Met>,
    /// The process was told to end.
    leaving: bool,
}

impl Shared {
    pub(crate) fn new(identity: Identity) -> Self {
        let (state, news, dismissal) = (Mutex::default(), Notify::new(), Notify::new());
        Self { identity, member: OnceLock::new(), state, news, dismissal }
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

    /// Where another process is that said so within this time.
    pub(crate) fn caller(&self, within: Duration) -> Option<String> {
        let state = self.state.lock();
        let called = state.called.as_ref().filter(|(at, _)| at.elapsed() < within);
        called.map(|(_, address)| address.clone())
    }

    /// Somebody who watches pods says that the one of this UID is being deleted.
    ///
    /// # Errors
    /// It is not this process's.
    pub(crate) fn dismiss(&self, pod_uid: &str) -> Result<(), String> {
        let mine = &self.identity.pod_uid;
        if mine.is_empty() {
            return Err("this process does not know its pod: WEIR_POD_UID is not set".to_owned());
        }
        if mine != pod_uid {
            return Err(format!("this is pod {mine}, not {pod_uid}"));
        }
        self.dismissal.notify_one();
        Ok(())
    }

    /// Waits until this process's pod is being deleted.
    pub(crate) async fn dismissed(&self) {
        self.dismissal.notified().await;
    }

    /// The process was told to end: it takes no role any more.
    pub(crate) fn leave(&self) {
        self.state.lock().leaving = true;
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.state.lock().leaving
    }

    /// Another worker asks, since it looks for its coordinator.
    pub(crate) fn meet(&self, seeker: Seeker) {
        self.note(seeker, true);
    }

    /// Another worker was told of such a one.
    pub(crate) fn hear_of(&self, seeker: &Seeker) {
        self.note(seeker.clone(), false);
    }

    fn note(&self, seeker: Seeker, itself: bool) {
        if seeker.worker == self.identity.worker.0 || seeker.revision != self.identity.revision {
            return;
        }
        let mut state = self.state.lock();
        let now = Instant::now();
        state.met.retain(|_, met| now.duration_since(met.at) < SEEKS);
        let known = state.met.get(&seeker.worker);
        // What a worker says of itself is newer than what is said about it.
        let better = itself || known.is_none_or(|met| !met.itself);
        if better && (known.is_some() || state.met.len() < MOST_SEEKERS) {
            state.met.insert(seeker.worker, Met { seeker, at: now, itself });
        }
    }

    /// Where a worker that looks for its coordinator has last been, `host:port`.
    pub(crate) fn whereabouts(&self, worker: WorkerId) -> Option<String> {
        let state = self.state.lock();
        let met = state.met.get(&worker.0).filter(|met| met.at.elapsed() < SEEKS);
        met.map(|met| met.seeker.control.clone())
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
        let met = state.met.values().filter(|met| met.itself && met.at.elapsed() < SEEKS);
        let mut seekers: Vec<Seeker> = met.map(|met| met.seeker.clone()).collect();
        if !view.attached {
            seekers.push(self.identity.seeker());
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
            seekers,
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
        survivor.meet(second.identity.seeker());
        survivor.meet(third.identity.seeker());
        survivor.report().seekers.iter().for_each(|seeker| second.hear_of(seeker));
        assert_eq!(second.whereabouts(WorkerId(3)).as_deref(), Some("10.0.0.3:7101"));
        assert_eq!(second.whereabouts(WorkerId(1)).as_deref(), Some("10.0.0.1:7101"));
        assert_eq!(second.whereabouts(WorkerId(2)), None, "it is nobody else to itself");
        let told: Vec<u32> = second.report().seekers.iter().map(|seeker| seeker.worker).collect();
        assert_eq!(told, [2], "what it only heard of it does not pass on");
        tokio::time::advance(SEEKS).await;
        assert_eq!(survivor.whereabouts(WorkerId(3)), None, "who asks no more is no voice");
    }

    #[tokio::test(start_paused = true)]
    async fn only_its_own_pods_deletion_dismisses_a_process() {
        let shared = shared(1);
        let refused = shared.dismiss("pod 2").expect_err("that is another pod");
        assert_eq!(refused, "this is pod pod 1, not pod 2");
        let soon = Duration::from_secs(1);
        assert!(tokio::time::timeout(soon, shared.dismissed()).await.is_err());
        assert_eq!(shared.dismiss("pod 1"), Ok(()));
        assert!(tokio::time::timeout(soon, shared.dismissed()).await.is_ok());
    }

    #[test]
    fn another_revision_has_no_voice() {
        let survivor = shared(1);
        survivor.meet(Seeker { revision: "r2".into(), ..shared(2).identity.seeker() });
        assert_eq!(survivor.whereabouts(WorkerId(2)), None);
    }
}
