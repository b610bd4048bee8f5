//! Publishes a manifest: put, recognised, repeated or voided until it is decided (rule 4).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_protocol::{Epoch, Version};

use super::{Undecided, WriterTerm};
use crate::chain::MAX_UNCOMMITTED_VERSIONS;
use crate::chain::decide::{PublicationStep, decide_publication};
use crate::chain::next::{
    CheckpointBody, Memory, build_checkpoint, build_settled, build_void, has_news,
};
use crate::chain::retention::check_successor;
use crate::chain::settle::{Candidate, backoff, look};
use crate::manifest::Manifest;
use crate::steps;

/// A manifest of one's own that counts.
#[derive(Clone, Debug)]
pub struct Published {
    /// What users call it.
    pub epoch: Epoch,
    /// The new head.
    pub head: Arc<Manifest>,
}

/// A publication that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A later term holds the chain. This process must end its tasks, delete nothing, and never
    /// coordinate again.
    #[error("version {version} was not published: a later coordinator holds the chain")]
    Fenced {
        /// The version that was tried.
        version: Version,
    },
    /// The attempt was given up, and the chain says so. What was frozen for it, committables
    /// included, belongs to the next attempt.
    #[error(
        "version {version} was given up after the store had not answered; its rows go into the next checkpoint"
    )]
    Voided {
        /// The version, now a void manifest.
        version: Version,
    },
    /// An earlier publication was abandoned half-way; see [`WriterTerm::settle`].
    #[error("version {version} is still undecided; settle it first")]
    Undecided {
        /// The version.
        version: Version,
    },
    /// Too much published output waits for its commit.
    #[error(
        "{versions} checkpoints have output that is not committed, the limit is {MAX_UNCOMMITTED_VERSIONS}; the sink has to catch up first"
    )]
    TooManyUncommitted {
        /// How many.
        versions: usize,
    },
    /// A roll-back has begun and must be finished first.
    #[error("a roll-back to version {to} is not finished")]
    RollingBack {
        /// Where to.
        to: Version,
    },
    /// The first checkpoint after a start from a savepoint left state outside.
    #[error(
        "operator {operator} still refers to {object} outside this job's folder; its snapshot has to be a full one"
    )]
    Foreign {
        /// Its uid.
        operator: String,
        /// The object.
        object: String,
    },
    /// The manifest would break a rule; nothing was put.
    #[error("version {version} would break the chain: {problem}")]
    Broken {
        /// The version.
        version: Version,
        /// The rule.
        problem: String,
    },
    /// The manifest has no JSON form.
    #[error("cannot encode the manifest: {0}")]
    Encode(#[from] serde_json::Error),
}

impl WriterTerm {
    /// Publishes a checkpoint and returns when it is decided, however long that takes: an
    /// undecided name has no other way out (rule 4). After `give_up_after` a void manifest is
    /// put under the name, and whichever of the two holds it in the end decides.
    ///
    /// Dropping the future leaves the name undecided; see [`WriterTerm::settle`].
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(
        &self,
        body: CheckpointBody,
        give_up_after: Duration,
    ) -> Result<Published, PublishError> {
        let _one_at_a_time = self.publishing.lock().await;
        {
            let state = self.state();
            if let Some(roll_back) = &state.head.roll_back {
                return Err(PublishError::RollingBack { to: roll_back.to });
            }
        }
        let versions = self.uncommitted_versions();
        if versions >= MAX_UNCOMMITTED_VERSIONS && !body.commits.is_empty() {
            return Err(PublishError::TooManyUncommitted { versions });
        }
        let retained = self.chain.options.retained;
        let nonce = self.chain.options.nonces.draw();
        self.propose(|head, memory| {
            let next = build_checkpoint(head, body, memory, retained, nonce);
            let foreign = next.operators.iter().find_map(|(uid, entry)| {
                let place = entry.state.places().find(|place| place.is_foreign())?;
                Some((uid.to_string(), place.object().unwrap_or_default().to_owned()))
            });
            match foreign {
                Some((operator, object)) => Err(PublishError::Foreign { operator, object }),
                None => Ok(next),
            }
        })?;
        self.chain.options.steps.reached(steps::PUBLISH_BEFORE_PUT).await;
        self.decide(Some(give_up_after)).await
    }

    /// Publishes what became known since the head: output that is committed and that it still
    /// lists, pins that are taken off. To be called before the holder of the head stops, whatever
    /// the reason: nobody else has seen those answers, so that whoever goes on would commit again
    /// what may have been taken away from its place since then. `None` when there is no news.
    ///
    /// # Errors
    /// As [`WriterTerm::publish`]; the head lists then what it listed before.
    pub async fn publish_acknowledged(
        &self,
        give_up_after: Duration,
    ) -> Result<Option<Published>, PublishError> {
        let _one_at_a_time = self.publishing.lock().await;
        let next = {
            let state = self.state();
            // An unfinished roll-back is the successor's to finish, from all that it lists.
            if state.head.roll_back.is_some() || !has_news(&state.head, &state.memory) {
                return Ok(None);
            }
            let options = &self.chain.options;
            build_settled(&state.head, &state.memory, options.retained, options.nonces.draw())
        };
        self.propose(|_, _| Ok(next))?;
        self.chain.options.steps.reached(steps::PUBLISH_BEFORE_PUT).await;
        self.decide(Some(give_up_after)).await.map(Some)
    }

