//! Savepoints: a pinned checkpoint, copied so that nothing outside its folder is needed.
//!
//! The copy runs behind the running job and is repeatable: objects have names that follow from
//! their position, and the manifest is written last, created only if absent.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_protocol::{OperatorUid, Version};

use crate::data::{self, DataError};
use crate::manifest::{Manifest, ManifestError, OperatorEntry, Origin, PendingCommit, Place};
use crate::steps::{self, Steps};
use crate::store::{Store, StoreError};

/// Objects of a copy are filled up to about this size.
const OBJECT_BYTES: usize = 32 << 20;

/// A complete savepoint.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Savepoint {
    /// URL of its folder.
    pub url: String,
    /// Its manifest; object names are relative to the folder.
    pub manifest: Manifest,
}

/// A savepoint that cannot be taken or read.
#[derive(Debug, thiserror::Error)]
pub enum SavepointError {
    /// Not a name for a folder.
    #[error("'{0}' cannot name a savepoint; use letters, digits, '-', '_' and '.'")]
    Name(String),
    /// The name is another savepoint's.
    #[error("savepoint {name} exists already, of version {version}; choose another name")]
    Taken {
        /// The name.
        name: String,
        /// What it holds.
        version: Version,
    },
    /// Output of the version is not committed yet.
    #[error(
        "{count} pieces of output of version {version} or before are not committed yet; the savepoint is complete once they are"
    )]
    Uncommitted {
        /// The version.
        version: Version,
        /// How many.
        count: usize,
    },
    /// There is none.
    #[error("{0}: no savepoint is there, or its copy was never finished")]
    Missing(String),
    /// The manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest cannot be written.
    #[error("cannot encode the savepoint's manifest: {0}")]
    Encode(#[from] serde_json::Error),
    /// A segment cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Savepoint {
    /// Its epoch.
    #[must_use]
    pub fn epoch(&self) -> Version {
        self.manifest.state_of.unwrap_or(self.manifest.version)
    }

    /// The operators with object names that hold outside the folder, and where they come from.
    #[must_use]
    pub fn absolute(&self) -> (BTreeMap<OperatorUid, OperatorEntry>, Origin) {
        let mut operators = self.manifest.operators.clone();
        for place in operators.values_mut().flat_map(|e| e.state.places_mut()) {
            if let Place::Object { path, .. } = place {
                *path = format!("{}/{path}", self.url);
            }
        }
        let origin = Origin {
            url: self.url.clone(),
            lineage: self.manifest.lineage.clone(),
            epoch: self.epoch(),
        };
        (operators, origin)
    }
}

fn folder(name: &str) -> Result<String, SavepointError> {
    let fine = !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if fine { Ok(format!("savepoints/{name}")) } else { Err(SavepointError::Name(name.to_owned())) }
}

/// Copies `manifest`, a pinned checkpoint, to `savepoints/<name>/` of the job's folder `store`.
/// `committed` tells which of its output is known to be committed (`WriterTerm::is_committed`).
/// Repeating it, also from another process after a crash, ends in the same savepoint.
///
/// # Errors
/// Among others when its output is not committed yet, or the name is taken by another version.
pub async fn copy(
    store: &Arc<dyn Store>,
    manifest: &Manifest,
    name: &str,
    committed: impl Fn(&PendingCommit) -> bool,
    steps: &Steps,
) -> Result<Savepoint, SavepointError> {
    let folder = folder(name)?;
    let url = format!("{}/{folder}", store.address());
    if let Some(done) = existing(store.as_ref(), &folder, &url, name, manifest).await? {
        return Ok(done);
    }
    let count = manifest.pending.iter().filter(|p| !committed(p)).count();
    if count > 0 {
        return Err(SavepointError::Uncommitted { version: manifest.version, count });
    }
    let mut copied = manifest.clone();
    copied.pending = Vec::new();
    copied.retained = Vec::new();
    copied.dropped.clear();
    copied.pinned_by = Some(name.to_owned());
    copy_segments(store.as_ref(), &mut copied, &folder, steps).await?;
    steps.reached(steps::SAVEPOINT_BEFORE_MANIFEST).await;
    // Whoever wins wrote the same; the read below decides.
    let answer = store.create_if_absent(&format!("{folder}/manifest"), copied.encode()?).await;
    match existing(store.as_ref(), &folder, &url, name, manifest).await? {
        Some(done) => Ok(done),
        None => Err(answer.err().map_or(SavepointError::Missing(url), SavepointError::Store)),
    }
}

async fn existing(
    store: &dyn Store,
    folder: &str,
    url: &str,
    name: &str,
    wanted: &Manifest,
) -> Result<Option<Savepoint>, SavepointError> {
    let path = format!("{folder}/manifest");
    let Some(bytes) = store.get(&path).await? else {
        return Ok(None);
    };
    let manifest = Manifest::decode(&path, &bytes)?;
    if manifest.lineage != wanted.lineage || manifest.state_of != wanted.state_of {
        return Err(SavepointError::Taken { name: name.to_owned(), version: manifest.version });
    }
    Ok(Some(Savepoint { url: url.to_owned(), manifest }))
}

async fn copy_segments(
    store: &dyn Store,
    manifest: &mut Manifest,
    folder: &str,
    steps: &Steps,
) -> Result<(), SavepointError> {
    let mut copy = Copy { store, folder, steps, object: 0, buffer: Vec::new() };
    for state in manifest.operators.values_mut().map(|entry| &mut entry.state) {
        for segment in state.segments.iter_mut().filter(|s| s.place.object().is_some()) {
            let bytes = data::fetch_segment(store, segment).await?;
            segment.place = copy.add(&bytes).await?;
        }
        for segment in state.tables.iter_mut().filter(|s| s.place.object().is_some()) {
            let bytes = data::fetch_table_segment(store, segment).await?;
            segment.place = copy.add(&bytes).await?;
        }
    }
    copy.write().await
}

/// The objects of a copy, filled one after the other.
struct Copy<'a> {
    store: &'a dyn Store,
    folder: &'a str,
    steps: &'a Steps,
    object: u32,
    buffer: Vec<u8>,
}

impl Copy<'_> {
    fn name(&self) -> String {
        format!("data/{:06}", self.object)
    }

    /// Adds a segment; gives where it will lie.
    async fn add(&mut self, bytes: &[u8]) -> Result<Place, SavepointError> {
        if !self.buffer.is_empty() && self.buffer.len() + bytes.len() > OBJECT_BYTES {
            self.write().await?;
            self.object += 1;
        }
        let place = Place::Object { path: self.name(), offset: self.buffer.len() as u64 };
        self.buffer.extend_from_slice(bytes);
        Ok(place)
    }

    async fn write(&mut self) -> Result<(), SavepointError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = Bytes::from(std::mem::take(&mut self.buffer));
        self.store.put(&format!("{}/{}", self.folder, self.name()), full).await?;
        self.steps.reached(steps::SAVEPOINT_COPIED).await;
        Ok(())
    }
}

/// Reads a complete savepoint from its own folder, wherever it is.
///
/// # Errors
/// When there is none, or it cannot be read.
pub async fn fetch(folder: &dyn Store) -> Result<Savepoint, SavepointError> {
    let url = folder.address();
    let bytes =
        folder.get("manifest").await?.ok_or_else(|| SavepointError::Missing(url.clone()))?;
    let manifest = Manifest::decode(&format!("{url}/manifest"), &bytes)?;
    Ok(Savepoint { url, manifest })
}
