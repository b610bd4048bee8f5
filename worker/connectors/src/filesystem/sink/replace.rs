//! `INSERT OVERWRITE`: everything stays staged until the job ends; what it commits then takes the
//! place of the files that are there, which go last.
//!
//! What always holds: only files that the last checkpoint lists are removed, and none before the new
//! ones are there, so that a job that fails, is stopped or rolled back leaves the old rows. (One that
//! overwrites is not drained: `JobGraph::replaces`.)
//!
//! A job may read what it overwrites, and its source lists the files once. One that comes later holds
//! rows that nobody has read: only files go that were there when the job began. The sink lists them as
//! its first act and keeps that through every checkpoint. Nothing orders that listing and the source's,
//! which may be the earlier one by a moment; so a file that was modified since the program was planned,
//! which comes before both, stays as well. Whoever writes into the directory meanwhile then finds rows
//! twice, which is told, and never none.
//!
//! A roll-back has to keep a commit that comes late from removing anything. It takes back what the last
//! checkpoint alone has staged, so every removal names a file of those, and is lost without it. Where
//! there is none (no rows, or all of them in earlier checkpoints, which an upload outlives), an empty
//! file is made for that, by a name that readers pass over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use weir_engine::EngineError;
use weir_protocol::Term;
use xxhash_rust::xxh3::xxh3_64;

use super::local;
use super::payload::{self, Commit, Inventory};
use super::remote::join;
use super::stage::{FileId, FileName, Stage};
use crate::filesystem::list::Place;
use crate::filesystem::location::{Location, Root};
use crate::filesystem::position::FileInfo;

/// Files that one committable removes at most.
const FILES: usize = 500;
/// New files that are looked for before old ones are removed, at most: the order of commits sees to it
/// that all are there, and these to it that they were not taken back.
const BY: usize = 16;
/// How the name of a file begins that is there for that alone.
const WITNESS: &str = "_overwritten-";

/// A stage whose files are committed at the job's end.
pub(crate) struct Replacing {
    inner: Box<dyn Stage>,
    term: Term,
    /// The sink's own.
    place: Place,
    /// The directory whose files all go; none: directories that rows are written to.
    whole: Option<String>,
    /// What says that a partition is whole: it comes when the old files are gone.
    mark: Option<String>,
    /// When the program was planned, in milliseconds.
    planned_ms: i64,
    /// Files that were there when the job began, by their hashes.
    there: BTreeSet<u64>,
    /// Commits of earlier checkpoints, as items of the next one.
    held: Vec<Bytes>,
    /// Names of files that this subtask has made.
    own: BTreeSet<String>,
}

impl Replacing {
    pub(crate) fn new(
        inner: Box<dyn Stage>,
        term: Term,
        place: Place,
        whole: Option<String>,
        mark: Option<String>,
        planned_ms: i64,
    ) -> Self {
        let (there, held, own) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        Self { inner, term, place, whole, mark, planned_ms, there, held, own }
    }

