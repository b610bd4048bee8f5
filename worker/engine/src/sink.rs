//! Sinks: operators that stage output, committers that make it visible.
//!
//! The writer's side is an [`Operator`](crate::Operator) whose snapshot carries a pre-commit.
//! The committer's side runs on any worker, after the manifest that lists the committable is
//! published, and repeatably: a successor commits what its head lists before it starts tasks.
//!
//! Staged output lies in the sink's own system (next to its files, in the broker's transaction),
//! never among the job's state: the coordinator deletes objects there that no manifest names,
//! and does not look inside payloads.

use async_trait::async_trait;
use weir_protocol::Epoch;

use crate::operator::Committable;

/// A committer's answer. There is deliberately no way to drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommitAnswer {
    /// Visible, now or since an earlier call.
    Committed,
    /// Could not be decided now; ask again.
    Retry(String),
    /// It can never become visible: rows are lost unless a person acts. Says what and why.
    Lost(String),
}

/// Where a committable stands in the chain; what sinks key their tokens and guards by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitContext {
    /// Epoch of the manifest that first listed it. It only grows within a lineage.
    pub epoch: Epoch,
    /// Lineage of the state that it was published under: a job that is started over, or another
    /// job of the same name, has another one, and its epochs say nothing about this one's.
    pub lineage: String,
}

/// Commits and discards staged output of one sink.
#[async_trait]
pub trait Committer: Send + Sync {
    /// Makes one committable visible. Repeating it is harmless.
    async fn commit(&self, cx: &CommitContext, item: &Committable) -> CommitAnswer;

    /// Destroys staged output of a published committable that a roll-back dropped, so that no
    /// zombie can commit it any more. Repeating it is harmless.
    async fn discard(&self, cx: &CommitContext, item: &Committable) -> CommitAnswer;
}
