//! Stages in files beside the final ones: written and synced under `.staging/`, linked to the
//! final name by the committer.
//!
//! A zombie of an earlier term can only append to staging files of its own: a restore copies
//! the part that its checkpoint names into a new file.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use weir_engine::EngineError;
use weir_protocol::Term;

use super::payload::{self, Commit, INLINE, Open, Piece};
use super::stage::{FileId, FileName, Stage};
use super::{STAGING, fresh};
use crate::filesystem::fault::{check_directory, local_error};

pub(crate) struct LocalStage {
    root: PathBuf,
    term: Term,
    open: BTreeMap<FileId, Writing>,
    ready: Vec<Commit>,
    /// Staging directories with names that are not synced yet.
    unsynced: bool,
}

struct Writing {
    file: File,
    staging: PathBuf,
    target: PathBuf,
    len: u64,
    synced: u64,
    /// A checkpoint names it.
    held: bool,
    /// Footers of earlier barriers; older checkpoints may still need them.
    footers: Vec<String>,
}

fn failed(what: &str, path: &Path) -> impl Fn(io::Error) -> EngineError {
    let (path, what) = (path.to_owned(), what.to_owned());
    move |error| local_error(&path, &what, &error)
}

impl LocalStage {
    pub(crate) fn new(root: PathBuf, term: Term) -> Self {
        Self { root, term, open: BTreeMap::new(), ready: Vec::new(), unsynced: false }
    }

    fn create(&mut self, name: &str) -> Result<(File, PathBuf), EngineError> {
        check_directory(&self.root, &self.root)?;
        let directory = self.root.join(STAGING);
        // Neither our own source nor a `*.json` finds a name that ends so.
        let path = directory.join(format!("{name}.inprogress"));
        fs::create_dir_all(&directory).map_err(failed("create the directory", &directory))?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        self.unsynced = true;
        Ok((file.map_err(failed("create the file", &path))?, path))
    }

    fn sync_directory(&mut self) -> Result<(), EngineError> {
        if std::mem::take(&mut self.unsynced) {
            let directory = self.root.join(STAGING);
            sync_directory(&directory).map_err(failed("sync", &directory))?;
        }
        Ok(())
    }

    /// The file of an item, whole, under a name of this term.
    fn copy(
        &mut self,
        staging: &Path,
        name: &str,
        len: u64,
        footer: &[u8],
    ) -> Result<PathBuf, EngineError> {
        let (mut file, path) = self.create(&format!("{name}.{}", fresh(self.term)))?;
        let copied = File::open(staging).and_then(|from| {
            let copied = io::copy(&mut from.take(len), &mut file)?;
            file.write_all(footer)?;
            file.sync_data()?;
            Ok(copied)
        });
        match copied {
            Ok(copied) if copied == len => Ok(path),
            Ok(copied) => Err(EngineError::external(format!(
                "SinkCommitLost: {}: holds {copied} bytes, the checkpoint says {len}; rows written before it are lost unless the file is brought back",
                staging.display()
            ))),
            Err(error) => Err(failed("copy what the checkpoint names", staging)(error)),
        }
    }
}

/// Makes names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[async_trait]
impl Stage for LocalStage {
    async fn restore(&mut self, item: Bytes) -> Result<(), EngineError> {
        let (open, body): (Open, Bytes) = payload::decode(&item)?;
        let Open::Local { staging, target, len, footer, mut remove } = open else {
            return Err(EngineError::user(
                "filesystem sink: the checkpoint holds open files in a bucket, and 'path' is now local; stop with a savepoint before changing 'path'",
            ));
        };
        if Path::new(&target).exists() {
            // Only after going back to an older checkpoint: its rows are visible since.
            tracing::warn!(%target, "a file that was open at the checkpoint is committed already; it is left as it is");
            return Ok(());
        }
        let footer = match footer {
            Piece::Empty => Bytes::new(),
            Piece::Inline => body,
            Piece::Staged { name, .. } => {
                let bytes = fs::read(&name).map_err(failed("read", Path::new(&name)))?;
                remove.push(name);
                bytes.into()
            }
        };
        let name = Path::new(&target)
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let aside = aside(&staging);
        let from = if Path::new(&aside).exists() { &aside } else { &staging };
        let own = self.copy(Path::new(from), &name, len, &footer)?;
        remove.extend([staging, aside]);
        let size = len + footer.len() as u64;
        self.ready.push(Commit::Link { staging: text(&own)?, target, size, remove, held: false });
        Ok(())
    }

    async fn append(
        &mut self,
        file: FileId,
        name: &Arc<FileName>,
        data: Vec<u8>,
    ) -> Result<(), EngineError> {
        if !self.open.contains_key(&file) {
            // Before anything is written that could not be given its name.
            let directory = self.root.join(&name.directory);
            check_directory(&self.root, &directory)?;
            let (opened, staging) = self.create(&name.name)?;
            let target = directory.join(&name.name);
            let writing = Writing {
                file: opened,
                staging,
                target,
                len: 0,
                synced: 0,
                held: false,
                footers: Vec::new(),
            };
            self.open.insert(file, writing);
        }
        let Some(writing) = self.open.get_mut(&file) else {
            return Ok(());
        };
        writing.file.write_all(&data).map_err(failed("write", &writing.staging))?;
        writing.len += data.len() as u64;
        Ok(())
    }

