//! Stages in a bucket: multipart uploads that the committer completes.
//!
//! ```text
//! lines    rows ─▶ parts of the final object's upload ─────────────▶ roll: last part
//!                  barrier: the rest as an object (or in the item)
//! Parquet  bytes ─▶ objects under .staging/ ──▶ roll: read again, parts of a new upload
//! ```
//!
//! What always holds: a term adds no part to an upload of another term, because a zombie might
//! add the same one. Lines are restored as two files, the parts as they are and the rest; a
//! Parquet file cannot be cut, so its pieces are objects, which are written once and only read
//! by a restore.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use weir_engine::EngineError;
use weir_protocol::Term;

use super::payload::{self, Commit, INLINE, Open, Piece};
use super::stage::{FileId, FileName, Stage};
use super::{STAGING, fresh};
use crate::filesystem::store::{RemoteStore, brief, fix};

/// Bytes per part; S3 wants 5 MiB at least, and 10,000 parts at most.
const PART: usize = 8 << 20;

pub(crate) struct RemoteStage {
    bucket: Bucket,
    prefix: String,
    term: Term,
    /// Files are Parquet: they cannot be cut at a record.
    whole: bool,
    open: BTreeMap<FileId, Writing>,
    ready: Vec<Commit>,
    /// The bucket has been seen to take output.
    probed: bool,
}

struct Writing {
    key: String,
    upload: Option<Upload>,
    chunks: Vec<(String, u64)>,
    buffer: Vec<u8>,
    /// Parts that a checkpoint names.
    held: Option<usize>,
    /// The rest as it was staged at the last barrier, if it has not changed since.
    rest: Option<Piece>,
    /// Objects that only a restore needs.
    remove: Vec<String>,
}

/// A bucket with its name, for messages and committables.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) store: Arc<dyn RemoteStore>,
}

/// A multipart upload of this term.
struct Upload {
    id: String,
    parts: Vec<String>,
    size: u64,
}

impl Bucket {
    pub(crate) fn failed(
        &self,
        what: &str,
        key: &str,
    ) -> impl Fn(object_store::Error) -> EngineError + use<> {
        let place = format!("s3://{}/{key}", self.name);
        let what = what.to_owned();
        move |error| {
            let error = error.to_string();
            EngineError::external(format!(
                "{place}: cannot {what}: {}; {}",
                brief(&error),
                fix(&error)
            ))
        }
    }

    /// Sees whether the bucket takes output, which the first rows are too few to show: they go into
    /// checkpoints for a while. An upload that is given up asks for just the right that output
    /// needs, and no reader ever sees it.
    async fn probe(&self, prefix: &str, key: &str) -> Result<(), EngineError> {
        let path = self.path(key)?;
        let upload = self.store.create_multipart(&path).await;
        let upload = upload.map_err(self.failed("begin an upload", prefix))?;
        if let Err(error) = self.store.abort_multipart(&path, &upload).await {
            tracing::debug!(%error, key, "an upload without parts is left to the bucket's rules");
        }
        Ok(())
    }

    pub(crate) fn path(&self, key: &str) -> Result<Path, EngineError> {
        Path::parse(key).map_err(|error| {
            EngineError::user(format!("s3://{}/{key}: not a key: {error}", self.name))
        })
    }

