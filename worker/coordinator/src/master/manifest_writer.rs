//! Carries out the core's wishes on the chain, one after the other.
//!
//! Order is what makes it safe: a seal that follows a publication is tried only after the
//! publication is decided (rule 4), and acknowledged commits reach the writer before the next
//! manifest is built.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use weir_checkpoint::chain::{Authority, ChainError, Refusal, SealRequest, Start, TakeOverError};
use weir_checkpoint::manifest::{Assignment, chain_name};
use weir_checkpoint::savepoint::{self, SavepointError};
use weir_checkpoint::store::{ErrorKind, ProbeError};
use weir_checkpoint::{
    Chain, ChainOptions, CheckpointBody, Destroyed, Manifest, ManifestError, ManifestKind,
    PublishError, Published, Store, WriterTerm,
};
use weir_engine::env::Clock;
use weir_engine::graph::JobGraph;
use weir_engine::sink::{CommitAnswer, CommitContext};
use weir_protocol::{Attempt, Epoch, JobName, Term, Version};

use super::driver::Input;
use super::event::{Event, SavepointInfo};
use super::head::Head;

/// A call that takes longer than this is given up or tried anew.
const GIVE_UP: Duration = Duration::from_secs(60);
/// A publication that takes longer is told of, with what the store has answered so far.
const SLOW_AFTER: Duration = Duration::from_secs(2);
/// How long a savepoint waits for the output of its checkpoint to be committed.
const SAVEPOINT_WAIT: Duration = Duration::from_secs(600);

/// What is to be done on the chain.
#[derive(Debug)]
pub(super) enum Task {
    Seal {
        assignment: Assignment,
    },
    Publish {
        body: Box<CheckpointBody>,
    },
    Acknowledged {
        epoch: Epoch,
        indices: Vec<u32>,
    },
    Collect,
    CopySavepoint {
        name: String,
        version: Version,
    },
    /// The coordinator's work is over: the chain is told what of its output is committed. Answers
    /// with the newest term that was sealed.
    Settle {
        done: oneshot::Sender<Option<Term>>,
    },
}

/// Writes the job's manifests, in order.
pub(super) struct ManifestWriter {
    pub(super) store: Arc<dyn Store>,
    pub(super) job: JobName,
    pub(super) options: ChainOptions,
    pub(super) graph: Arc<JobGraph>,
    /// The first take-over; later ones go on from the manifest writer's own head.
    pub(super) request: SealRequest,
    pub(super) clock: Clock,
    pub(super) events: mpsc::Sender<Input>,
}

impl ManifestWriter {
    /// Opens the chain, then does what it is told until nobody tells it anything.
    pub(super) async fn run(self, mut tasks: mpsc::Receiver<Task>) {
        let Some(chain) = self.open().await else { return };
        let mut writer: Option<WriterTerm> = None;
        let mut behind: Option<tokio::task::JoinHandle<()>> = None;
        while let Some(task) = tasks.recv().await {
            match task {
                Task::Seal { assignment } => {
                    let mut request = SealRequest { assignment, ..self.request.clone() };
                    request.created_ms = self.clock.now_ms();
                    match self.seal(&chain, writer.as_ref(), request).await {
                        Ok(next) => {
                            self.tell_sealed(&next).await;
                            writer = Some(next);
                        }
                        Err(event) => self.tell(event).await,
                    }
                }
                Task::Publish { body } => {
                    let Some(writer) = &writer else { continue };
                    self.publish(writer, *body).await;
                }
                Task::Acknowledged { epoch, indices } => {
                    if let Some(writer) = &writer {
                        writer.commits_acknowledged(Version(epoch.0), &indices).await;
                    }
                }
                Task::Collect => {
                    // Behind the running job; one at a time, the next one does what is left.
                    let idle = behind.as_ref().is_none_or(tokio::task::JoinHandle::is_finished);
                    if let (true, Some(writer)) = (idle, writer.clone()) {
                        behind = Some(tokio::spawn(async move {
                            if let Err(error) = writer.collect().await {
                                tracing::warn!(%error, "old checkpoints were not collected");
                            }
                        }));
                    }
                }
                Task::CopySavepoint { name, version } => {
                    if let Some(writer) = writer.clone() {
                        tokio::spawn(copy_savepoint(writer, name, version, self.events.clone()));
                    }
                }
                Task::Settle { done } => {
                    if let Some(writer) = &writer {
                        settle(writer).await;
                    }
                    done.send(writer.as_ref().map(WriterTerm::term)).ok(); // It may wait no longer.
                }
            }
        }
        // A collection that was begun may end; it deletes only what is dropped for good.
        if let Some(behind) = behind {
            behind.await.ok();
        }
    }

