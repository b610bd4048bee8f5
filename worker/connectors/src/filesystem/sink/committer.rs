//! Makes staged files visible, on any worker, any number of times.
//!
//! What always holds: `Committed` is only said after the final name was seen with the recorded
//! size; a staged file that is gone while its final name is absent is `Lost`, by name.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::{ObjectStoreExt, PutPayload};
use weir_engine::EngineError;
use weir_engine::env::joined;
use weir_engine::operator::Committable;
use weir_engine::sink::{CommitAnswer, CommitContext, Committer};

use super::local;
use super::payload::{self, Commit};
use super::remote::Bucket;
use crate::filesystem::list::{local_info, remote_info};
use crate::filesystem::position::FileInfo;
use crate::filesystem::store::Stores;

pub(crate) struct FileCommitter {
    stores: Arc<dyn Stores>,
    /// Buckets by name; connections are kept. As many as the user has ever named in `path`.
    open: Mutex<HashMap<String, Bucket>>,
}

#[async_trait]
impl Committer for FileCommitter {
    async fn commit(&self, _cx: &CommitContext, item: &Committable) -> CommitAnswer {
        match payload::decode::<Commit>(&item.payload) {
            Err(error) => CommitAnswer::Lost(error.message),
            Ok((Commit::Link { staging, target, size, remove, .. }, _)) => {
                blocking(move || link(&staging, &target, size, &remove)).await
            }
            Ok((Commit::Complete { bucket, key, upload, parts, size, remove, .. }, _)) => {
                match self.bucket(&bucket) {
                    Ok(bucket) => complete(&bucket, &key, &upload, &parts, size, &remove)
                        .await
                        .unwrap_or_else(|error| CommitAnswer::Retry(error.message)),
                    Err(why) => CommitAnswer::Retry(why),
                }
            }
            Ok((Commit::Replace { files, by }, _)) => self.replace(&files, &by).await,
        }
    }

    async fn discard(&self, _cx: &CommitContext, item: &Committable) -> CommitAnswer {
        match payload::decode::<Commit>(&item.payload) {
            Err(error) => CommitAnswer::Lost(error.message),
            Ok((Commit::Link { staging, target, size, held, .. }, _)) => {
                blocking(move || match local::discard(&staging, &target, size, held) {
                    Ok(()) => CommitAnswer::Committed,
                    Err(error) => {
                        CommitAnswer::Retry(format!("{target}: cannot be discarded: {error}"))
                    }
                })
                .await
            }
            Ok((Commit::Complete { bucket, key, upload, parts, size, held, .. }, _)) => {
                match self.bucket(&bucket) {
                    Ok(bucket) => abort(&bucket, &key, &upload, parts.len(), size, held)
                        .await
                        .unwrap_or_else(|error| CommitAnswer::Retry(error.message)),
                    Err(why) => CommitAnswer::Retry(why),
                }
            }
            // Nothing of it is staged, and without the new files nobody carries it out any more.
            Ok((Commit::Replace { .. }, _)) => CommitAnswer::Committed,
        }
    }
}

impl FileCommitter {
    pub(crate) fn new(stores: Arc<dyn Stores>) -> Self {
        Self { stores, open: Mutex::default() }
    }

    /// Removes files whose place others have taken.
    async fn replace(&self, files: &[FileInfo], by: &[(String, u64)]) -> CommitAnswer {
        for (name, size) in by {
            match self.size(name).await {
                Ok(found) if found == Some(*size) => {}
                Ok(_) => {
                    return lost(
                        name,
                        "it was to take the place of older files and is not there any more; those stay: remove them by hand, or run the job again",
                    );
                }
                Err(why) => return CommitAnswer::Retry(why),
            }
        }
        for file in files {
            if let Err(why) = self.remove(file).await {
                return CommitAnswer::Retry(why);
            }
        }
        CommitAnswer::Committed
    }

    /// The size of a file, as listings write its name.
    async fn size(&self, name: &str) -> Result<Option<u64>, String> {
        match in_bucket(name) {
            Some((bucket, key)) => {
                let bucket = self.bucket(bucket)?;
                bucket.size(key).await.map_err(|error| error.message)
            }
            None => match std::fs::metadata(name) {
                Ok(found) => Ok(Some(found.len())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(format!("{name}: cannot look at the file: {error}")),
            },
        }
    }

    /// Removes a file, if it is still the one that was found.
    async fn remove(&self, file: &FileInfo) -> Result<(), String> {
        let Some((bucket, key)) = in_bucket(&file.path) else {
            let file = file.clone();
            let removed = joined(tokio::task::spawn_blocking(move || remove_local(&file))).await;
            return removed.map_err(|error| format!("the commit ended early: {error}"))?;
        };
        let bucket = self.bucket(bucket)?;
        let path = bucket.path(key).map_err(|error| error.message)?;
        let failed = |what: &str, error| bucket.failed(what, key)(error).message;
        match bucket.store.head(&path).await {
            Ok(found) if remote_info(&bucket.name, &found) == *file => {}
            Ok(_) | Err(object_store::Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(failed("look at the object", error)),
        }
        match bucket.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("remove the object", error)),
        }
    }

    fn bucket(&self, name: &str) -> Result<Bucket, String> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = open.get(name) {
            return Ok(bucket.clone());
        }
        let bucket = Bucket { name: name.to_owned(), store: self.stores.open(name)? };
        open.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }
}

/// Bucket and key of a name that is no local path.
fn in_bucket(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("s3://")?.split_once('/')
}

