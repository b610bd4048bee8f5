//! Which staged output waits to be made visible, who is doing it, and what may go next.
//!
//! Output of one sink is committed in the order of epochs: a later epoch of a sink is not sent
//! out before every earlier one is acknowledged, because some sinks (a database's guard by
//! version) skip what comes late. Different sinks do not wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use weir_checkpoint::PendingCommit;
use weir_protocol::{Committable, Epoch, OperatorUid, WorkerId};

use crate::master::head::Head;

/// Wait before the first repetition of a commit that could not be decided.
const RETRY_INITIAL_MS: u64 = 200;
/// Longest wait between repetitions.
const RETRY_MAX_MS: u64 = 10_000;

/// Rows that can never become visible unless a person acts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lost {
    /// The sink.
    pub(crate) sink: OperatorUid,
    /// What and why.
    pub(crate) why: String,
}

/// What an answer to a commit said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Visible.
    Committed,
    /// Ask again; says why.
    Retry(String),
    /// Never; says why.
    Lost(String),
}

/// A commit to be sent to a worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dispatch {
    /// To whom.
    pub(crate) worker: WorkerId,
    /// Epoch of the manifest that first listed the items.
    pub(crate) epoch: Epoch,
    /// Lineage of the state that they were published under.
    pub(crate) lineage: String,
    /// What to commit, in order.
    pub(crate) items: Vec<Committable>,
}

#[derive(Clone, Debug)]
struct Item {
    index: u32,
    committable: Committable,
    tries: u32,
    not_before_ms: u64,
}

#[derive(Clone, Debug, Default)]
struct EpochItems {
    /// Versions only grow, also where a job is started over: an epoch is of one lineage.
    lineage: String,
    /// In order.
    items: Vec<Item>,
    /// The worker that was asked, and the positions in `items` it was given.
    asked: Option<(WorkerId, Vec<usize>)>,
}

/// Committables that are listed by the chain and not known to be committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uncommitted {
    epochs: BTreeMap<Epoch, EpochItems>,
    last_problem: Option<String>,
}

impl Uncommitted {
    /// Staged output listed by a manifest, oldest first.
    #[must_use]
    pub(crate) fn new(head: &Head) -> Self {
        let mut commits = Self::default();
        commits.add(head, |_| true);
        commits
    }

    /// A manifest was published that lists these for the first time.
    pub(crate) fn add(&mut self, head: &Head, new: impl Fn(&PendingCommit) -> bool) {
        for pending in head.uncommitted().filter(|p| new(p)) {
            let (index, committable) = (pending.index, pending.committable.clone());
            let item = Item { index, committable, tries: 0, not_before_ms: 0 };
            let listed = self.epochs.entry(pending.epoch.into()).or_default();
            listed.lineage.clone_from(&head.manifest.lineage_of(pending).0);
            listed.items.push(item);
        }
    }

    /// Whether everything is known to be committed.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }

    /// How many versions have output that is not known to be committed.
    #[must_use]
    pub(crate) fn versions(&self) -> usize {
        self.epochs.len()
    }

    /// How many pieces of output are not known to be committed.
    #[must_use]
    pub(crate) fn items(&self) -> usize {
        self.epochs.values().map(|e| e.items.len()).sum()
    }

    /// Why the last repetition was necessary.
    #[must_use]
    pub(crate) fn last_problem(&self) -> Option<&str> {
        self.last_problem.as_deref()
    }

    /// When to look again although no answer has come.
    #[must_use]
    pub(crate) fn next_retry_ms(&self) -> Option<u64> {
        let idle = self.epochs.values().filter(|e| e.asked.is_none());
        idle.flat_map(|e| e.items.iter().map(|item| item.not_before_ms)).filter(|at| *at > 0).min()
    }

    /// What can be sent out now. Each epoch has at most one worker at it.
    pub(crate) fn dispatch(&mut self, workers: &[WorkerId], now_ms: u64) -> Vec<Dispatch> {
        let mut sent = Vec::new();
        if workers.is_empty() {
            return sent;
        }
        // Sinks with something older that is not yet acknowledged.
        let mut behind: BTreeSet<OperatorUid> = BTreeSet::new();
        for (epoch, e) in &mut self.epochs {
            if e.asked.is_none() {
                let due: Vec<usize> = (0..e.items.len())
                    .filter(|i| {
                        let item = &e.items[*i];
                        !behind.contains(&item.committable.sink) && item.not_before_ms <= now_ms
                    })
                    .collect();
                if !due.is_empty() {
                    let worker = workers[epoch.0 as usize % workers.len()];
                    let items = due.iter().map(|i| e.items[*i].committable.clone()).collect();
                    let lineage = e.lineage.clone();
                    sent.push(Dispatch { worker, epoch: *epoch, lineage, items });
                    e.asked = Some((worker, due));
                }
            }
            behind.extend(e.items.iter().map(|item| item.committable.sink.clone()));
        }
        sent
    }

