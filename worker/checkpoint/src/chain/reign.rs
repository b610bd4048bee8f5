//! One term of one coordinator: publishes, remembers commits, collects.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use weir_protocol::{Epoch, Term, Version};

use super::decide::{PublicationStep, decide_publication};
use super::next::{
    CheckpointBody, Memory, build_checkpoint, build_forward, build_restored, build_void,
};
use super::retention::{check_successor, plan_collection, plan_sweep};
use super::settle::{Candidate, HEAD_HINT, backoff, look, timed};
use super::{Chain, ChainError, MAX_UNCOMMITTED_VERSIONS};
use crate::manifest::{CommitId, Manifest, PendingCommit, chain_name};
use crate::steps;
use crate::store::StoreError;

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
    /// A later term reigns. This process must end its tasks, delete nothing, and never
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
    /// An earlier publication was abandoned half-way; see [`Reign::settle`].
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

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects deleted.
    pub deleted: usize,
    /// Objects whose deletion failed; tried again by the next collection.
    pub failed: usize,
}

#[derive(Debug)]
struct Undecided {
    mine: Candidate,
    void: Option<Candidate>,
}

#[derive(Debug)]
struct State {
    head: Arc<Manifest>,
    memory: Memory,
    undecided: Option<Undecided>,
    fenced: Option<Version>,
    swept: bool,
}

/// Proof of having sealed: only who holds one publishes, commits, starts tasks or deletes.
#[derive(Clone, Debug)]
pub struct Reign {
    chain: Chain,
    term: Term,
    state: Arc<Mutex<State>>,
    /// Held for the length of a publication: there is never a second one undecided.
    publishing: Arc<tokio::sync::Mutex<()>>,
}

