//! Lists the files of a location, in the order of their paths.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use weir_engine::EngineError;
use weir_engine::env::joined;

use super::fault::local_error;
use super::location::{Location, Root};
use super::position::FileInfo;
use super::store::{RemoteStore, brief, fix};

/// Directories below one another; more is a loop of symbolic links.
const DEEPEST: usize = 64;

/// A location and the store that it is in.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) location: Location,
    /// Present for a bucket.
    pub(crate) store: Option<Arc<dyn RemoteStore>>,
    /// `source.path.regex-pattern`: whole paths that are wanted.
    pub(crate) regex: Option<regex::Regex>,
}

impl Place {
    /// Every file that is wanted. `None` when the root does not exist.
    pub(crate) async fn list(&self) -> Result<Option<Vec<FileInfo>>, EngineError> {
        let found = match (&self.location.root, &self.store) {
            (Root::Local(root), _) => {
                let (root, location) = (root.clone(), self.location.clone());
                joined(tokio::task::spawn_blocking(move || list_local(&root, &location)))
                    .await
                    .map_err(|error| EngineError::internal(format!("listing ended early: {error}")))??
            }
            (Root::Remote { bucket, key }, Some(store)) => {
                Some(list_remote(store.as_ref(), bucket, key, &self.location).await?)
            }
            (Root::Remote { bucket, .. }, None) => {
                return Err(EngineError::internal(format!("bucket '{bucket}' was not opened")));
            }
        };
        let mut found = match found {
            Some(found) => found,
            None => return Ok(None),
        };
        if let Some(regex) = &self.regex {
            found.retain(|file| regex.is_match(&file.path));
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Some(found))
    }
}

fn list_local(root: &Path, location: &Location) -> Result<Option<Vec<FileInfo>>, EngineError> {
    let failed = |path: &Path, error: &std::io::Error| local_error(path, "list the files", error);
    let metadata = match std::fs::metadata(root) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(root, &error)),
    };
    if metadata.is_file() {
        return Ok(Some(vec![local_info(root, &metadata)?]));
    }
    let mut found = Vec::new();
    let mut open: Vec<(PathBuf, usize)> = vec![(root.to_owned(), 0)];
    while let Some((directory, depth)) = open.pop() {
        let entries = std::fs::read_dir(&directory).map_err(|error| failed(&directory, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| failed(&directory, &error))?.path();
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let hidden =
                path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(['.', '_']));
            if hidden {
                continue;
            }
            let metadata = match std::fs::metadata(&path) {
                Ok(metadata) => metadata,
                // Moved away between the listing and now.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&path, &error)),
            };
            if metadata.is_dir() && depth < DEEPEST {
                open.push((path, depth + 1));
            } else if metadata.is_file() && location.wants(&relative) {
                found.push(local_info(&path, &metadata)?);
            }
        }
    }
    Ok(Some(found))
}

/// A local file as it is now.
pub(crate) fn local_info(
    path: &Path,
    metadata: &std::fs::Metadata,
) -> Result<FileInfo, EngineError> {
    let name = path.to_str().ok_or_else(|| {
        EngineError::user(format!("{}: the file's name is not UTF-8; rename it", path.display()))
    })?;
    let modified_ns = match metadata.modified().map(|time| time.duration_since(UNIX_EPOCH)) {
        Ok(Ok(since)) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Ok(Err(before)) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        Err(_) => 0,
    };
    Ok(FileInfo { path: name.to_owned(), size: metadata.len(), modified_ns, etag: None })
}

/// An object as a listing or a GET shows it.
pub(crate) fn remote_info(bucket: &str, meta: &object_store::ObjectMeta) -> FileInfo {
    FileInfo {
        path: format!("s3://{bucket}/{}", meta.location),
        size: meta.size,
        modified_ns: meta.last_modified.timestamp_nanos_opt().unwrap_or(0),
        etag: meta.e_tag.clone(),
    }
}

async fn list_remote(
    store: &dyn RemoteStore,
    bucket: &str,
    key: &str,
    location: &Location,
) -> Result<Vec<FileInfo>, EngineError> {
    let failed = |error: object_store::Error| {
        let error = error.to_string();
        EngineError::external(format!(
            "{location}: cannot be listed: {}; {}",
            brief(&error),
            fix(&error)
        ))
    };
    let prefix = object_store::path::Path::parse(key)
        .map_err(|error| EngineError::user(format!("{location}: not a key: {error}")))?;
    if !key.is_empty() && location.pattern.is_empty() {
        match store.head(&prefix).await {
            Ok(meta) => return Ok(vec![remote_info(bucket, &meta)]),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let objects: Vec<_> = store.list(Some(&prefix)).try_collect().await.map_err(failed)?;
    let relative = |name: &str| name.strip_prefix(key).unwrap_or(name).to_owned();
    Ok(objects
        .iter()
        // Keys that end in a slash are what consoles make for folders.
        .filter(|meta| meta.size > 0 && location.wants(&relative(meta.location.as_ref())))
        .map(|meta| remote_info(bucket, meta))
        .collect())
}
