//! A store that fails, lies and delays, after a script or a seed.
//!
//! Time is tokio's, so a paused clock decides when a late write lands. Listings are either
//! right or an error: a store whose listings are stale is refused by the probe, not survived.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::store::{Created, ErrorKind, Store, StoreError};

/// The calls of a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operation {
    /// `create_if_absent`.
    Create,
    /// `put`.
    Put,
    /// `get` and `get_range`.
    Get,
    /// `list`.
    List,
    /// `delete`.
    Delete,
}

/// What goes wrong with one call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// Nothing happens, and the caller is told of an error.
    FailBefore,
    /// It happens, and the caller is told of an error.
    AnswerLost,
    /// An error now; it happens this much later.
    AppliedLater(Duration),
    /// It happens and is answered, and happens once more this much later.
    AppliedAgain(Duration),
    /// A create that wins and is told that the name is taken.
    WinsButTaken,
    /// A create that is told that the name is taken, and nothing is there.
    TakenByNobody,
    /// Answered this much later.
    Slow(Duration),
}

impl Fault {
    /// Its name in the counts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FailBefore => "fail before",
            Self::AnswerLost => "answer lost",
            Self::AppliedLater(_) => "applied later",
            Self::AppliedAgain(_) => "applied again",
            Self::WinsButTaken => "wins but taken",
            Self::TakenByNobody => "taken by nobody",
            Self::Slow(_) => "slow",
        }
    }
}

/// How many of a thousand calls go wrong, for seeded runs.
#[derive(Clone, Copy, Debug)]
pub struct FaultRates {
    /// Creates and puts.
    pub writes: u32,
    /// Gets and listings.
    pub reads: u32,
    /// Deletes.
    pub deletes: u32,
    /// The longest delay of what is late.
    pub longest: Duration,
}

impl Default for FaultRates {
    fn default() -> Self {
        Self { writes: 250, reads: 80, deletes: 150, longest: Duration::from_secs(40) }
    }
}

struct Script {
    queue: VecDeque<(Operation, String, Fault)>,
    seeded: Option<(StdRng, FaultRates)>,
    hits: BTreeMap<(Operation, &'static str), u64>,
}

/// Wraps a store for one client; several clients of one store get a wrapper each.
#[derive(Clone)]
pub struct LyingStore {
    inner: Arc<dyn Store>,
    script: Arc<Mutex<Script>>,
}

impl std::fmt::Debug for LyingStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LyingStore({:?})", self.inner)
    }
}