impl Reign {
    pub(super) fn begin(chain: Chain, head: Arc<Manifest>) -> Self {
        let state = State {
            head: head.clone(),
            memory: Memory::default(),
            undecided: None,
            fenced: None,
            swept: false,
        };
        Self {
            chain,
            term: head.term,
            state: Arc::new(Mutex::new(state)),
            publishing: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The newest manifest of this reign that counts.
    #[must_use]
    pub fn head(&self) -> Arc<Manifest> {
        self.state().head.clone()
    }

    /// The version at which this reign found itself fenced, if it did.
    #[must_use]
    pub fn fenced(&self) -> Option<Version> {
        self.state().fenced
    }

    /// What is to be committed, in order: listed by the head and not acknowledged. Empty while
    /// a roll-back is unfinished, for the output that it destroys.
    #[must_use]
    pub fn pending(&self) -> Vec<PendingCommit> {
        let state = self.state();
        let doomed = state.head.roll_back.as_ref().map(|r| &r.destroy);
        state
            .head
            .pending
            .iter()
            .filter(|p| !state.memory.acknowledged.contains(&p.id()))
            .filter(|p| doomed.is_none_or(|d| !d.contains(&p.id())))
            .cloned()
            .collect()
    }

    /// Whether a piece of output is known to be committed.
    #[must_use]
    pub fn is_committed(&self, id: CommitId) -> bool {
        let state = self.state();
        id.epoch <= state.head.version
            && (state.memory.acknowledged.contains(&id)
                || !state.head.pending.iter().any(|p| p.id() == id))
    }

    /// Versions whose output is not committed.
    #[must_use]
    pub fn uncommitted_versions(&self) -> usize {
        self.pending().iter().map(|p| p.epoch).collect::<BTreeSet<_>>().len()
    }

    /// Whether a new attempt may start (rule 7). False also turns CheckpointHealthy false.
    #[must_use]
    pub fn may_start_attempt(&self) -> bool {
        let state = self.state();
        let free = state.undecided.is_none() && state.fenced.is_none();
        drop(state);
        free && self.uncommitted_versions() < MAX_UNCOMMITTED_VERSIONS
    }

    /// Whether a checkpoint with this body would say anything new. When not, nothing is to be
    /// published.
    #[must_use]
    pub fn would_change(&self, body: &CheckpointBody) -> bool {
        let state = self.state();
        let head = &state.head;
        let same_operators = body.operators.len() == head.operators.len()
            && body.operators.iter().all(|(uid, new)| {
                head.operators.get(uid).is_some_and(|old| {
                    new.segments.iter().all(|s| s.blocks.is_empty() && !s.is_full())
                        && new.items == old.items
                        && new.splits == old.splits
                        && new.enumerator == old.enumerator
                })
            });
        !(same_operators
            && body.commits.is_empty()
            && body.pin.is_none()
            && body.watermarks == head.watermarks
            && state.memory.acknowledged.is_empty()
            && state.memory.unpinned.is_empty())
    }

    /// Output of `epoch` that is known to be committed, by its index there; the next manifest
    /// no longer lists it.
    pub async fn commits_acknowledged(&self, epoch: Version, indices: &[u32]) {
        {
            let mut state = self.state();
            let pending: BTreeSet<CommitId> =
                state.head.pending.iter().map(PendingCommit::id).collect();
            let ids = indices.iter().map(|&index| CommitId { epoch, index });
            state.memory.acknowledged.extend(ids.filter(|id| pending.contains(id)));
        }
        self.chain.options.steps.reached(steps::COMMIT_ACKNOWLEDGED).await;
    }

    /// The savepoint or operation no longer needs the versions that it pinned; the next manifest
    /// lets them go.
    pub fn unpin(&self, name: &str) {
        self.state().memory.unpinned.insert(name.to_owned());
    }

    /// Publishes a checkpoint and returns when it is decided, however long that takes: an
    /// undecided name has no other way out (rule 4). After `give_up_after` a void manifest is
    /// put under the name, and whichever of the two holds it in the end decides.
    ///
    /// Dropping the future leaves the name undecided; see [`Reign::settle`].
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
                let segment = entry.segments.iter().find(|s| s.is_foreign())?;
                Some((uid.to_string(), segment.object().unwrap_or_default().to_owned()))
            });
            match foreign {
                Some((operator, object)) => Err(PublishError::Foreign { operator, object }),
                None => Ok(next),
            }
        })?;
        self.chain.options.steps.reached(steps::PUBLISH_BEFORE_PUT).await;
        self.decide(Some(give_up_after)).await
    }

    /// Brings a publication that was abandoned half-way (its future was dropped) to an end.
    /// `None` when there is none.
    ///
    /// # Errors
    /// As [`Reign::publish`].
    pub async fn settle(&self, give_up_after: Duration) -> Option<Result<Published, PublishError>> {
        let _one_at_a_time = self.publishing.lock().await;
        self.state().undecided.as_ref()?;
        Some(self.decide(Some(give_up_after)).await)
    }

    /// Ends a roll-back that the head names. `outcomes` holds what became of each piece of
    /// output in [`RollBack::destroy`](crate::manifest::RollBack); none may be missing.
    ///
    /// # Errors
    /// As [`Reign::publish`]; it never gives up, since nothing else can be done meanwhile.
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

    /// Makes a manifest the undecided one.
    fn propose(
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
    async fn decide(&self, give_up_after: Option<Duration>) -> Result<Published, PublishError> {
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
            let step = looked.map(|(seen, above)| decide_publication(seen, above, late));
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
        state.memory.settle(&head);
        state.head = head.clone();
        head
    }

    /// Deletes what the head allows: names of the chain below it that it does not retain, what
    /// it dropped, and, once per reign, what older terms left. Failed deletions are tried again
    /// by the next collection. Also writes the hint where listings may start.
    ///
    /// # Errors
    /// When the listing fails, or this reign is fenced: a fenced writer deletes nothing.
    pub async fn collect(&self) -> Result<Collected, CollectError> {
        let (head, swept) = {
            let state = self.state();
            if let Some(version) = state.fenced {
                return Err(CollectError::Fenced { version });
            }
            (state.head.clone(), state.swept)
        };
        let chain = &self.chain;
        let hint = head.version.to_string().into_bytes().into();
        if let Err(error) = timed(chain, "write", HEAD_HINT, chain.store.put(HEAD_HINT, hint)).await
        {
            tracing::debug!(%error, "the head hint stays as it is");
        }
        let names = timed(chain, "list", "chain", chain.store.list("chain", None)).await?;
        let mut doomed = plan_collection(&head, &names);
        if !swept {
            let data = timed(chain, "list", "data", chain.store.list("data", None)).await?;
            doomed.extend(plan_sweep(&head, &data));
        }
        doomed.sort_unstable();
        doomed.dedup();
        chain.options.steps.reached(steps::COLLECT_LISTED).await;
        debug_assert!(!doomed.contains(&chain_name(head.version)));
        let mut done = Collected::default();
        for name in doomed {
            chain.options.steps.reached(steps::COLLECT_BEFORE_DELETE).await;
            match timed(chain, "delete", &name, chain.store.delete(&name)).await {
                Ok(()) => {
                    done.deleted += 1;
                    let mut state = self.state();
                    if state.head.dropped.contains(&name) {
                        state.memory.deleted.insert(name);
                    }
                }
                Err(error) => {
                    done.failed += 1;
                    tracing::debug!(%error, "left to the next collection");
                }
            }
        }
        if done.failed == 0 {
            self.state().swept = true;
        }
        chain.options.steps.reached(steps::COLLECTED).await;
        Ok(done)
    }
}

/// A collection that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A later term reigns.
    #[error("nothing was deleted: a later coordinator holds the chain (seen at version {version})")]
    Fenced {
        /// Where this was seen.
        version: Version,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