fn remove_local(file: &FileInfo) -> Result<(), String> {
    let path = Path::new(&file.path);
    let failed = |error: std::io::Error| format!("{}: cannot be removed: {error}", file.path);
    match std::fs::metadata(path) {
        Ok(found) if local_info(path, &found).is_ok_and(|found| found == *file) => {}
        // Written anew since, or gone.
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // It is not to come back.
    path.parent().map_or(Ok(()), |directory| local::sync_directory(directory).map_err(failed))
}

async fn blocking(work: impl FnOnce() -> CommitAnswer + Send + 'static) -> CommitAnswer {
    joined(tokio::task::spawn_blocking(work))
        .await
        .unwrap_or_else(|error| CommitAnswer::Retry(format!("the commit ended early: {error}")))
}

fn lost(target: &str, why: &str) -> CommitAnswer {
    CommitAnswer::Lost(format!("SinkCommitLost: {target}: {why}"))
}

fn gone(target: &str, staged: &str) -> CommitAnswer {
    lost(
        target,
        &format!(
            "neither the file nor {staged} is there: somebody took the file away before the chain knew that it was committed, or its rows are lost; bring either back and the job goes on"
        ),
    )
}

/// Whether a file of this size is the one that was staged. What is staged empty is a mark that only has
/// to exist, and others write marks of that name too.
fn is_as_staged(found: u64, size: u64) -> bool {
    found == size || size == 0
}

fn wrong_size(target: &str, found: u64, size: u64) -> CommitAnswer {
    lost(
        target,
        &format!(
            "holds {found} bytes instead of {size}: somebody else wrote it; move it away to let the commit go on"
        ),
    )
}

fn link(staging: &str, target: &str, size: u64, remove: &[String]) -> CommitAnswer {
    let retry = |what: &str, error: std::io::Error| {
        CommitAnswer::Retry(format!("{target}: cannot {what}: {error}"))
    };
    // Looked at first, because the final name alone decides.
    match std::fs::metadata(target) {
        Ok(found) if !is_as_staged(found.len(), size) => {
            return wrong_size(target, found.len(), size);
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            match std::fs::metadata(staging) {
                Ok(staged) if staged.len() != size => {
                    return lost(
                        target,
                        &format!("{staging} holds {} bytes instead of {size}", staged.len()),
                    );
                }
                Ok(_) => {}
                // Another committer may have finished between the two looks.
                Err(_) if Path::new(target).exists() => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return gone(target, staging);
                }
                Err(error) => return retry("look at the staged file", error),
            }
        }
        Err(error) => return retry("look at the file", error),
    }
    match local::link(Path::new(staging), Path::new(target)) {
        Ok(_) => {}
        Err(error) => return retry("link the staged file", error),
    }
    match std::fs::metadata(target) {
        Ok(found) if is_as_staged(found.len(), size) => {
            // The links that are left take room, nothing more.
            for path in remove.iter().map(String::as_str).chain([staging]) {
                let _ = std::fs::remove_file(path);
            }
            CommitAnswer::Committed
        }
        Ok(found) => wrong_size(target, found.len(), size),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => gone(target, staging),
        Err(error) => retry("look at the file", error),
    }
}

async fn complete(
    bucket: &Bucket,
    key: &str,
    upload: &String,
    parts: &[String],
    size: u64,
    remove: &[String],
) -> Result<CommitAnswer, EngineError> {
    let target = format!("s3://{}/{key}", bucket.name);
    let visible = match bucket.size(key).await? {
        Some(found) => Some(found),
        None => {
            let completed = bucket
                .store
                .complete_multipart(&bucket.path(key)?, upload, Bucket::part_ids(parts))
                .await;
            // Whatever the answer was: it may have been lost, or be about an earlier success.
            match (bucket.size(key).await?, completed) {
                (Some(found), _) => Some(found),
                (None, Err(object_store::Error::NotFound { .. })) => None,
                (None, Err(error)) => return Err(bucket.failed("complete the upload", key)(error)),
                (None, Ok(_)) => {
                    return Err(EngineError::external(format!(
                        "{target}: completed and not yet to be seen"
                    )));
                }
            }
        }
    };
    match visible {
        None => Ok(gone(&target, &format!("upload {upload}"))),
        Some(found) if !is_as_staged(found, size) => Ok(wrong_size(&target, found, size)),
        Some(_) => {
            if size == 0 {
                // Where it is somebody else's, ours is still open, and takes room.
                let _ = bucket.store.abort_multipart(&bucket.path(key)?, upload).await;
            }
            for key in remove {
                // What is left takes room, nothing more.
                if let Ok(path) = bucket.path(key) {
                    let _ = bucket.store.delete(&path).await;
                }
            }
            Ok(CommitAnswer::Committed)
        }
    }
}

/// Makes an upload impossible to complete, and keeps what an older checkpoint restores from.
async fn abort(
    bucket: &Bucket,
    key: &str,
    upload: &String,
    parts: usize,
    size: u64,
    held: Option<usize>,
) -> Result<CommitAnswer, EngineError> {
    let path = bucket.path(key)?;
    if bucket.size(key).await? == Some(size) {
        if held.is_some() {
            return Ok(CommitAnswer::Lost(format!(
                "s3://{}/{key}: is visible already and holds rows from before the point that is gone back to; its later rows come twice",
                bucket.name
            )));
        }
        bucket.store.delete(&path).await.map_err(bucket.failed("remove the object", key))?;
    }
    let done = match held {
        None => bucket.store.abort_multipart(&path, upload).await,
        // Another last part: a completion that names the former one is refused by its ETag.
        Some(held) if held < parts => {
            let nothing = PutPayload::from_static(b"discarded");
            bucket.store.put_part(&path, upload, parts - 1, nothing).await.map(|_| ())
        }
        // Completing it makes visible what the older checkpoint's restore makes visible.
        Some(_) => Ok(()),
    };
    match done {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(CommitAnswer::Committed),
        Err(error) => Err(bucket.failed("discard the upload", key)(error)),
    }
}
