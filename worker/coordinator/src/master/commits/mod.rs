//! Commits of staged output: which waits to be made visible, and who is doing it.
//!
//! Enters: manifests that list output, workers' answers, workers that go. Leaves: commits to send,
//! and what is known to be committed. What always holds: output that is listed is asked for until
//! it is acknowledged or lost; lost output ends the job.

mod uncommitted;

use weir_protocol::control;
use weir_protocol::{Epoch, Version, WorkerId};

use super::head::Head;
pub(super) use uncommitted::Lost;
use uncommitted::{Outcome as Answer, Uncommitted};

/// What happens to staged output.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// A term begins from this manifest: what it lists is all there is.
    Sealed(&'a Head),
    /// A manifest was published: it lists the output of its own epoch for the first time.
    Published(&'a Head),
    /// A worker has answered.
    Answered { worker: WorkerId, committed: control::Committed },
    /// A worker is no longer there: what it was asked for is open again.
    WorkerGone(WorkerId),
    /// What may go out now is to go to these.
    Dispatch(&'a [WorkerId]),
}

/// What comes of it.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Outcome {
    /// A worker is to commit.
    Send { worker: WorkerId, commit: control::Commit },
    /// Known to be committed, by position in the manifest of the epoch.
    Acknowledged { epoch: Epoch, indices: Vec<u32> },
    /// Output can never become visible.
    Lost { epoch: Epoch, lost: Lost },
}

/// Staged output that the chain lists.
#[derive(Debug, Default)]
pub(super) struct Commits {
    uncommitted: Uncommitted,
}

impl Commits {
    pub(super) fn on(&mut self, event: Event<'_>, now_ms: u64) -> Vec<Outcome> {
        match event {
            Event::Sealed(head) => self.uncommitted = Uncommitted::new(head),
            Event::Published(head) => {
                let version: Version = head.manifest.version;
                self.uncommitted.add(head, |listed| listed.epoch == version);
            }
            Event::WorkerGone(worker) => self.uncommitted.worker_gone(worker),
            Event::Answered { worker, committed } => {
                let epoch = Epoch(committed.epoch);
                let answers = committed.results.into_iter().map(|result| {
                    let index = result.index;
                    (index, answer(result))
                });
                let answers = answers.collect();
                return match self.uncommitted.answered(worker, epoch, answers, now_ms) {
                    Ok(indices) if indices.is_empty() => Vec::new(),
                    Ok(indices) => vec![Outcome::Acknowledged { epoch, indices }],
                    Err(lost) => vec![Outcome::Lost { epoch, lost }],
                };
            }
            Event::Dispatch(workers) => {
                let sent = self.uncommitted.dispatch(workers, now_ms).into_iter();
                let sent = sent.map(|sent| Outcome::Send {
                    worker: sent.worker,
                    commit: control::Commit {
                        epoch: sent.epoch.0,
                        // Names and bytes always encode.
                        committables: (sent.items.iter())
                            .map(|item| serde_json::to_vec(item).unwrap_or_default())
                            .collect(),
                        lineage: sent.lineage,
                    },
                });
                return sent.collect();
            }
        }
        Vec::new()
    }

    /// Whether everything is known to be committed.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.uncommitted.is_empty()
    }

    /// How many versions have output that is not known to be committed.
    #[must_use]
    pub(super) fn versions(&self) -> usize {
        self.uncommitted.versions()
    }

    /// How many pieces of output are not known to be committed.
    #[must_use]
    pub(super) fn items(&self) -> usize {
        self.uncommitted.items()
    }

    /// Why the last repetition was necessary.
    #[must_use]
    pub(super) fn last_problem(&self) -> Option<&str> {
        self.uncommitted.last_problem()
    }

    /// When to dispatch again although no answer has come.
    #[must_use]
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.uncommitted.next_retry_ms()
    }
}

fn answer(result: control::CommitResult) -> Answer {
    if !result.lost.is_empty() {
        Answer::Lost(result.lost)
    } else if !result.retry.is_empty() {
        Answer::Retry(result.retry)
    } else {
        Answer::Committed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weir_checkpoint::{Manifest, PendingCommit};
    use weir_protocol::Committable;

    use super::*;

    const W: WorkerId = WorkerId(0);

    fn listed(version: u64, sinks: &[&str]) -> Head {
        let pending = (0..).zip(sinks).map(|(index, sink)| PendingCommit {
            epoch: Version(version),
            index,
            committable: Committable { sink: (*sink).into(), payload: String::new().into() },
            lineage: None,
        });
        let (version, pending) = (Version(version), pending.collect());
        Head::new(Manifest { version, pending, ..Manifest::default() }.into())
    }

    fn answered(epoch: u64, results: Vec<control::CommitResult>) -> Event<'static> {
        Event::Answered { worker: W, committed: control::Committed { epoch, results } }
    }

    #[test]
    fn each_piece_of_output_is_acknowledged_asked_for_again_or_lost_as_its_worker_says() {
        let mut commits = Commits::default();
        commits.on(Event::Sealed(&listed(3, &["a", "b"])), 0);
        let sent = commits.on(Event::Dispatch(&[W]), 0);
        let [Outcome::Send { worker: W, commit }] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((commit.epoch, commit.committables.len()), (3, 2));
        let done = control::CommitResult { index: 0, ..Default::default() };
        let again = control::CommitResult { index: 1, retry: "slow".into(), ..Default::default() };
        let acknowledged = Outcome::Acknowledged { epoch: Epoch(3), indices: vec![0] };
        assert_eq!(commits.on(answered(3, vec![done, again]), 0), [acknowledged]);
        assert_eq!((commits.last_problem(), commits.next_ms()), (Some("slow"), Some(200)));

        commits.on(Event::Dispatch(&[W]), 200);
        let gone = control::CommitResult { index: 0, lost: "gone".into(), ..Default::default() };
        let lost = Lost { sink: "b".into(), why: "gone".into() };
        let expected = Outcome::Lost { epoch: Epoch(3), lost };
        assert_eq!(commits.on(answered(3, vec![gone]), 200), [expected]);
        assert_eq!(commits.items(), 1, "the chain still lists it");
    }

    #[test]
    fn a_published_manifest_adds_the_output_of_its_own_epoch_alone() {
        let mut commits = Commits::default();
        commits.on(Event::Sealed(&listed(3, &["a"])), 0);
        let mut head = listed(4, &["b", "c"]);
        let earlier = listed(3, &["a"]).manifest.pending.clone();
        Arc::make_mut(&mut head.manifest).pending.extend(earlier);
        commits.on(Event::Published(&head), 0);
        assert_eq!((commits.versions(), commits.items()), (2, 3));
    }
}
