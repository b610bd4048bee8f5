//! Ends a roll-back: back to the older state, or forward when its output was visible already.

use std::collections::BTreeSet;

use super::{PublishError, Published, WriterTerm};
use crate::chain::ChainError;
use crate::chain::next::{build_forward, build_restored};
use crate::manifest::CommitId;
use crate::steps;

/// What became of one piece of output that a roll-back wants destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destroyed {
    /// It can never become visible.
    Gone,
    /// It is visible already: a zombie, or an answer that was lost, came first.
    AlreadyVisible,
}

/// How a roll-back ended.
#[derive(Clone, Debug)]
pub enum RollBackEnd {
    /// The head holds the older state.
    Restored(Published),
    /// Nothing was destroyed, because output had become visible: the head goes on from the
    /// newer state, and its output is to be committed.
    WentForward(Published),
    /// Some output is visible and some destroyed: a person has to choose. The chain is unchanged.
    Torn {
        /// What is visible.
        visible: Vec<CommitId>,
    },
}

impl WriterTerm {
    /// Ends a roll-back that the head names. `outcomes` holds what became of each piece of
    /// output in [`RollBack::destroy`](crate::manifest::RollBack); none may be missing.
    ///
    /// # Errors
    /// As [`WriterTerm::publish`]; it never gives up, since nothing else can be done meanwhile.
    pub async fn finish_roll_back(
        &self,
        outcomes: &[(CommitId, Destroyed)],
    ) -> Result<Option<RollBackEnd>, RollBackError> {
        let _one_at_a_time = self.publishing.lock().await;
        let head = self.head();
        let Some(roll_back) = &head.roll_back else {
            return Ok(None);
        };
        let told: BTreeSet<CommitId> = outcomes.iter().map(|(id, _)| *id).collect();
        let missing = roll_back.destroy.difference(&told).count();
        if missing > 0 {
            return Err(RollBackError::NotAllDestroyed { missing });
        }
        self.chain.options.steps.reached(steps::ROLL_BACK_DESTROYED).await;
        let visible: Vec<CommitId> = outcomes
            .iter()
            .filter(|(_, outcome)| *outcome == Destroyed::AlreadyVisible)
            .map(|(id, _)| *id)
            .collect();
        let retained = self.chain.options.retained;
        let nonce = self.chain.options.nonces.draw();
        if visible.is_empty() {
            let older = self.chain.read_version(roll_back.to).await?.ok_or(
                // Retained by our own manifest, so only a successor can have dropped it.
                PublishError::Fenced { version: head.version.next() },
            )?;
            self.propose(|head, memory| Ok(build_restored(head, &older, memory, retained, nonce)))?;
            return Ok(Some(RollBackEnd::Restored(self.decide(None).await?)));
        }
        if visible.len() < outcomes.len() {
            return Ok(Some(RollBackEnd::Torn { visible }));
        }
        self.propose(|head, memory| Ok(build_forward(head, memory, retained, nonce)))?;
        Ok(Some(RollBackEnd::WentForward(self.decide(None).await?)))
    }
}

/// A roll-back that did not end.
#[derive(Debug, thiserror::Error)]
pub enum RollBackError {
    /// Outcomes are missing.
    #[error("{missing} pieces of output are not destroyed yet")]
    NotAllDestroyed {
        /// How many.
        missing: usize,
    },
    /// The older version cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The restoring manifest was not published.
    #[error(transparent)]
    Publish(#[from] PublishError),
}