    /// The object's size; `None` when there is none.
    pub(crate) async fn size(&self, key: &str) -> Result<Option<u64>, EngineError> {
        match self.store.head(&self.path(key)?).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look at the object", key)(error)),
        }
    }

    async fn begin(&self, key: &str) -> Result<Upload, EngineError> {
        let id = self.store.create_multipart(&self.path(key)?).await;
        let id = id.map_err(self.failed("begin the upload", key))?;
        Ok(Upload { id, parts: Vec::new(), size: 0 })
    }

    async fn add(&self, key: &str, upload: &mut Upload, data: Vec<u8>) -> Result<(), EngineError> {
        let size = data.len() as u64;
        let part = self
            .store
            .put_part(&self.path(key)?, &upload.id, upload.parts.len(), PutPayload::from(data))
            .await
            .map_err(self.failed("upload a part", key))?;
        upload.parts.push(part.content_id);
        upload.size += size;
        Ok(())
    }

    async fn put(&self, key: &str, data: &[u8]) -> Result<(), EngineError> {
        let payload = PutPayload::from(Bytes::copy_from_slice(data));
        let put = self.store.put(&self.path(key)?, payload).await;
        put.map(|_| ()).map_err(self.failed("write the object", key))
    }

    async fn get(&self, key: &str) -> Result<Bytes, EngineError> {
        let got = match self.store.get(&self.path(key)?).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        got.map_err(|error| match error {
            object_store::Error::NotFound { .. } => EngineError::external(format!(
                "SinkCommitLost: s3://{}/{key}: the checkpoint names it and it is gone; rows written before the checkpoint are lost unless it is brought back",
                self.name
            )),
            error => self.failed("read the object", key)(error),
        })
    }

    /// The bytes of a piece; its object joins what is to be removed.
    async fn piece(
        &self,
        piece: Piece,
        body: &Bytes,
        remove: &mut Vec<String>,
    ) -> Result<Bytes, EngineError> {
        match piece {
            Piece::Empty => Ok(Bytes::new()),
            Piece::Inline => Ok(body.clone()),
            Piece::Staged { name, .. } => {
                let bytes = self.get(&name).await?;
                remove.push(name);
                Ok(bytes)
            }
        }
    }

    /// Makes an upload out of staged objects and what follows them.
    async fn assemble(
        &self,
        key: &str,
        chunks: &[(String, u64)],
        last: &[u8],
    ) -> Result<Upload, EngineError> {
        let mut upload = self.begin(key).await?;
        let mut buffer = Vec::new();
        for (chunk, _) in chunks {
            buffer.extend_from_slice(&self.get(chunk).await?);
            if buffer.len() >= PART {
                self.add(key, &mut upload, std::mem::take(&mut buffer)).await?;
            }
        }
        buffer.extend_from_slice(last);
        if !buffer.is_empty() {
            self.add(key, &mut upload, buffer).await?;
        }
        Ok(upload)
    }

    pub(crate) fn part_ids(parts: &[String]) -> Vec<PartId> {
        parts.iter().map(|id| PartId { content_id: id.clone() }).collect()
    }
}

impl RemoteStage {
    pub(crate) fn new(bucket: Bucket, prefix: String, term: Term, whole: bool) -> Self {
        let (open, ready) = (BTreeMap::new(), Vec::new());
        Self { bucket, prefix, term, whole, open, ready, probed: false }
    }

    fn staged(&self, key: &str) -> String {
        let name = key.rsplit('/').next().unwrap_or(key);
        join(&self.prefix, &format!("{STAGING}/{name}.{}.inprogress", fresh(self.term)))
    }

    fn complete(&mut self, key: String, upload: Upload, remove: Vec<String>, held: Option<usize>) {
        let Upload { id, parts, size } = upload;
        let bucket = self.bucket.name.clone();
        self.ready.push(Commit::Complete { bucket, key, upload: id, parts, size, remove, held });
    }

    /// Puts bytes into the item, or into an object when they are many.
    async fn stage<'a>(
        &self,
        key: &str,
        bytes: &'a [u8],
    ) -> Result<(Piece, &'a [u8]), EngineError> {
        if bytes.is_empty() {
            return Ok((Piece::Empty, &[]));
        }
        if bytes.len() <= INLINE {
            return Ok((Piece::Inline, bytes));
        }
        let name = self.staged(key);
        self.bucket.put(&name, bytes).await?;
        Ok((Piece::Staged { name, len: bytes.len() as u64 }, &[]))
    }

    /// Moves a Parquet file's buffer into an object.
    async fn stage_chunk(&self, writing: &mut Writing) -> Result<(), EngineError> {
        if writing.buffer.is_empty() {
            return Ok(());
        }
        let name = self.staged(&writing.key);
        self.bucket.put(&name, &writing.buffer).await?;
        writing.chunks.push((name.clone(), writing.buffer.len() as u64));
        writing.remove.push(name);
        writing.buffer.clear();
        Ok(())
    }
}