    /// Where the sink writes, as its files' names begin.
    fn root(&self) -> String {
        format!("{}/", self.place.location.to_string().trim_end_matches('/'))
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

    /// Whether an earlier checkpoint has it as well, to which a roll-back may go.
    fn is_held(commit: &Commit) -> bool {
        match commit {
            Commit::Link { held, .. } => *held,
            Commit::Complete { held, .. } => held.is_some(),
            Commit::Replace { .. } => false,
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

    /// Of what is there, what was when the job began.
    fn began_with(&self, files: Vec<FileInfo>, directory: &str) -> Vec<FileInfo> {
        let (old, new): (Vec<FileInfo>, Vec<FileInfo>) =
            files.into_iter().partition(|file| self.there.contains(&hash(file)));
        if let Some(first) = new.first() {
            tracing::warn!(
                place = %self.place.location,
                directory,
                first = %first.path,
                files = new.len(),
                "files came or changed while the job ran that overwrites this directory; they stay, since the job may not have read them"
            );
        }
        old
    }

    /// All that was held, then what it takes the place of, then what says that it is whole.
    async fn publish(&mut self, last: Vec<Commit>) -> Result<Vec<Commit>, EngineError> {
        let root = self.root();
        let (mut commits, mut marks) = (Vec::new(), Vec::new());
        let mut directories: BTreeMap<String, By> = BTreeMap::new();
        let held = std::mem::take(&mut self.held);
        let held = held.iter().map(|item| Ok(payload::decode::<Commit>(item)?.0));
        let held: Vec<Commit> = held.collect::<Result<_, EngineError>>()?;
        for commit in held.into_iter().chain(last) {
            let Some((target, size)) = Self::target(&commit) else { continue };
            self.own.insert(target.clone());
            if self.is_mark(&target) {
                marks.push(commit);
                continue;
            }
            let relative = target.strip_prefix(&root).ok_or_else(|| {
                EngineError::internal(format!("{target} is not below {root}, which it overwrites"))
            })?;
            let directory = match &self.whole {
                Some(whole) => whole.as_str(),
                None => relative.rsplit_once('/').map_or("", |(directory, _)| directory),
            };
            let by = directories.entry(directory.to_owned()).or_default();
            if Self::is_held(&commit) {
                by.held.push((target, size));
            } else {
                by.fresh.push((target, size));
            }
            commits.push(commit);
        }
        if let Some(whole) = &self.whole {
            directories.entry(whole.clone()).or_default();
        }
        for (directory, by) in directories {
            let mut files = self.below(&directory).list().await?.unwrap_or_default();
            files.retain(|file| !self.own.contains(&file.path));
            let files = self.began_with(files, &directory);
            if files.is_empty() {
                continue;
            }
            let By { mut fresh, held } = by;
            if fresh.is_empty() {
                let name = format!("{WITNESS}{}", super::fresh(self.term));
                self.inner.mark(&directory, &name).await?;
                let (witness, _) = self.inner.barrier(Vec::new(), true).await?;
                fresh.extend(witness.iter().filter_map(Self::target));
                commits.extend(witness);
            }
            let by: Vec<(String, u64)> = fresh.into_iter().chain(held).take(BY).collect();
            for files in files.chunks(FILES) {
                commits.push(Commit::Replace { files: files.to_vec(), by: by.clone() });
            }
        }
        commits.append(&mut marks);
        Ok(commits)
    }
}

/// New files of a directory, with their sizes.
#[derive(Default)]
struct By {
    /// Those that no checkpoint but the last has.
    fresh: Vec<(String, u64)>,
    held: Vec<(String, u64)>,
}

/// What a file is known by among those that were there: its name and what tells that it is still the
/// same one. Stored, so never another function; eight bytes, since there may be very many.
fn hash(file: &FileInfo) -> u64 {
    // Text and numbers always serialise.
    xxh3_64(&serde_json::to_vec(file).unwrap_or_default())
}

#[async_trait]
impl Stage for Replacing {
    async fn begin(&mut self) -> Result<(), EngineError> {
        self.inner.begin().await?;
        let directory = self.whole.clone().unwrap_or_default();
        let files = self.below(&directory).list().await?.unwrap_or_default();
        let old = files.iter().filter(|file| file.modified_ns / 1_000_000 <= self.planned_ms);
        self.there = old.map(hash).collect();
        Ok(())
    }

    async fn restore(&mut self, item: Bytes) -> Result<(), EngineError> {
        if let Ok((Inventory::There, hashes)) = payload::decode(&item) {
            let hashes = hashes.as_chunks::<8>().0;
            self.there = hashes.iter().map(|hash| u64::from_le_bytes(*hash)).collect();
            return Ok(());
        }
        let Ok((mut commit, _)) = payload::decode::<Commit>(&item) else {
            return self.inner.restore(item).await;
        };
        if let Some((target, _)) = Self::target(&commit)
            && !target.starts_with(&self.root())
        {
            return Err(EngineError::user(format!(
                "filesystem sink: the checkpoint holds {target} for the job's end, and 'path' now names {}; let the job begin anew after changing 'path'",
                self.place.location
            )));
        }
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
        self.held.push(payload::encode(&commit, &[]));
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
        if ended {
            return Ok((self.publish(commits).await?, items));
        }
        for mut commit in commits {
            // A checkpoint names it from here on.
            match &mut commit {
                Commit::Link { held, .. } => *held = true,
                Commit::Complete { held, parts, .. } => *held = Some(parts.len()),
                Commit::Replace { .. } => {}
            }
            self.held.push(payload::encode(&commit, &[]));
        }
        items.extend(self.held.iter().cloned());
        let there: Vec<u8> = self.there.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        items.push(payload::encode(&Inventory::There, &there));
        Ok((Vec::new(), items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_hash_for_ever_by_which_checkpoints_know_it() {
        let local = FileInfo { path: "/out/a".into(), size: 7, modified_ns: 9, etag: None };
        assert_eq!(hash(&local), 7_411_217_567_948_392_608);
        let remote = FileInfo { path: "s3://b/a".into(), etag: Some("e".into()), ..local };
        assert_eq!(hash(&remote), 17_326_738_342_102_684_352);
    }
}