    /// Reads the chain, for as long as it takes the store to answer.
    async fn open(&self) -> Option<Chain> {
        let mut wait = Duration::from_millis(200);
        let opened = loop {
            match Chain::open(self.store.clone(), &self.job, self.options.clone()).await {
                Ok(opened) => break opened,
                // Permissions and names do not mend themselves; a store that is away comes back.
                Err(ChainError::Store(error) | ChainError::Probe(ProbeError::Store(error)))
                    if error.kind == ErrorKind::Ambiguous =>
                {
                    tracing::warn!(%error, "the job's state cannot be read yet");
                    self.tell(Event::StoreProblem { message: error.to_string() }).await;
                }
                Err(error) => {
                    self.tell(Event::Unusable { message: error.to_string() }).await;
                    return None;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        };
        if opened.head.is_none()
            && let Err(TakeOverError::Refused(refusal)) =
                opened.chain.check_first(&self.request).await
        {
            self.tell(Event::Unusable { message: refusal.to_string() }).await;
            return None;
        }
        // Another start than the latest leaves the head's state behind, whatever it is; what it
        // starts from is checked when it is sealed.
        let latest = matches!(self.request.start, Start::Latest);
        let head = match opened.head.filter(|_| latest) {
            Some(manifest) => {
                let written_ms = self.written_ms(&opened.chain, &manifest).await;
                Some(Head { written_ms, ..Head::new(manifest.into()) })
            }
            None => None,
        };
        self.tell(Event::Opened { head }).await;
        Some(opened.chain)
    }

    /// When the checkpoint whose state the head holds was published.
    async fn written_ms(&self, chain: &Chain, head: &Manifest) -> i64 {
        let Some(version) = head.state_of.filter(|v| *v != head.version) else {
            return head.created_ms;
        };
        // For display: where it is gone, the time of the head that repeats it is near enough.
        let read = chain.read_version(version).await.ok().flatten();
        read.map_or(head.created_ms, |manifest| manifest.created_ms)
    }

    /// Takes the job over, or goes to the next term of the same process.
    async fn seal(
        &self,
        chain: &Chain,
        before: Option<&WriterTerm>,
        mut request: SealRequest,
    ) -> Result<WriterTerm, Event> {
        if let Some(before) = before {
            request.must_exist = true;
            request.acknowledged = before.acknowledged();
            request.authority =
                Authority::TakeOver { expected: self.expected(chain, &before.head()).await? };
        }
        let writer = match chain.take_over(&request, GIVE_UP).await {
            Ok(writer) => writer,
            Err(TakeOverError::Lost { head }) => {
                return Err(Event::Fenced { message: lost_to(head.as_deref()) });
            }
            // Names of the chain below the head go; the head itself never does.
            Err(TakeOverError::Refused(Refusal::HeadMoved { head, expected }))
                if head < expected =>
            {
                let gone = ManifestError::HeadGone {
                    name: format!("{}/{}", chain.store().address(), chain_name(expected)),
                    newest: head,
                };
                return Err(Event::Unusable { message: gone.to_string() });
            }
            // The chain has moved since this process was its head, or since it was found without
            // one that answers: somebody else moved it.
            Err(TakeOverError::Refused(Refusal::HeadMoved { .. })) => {
                return Err(fenced(chain).await);
            }
            Err(TakeOverError::Refused(refusal)) => {
                return Err(Event::Unusable { message: refusal.to_string() });
            }
            Err(TakeOverError::Chain(ChainError::Manifest(error))) => {
                return Err(Event::Unusable { message: error.to_string() });
            }
            Err(error) => {
                return Err(Event::SealFailed { message: error.to_string() });
            }
        };
        if let Some(before) = before {
            // What this process has seen committed need not be committed again.
            for pending in writer.pending() {
                if before.is_committed(pending.id()) {
                    writer.commits_acknowledged(pending.epoch, &[pending.index]).await;
                }
            }
        }
        self.finish_roll_back(&writer).await?;
        Ok(writer)
    }

    /// The version that the chain should be at: our newest, or a seal of ours whose answer was
    /// lost.
    async fn expected(&self, chain: &Chain, mine: &Manifest) -> Result<Version, Event> {
        let head = chain.read_head().await.map_err(|error| match error {
            ChainError::Manifest(error) => Event::Unusable { message: error.to_string() },
            error => Event::SealFailed { message: error.to_string() },
        })?;
        Ok(match head {
            Some(head)
                if head.version == mine.version.next()
                    && head.kind == ManifestKind::Seal
                    && head.coordinator == self.request.coordinator =>
            {
                head.version
            }
            _ => mine.version,
        })
    }

    /// Destroys published output that a roll-back drops, before the older state is restored.
    async fn finish_roll_back(&self, writer: &WriterTerm) -> Result<(), Event> {
        let head = writer.head();
        let Some(roll_back) = &head.roll_back else {
            return Ok(());
        };
        let mut outcomes = Vec::new();
        for pending in head.pending.iter().filter(|p| roll_back.destroy.contains(&p.id())) {
            let Some(committer) = self.graph.committers.get(&pending.committable.sink) else {
                let message = format!(
                    "the roll-back to version {} drops output of sink {}, which this program does \
                     not have; roll back with the program that wrote it",
                    roll_back.to, pending.committable.sink
                );
                return Err(Event::Unusable { message });
            };
            let cx = CommitContext {
                epoch: Epoch::from(pending.epoch),
                lineage: head.lineage_of(pending).0.clone(),
            };
            let outcome = loop {
                match committer.discard(&cx, &pending.committable).await {
                    CommitAnswer::Committed => break Destroyed::Gone,
                    CommitAnswer::Lost(_) => break Destroyed::AlreadyVisible,
                    CommitAnswer::Retry(why) => {
                        tracing::warn!(why, "dropped output is not destroyed yet");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            };
            outcomes.push((pending.id(), outcome));
        }
        match writer.finish_roll_back(&outcomes).await {
            Ok(Some(weir_checkpoint::RollBackEnd::Torn { visible })) => {
                let message = format!(
                    "the roll-back to version {} cannot go on: {} pieces of its output are visible \
                     already and others are destroyed; restore a savepoint",
                    roll_back.to,
                    visible.len()
                );
                Err(Event::Unusable { message })
            }
            Ok(_) => Ok(()),
            Err(error) => Err(Event::SealFailed { message: error.to_string() }),
        }
    }

    async fn tell_sealed(&self, writer: &WriterTerm) {
        let committed = writer.acknowledged();
        self.tell(Event::Sealed { head: Head { committed, ..Head::new(writer.head()) } }).await;
    }

    async fn publish(&self, writer: &WriterTerm, body: CheckpointBody) {
        let attempt = body.attempt;
        let body = CheckpointBody { created_ms: self.clock.now_ms(), ..body };
        let event = match self.decided(writer, attempt, body).await {
            Ok(published) => Event::Published { attempt, head: Head::new(published.head) },
            Err(PublishError::Fenced { .. }) => fenced(writer.chain()).await,
            Err(error @ PublishError::Voided { version }) => {
                Event::Voided { attempt, version, message: error.to_string() }
            }
            Err(error) => Event::NotPublished { attempt, message: error.to_string() },
        };
        self.tell(event).await;
    }

    /// Publishes, and says meanwhile why the store does not decide.
    async fn decided(
        &self,
        writer: &WriterTerm,
        attempt: Attempt,
        body: CheckpointBody,
    ) -> Result<Published, PublishError> {
        let mut publishing = std::pin::pin!(writer.publish(body, GIVE_UP));
        loop {
            match timeout(SLOW_AFTER, &mut publishing).await {
                Ok(decided) => return decided,
                Err(_) => {
                    if let Some(message) = writer.problem() {
                        self.tell(Event::Undecided { attempt, message }).await;
                    }
                }
            }
        }
    }

    async fn tell(&self, event: Event) {
        // Nobody listens any more only when the coordinator has ended.
        self.events.send(Input::Event(Box::new(event))).await.ok();
    }
}

/// Output that a successor need not commit again may be taken away from its place.
async fn settle(writer: &WriterTerm) {
    match writer.publish_acknowledged(GIVE_UP).await {
        Ok(_) => {}
        // Whoever holds the chain commits again, which is harmless.
        Err(error) => tracing::warn!(%error, "the chain does not know yet what is committed"),
    }
}

/// Another coordinator holds the chain.
async fn fenced(chain: &Chain) -> Event {
    let head = chain.read_head().await.ok().flatten();
    Event::Fenced { message: lost_to(head.as_ref()) }
}

/// Who holds the chain, in words. A process on its own machine has no address to tell it by.
fn lost_to(head: Option<&Manifest>) -> String {
    let who = match head {
        Some(head) if head.coordinator.address.is_empty() => {
            format!(" (it took over with term {})", head.term)
        }
        Some(head) => format!(
            " (worker {} at {} took over with term {})",
            head.coordinator.worker, head.coordinator.address, head.term
        ),
        None => String::new(),
    };
    format!(
        "another process runs this job with this state{who}; this one has stopped, and the other \
         goes on from the newest checkpoint"
    )
}

/// Copies a pinned checkpoint behind the running job, once its output is committed.
async fn copy_savepoint(
    writer: WriterTerm,
    name: String,
    version: Version,
    events: mpsc::Sender<Input>,
) {
    let result = timeout(SAVEPOINT_WAIT, try_copy(&writer, &name, version)).await;
    let result = result.unwrap_or_else(|_| {
        Err(format!(
            "savepoint {name}: the output of version {version} was not committed within {} s",
            SAVEPOINT_WAIT.as_secs()
        ))
    });
    writer.unpin(&name);
    let event = Event::SavepointDone { name, result };
    events.send(Input::Event(Box::new(event))).await.ok();
}

async fn try_copy(
    writer: &WriterTerm,
    name: &str,
    version: Version,
) -> Result<SavepointInfo, String> {
    let chain = writer.chain();
    let head = writer.head();
    let manifest = if head.version == version {
        head
    } else {
        let read = chain.read_version(version).await.map_err(|e| e.to_string())?;
        Arc::new(read.ok_or_else(|| format!("savepoint {name}: version {version} is gone"))?)
    };
    loop {
        let committed = |p: &weir_checkpoint::PendingCommit| writer.is_committed(p.id());
        let steps = &chain.options().steps;
        match savepoint::copy(chain.store(), &manifest, name, committed, steps).await {
            Ok(done) => {
                return Ok(SavepointInfo { bytes: done.manifest.bytes, path: done.url });
            }
            Err(SavepointError::Uncommitted { .. }) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
