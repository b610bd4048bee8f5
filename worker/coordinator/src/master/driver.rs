//! Runs the core: connections, timers, enumerators and the chain around [`JobMaster`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use weir_engine::graph::JobGraph;
use weir_engine::source::{Source, Split};
use weir_engine::{EngineError, Fault};
use weir_protocol::control::{
    self, CoordinatorReport, JobStatus, OperatorShown, ToWorker, to_worker,
};
use weir_protocol::view::CheckpointRecord;
use weir_protocol::{Term, VertexId};

use super::event::{Action, Ending, Event, Found, LinkId, Reply, Request, RequestId};
use super::journal::Journal;
use super::manifest_writer::Task;
use super::owner::JobMaster;
use crate::link::MasterLink;

/// Tries of a first look for splits before the job restarts.
const LOOKS: u32 = 5;

/// A status without news is shown this often.
const STATUS_MS: u64 = 200;

/// What reaches the driver.
#[derive(Debug)]
pub(super) enum Input {
    Event(Box<Event>),
    Attached(MasterLink),
    /// `operation` is the id under which it is reported, empty when nobody will look; `answer` is
    /// absent when nobody waits.
    Asked {
        request: Request,
        operation: String,
        answer: Option<oneshot::Sender<Reply>>,
    },
}

/// When the role is handed over, a write into the chain may take so long to be decided.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// When the job's work is over, the chain gets so long to be told what is committed.
const LAST_NEWS: Duration = Duration::from_secs(10);
/// Workers hang up when they are told that the role is free; one that does not is left alone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A task that ends when this is dropped.
struct Guard(JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Link {
    to: mpsc::Sender<ToWorker>,
    _reader: Guard,
}

struct Enumerating {
    positions: mpsc::Sender<Vec<Split>>,
    /// Taken at the next look; never more than the source has splits.
    returned: Arc<Mutex<Vec<Split>>>,
    _task: Guard,
}

/// How many attempts are over, and the newest of them.
pub(super) type CheckpointRecords = (u64, Vec<Arc<CheckpointRecord>>);

/// Where the driver shows how the job is.
pub(super) struct Shown {
    pub(super) status: watch::Sender<JobStatus>,
    /// Without the status.
    pub(super) report: watch::Sender<CoordinatorReport>,
    /// The newest attempts that are over, oldest first.
    pub(super) checkpoints: watch::Sender<CheckpointRecords>,
    /// What tasks show because somebody looks.
    pub(super) operators: watch::Sender<Vec<OperatorShown>>,
    /// Protocol steps taken.
    pub(super) steps: watch::Sender<BTreeMap<&'static str, u64>>,
}

pub(super) struct Driver {
    master: JobMaster,
    graph: Arc<JobGraph>,
    inputs: mpsc::Receiver<Input>,
    /// For tasks that report back.
    events: mpsc::Sender<Input>,
    manifest_writer: mpsc::Sender<Task>,
    shown: Shown,
    began: Instant,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
    waiting: BTreeMap<RequestId, oneshot::Sender<Reply>>,
    next_request: u64,
    enumerators: BTreeMap<VertexId, Enumerating>,
}

impl Driver {
    pub(super) fn new(
        master: JobMaster,
        graph: Arc<JobGraph>,
        (events, inputs): (mpsc::Sender<Input>, mpsc::Receiver<Input>),
        manifest_writer: mpsc::Sender<Task>,
        shown: Shown,
    ) -> Self {
        Self {
            master,
            graph,
            inputs,
            events,
            manifest_writer,
            shown,
            began: Instant::now(),
            links: BTreeMap::new(),
            next_link: 0,
            waiting: BTreeMap::new(),
            next_request: 0,
            enumerators: BTreeMap::new(),
        }
    }

    /// Runs until the coordinator's work has ended.
    pub(super) async fn run(mut self) -> Ending {
        let (mut shown, mut journal) = (None, Journal::default());
        loop {
            // A status lists every task: not for each of a thousand acks.
            let key = (self.master.status_key(), self.master.now() / STATUS_MS);
            if shown != Some(key) {
                self.show(&mut journal);
                shown = Some(key);
            }
            let deadline = self.master.next_deadline();
            let timer = async {
                match deadline {
                    Some(ms) => {
                        tokio::time::sleep_until(self.began + Duration::from_millis(ms)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                input = self.inputs.recv() => match input {
                    Some(Input::Event(event)) => *event,
                    Some(Input::Attached(link)) => {
                        self.attach(link);
                        continue;
                    }
                    Some(Input::Asked { request, operation, answer }) => {
                        let id = RequestId(self.next_request);
                        self.next_request += 1;
                        self.waiting.extend(answer.map(|answer| (id, answer)));
                        Event::Request { id, request, operation }
                    }
                    // Never: the driver holds a sender.
                    None => Event::Tick,
                },
                () = timer => Event::Tick,
            };
            let now = self.began.elapsed().as_millis() as u64;
            for action in self.master.on(event, now) {
                if let Some(ending) = self.act(action) {
                    self.conclude(&ending, &mut journal).await;
                    return ending;
                }
            }
        }
    }

    /// Whatever is on its way into the chain gets the time to be decided, and the chain is told
    /// which output is committed: nobody else has seen those answers. Only then others see that
    /// the work is over, and may stop the process or start a successor, which would lose the race
    /// for a place that is undecided and would commit again. Safety rests on none of this.
    async fn conclude(mut self, ending: &Ending, journal: &mut Journal) {
        let patience = if *ending == Ending::SteppedDown { LAST_WRITE } else { LAST_NEWS };
        let mut term = self.master.term();
        if !matches!(ending, Ending::Fenced(_)) {
            let (done, settled) = oneshot::channel();
            self.keep(Task::Settle { done });
            // It may have been sealed without having reigned.
            let sealed = timeout(patience, settled).await.ok().and_then(Result::ok).flatten();
            term = term.max(sealed.unwrap_or_default());
        }
        self.show(journal);
        if *ending == Ending::SteppedDown {
            self.hand_over(term).await;
        }
    }

    /// Tells the workers that the role is free.
    async fn hand_over(self, term: Term) {
        let Self { mut inputs, links, .. } = self;
        let deadline = Instant::now() + LAST_WORDS;
        let mut open: BTreeSet<LinkId> = links.keys().copied().collect();
        for (id, link) in &links {
            let kind = to_worker::Kind::HandOver(control::HandOver {});
            if link.to.try_send(ToWorker { term: term.0, kind: Some(kind) }).is_err() {
                open.remove(id);
            }
        }
        while !open.is_empty() {
            match timeout_at(deadline, inputs.recv()).await {
                Ok(Some(Input::Event(event))) => {
                    if let Event::LinkClosed { link } = *event {
                        open.remove(&link);
                    }
                }
                // Whoever attaches or asks now is refused when this is dropped.
                Ok(Some(Input::Attached(_) | Input::Asked { .. })) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn show(&self, journal: &mut Journal) {
        let status = self.master.status();
        journal.note(&self.master, &status);
        self.shown.report.send_replace(self.master.coordinator_report());
        let (count, records) = self.master.checkpoint_records();
        self.shown.checkpoints.send_if_modified(|(shown, newest)| {
            let is_news = *shown != count;
            if is_news {
                (*shown, *newest) = (count, records.to_vec());
            }
            is_news
        });
        self.shown.operators.send_if_modified(|operators| {
            let had = std::mem::replace(operators, self.master.shown());
            !had.is_empty() || !operators.is_empty()
        });
        self.shown.steps.send_replace(self.master.steps().clone());
        self.shown.status.send_replace(status);
    }

    fn act(&mut self, action: Action) -> Option<Ending> {
        match action {
            Action::Send { link, message } => {
                // A queue that is full belongs to a worker that does not listen.
                let sent = self.links.get(&link).map(|l| l.to.try_send(message).is_ok());
                if sent == Some(false) {
                    self.links.remove(&link);
                    self.report(Event::LinkClosed { link });
                }
            }
            Action::Disconnect { link } => {
                self.links.remove(&link);
            }
            Action::Seal { assignment } => self.keep(Task::Seal { assignment }),
            Action::Publish { body } => self.keep(Task::Publish { body }),
            Action::Acknowledged { epoch, indices } => {
                self.keep(Task::Acknowledged { epoch, indices });
            }
            Action::Collect => self.keep(Task::Collect),
            Action::CopySavepoint { name, version } => {
                self.keep(Task::CopySavepoint { name, version });
            }
            Action::Enumerate { term, vertex, snapshot, returned, look } => {
                self.enumerate(term, vertex, snapshot, returned, look);
            }
            Action::TakeBack { vertex, splits } => {
                if let Some(enumerating) = self.enumerators.get(&vertex) {
                    enumerating.returned.lock().extend(splits);
                }
            }
            Action::ShowPositions { vertex, splits } => {
                if let Some(enumerating) = self.enumerators.get(&vertex) {
                    // Only for show: a slow outside misses some.
                    enumerating.positions.try_send(splits).ok();
                }
            }
            Action::Reply { id, reply } => {
                if let Some(answer) = self.waiting.remove(&id) {
                    answer.send(reply).ok(); // Whoever asked may have gone.
                }
            }
            Action::End(ending) => return Some(ending),
        }
        None
    }

    fn keep(&mut self, task: Task) {
        if self.manifest_writer.try_send(task).is_err() {
            // The manifest writer ends only after it has said why; that event is on its way.
            tracing::debug!("nobody keeps the chain any more");
        }
    }

    /// Reports something that the driver itself found, after what is being done now.
    fn report(&self, event: Event) {
        let events = self.events.clone();
        tokio::spawn(async move {
            events.send(Input::Event(Box::new(event))).await.ok();
        });
    }

    fn attach(&mut self, link: MasterLink) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let MasterLink { to, mut from } = link;
        let events = self.events.clone();
        let reader = tokio::spawn(async move {
            while let Some(message) = from.recv().await {
                let event = Event::Message { link: id, message };
                if events.send(Input::Event(Box::new(event))).await.is_err() {
                    return;
                }
            }
            events.send(Input::Event(Box::new(Event::LinkClosed { link: id }))).await.ok();
        });
        self.links.insert(id, Link { to, _reader: Guard(reader) });
    }

    fn enumerate(
        &mut self,
        term: Term,
        vertex: VertexId,
        snapshot: Option<bytes::Bytes>,
        returned: Vec<Split>,
        look: bool,
    ) {
        let Some((_, _, node)) = self.graph.sources().find(|(v, _, _)| v.id == vertex) else {
            return;
        };
        let (positions, receiver) = mpsc::channel(4);
        let returned = Arc::new(Mutex::new(returned));
        let enumerating = enumerate(
            Arc::clone(&node.source),
            snapshot,
            look.then(Instant::now),
            (term, vertex),
            self.events.clone(),
            (receiver, Arc::clone(&returned)),
        );
        // The enumerator of the term before ends here.
        let task = Guard(tokio::spawn(enumerating));
        self.enumerators.insert(vertex, Enumerating { positions, returned, _task: task });
    }
}

/// Looks for splits of one source, as often as it wants, for one term.
async fn enumerate(
    source: Arc<dyn Source>,
    snapshot: Option<bytes::Bytes>,
    mut next: Option<Instant>,
    (term, vertex): (Term, VertexId),
    events: mpsc::Sender<Input>,
    (mut positions, returned): (mpsc::Receiver<Vec<Split>>, Arc<Mutex<Vec<Split>>>),
) {
    let report = async |result: Result<Found, EngineError>| {
        let event = Event::Discovered { term, vertex, result };
        events.send(Input::Event(Box::new(event))).await.ok();
    };
    let problem = async |error: &EngineError| {
        tracing::warn!(%error, "splits could not be looked for yet");
        let event = Event::NotDiscovered { term, vertex, message: error.to_string() };
        events.send(Input::Event(Box::new(event))).await.ok();
    };
    let mut enumerator = match source.enumerator(snapshot) {
        Ok(enumerator) => enumerator,
        Err(error) => return report(Err(error)).await,
    };
    let mut first = true;
    let (mut taken_back, mut held) = (0, None);
    let mut failed = false;
    loop {
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = due => {
                let interval = enumerator.interval();
                next = interval.map(|i| Instant::now() + i);
                let given_back = std::mem::take(&mut *returned.lock());
                taken_back += given_back.len();
                for split in given_back {
                    if let Err(error) = enumerator.take_back(split) {
                        return report(Err(error)).await;
                    }
                }
                let mut tries = if first { LOOKS } else { 1 };
                let result = loop {
                    tries -= 1;
                    match enumerator.discover().await {
                        // It is told at once; what is known is being read meanwhile.
                        Err(error) if error.fault == Fault::External && (tries > 0 || !first) => {
                            problem(&error).await;
                            failed = true;
                            if tries == 0 {
                                break None;
                            }
                            let pause = Duration::from_millis(200 << (LOOKS - tries));
                            tokio::time::sleep(pause).await;
                        }
                        other => break Some(other),
                    }
                };
                match result {
                    Some(Ok(splits)) => {
                        let again = interval.is_some();
                        let is_news = first
                            || failed
                            || !splits.is_empty()
                            || taken_back > 0
                            || held != enumerator.held();
                        held = enumerator.held();
                        if is_news {
                            let snapshot = enumerator.snapshot();
                            let found = Found { splits, snapshot, again, taken_back, held };
                            report(Ok(found)).await;
                        }
                        (first, failed, taken_back) = (false, false, 0);
                    }
                    Some(Err(error)) => return report(Err(error)).await,
                    None => {}
                }
            }
            splits = positions.recv() => match splits {
                Some(splits) => enumerator.on_published(&splits).await,
                None => return,
            },
        }
    }
}