#[async_trait]
impl Stage for RemoteStage {
    async fn restore(&mut self, item: Bytes) -> Result<(), EngineError> {
        let (open, body): (Open, Bytes) = payload::decode(&item)?;
        let visible = |key: &str| {
            // Only after going back to an older checkpoint: its rows are visible since.
            tracing::warn!(
                key,
                "a file that was open at the checkpoint is committed already; it is left as it is"
            );
        };
        let moved = |bucket: &str| {
            EngineError::user(format!(
                "filesystem sink: the checkpoint holds open files in {bucket}, and 'path' now names bucket '{}'; stop with a savepoint before changing 'path'",
                self.bucket.name
            ))
        };
        match open {
            Open::Local { .. } => Err(moved("a local directory")),
            Open::Parts { bucket, .. } | Open::Chunks { bucket, .. }
                if bucket != self.bucket.name =>
            {
                Err(moved(&format!("bucket '{bucket}'")))
            }
            Open::Parts { bucket, key, upload, parts, size, rest, mut remove } => {
                let found = self.bucket.size(&key).await?;
                // Larger than its parts then: it was closed after this checkpoint, rest and all.
                if found.is_some_and(|found| found > size) {
                    visible(&key);
                    return Ok(());
                }
                match upload {
                    Some(_) if found.is_some() => visible(&key),
                    Some(upload) if !parts.is_empty() => {
                        let (remove, held) = (Vec::new(), Some(parts.len()));
                        let key = key.clone();
                        self.ready.push(Commit::Complete {
                            bucket,
                            key,
                            upload,
                            parts,
                            size,
                            remove,
                            held,
                        });
                    }
                    _ => {}
                }
                // Of its own name, so that each of the two is visible or not by itself.
                let key = beside(&key, "rest");
                if self.bucket.size(&key).await?.is_some() {
                    visible(&key);
                    return Ok(());
                }
                let rest = self.bucket.piece(rest, &body, &mut remove).await?;
                if !rest.is_empty() {
                    let upload = self.bucket.assemble(&key, &[], &rest).await?;
                    self.complete(key, upload, remove, None);
                }
                Ok(())
            }
            Open::Chunks { key, chunks, footer, mut remove, .. } => {
                if self.bucket.size(&key).await?.is_some() {
                    visible(&key);
                    return Ok(());
                }
                let footer = self.bucket.piece(footer, &body, &mut remove).await?;
                let upload = self.bucket.assemble(&key, &chunks, &footer).await?;
                self.complete(key, upload, remove, None);
                Ok(())
            }
        }
    }

    async fn append(
        &mut self,
        file: FileId,
        name: &Arc<FileName>,
        data: Vec<u8>,
    ) -> Result<(), EngineError> {
        let mut writing = self.open.remove(&file).unwrap_or_else(|| Writing {
            key: join(&self.prefix, &join(&name.directory, &name.name)),
            upload: None,
            chunks: Vec::new(),
            buffer: Vec::new(),
            held: None,
            rest: None,
            remove: Vec::new(),
        });
        if !self.probed {
            self.bucket.probe(&self.prefix, &writing.key).await?;
            self.probed = true;
        }
        writing.rest = None;
        if writing.buffer.is_empty() {
            writing.buffer = data;
        } else {
            writing.buffer.extend_from_slice(&data);
        }
        if writing.buffer.len() >= PART {
            if self.whole {
                self.stage_chunk(&mut writing).await?;
            } else {
                let mut upload = match writing.upload.take() {
                    Some(upload) => upload,
                    None => self.bucket.begin(&writing.key).await?,
                };
                self.bucket
                    .add(&writing.key, &mut upload, std::mem::take(&mut writing.buffer))
                    .await?;
                writing.upload = Some(upload);
            }
        }
        self.open.insert(file, writing);
        Ok(())
    }

