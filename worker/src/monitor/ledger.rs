//! What was done with a job and what went wrong, kept beside its manifests: people look for it when
//! the process that saw it is gone.
//!
//! `ledger/<term:020>` of the job's folder is what one coordinator saw, from the first term of its
//! in which something happened. Each is written by one coordinator alone and only for people:
//! nothing is decided by it, and whoever cannot write it goes on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use weir_checkpoint::Store;
use weir_checkpoint::store::Scoped;
use weir_coordinator::master::Ending;
use weir_page::Ledger;
use weir_protocol::JobName;
use weir_protocol::control::{JobStatus, OperationKind, OperationReport};
use weir_protocol::view::{
    AttemptResult, CheckpointRecord, FailureView, OperationView, Step, VIEW_VERSION,
};

/// Coordinators whose notes are kept.
const MAX_OBJECTS: usize = 50;
/// What could not be written is written again after this time.
const RETRY: Duration = Duration::from_secs(2);
/// Entries of each sort that one coordinator keeps.
const MAX_ENTRIES: usize = 200;
/// The same failure within this time is the same entry.
const AGAIN_MS: u64 = 600_000;
/// A failure's text is cut here.
const MAX_MESSAGE: usize = 4_000;

/// What one coordinator saw, oldest first.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notes {
    version: u32,
    operations: Vec<OperationView>,
    failures: Vec<FailureView>,
}

/// Keeps the ledger of a job for one coordinator.
pub(super) struct Keeper {
    /// From coordinators before; filled once it is read.
    before: watch::Receiver<Option<Ledger>>,
    mine: Notes,
    to_store: watch::Sender<(u64, Notes)>,
    stored: watch::Receiver<Notes>,
    /// All of it, as it was told last.
    told: Ledger,
    last_operation: u64,
    attempts: u64,
    restarts: u64,
    has_ended: bool,
    term: u64,
}