    /// A worker's answer; `outcomes` are (position in the dispatch, outcome). Positions without
    /// an outcome are asked again. Returns which were acknowledged, by [`PendingCommit::index`].
    ///
    /// # Errors
    /// When output is lost.
    pub(crate) fn answered(
        &mut self,
        worker: WorkerId,
        epoch: Epoch,
        outcomes: Vec<(u32, Outcome)>,
        now_ms: u64,
    ) -> Result<Vec<u32>, Lost> {
        let Some(e) = self.epochs.get_mut(&epoch) else {
            return Ok(Vec::new());
        };
        // An answer to a question that is no longer open says nothing new.
        let Some((_, given)) = e.asked.take_if(|(asked, _)| *asked == worker) else {
            return Ok(Vec::new());
        };
        let mut outcomes: BTreeMap<u32, Outcome> = outcomes.into_iter().collect();
        let mut done: BTreeSet<usize> = BTreeSet::new();
        for (position, index) in given.into_iter().enumerate() {
            let Some(item) = e.items.get_mut(index) else {
                continue;
            };
            let outcome = outcomes
                .remove(&(position as u32))
                .unwrap_or_else(|| Outcome::Retry("the worker did not answer for it".into()));
            match outcome {
                Outcome::Committed => {
                    done.insert(index);
                }
                Outcome::Retry(why) => {
                    let wait = RETRY_INITIAL_MS << item.tries.min(16);
                    item.tries += 1;
                    item.not_before_ms = now_ms + wait.min(RETRY_MAX_MS);
                    self.last_problem = Some(why);
                }
                Outcome::Lost(why) => {
                    return Err(Lost { sink: item.committable.sink.clone(), why });
                }
            }
        }
        let acknowledged = done.iter().filter_map(|i| e.items.get(*i)).map(|i| i.index).collect();
        let mut index = 0;
        e.items.retain(|_| {
            index += 1;
            !done.contains(&(index - 1))
        });
        if e.items.is_empty() {
            self.epochs.remove(&epoch);
        }
        if self.epochs.is_empty() {
            self.last_problem = None;
        }
        Ok(acknowledged)
    }

    /// A worker is gone: what it was asked to commit is open again (repeating is harmless).
    pub(crate) fn worker_gone(&mut self, worker: WorkerId) {
        for e in self.epochs.values_mut() {
            e.asked.take_if(|(asked, _)| *asked == worker);
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_checkpoint::Manifest;
    use weir_protocol::Version;

    use super::*;

    fn item(sink: &str, payload: &str) -> Committable {
        Committable { sink: sink.into(), payload: payload.to_owned().into() }
    }

    fn listed(all: &[(u64, &[(&str, &str)])]) -> Head {
        let pending = all.iter().flat_map(|(epoch, items)| {
            (0..).zip(*items).map(|(index, (sink, payload))| PendingCommit {
                epoch: Version(*epoch),
                index,
                committable: item(sink, payload),
                lineage: None,
            })
        });
        let pending = pending.collect();
        Head::new(Manifest { pending, ..Manifest::default() }.into())
    }

    fn left(commits: &Uncommitted) -> Vec<(u64, u32)> {
        let epochs = commits.epochs.iter();
        epochs.flat_map(|(epoch, e)| e.items.iter().map(|i| (epoch.0, i.index))).collect()
    }

    const W: WorkerId = WorkerId(0);

    #[test]
    fn a_sinks_later_epoch_waits_for_its_earlier_one_and_other_sinks_do_not() {
        let head = listed(&[(1, &[("a", "1"), ("b", "1")]), (2, &[("a", "2"), ("c", "2")])]);
        let mut commits = Uncommitted::default();
        for epoch in [1, 2] {
            commits.add(&head, |p| p.epoch == Version(epoch));
        }
        let sent = commits.dispatch(&[W], 0);
        assert_eq!(sent[0].items, [item("a", "1"), item("b", "1")]);
        assert_eq!(sent[1].items, [item("c", "2")]);
        let outcomes = vec![(0, Outcome::Committed), (1, Outcome::Retry("slow".into()))];
        assert_eq!(commits.answered(W, Epoch(1), outcomes, 0), Ok(vec![0]));
        assert!(commits.dispatch(&[W], 0).is_empty(), "epoch 2 is being committed");
        assert_eq!(commits.answered(W, Epoch(2), vec![(0, Outcome::Committed)], 0), Ok(vec![1]));
        assert_eq!(commits.dispatch(&[W], 0)[0].items, [item("a", "2")]);
        assert_eq!(left(&commits), [(1, 1), (2, 0)]);
        assert_eq!(commits.next_retry_ms(), Some(200));
        assert_eq!(commits.dispatch(&[W], 200)[0].items, [item("b", "1")]);
    }

    #[test]
    fn a_lost_worker_leaves_nothing_undone() {
        let mut commits = Uncommitted::new(&listed(&[(3, &[("a", "x")])]));
        assert_eq!(commits.dispatch(&[W], 0).len(), 1);
        commits.worker_gone(W);
        let other = WorkerId(7);
        let sent = commits.dispatch(&[other], 0);
        assert_eq!((sent[0].worker, sent[0].epoch), (other, Epoch(3)));
        let late = commits.answered(W, Epoch(3), vec![(0, Outcome::Lost("?".into()))], 0);
        assert_eq!(late, Ok(vec![]), "a zombie's answer counts for nothing");
        assert_eq!(
            commits.answered(other, Epoch(3), vec![(0, Outcome::Committed)], 0),
            Ok(vec![0])
        );
        assert!(commits.is_empty());
    }

    #[test]
    fn lost_output_is_an_error_and_is_never_dropped() {
        let mut commits = Uncommitted::new(&listed(&[(3, &[("a", "x")])]));
        commits.dispatch(&[W], 0);
        let lost = commits.answered(W, Epoch(3), vec![(0, Outcome::Lost("gone".into()))], 0);
        assert_eq!(lost, Err(Lost { sink: "a".into(), why: "gone".into() }));
        assert_eq!(left(&commits), [(3, 0)]);
    }
}