    async fn roll(&mut self, file: FileId) -> Result<(), EngineError> {
        let Some(writing) = self.open.remove(&file) else {
            return Ok(());
        };
        let Writing { key, upload, chunks, buffer, held, remove, .. } = writing;
        // Only an upload that a checkpoint knows needs care; one made here is nobody else's.
        let held = if upload.is_some() { held } else { None };
        let upload = match upload {
            Some(mut upload) => {
                if !buffer.is_empty() {
                    self.bucket.add(&key, &mut upload, buffer).await?;
                }
                upload
            }
            None => self.bucket.assemble(&key, &chunks, &buffer).await?,
        };
        self.complete(key, upload, remove, held);
        Ok(())
    }

    async fn mark(&mut self, directory: &str, name: &str) -> Result<(), EngineError> {
        let key = join(&self.prefix, &join(directory, name));
        if self.bucket.size(&key).await?.is_some() {
            return Ok(());
        }
        // An upload, as of any other file, so that a roll-back can take it away for good.
        let mut upload = self.bucket.begin(&key).await?;
        self.bucket.add(&key, &mut upload, Vec::new()).await?;
        self.complete(key, upload, Vec::new(), None);
        Ok(())
    }

    async fn barrier(
        &mut self,
        footers: Vec<(FileId, Vec<u8>)>,
        _ended: bool,
    ) -> Result<(Vec<Commit>, Vec<Bytes>), EngineError> {
        let mut footers: HashMap<FileId, Vec<u8>> = footers.into_iter().collect();
        let mut items = Vec::with_capacity(self.open.len());
        let ids: Vec<FileId> = self.open.keys().copied().collect();
        for id in ids {
            let Some(mut writing) = self.open.remove(&id) else {
                continue;
            };
            let bucket = self.bucket.name.clone();
            if self.whole {
                self.stage_chunk(&mut writing).await?;
                let footer = footers.remove(&id).unwrap_or_default();
                let (footer, body) = self.stage(&writing.key, &footer).await?;
                if let Piece::Staged { name, .. } = &footer {
                    writing.remove.push(name.clone());
                }
                let (key, chunks, remove) =
                    (writing.key.clone(), writing.chunks.clone(), writing.remove.clone());
                items.push(payload::encode(
                    &Open::Chunks { bucket, key, chunks, footer, remove },
                    body,
                ));
            } else {
                let (rest, body) = match writing.rest.take() {
                    Some(rest) => (rest, &[][..]),
                    None => self.stage(&writing.key, &writing.buffer).await?,
                };
                if let Piece::Staged { name, .. } = &rest {
                    if !writing.remove.contains(name) {
                        writing.remove.push(name.clone());
                    }
                    writing.rest = Some(rest.clone());
                }
                let upload = writing.upload.as_ref();
                writing.held = upload.map(|u| u.parts.len());
                let open = Open::Parts {
                    bucket,
                    key: writing.key.clone(),
                    upload: upload.map(|u| u.id.clone()),
                    parts: upload.map(|u| u.parts.clone()).unwrap_or_default(),
                    size: upload.map_or(0, |u| u.size),
                    rest,
                    remove: writing.remove.clone(),
                };
                items.push(payload::encode(&open, body));
            }
            self.open.insert(id, writing);
        }
        Ok((std::mem::take(&mut self.ready), items))
    }
}

/// Joins parts of a key.
pub(crate) fn join(a: &str, b: &str) -> String {
    if a.is_empty() { b.to_owned() } else { format!("{a}/{b}") }
}

/// `d/x.json` and `rest`: `d/x-rest.json`.
fn beside(key: &str, what: &str) -> String {
    let (directory, name) = key.rsplit_once('/').map_or(("", key), |(d, n)| (d, n));
    let named = match name.split_once('.') {
        Some((stem, ending)) => format!("{stem}-{what}.{ending}"),
        None => format!("{name}-{what}"),
    };
    join(directory, &named)
}