impl Keeper {
    /// Begins to read what was before, and to write what happens.
    pub(super) fn start(store: Arc<dyn Store>, job: &JobName) -> Self {
        let folder: Arc<dyn Store> = Arc::new(Scoped::new(store, job.as_str()));
        let (read, before) = watch::channel(None);
        let (to_store, mut notes) = watch::channel((0, Notes::default()));
        let (done, stored) = watch::channel(Notes::default());
        tokio::spawn(async move {
            read.send_replace(Some(fetch(&folder).await));
            while notes.changed().await.is_ok() {
                // Until they are there, or newer ones are: what happens while the store is away is
                // what will be asked for.
                loop {
                    let (term, newest) = notes.borrow_and_update().clone();
                    match keep(&folder, term, &newest).await {
                        Ok(()) => {
                            done.send_replace(newest);
                            break;
                        }
                        Err(error) => tracing::debug!(%error, "the ledger was not written"),
                    }
                    if notes.has_changed().is_err() {
                        return;
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        });
        Self {
            before,
            mine: Notes { version: VIEW_VERSION, ..Notes::default() },
            to_store,
            stored,
            told: Ledger::default(),
            last_operation: 0,
            attempts: 0,
            restarts: 0,
            has_ended: false,
            term: 0,
        }
    }

    /// Takes what is known now; the whole ledger, when it has changed.
    pub(super) fn note(
        &mut self,
        status: &JobStatus,
        checkpoints: &[Arc<CheckpointRecord>],
        ending: Option<&Ending>,
        now_ms: u64,
    ) -> Option<&Ledger> {
        let was = self.mine.clone();
        self.take(status, checkpoints, ending, now_ms);
        if self.mine != was {
            if self.term == 0 {
                self.term = status.term;
            }
            self.to_store.send_replace((self.term, self.mine.clone()));
        }
        let mut all = self.before.borrow().clone().unwrap_or_default();
        self.mine.operations.iter().cloned().for_each(|operation| all.operation(operation));
        self.mine.failures.iter().cloned().for_each(|failure| all.failure(failure));
        if all == self.told {
            return None;
        }
        self.told = all;
        Some(&self.told)
    }

    fn take(
        &mut self,
        status: &JobStatus,
        checkpoints: &[Arc<CheckpointRecord>],
        ending: Option<&Ending>,
        now_ms: u64,
    ) {
        let term = status.term;
        for done in status.operations.iter().filter(|o| o.number > self.last_operation) {
            push(&mut self.mine.operations, operation(done, term));
        }
        self.last_operation = status.operations.last().map_or(self.last_operation, |o| o.number);
        if status.restarts > self.restarts {
            self.restarts = status.restarts;
            // It was noticed now; a recovery that is over says when it happened.
            let healed = status.operations.iter().rev().find(|o| {
                o.kind() == OperationKind::Recovery && o.message.starts_with(&status.failure)
            });
            let at_ms = healed.map_or(now_ms, |o| o.at_ms.saturating_sub(o.total_ms));
            self.failed("tasks", &status.failure, term, at_ms);
        }
        let seen = self.attempts;
        for record in checkpoints.iter().filter(|record| record.attempt > seen) {
            if record.result == AttemptResult::Failed {
                self.failed(
                    "checkpoint",
                    &format!("checkpoint failed: {}", record.problem),
                    term,
                    record.at_ms,
                );
            }
        }
        self.attempts = checkpoints.last().map_or(self.attempts, |record| record.attempt);
        if let Some(Ending::Failed(message)) = ending.filter(|_| !self.has_ended) {
            self.has_ended = true;
            self.failed("job", message, term, now_ms);
        }
    }

    fn failed(&mut self, kind: &str, message: &str, term: u64, at_ms: u64) {
        if message.is_empty() {
            return;
        }
        let message: String = message.chars().take(MAX_MESSAGE).collect();
        let again = self.mine.failures.iter().position(|known| {
            known.message == message && at_ms.saturating_sub(known.at_ms) < AGAIN_MS
        });
        let mut failure = match again {
            Some(at) => self.mine.failures.remove(at),
            None => FailureView {
                first_at_ms: at_ms,
                kind: kind.to_owned(),
                message,
                ..FailureView::default()
            },
        };
        failure.times += 1;
        (failure.at_ms, failure.term) = (at_ms, term);
        push(&mut self.mine.failures, failure);
    }

    /// Waits until what happened is stored.
    pub(super) async fn settle(&mut self) {
        let mine = self.mine.clone();
        let is_empty = mine.operations.is_empty() && mine.failures.is_empty();
        if !is_empty {
            self.stored.wait_for(|stored| *stored == mine).await.ok();
        }
    }
}

fn push<T>(all: &mut Vec<T>, one: T) {
    if all.len() >= MAX_ENTRIES {
        all.remove(0);
    }
    all.push(one);
}

pub(super) fn operation(done: &OperationReport, term: u64) -> OperationView {
    OperationView {
        at_ms: done.at_ms,
        term,
        kind: done.kind().name().to_owned(),
        outcome: done.outcome().name().to_owned(),
        message: done.message.clone(),
        total_ms: done.total_ms,
        pause_ms: done.pause_ms,
        steps: done.steps.iter().map(|s| Step { name: s.name.clone(), ms: s.ms }).collect(),
    }
}

fn name_of(term: u64) -> String {
    format!("ledger/{term:020}")
}

/// What coordinators before have seen; nothing where it cannot be read.
async fn fetch(folder: &Arc<dyn Store>) -> Ledger {
    let mut names = folder.list("ledger", None).await.unwrap_or_default();
    names.sort_unstable();
    let mut ledger = Ledger::default();
    for name in names.iter().skip(names.len().saturating_sub(MAX_OBJECTS)) {
        let Ok(Some(bytes)) = folder.get(name).await else { continue };
        // Of a later version: for those that know it.
        let Ok(notes) = serde_json::from_slice::<Notes>(&bytes) else { continue };
        notes.operations.into_iter().for_each(|operation| ledger.operation(operation));
        notes.failures.into_iter().for_each(|failure| ledger.failure(failure));
    }
    ledger
}

async fn keep(folder: &Arc<dyn Store>, term: u64, notes: &Notes) -> anyhow::Result<()> {
    let name = name_of(term);
    let is_new = folder.get(&name).await?.is_none();
    folder.put(&name, Bytes::from(serde_json::to_vec(notes)?)).await?;
    if is_new {
        let mut names = folder.list("ledger", None).await?;
        names.sort_unstable();
        for old in names.iter().take(names.len().saturating_sub(MAX_OBJECTS)) {
            folder.delete(old).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_checkpoint::store::{StoreOptions, open};

    fn status(term: u64, restarts: u64, operations: u64) -> JobStatus {
        let operation = |number| OperationReport {
            number,
            kind: OperationKind::Rescale.into(),
            message: format!("rescale {number}"),
            at_ms: term * 1_000 + number,
            ..OperationReport::default()
        };
        JobStatus {
            term,
            restarts,
            failure: "worker 1 was lost".into(),
            operations: (1..=operations).map(operation).collect(),
            ..JobStatus::default()
        }
    }

    #[tokio::test]
    async fn what_happened_outlives_who_saw_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let store = open(root, &StoreOptions::default()).unwrap();
        let job = JobName("default/a".into());
        let mut first = Keeper::start(Arc::clone(&store), &job);
        let told = first.note(&status(3, 1, 2), &[], None, 50).unwrap();
        assert_eq!((told.operations.len(), told.failures.len()), (2, 1));
        assert!(first.note(&status(3, 1, 2), &[], None, 60).is_none(), "nothing is new");
        let told = first.note(&status(4, 3, 2), &[], None, 90).unwrap();
        assert_eq!(
            (told.failures.len(), told.failures[0].times, told.failures[0].first_at_ms),
            (1, 2, 50)
        );
        first.settle().await;

        let mut second = Keeper::start(Arc::clone(&store), &job);
        second.before.wait_for(Option::is_some).await.unwrap();
        let told = second.note(&status(9, 0, 1), &[], None, 1_000).unwrap();
        let messages: Vec<&str> = told.operations.iter().map(|o| o.message.as_str()).collect();
        assert_eq!(messages, ["rescale 1", "rescale 2", "rescale 1"]);
        assert_eq!(told.failures[0].message, "worker 1 was lost");
        second.settle().await;
        let names = store.list("default/a/ledger", None).await.unwrap();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}
