//! State in a local directory.
//!
//! A create is: write under a temporary name, sync, link to the final name (which fails when
//! that is taken), sync the directory. So a name appears whole or not at all, one of several
//! creators wins, and what was answered survives a power loss.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Created, ErrorKind, Store, StoreError};
use crate::Nonces;

/// Temporary files live here, below the root, out of every listing.
const TEMP: &str = ".tmp";

/// The result of work on another thread. Never, when the work was cancelled: only a runtime that
/// is shut down does that, and then whoever waits is about to be dropped too. An error would be
/// told as a failing store in the last moments of every short run.
pub(crate) async fn joined<T>(
    work: tokio::task::JoinHandle<T>,
) -> Result<T, tokio::task::JoinError> {
    match work.await {
        Err(error) if error.is_cancelled() => std::future::pending().await,
        done => done,
    }
}

/// The calls that a local store makes; a seam for the test that cuts the power between them.
pub trait Disk: Send + Sync + std::fmt::Debug + 'static {
    /// Makes a directory and those above it.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Writes a new file; nothing is durable yet.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Makes a file's content durable.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// A second name for a file; fails when the name is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Moves a file over whatever has the name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a name away.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// A file's bytes.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Part of a file.
    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>>;
    /// Files and directories in a directory: path, and whether it is a directory.
    fn entries(&self, path: &Path) -> io::Result<Vec<(PathBuf, bool)>>;
}

/// The machine's file system.
#[derive(Clone, Copy, Debug)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(path, bytes)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        std::fs::File::open(path)?.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::File::open(path)?.sync_all()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(range.start))?;
        let len = usize::try_from(range.end.saturating_sub(range.start))
            .map_err(|_| io::Error::other("range too long"))?;
        let mut bytes = vec![0; len];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
        std::fs::read_dir(path)?
            .map(|entry| {
                let entry = entry?;
                Ok((entry.path(), entry.file_type()?.is_dir()))
            })
            .collect()
    }
}

/// A store in a directory that one machine's processes share.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: Arc<PathBuf>,
    disk: Arc<dyn Disk>,
    nonces: Nonces,
}

impl LocalStore {
    /// Opens a directory, making it when needed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: PathBuf) -> Result<Self, StoreError> {
        Self::with_disk(root, Arc::new(SystemDisk))
    }

    /// The same over other calls than the machine's.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn with_disk(root: PathBuf, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let store = Self { root: Arc::new(root), disk, nonces: Nonces::random() };
        let temp = store.root.join(TEMP);
        store
            .disk
            .create_dir_all(&temp)
            .and_then(|()| store.disk.sync_dir(&store.root))
            .map_err(|e| store.error("open", "", &e))?;
        Ok(store)
    }

    fn error(&self, operation: &'static str, name: &str, error: &io::Error) -> StoreError {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::Definite
            }
            _ => ErrorKind::Ambiguous,
        };
        StoreError {
            operation,
            object: self.root.join(name).display().to_string(),
            problem: error.to_string(),
            kind,
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: &str,
        work: impl FnOnce(&Self, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.path(name).map_err(|e| self.error(operation, name, &e))?;
        let store = self.clone();
        joined(tokio::task::spawn_blocking(move || work(&store, &path)))
            .await
            .unwrap_or_else(|e| Err(io::Error::other(e)))
            .map_err(|e| self.error(operation, name, &e))
    }

    /// Refuses names that would leave the root or hide among the temporary files. The empty
    /// name, which no object can have, is the root, to list it.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        if name.is_empty() {
            return Ok(self.root.to_path_buf());
        }
        let fine = name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        if fine {
            Ok(self.root.join(name))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a name of an object"))
        }
    }

    /// Makes the directory of `path` and makes its name durable, level by level.
    fn make_parent(&self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        if self.disk.entries(parent).is_ok() {
            return Ok(());
        }
        self.make_parent(parent)?;
        self.disk.create_dir_all(parent)?;
        parent.parent().map_or(Ok(()), |above| self.disk.sync_dir(above))
    }

    /// Writes and syncs under a temporary name, then lets `settle` give it its own.
    fn write_then<T>(
        &self,
        path: &Path,
        bytes: &[u8],
        settle: impl FnOnce(&Path) -> io::Result<T>,
    ) -> io::Result<T> {
        self.make_parent(path)?;
        let temp = self.root.join(TEMP).join(self.nonces.draw().to_string());
        let result = self
            .disk
            .write(&temp, bytes)
            .and_then(|()| self.disk.sync_file(&temp))
            .and_then(|()| settle(&temp));
        // Already gone after a rename; a left-over is out of every listing.
        self.disk.remove(&temp).ok();
        let result = result?;
        path.parent().map_or(Ok(()), |parent| self.disk.sync_dir(parent))?;
        Ok(result)
    }

    fn walk(&self, folder: &Path, names: &mut Vec<String>) -> io::Result<()> {
        let entries = match self.disk.entries(folder) {
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Ok(());
            }
            other => other?,
        };
        for (path, is_dir) in entries {
            if path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')) {
                continue;
            }
            if is_dir {
                self.walk(&path, names)?;
            } else if let Ok(relative) = path.strip_prefix(self.root.as_path()) {
                names.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Store for LocalStore {
    fn address(&self) -> String {
        self.root.display().to_string()
    }

    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.blocking("create", name, move |store, path| {
            store.write_then(path, &bytes, |temp| match store.disk.link(temp, path) {
                Ok(()) => Ok(Created::Created),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Created::AlreadyExists),
                Err(e) => Err(e),
            })
        })
        .await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.blocking("write", name, move |store, path| {
            store.write_then(path, &bytes, |temp| store.disk.rename(temp, path))
        })
        .await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        match self.blocking("read", name, |store, path| store.disk.read(path)).await {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(e) if e.kind == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.blocking("read", name, |store, path| store.disk.read_range(path, range))
            .await
            .map(Bytes::from)
    }

    async fn get_ranges(
        &self,
        name: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StoreError> {
        let ranges = ranges.to_vec();
        self.blocking("read", name, move |store, path| {
            let read = |range| store.disk.read_range(path, range).map(Bytes::from);
            ranges.into_iter().map(read).collect()
        })
        .await
    }

    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
    ) -> Result<Vec<String>, StoreError> {
        let mut names = self
            .blocking("list", prefix, |store, path| {
                let mut names = Vec::new();
                store.walk(path, &mut names)?;
                Ok(names)
            })
            .await?;
        if let Some(after) = start_after {
            names.retain(|name| name.as_str() > after);
        }
        names.sort_unstable();
        Ok(names)
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let deleted = self.blocking("delete", name, |store, path| {
            store.disk.remove(path)?;
            path.parent().map_or(Ok(()), |parent| store.disk.sync_dir(parent))
        });
        match deleted.await {
            Err(e) if e.kind == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}
