//! The chain of manifests: pure decisions, and the driver that carries them out on a store.

pub mod decide;
mod frozen;
mod next;
pub mod retention;
mod settle;
mod takeover;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_protocol::{JobName, Lineage, Version};

pub use self::frozen::FrozenLedger;
pub use self::next::CheckpointBody;
pub use self::takeover::{
    Authority, Refusal, SealPlan, SealRequest, Start, decide_first, decide_take_over,
};
pub use self::writer::{
    CollectError, Collected, Destroyed, PublishError, Published, RollBackEnd, RollBackError,
    WriterTerm,
};

use self::decide::{SealStep, decide_seal};
use self::next::{Fresh, build_seal};
use self::settle::{Candidate, HEAD_HINT, backoff, fetch_head, look, timed};
use crate::manifest::{Manifest, ManifestError, chain_name};
use crate::steps::{self, Steps};
use crate::store::{ErrorKind, ProbeError, Scoped, Store, StoreError, probe};
use crate::{Nonce, Nonces};

/// At most this many versions may have output that is not committed; then no new attempt starts.
pub const MAX_UNCOMMITTED_VERSIONS: usize = 8;

/// How a chain is kept.
#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// Checkpoints that stay restorable, the newest included; pinned ones come on top.
    pub retained: usize,
    /// One call to the store may take this long; then it counts as undecided.
    pub call_timeout: Duration,
    /// Where nonces come from.
    pub nonces: Nonces,
    /// Who is told of steps.
    pub steps: Steps,
}

impl Default for ChainOptions {
    fn default() -> Self {
        Self {
            retained: 3,
            call_timeout: Duration::from_secs(30),
            nonces: Nonces::random(),
            steps: Steps::none(),
        }
    }
}

/// A chain that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The head cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The store does not keep its promises.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

/// A take-over that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// It is not allowed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another coordinator took over first; `head` is what it made of the chain, as far as that
    /// could be read.
    #[error("another coordinator took over first")]
    Lost {
        /// The head after the loss.
        head: Option<Box<Manifest>>,
    },
    /// The store did not answer in time whether the seal counts. Trying again is safe: a seal
    /// that lands late is sealed over.
    #[error("the store did not decide within {0:?} whether the take-over of version {1} counts")]
    Undecided(Duration, Version),
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The manifest has no JSON form.
    #[error("cannot encode the seal: {0}")]
    Encode(#[from] serde_json::Error),
}

/// One job's chain.
#[derive(Clone, Debug)]
pub struct Chain {
    store: Arc<dyn Store>,
    job: JobName,
    options: ChainOptions,
}

/// A chain and its head when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The chain.
    pub chain: Chain,
    /// The newest manifest, if there is any.
    pub head: Option<Manifest>,
}

