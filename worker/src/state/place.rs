//! A version of a job's state: where it lies, what it says, and how its rows are read.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use weir_checkpoint::store::{Store, StoreOptions, open};
use weir_checkpoint::{Chain, ChainOptions, DataReader, Manifest, savepoint};
use weir_protocol::{JobName, Version};
use weir_sql::{StatePart, StateProblem};

/// One version, of a chain or of a savepoint.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// As it was asked for.
    pub(crate) place: String,
    pub(crate) manifest: Manifest,
    /// Of everything that the manifest names.
    pub(crate) reader: DataReader,
}

/// A job's folder `<root>/<namespace>/<name>` as root and job.
pub(super) fn split_place(place: &str) -> anyhow::Result<(String, JobName)> {
    let parts: Vec<&str> = place.trim_end_matches('/').rsplitn(3, '/').collect();
    match parts[..] {
        [name, namespace, root] if !root.is_empty() && !name.is_empty() => {
            Ok((root.to_owned(), JobName(format!("{namespace}/{name}"))))
        }
        [name, namespace] => Ok((".".to_owned(), JobName(format!("{namespace}/{name}")))),
        _ => bail!(
            "{place}: not a job's state; write <root>/<namespace>/<name>, for example .weir/default/airport-delays"
        ),
    }
}

/// The store at an address that is there already.
pub(super) fn open_root(root: &str) -> anyhow::Result<Arc<dyn Store>> {
    let local = !root.contains("://");
    if local && !Path::new(root).is_dir() {
        bail!("{root}: no such directory; nothing was stored here");
    }
    Ok(open(root, &StoreOptions::default())?)
}

pub(super) fn attach(place: &str) -> anyhow::Result<Chain> {
    let (root, job) = split_place(place)?;
    Ok(Chain::attach(open_root(&root)?, &job, ChainOptions::default()))
}

/// The version that is asked for of what is stored at `place`: a job's folder, of which the newest
/// counts where none is asked for, or the folder of a savepoint, which has one.
///
/// # Errors
/// When it is not there, or its store does not answer.
pub(crate) async fn find(place: &str, version: Option<u64>) -> Result<Stored, StateProblem> {
    let of_place = |error: String| StateProblem { part: StatePart::Place, message: error };
    let wrong = |error: anyhow::Error| of_place(format!("{error:#}"));
    if let Some(folder) = savepoint_folder(place) {
        let store = open_root(folder).map_err(wrong)?;
        let found = savepoint::fetch(store.as_ref()).await;
        let manifest = found.map_err(|error| of_place(error.to_string()))?.manifest;
        if let Some(version) = version.filter(|version| *version != manifest.version.0) {
            let message = format!(
                "{place}: version {version} is not there; the savepoint is of version {}",
                manifest.version
            );
            return Err(StateProblem { part: StatePart::Version, message });
        }
        return Ok(Stored { place: place.to_owned(), manifest, reader: DataReader::new(store) });
    }
    let chain = attach(place).map_err(wrong)?;
    let head = chain.read_head().await.map_err(|error| of_place(error.to_string()))?;
    let Some(head) = head else {
        return Err(of_place(format!(
            "{place}: no job has kept state here; `weir state ls <root>` lists those that have"
        )));
    };
    let manifest = match version.filter(|version| *version != head.version.0) {
        None => head,
        Some(version) => {
            let found = chain.read_version(Version(version)).await;
            let found = found.map_err(|error| of_place(error.to_string()))?;
            let Some(found) = found else {
                let kept: Vec<String> =
                    head.retained.iter().map(|r| r.version.to_string()).collect();
                let message = format!(
                    "{place}: version {version} is not there; kept are {}",
                    kept.join(", ")
                );
                return Err(StateProblem { part: StatePart::Version, message });
            };
            found
        }
    };
    let mut reader = DataReader::new(Arc::clone(chain.store()));
    if let Some(origin) = &manifest.origin
        && manifest.operators.values().any(weir_checkpoint::OperatorEntry::is_foreign)
    {
        // Until its first checkpoint a job that began from a savepoint names what lies there.
        let store = open_root(&origin.url).map_err(wrong)?;
        reader = reader.with_foreign(&origin.url, store);
    }
    Ok(Stored { place: place.to_owned(), manifest, reader })
}

/// The place, if it is a savepoint's folder: `<job's folder>/savepoints/<name>`.
fn savepoint_folder(place: &str) -> Option<&str> {
    let folder = place.trim_end_matches('/');
    let mut parts = folder.rsplit('/');
    (parts.nth(1) == Some("savepoints")).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_root_and_a_job() {
        let split = |p: &str| split_place(p).map(|(root, job)| (root, job.0)).ok();
        assert_eq!(split(".weir/default/a"), Some((".weir".into(), "default/a".into())));
        assert_eq!(split("s3://b/p/ns/a/"), Some(("s3://b/p".into(), "ns/a".into())));
        assert_eq!(split("default/a"), Some((".".into(), "default/a".into())));
        assert_eq!(split("a"), None);
    }

    #[test]
    fn a_savepoint_is_told_by_its_folder() {
        assert_eq!(savepoint_folder("r/ns/a/savepoints/s/"), Some("r/ns/a/savepoints/s"));
        assert_eq!(savepoint_folder("savepoints/s"), Some("savepoints/s"));
        assert_eq!(savepoint_folder("r/savepoints/ns/a"), None);
        assert_eq!(savepoint_folder("r/ns/a"), None);
    }
}
