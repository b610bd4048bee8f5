//! The store's side of an undecided name: put, read back, list above.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use weir_protocol::Version;

use super::decide::{Above, Occupant, occupant};
use super::{Chain, ChainError, nonce_of};
use crate::manifest::{Manifest, ManifestError, chain_name, version_of};
use crate::steps;
use crate::store::{Created, ErrorKind, StoreError};

/// A manifest with its bytes: every repetition puts the same.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) manifest: Arc<Manifest>,
    bytes: Bytes,
}

impl Candidate {
    pub(super) fn new(manifest: Manifest) -> Result<Self, serde_json::Error> {
        let bytes = manifest.encode()?;
        Ok(Self { manifest: Arc::new(manifest), bytes })
    }
}

/// Waits between repetitions: 50 ms, doubling, at most 2 s, without end.
pub(super) fn backoff() -> impl Iterator<Item = Duration> + Send {
    (0_u32..).map(|n| Duration::from_millis(50 << n.min(5)).min(Duration::from_secs(2)))
}

/// What was found out about an undecided name.
pub(super) struct Looked {
    pub(super) seen: Occupant,
    pub(super) above: Above,
    /// Why the PUT of this turn failed, if it did.
    pub(super) problem: Option<StoreError>,
}

/// Puts the candidate (the void one when there is one) and finds out who holds the name, and
/// then, with a listing that begins after that, whether anything is above it.
pub(super) async fn look(
    chain: &Chain,
    version: Version,
    mine: &Candidate,
    void: Option<&Candidate>,
    after_put: &'static str,
) -> Result<Looked, StoreError> {
    let name = chain_name(version);
    let put = void.unwrap_or(mine);
    let answer =
        timed(chain, "create", &name, chain.store.create_if_absent(&name, put.bytes.clone())).await;
    chain.options.steps.reached(after_put).await;
    let seen = match &answer {
        Ok(Created::Created) if void.is_some() => Occupant::MyVoid,
        Ok(Created::Created) => Occupant::Mine,
        // Neither a "taken" nor an error says by whom: our own earlier try may have won.
        Ok(Created::AlreadyExists) | Err(_) => {
            chain.options.steps.reached(steps::PUBLISH_READ_BACK).await;
            let found = timed(chain, "read", &name, chain.store.get(&name)).await?;
            let found = found.map(|bytes| Manifest::decode(&name, &bytes));
            let found = match found {
                None => None,
                Some(Ok(manifest)) => Some(nonce_of(&manifest)),
                // Whoever wrote what we cannot read, it was not us.
                Some(Err(_)) => {
                    let (seen, above) = (Occupant::Another, above(chain, version).await?);
                    return Ok(Looked { seen, above, problem: None });
                }
            };
            let void = void.map(|v| nonce_of(&v.manifest));
            occupant(found.as_ref(), &nonce_of(&mine.manifest), void.as_ref())
        }
    };
    let above = above(chain, version).await?;
    // Nobody there and a refusal that stands: the caller has to know why nothing moves.
    match answer {
        Err(error) if seen == Occupant::Nobody && error.kind == ErrorKind::Definite => Err(error),
        answer => Ok(Looked { seen, above, problem: answer.err() }),
    }
}

async fn above(chain: &Chain, version: Version) -> Result<Above, StoreError> {
    let name = chain_name(version);
    let listed = timed(chain, "list", "chain", chain.store.list("chain", Some(&name))).await?;
    let higher = listed.iter().filter_map(|n| version_of(n)).any(|v| v > version);
    Ok(if higher { Above::Something } else { Above::Nothing })
}

/// Bounds a call: what takes longer is undecided.
pub(super) async fn timed<T>(
    chain: &Chain,
    operation: &'static str,
    name: &str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let limit = chain.options.call_timeout;
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        Err(StoreError {
            operation,
            object: format!("{}/{name}", chain.store.address()),
            problem: format!("no answer within {limit:?}"),
            kind: ErrorKind::Ambiguous,
        })
    })
}

/// The name of the head hint.
pub(super) const HEAD_HINT: &str = "head-hint";

/// How often a head that vanishes between listing and reading is looked for again: each time,
/// somebody published and collected in between.
const HEAD_TRIES: u32 = 20;

/// Lists the chain and reads its largest name. Where the hint was written for a later version of
/// the same lineage, that one has been the head and is gone: whoever went on from an older one
/// would repeat output. A hint that says less, or that another lineage left, says nothing.
pub(super) async fn fetch_head(chain: &Chain) -> Result<Option<Manifest>, ChainError> {
    let hint = read_hint(chain).await;
    let mut last_seen = None;
    for _ in 0..HEAD_TRIES {
        let mut largest = None;
        if let Some(Hint { version: hint, .. }) = &hint {
            // Only names from the hint on. It was a head once, so the head is not below it;
            // when nothing is there the hint is wrong and everything is listed.
            let after = chain_name(Version(hint.0.saturating_sub(1)));
            let names =
                timed(chain, "list", "chain", chain.store.list("chain", Some(&after))).await?;
            largest = names.iter().filter_map(|n| version_of(n)).max();
        }
        if largest.is_none() {
            let names = timed(chain, "list", "chain", chain.store.list("chain", None)).await?;
            largest = names.iter().filter_map(|n| version_of(n)).max();
        }
        let Some(version) = largest else {
            return Ok(None);
        };
        last_seen = Some(version);
        let name = chain_name(version);
        if let Some(bytes) = timed(chain, "read", &name, chain.store.get(&name)).await? {
            let head = Manifest::decode(&name, &bytes)?;
            return match hint {
                Some(hint) if hint.version > version && hint.is_of(&head) => {
                    Err(ChainError::Manifest(ManifestError::HeadGone {
                        name: format!("{}/{}", chain.store.address(), chain_name(hint.version)),
                        newest: version,
                    }))
                }
                _ => Ok(Some(head)),
            };
        }
    }
    let name = last_seen.map(chain_name).unwrap_or_default();
    Err(ChainError::Manifest(ManifestError::Damaged {
        problem: format!("it is listed and cannot be read, {HEAD_TRIES} times in a row"),
        name,
    }))
}

/// What the head hint says: a version that was the head, and the lineage of its state.
struct Hint {
    version: Version,
    lineage: Option<String>,
}

impl Hint {
    /// As stored for a head.
    fn text(head: &Manifest) -> String {
        format!("{} {}", head.version, head.lineage)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let version = words.next()?.parse().ok().map(Version)?;
        Some(Self { version, lineage: words.next().map(str::to_owned) })
    }

    fn is_of(&self, head: &Manifest) -> bool {
        self.lineage.as_ref() == Some(&head.lineage.0)
    }
}

async fn read_hint(chain: &Chain) -> Option<Hint> {
    let bytes = timed(chain, "read", HEAD_HINT, chain.store.get(HEAD_HINT)).await.ok()??;
    Hint::parse(std::str::from_utf8(&bytes).ok()?)
}

/// Writes where the next listing may start. It may come late or not at all.
pub(super) async fn write_hint(chain: &Chain, head: &Manifest) {
    let hint = Bytes::from(Hint::text(head));
    if let Err(error) = timed(chain, "write", HEAD_HINT, chain.store.put(HEAD_HINT, hint)).await {
        tracing::debug!(%error, "the head hint stays as it is");
    }
}