impl Chain {
    /// Probes the store and reads the head. `store` is the state root.
    ///
    /// # Errors
    /// When the store cannot fence, fails, or holds a head that cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        job: &JobName,
        options: ChainOptions,
    ) -> Result<Opened, ChainError> {
        probe(store.as_ref(), &options.nonces).await?;
        let chain = Self::attach(store, job, options);
        let head = chain.read_head().await?;
        Ok(Opened { chain, head })
    }

    /// The same without any I/O.
    #[must_use]
    pub fn attach(store: Arc<dyn Store>, job: &JobName, options: ChainOptions) -> Self {
        let store = Arc::new(Scoped::new(store, job.as_str()));
        Self { store, job: job.clone(), options }
    }

    /// The job's folder, for [`DataWriter`](crate::DataWriter) and [`DataReader`](crate::DataReader).
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> &JobName {
        &self.job
    }

    /// How it is kept.
    #[must_use]
    pub fn options(&self) -> &ChainOptions {
        &self.options
    }

    /// The newest manifest. It may be superseded at any moment; only a [`WriterTerm`] knows more.
    ///
    /// # Errors
    /// When the store fails, or the head cannot be read: an older manifest is never taken for it.
    pub async fn read_head(&self) -> Result<Option<Manifest>, ChainError> {
        fetch_head(self).await
    }

    /// Reads a version that the head retains.
    ///
    /// # Errors
    /// When the store fails or the manifest cannot be read.
    pub async fn read_version(&self, version: Version) -> Result<Option<Manifest>, ChainError> {
        let name = chain_name(version);
        match self.store.get(&name).await? {
            Some(bytes) => Ok(Some(Manifest::decode(&name, &bytes)?)),
            None => Ok(None),
        }
    }

    /// Whether a chain may begin where no manifest was found.
    ///
    /// # Errors
    /// When it may not, or when it could not be found out.
    pub async fn check_first(&self, request: &SealRequest) -> Result<SealPlan, TakeOverError> {
        let mut left = Vec::new();
        for (folder, name) in [("data", "data/"), ("savepoints", "savepoints/")] {
            let names = timed(self, "list", folder, self.store.list(folder, None)).await;
            if !names.map_err(ChainError::from)?.is_empty() {
                left.push(name);
            }
        }
        let hint = timed(self, "read", HEAD_HINT, self.store.get(HEAD_HINT)).await;
        if hint.map_err(ChainError::from)?.is_some() {
            left.push(HEAD_HINT);
        }
        let decided = decide_first(&self.store.address(), &left, request);
        // What is there may be of somebody who has begun the chain meanwhile.
        if decided.is_err()
            && let Some(head) = self.read_head().await?
        {
            return Err(TakeOverError::Lost { head: Some(Box::new(head)) });
        }
        Ok(decided?)
    }

    /// Takes the job over: lists the chain, decides, and seals. When the seal counts, the
    /// caller first commits what [`WriterTerm::pending`] lists (or finishes the roll-back that the
    /// head names) and then starts tasks.
    ///
    /// # Errors
    /// See [`TakeOverError`]; nothing was changed unless it is `Undecided`.
    pub async fn take_over(
        &self,
        request: &SealRequest,
        give_up_after: Duration,
    ) -> Result<WriterTerm, TakeOverError> {
        let deadline = Instant::now() + give_up_after;
        let head = self.read_head().await?;
        self.options.steps.reached(steps::TAKE_OVER_LISTED).await;
        let plan = match &head {
            Some(head) => decide_take_over(&self.store.address(), head, request)?,
            None => self.check_first(request).await?,
        };
        let older = match plan {
            SealPlan::GoBack(to) => match self.read_version(to).await? {
                Some(older) => Some(older),
                // The head retains it, so only a newer head can have dropped it.
                None => return Err(TakeOverError::Lost { head: None }),
            },
            _ => None,
        };
        let fresh = Fresh {
            nonce: self.options.nonces.draw(),
            lineage: Lineage(self.options.nonces.draw().to_string()),
        };
        let seal = build_seal(
            &self.job,
            head.as_ref(),
            request,
            &plan,
            older.as_ref(),
            self.options.retained,
            fresh,
        );
        let version = seal.version;
        let candidate = Candidate::new(seal)?;
        self.options.steps.reached(steps::SEAL_BEFORE_PUT).await;
        let mut pause = backoff();
        loop {
            let looked = look(self, version, &candidate, None, steps::SEAL_AFTER_PUT).await;
            match looked.map(|looked| decide_seal(looked.seen, looked.above)) {
                Ok(SealStep::Sealed) => break,
                Ok(SealStep::Lost) => {
                    self.options.steps.reached(steps::SEAL_LOST).await;
                    let head = self.read_head().await?.map(Box::new);
                    return Err(TakeOverError::Lost { head });
                }
                Ok(SealStep::PutAgain) => {}
                // Refused outright: no later try would do better.
                Err(error) if error.kind == ErrorKind::Definite => {
                    return Err(ChainError::from(error).into());
                }
                Err(error) => tracing::warn!(%error, %version, "the seal is undecided"),
            }
            let Some(wait) = pause.next() else { continue };
            if Instant::now() + wait > deadline {
                return Err(TakeOverError::Undecided(give_up_after, version));
            }
            tokio::time::sleep(wait).await;
        }
        self.options.steps.reached(steps::SEALED).await;
        Ok(WriterTerm::begin(self.clone(), candidate.manifest))
    }
}

/// What tells one put manifest from every other.
fn nonce_of(manifest: &Manifest) -> Nonce {
    manifest.nonce
}