    async fn roll(&mut self, file: FileId) -> Result<(), EngineError> {
        let Some(writing) = self.open.remove(&file) else {
            return Ok(());
        };
        writing.file.sync_data().map_err(failed("sync", &writing.staging))?;
        self.ready.push(Commit::Link {
            staging: text(&writing.staging)?,
            target: text(&writing.target)?,
            size: writing.len,
            remove: writing.footers,
            held: writing.held,
        });
        Ok(())
    }

    async fn mark(&mut self, directory: &str, name: &str) -> Result<(), EngineError> {
        let target = self.root.join(directory).join(name);
        if target.exists() {
            return Ok(());
        }
        let (file, staging) = self.create(&format!("{name}.{}", fresh(self.term)))?;
        file.sync_data().map_err(failed("sync", &staging))?;
        let (staging, target) = (text(&staging)?, text(&target)?);
        let remove = Vec::new();
        self.ready.push(Commit::Link { staging, target, size: 0, remove, held: false });
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
            let footer = footers.remove(&id).unwrap_or_default();
            let staged =
                if footer.len() > INLINE { Some(self.stage_footer(id, &footer)?) } else { None };
            let Some(writing) = self.open.get_mut(&id) else {
                continue;
            };
            writing.held = true;
            if writing.synced < writing.len {
                writing.file.sync_data().map_err(failed("sync", &writing.staging))?;
                writing.synced = writing.len;
            }
            let (piece, body) = match staged {
                Some(piece) => (piece, &[][..]),
                None if footer.is_empty() => (Piece::Empty, &[][..]),
                None => (Piece::Inline, &footer[..]),
            };
            let open = Open::Local {
                staging: text(&writing.staging)?,
                target: text(&writing.target)?,
                len: writing.len,
                footer: piece,
                remove: writing.footers.clone(),
            };
            items.push(payload::encode(&open, body));
        }
        self.sync_directory()?;
        Ok((std::mem::take(&mut self.ready), items))
    }
}

impl LocalStage {
    fn stage_footer(&mut self, id: FileId, footer: &[u8]) -> Result<Piece, EngineError> {
        let name = self
            .open
            .get(&id)
            .and_then(|w| w.staging.file_name())
            .map(|n| n.to_string_lossy().into_owned());
        let name = format!("{}.footer-{}", name.unwrap_or_default(), fresh(self.term));
        let (mut file, path) = self.create(&name)?;
        let written = file.write_all(footer).and_then(|()| file.sync_data());
        written.map_err(failed("write", &path))?;
        let path = text(&path)?;
        if let Some(writing) = self.open.get_mut(&id) {
            writing.footers.push(path.clone());
        }
        Ok(Piece::Staged { name: path, len: footer.len() as u64 })
    }
}

fn text(path: &Path) -> Result<String, EngineError> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        EngineError::user(format!(
            "{}: the path is not UTF-8; choose another 'path'",
            path.display()
        ))
    })
}

/// Where a discarded staging file lies that an older checkpoint still needs.
pub(crate) fn aside(staging: &str) -> String {
    format!("{staging}.discarded")
}

/// Takes a staged file away from every committer; what the committer does to discard. A file
/// that became visible goes too, since its rows come again.
pub(crate) fn discard(staging: &str, target: &str, size: u64, held: bool) -> io::Result<()> {
    let gone = |done: io::Result<()>| match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    };
    let visible = fs::metadata(target).is_ok_and(|found| found.len() == size);
    if held {
        let aside = aside(staging);
        gone(fs::rename(staging, &aside))?;
        if visible {
            gone(fs::rename(target, &aside))?;
        }
    }
    gone(fs::remove_file(staging))?;
    // Also after a rename: that of one link over another of the same file does nothing.
    if visible {
        gone(fs::remove_file(target))?;
    }
    let directories = [staging, target].map(|path| Path::new(path).parent());
    directories.into_iter().flatten().filter(|d| d.is_dir()).try_for_each(sync_directory)
}

/// Links a staged file to its final name; what the committer does. `Ok(false)`: the staging
/// file is gone.
pub(crate) fn link(staging: &Path, target: &Path) -> io::Result<bool> {
    if let Some(directory) = target.parent() {
        create_directories(directory)?;
    }
    match fs::hard_link(staging, target) {
        Ok(()) => {}
        // Linked before, perhaps without being synced.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        // A file system without links: nobody else ever makes this name, so nothing is replaced.
        Err(_) if !target.exists() => fs::rename(staging, target)?,
        Err(error) => return Err(error),
    }
    if let Some(directory) = target.parent() {
        sync_directory(directory)?;
    }
    Ok(true)
}

/// `create_dir_all` with every new name synced in its parent.
fn create_directories(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        create_directories(parent)?;
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_directory(parent)?,
        }
    }
    Ok(())
}
