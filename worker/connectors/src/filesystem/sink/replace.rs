//! `INSERT OVERWRITE`: everything stays staged until the job ends; what it commits then takes the
//! place of the files that are there, which go last.
//!
//! What always holds: no file goes that the job's own checkpoint does not name, and none before the
//! new ones are there, so that a job that fails, is stopped or rolled back leaves the old rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use weir_engine::EngineError;

use super::local;
use super::payload::{self, Commit};
use super::remote::join;
use super::stage::{FileId, FileName, Stage};
use crate::filesystem::list::Place;
use crate::filesystem::location::{Location, Root};

/// Files that one committable removes at most.
const FILES: usize = 500;
/// New files that are looked for before old ones are removed, at most.
const BY: usize = 16;

/// A stage whose files are committed at the job's end.
pub(crate) struct Replacing {
    inner: Box<dyn Stage>,
    /// The sink's own.
    place: Place,
    /// The directory whose files all go; none: directories that rows are written to.
    whole: Option<String>,
    /// What says that a partition is whole: it comes when the old files are gone.
    mark: Option<String>,
    held: Vec<Commit>,
    /// Names of files that this subtask has made.
    own: BTreeSet<String>,
}

impl Replacing {
    pub(crate) fn new(
        inner: Box<dyn Stage>,
        place: Place,
        whole: Option<String>,
        mark: Option<String>,
    ) -> Self {
        Self { inner, place, whole, mark, held: Vec::new(), own: BTreeSet::new() }
    }

    /// A file's name, as listings write it, and its size.
    fn target(commit: &Commit) -> Option<(String, u64)> {
        match commit {
            Commit::Link { target, size, .. } => Some((target.clone(), *size)),
            Commit::Complete { bucket, key, size, .. } => {
                Some((format!("s3://{bucket}/{key}"), *size))
            }
            Commit::Replace { .. } => None,
        }
    }

    fn is_mark(&self, target: &str) -> bool {
        let name = target.rsplit('/').next();
        self.mark.as_deref().is_some_and(|mark| name == Some(mark))
    }

    /// What is there below a directory of the sink.
    fn below(&self, directory: &str) -> Place {
        let root = match &self.place.location.root {
            Root::Local(root) => Root::Local(root.join(directory)),
            Root::Remote { bucket, key } => {
                let key = if directory.is_empty() { key.clone() } else { join(key, directory) };
                Root::Remote { bucket: bucket.clone(), key }
            }
        };
        let location = Location { root, pattern: Vec::new() };
        Place { location, store: self.place.store.clone(), regex: None }
    }

    /// All that was held, then what it takes the place of, then what says that it is whole.
    async fn publish(&mut self) -> Result<Vec<Commit>, EngineError> {
        let root = format!("{}/", self.place.location.to_string().trim_end_matches('/'));
        let (mut commits, mut marks) = (Vec::new(), Vec::new());
        let mut directories: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
        for commit in std::mem::take(&mut self.held) {
            let Some((target, size)) = Self::target(&commit) else { continue };
            self.own.insert(target.clone());
            if self.is_mark(&target) {
                marks.push(commit);
                continue;
            }
            let directory = match (&self.whole, target.strip_prefix(&root)) {
                (Some(whole), _) => whole.clone(),
                (None, relative) => {
                    let parts = relative.and_then(|relative| relative.rsplit_once('/'));
                    parts.map_or_else(String::new, |(directory, _)| directory.to_owned())
                }
            };
            let by = directories.entry(directory).or_default();
            if by.len() < BY {
                by.push((target, size));
            }
            commits.push(commit);
        }
        if let Some(whole) = &self.whole {
            directories.entry(whole.clone()).or_default();
        }
        for (directory, by) in directories {
            let mut files = self.below(&directory).list().await?.unwrap_or_default();
            files.retain(|file| !self.own.contains(&file.path));
            for files in files.chunks(FILES) {
                commits.push(Commit::Replace { files: files.to_vec(), by: by.clone() });
            }
        }
        commits.append(&mut marks);
        Ok(commits)
    }
}

#[async_trait]
impl Stage for Replacing {
    async fn restore(&mut self, item: Bytes) -> Result<(), EngineError> {
        let Ok((mut commit, _)) = payload::decode::<Commit>(&item) else {
            return self.inner.restore(item).await;
        };
        if let Commit::Link { staging, target, .. } = &mut commit {
            // Where a roll-back has put it that dropped a later point.
            let aside = local::aside(staging);
            if !Path::new(staging).exists() && Path::new(&aside).exists() {
                *staging = aside;
            }
            if !Path::new(staging).exists() && !Path::new(target).exists() {
                return Err(EngineError::external(format!(
                    "SinkCommitLost: {staging}: the checkpoint names it and it is gone; rows written before the checkpoint are lost unless it is brought back"
                )));
            }
        }
        self.held.push(commit);
        Ok(())
    }

    async fn append(
        &mut self,
        file: FileId,
        name: &Arc<FileName>,
        data: Vec<u8>,
    ) -> Result<(), EngineError> {
        self.inner.append(file, name, data).await
    }

    async fn mark(&mut self, directory: &str, name: &str) -> Result<(), EngineError> {
        self.inner.mark(directory, name).await
    }

    async fn roll(&mut self, file: FileId) -> Result<(), EngineError> {
        self.inner.roll(file).await
    }

    async fn barrier(
        &mut self,
        footers: Vec<(FileId, Vec<u8>)>,
        ended: bool,
    ) -> Result<(Vec<Commit>, Vec<Bytes>), EngineError> {
        let (commits, mut items) = self.inner.barrier(footers, ended).await?;
        self.held.extend(commits);
        if ended {
            return Ok((self.publish().await?, items));
        }
        for commit in &mut self.held {
            // A checkpoint names it from here on.
            match commit {
                Commit::Link { held, .. } => *held = true,
                Commit::Complete { held, parts, .. } => *held = Some(parts.len()),
                Commit::Replace { .. } => {}
            }
            items.push(payload::encode(commit, &[]));
        }
        Ok((Vec::new(), items))
    }
}