impl LyingStore {
    /// Honest until told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        let script = Script { queue: VecDeque::new(), seeded: None, hits: BTreeMap::new() };
        Self { inner, script: Arc::new(Mutex::new(script)) }
    }

    /// Faults drawn from a seed.
    #[must_use]
    pub fn seeded(inner: Arc<dyn Store>, seed: u64, rates: FaultRates) -> Self {
        let store = Self::new(inner);
        store.script().seeded = Some((StdRng::seed_from_u64(seed), rates));
        store
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call of `operation` on a name that contains `name` goes wrong like this. Several
    /// for the same call apply one after the other.
    pub fn inject(&self, operation: Operation, name: &str, fault: Fault) {
        self.script().queue.push_back((operation, name.to_owned(), fault));
    }

    /// Ends all faults; what is under way still lands.
    pub fn heal(&self) {
        let mut script = self.script();
        script.queue.clear();
        script.seeded = None;
    }

    /// How often each fault was hit.
    #[must_use]
    pub fn hits(&self) -> BTreeMap<(Operation, &'static str), u64> {
        self.script().hits.clone()
    }

    /// Faults of the script that no call has met.
    #[must_use]
    pub fn unmet(&self) -> usize {
        self.script().queue.len()
    }

    fn fault(&self, operation: Operation, name: &str) -> Option<Fault> {
        let mut script = self.script();
        let script = &mut *script;
        let at = script.queue.iter().position(|(o, n, _)| *o == operation && name.contains(n));
        let fault = match at {
            Some(at) => script.queue.remove(at).map(|(_, _, fault)| fault),
            None => script.seeded.as_mut().and_then(|(rng, rates)| draw(rng, *rates, operation)),
        }?;
        *script.hits.entry((operation, fault.name())).or_default() += 1;
        Some(fault)
    }

    /// Plays a fault around a call that writes. `taken` is the answer of a create that lost.
    async fn write<T, F>(
        &self,
        operation: Operation,
        name: &str,
        taken: Option<T>,
        call: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(Arc<dyn Store>) -> futures::future::BoxFuture<'static, Result<T, StoreError>>
            + Send
            + Sync
            + 'static,
    {
        match self.fault(operation, name) {
            None => call(self.inner.clone()).await,
            Some(Fault::FailBefore) => Err(self.error(name)),
            Some(Fault::AnswerLost) => {
                call(self.inner.clone()).await?;
                Err(self.error(name))
            }
            Some(Fault::AppliedLater(after)) => {
                self.later(after, call);
                Err(self.error(name))
            }
            Some(Fault::AppliedAgain(after)) => {
                let answer = call(self.inner.clone()).await;
                self.later(after, call);
                answer
            }
            Some(Fault::WinsButTaken) => {
                let answer = call(self.inner.clone()).await?;
                Ok(taken.unwrap_or(answer))
            }
            Some(Fault::TakenByNobody) => taken.map_or_else(|| Err(self.error(name)), Ok),
            Some(Fault::Slow(by)) => {
                tokio::time::sleep(by).await;
                call(self.inner.clone()).await
            }
        }
    }

    fn later<T, F>(&self, after: Duration, call: F)
    where
        T: Send + 'static,
        F: Fn(Arc<dyn Store>) -> futures::future::BoxFuture<'static, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let inner = self.inner.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            call(inner).await.ok();
        });
    }

    async fn before_read(&self, operation: Operation, name: &str) -> Result<(), StoreError> {
        match self.fault(operation, name) {
            None => Ok(()),
            Some(Fault::Slow(by)) => {
                tokio::time::sleep(by).await;
                Ok(())
            }
            Some(_) => Err(self.error(name)),
        }
    }

    fn error(&self, name: &str) -> StoreError {
        StoreError {
            operation: "reach",
            object: format!("{}/{name}", self.inner.address()),
            problem: "a scripted fault".to_owned(),
            kind: ErrorKind::Ambiguous,
        }
    }
}

fn draw(rng: &mut StdRng, rates: FaultRates, operation: Operation) -> Option<Fault> {
    let rate = match operation {
        Operation::Create | Operation::Put => rates.writes,
        Operation::Get | Operation::List => rates.reads,
        Operation::Delete => rates.deletes,
    };
    if rng.random_range(0..1000) >= rate {
        return None;
    }
    let after = Duration::from_millis(rng.random_range(1..=rates.longest.as_millis() as u64));
    let kinds = match operation {
        Operation::Create => 7,
        Operation::Put | Operation::Delete => 5,
        Operation::Get | Operation::List => 2,
    };
    Some(match rng.random_range(0..kinds) {
        0 => Fault::FailBefore,
        1 => Fault::Slow(after / 8),
        2 => Fault::AnswerLost,
        3 => Fault::AppliedLater(after),
        4 => Fault::AppliedAgain(after),
        5 => Fault::WinsButTaken,
        _ => Fault::TakenByNobody,
    })
}

#[async_trait]
impl Store for LyingStore {
    fn address(&self) -> String {
        self.inner.address()
    }

    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        let object = name.to_owned();
        self.write(Operation::Create, name, Some(Created::AlreadyExists), move |store| {
            let (object, bytes) = (object.clone(), bytes.clone());
            Box::pin(async move { store.create_if_absent(&object, bytes).await })
        })
        .await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let object = name.to_owned();
        self.write(Operation::Put, name, None, move |store| {
            let (object, bytes) = (object.clone(), bytes.clone());
            Box::pin(async move { store.put(&object, bytes).await })
        })
        .await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.before_read(Operation::Get, name).await?;
        self.inner.get(name).await
    }

    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.before_read(Operation::Get, name).await?;
        self.inner.get_range(name, range).await
    }

    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
    ) -> Result<Vec<String>, StoreError> {
        self.before_read(Operation::List, prefix).await?;
        self.inner.list(prefix, start_after).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let object = name.to_owned();
        self.write(Operation::Delete, name, None, move |store| {
            let object = object.clone();
            Box::pin(async move { store.delete(&object).await })
        })
        .await
    }
}