    /// Brings a publication that was abandoned half-way (its future was dropped) to an end.
    /// `None` when there is none.
    ///
    /// # Errors
    /// As [`WriterTerm::publish`].
    pub async fn settle(&self, give_up_after: Duration) -> Option<Result<Published, PublishError>> {
        let _one_at_a_time = self.publishing.lock().await;
        self.state().undecided.as_ref()?;
        Some(self.decide(Some(give_up_after)).await)
    }

    /// Makes a manifest the undecided one.
    pub(super) fn propose(
        &self,
        build: impl FnOnce(&Manifest, &Memory) -> Result<Manifest, PublishError>,
    ) -> Result<(), PublishError> {
        let mut state = self.state();
        let version = state.head.version.next();
        if let Some(version) = state.fenced {
            return Err(PublishError::Fenced { version });
        }
        if state.undecided.is_some() {
            return Err(PublishError::Undecided { version });
        }
        let next = build(&state.head, &state.memory)?;
        check_successor(&state.head, &next)
            .map_err(|problem| PublishError::Broken { version, problem })?;
        state.undecided = Some(Undecided { mine: Candidate::new(next)?, void: None });
        Ok(())
    }

    /// Repeats, voids or recognises the undecided manifest until it is decided.
    pub(super) async fn decide(
        &self,
        give_up_after: Option<Duration>,
    ) -> Result<Published, PublishError> {
        let deadline = give_up_after.map(|after| Instant::now() + after);
        let steps = &self.chain.options.steps;
        let mut pause = backoff();
        loop {
            let (version, mine, void) = {
                let state = self.state();
                let version = state.head.version.next();
                let Some(undecided) = &state.undecided else {
                    return Err(PublishError::Fenced { version });
                };
                (version, undecided.mine.clone(), undecided.void.clone())
            };
            let put = steps::PUBLISH_AFTER_PUT;
            let looked = look(&self.chain, version, &mine, void.as_ref(), put).await;
            let late = void.is_some() || deadline.is_some_and(|d| Instant::now() >= d);
            let step = looked.map(|looked| {
                self.state().problem = looked.problem.map(|error| error.to_string());
                decide_publication(looked.seen, looked.above, late)
            });
            match step {
                Ok(PublicationStep::Published) => {
                    let head = self.adopt(mine.manifest);
                    steps.reached(steps::PUBLISHED).await;
                    return Ok(Published { epoch: Epoch::from(version), head });
                }
                Ok(PublicationStep::Voided) => {
                    let void = void.map_or(mine.manifest, |v| v.manifest);
                    self.adopt(void);
                    steps.reached(steps::VOIDED).await;
                    return Err(PublishError::Voided { version });
                }
                Ok(PublicationStep::Fenced) => {
                    {
                        let mut state = self.state();
                        state.fenced = Some(version);
                        state.undecided = None;
                    }
                    steps.reached(steps::FENCED).await;
                    return Err(PublishError::Fenced { version });
                }
                Ok(PublicationStep::PutVoid) => self.prepare_void().await?,
                Ok(PublicationStep::PutAgain) => steps.reached(steps::PUBLISH_PUT_AGAIN).await,
                Err(error) => {
                    tracing::warn!(%error, %version, "the checkpoint is undecided");
                    self.state().problem = Some(error.to_string());
                    if late {
                        self.prepare_void().await?;
                    }
                }
            }
            if let Some(wait) = pause.next() {
                tokio::time::sleep(wait).await;
            }
        }
    }

    async fn prepare_void(&self) -> Result<(), PublishError> {
        {
            let mut state = self.state();
            let retained = self.chain.options.retained;
            let nonce = self.chain.options.nonces.draw();
            let void = build_void(&state.head, &state.memory, retained, nonce);
            if let Some(undecided) = &mut state.undecided {
                if undecided.void.is_some() {
                    return Ok(());
                }
                undecided.void = Some(Candidate::new(void)?);
            }
        }
        self.chain.options.steps.reached(steps::PUBLISH_BEFORE_VOID).await;
        Ok(())
    }

    fn adopt(&self, head: Arc<Manifest>) -> Arc<Manifest> {
        let mut state = self.state();
        let state = &mut *state;
        state.undecided = None;
        state.problem = None;
        state.memory.settle(&head);
        state.head = head.clone();
        head
    }
}
