//! What a worker keeps of the job's segments, so that a recovery or a rescale loads from the
//! store only what is not here.
//!
//! What enters: objects that this worker wrote, parts of objects that it read. What leaves: bytes
//! of an object, or nothing.
//!
//! An entry mirrors an object of the store: the same bytes at the same offsets, with holes where
//! nothing was read yet. Whether a piece is what it should be is for the reader's checksums to
//! say, so there is no index that could be wrong: a hole, a file that a crash tore and a disk
//! that lies are all the same, a miss.
//!
//! What always holds:
//! - No more bytes than the budget. Objects that are written push out what was not used for
//!   longest; objects that are read only take what room there is, for they can be read again, and
//!   a restore that is larger than the budget must not push out what it will want next.
//! - Nothing here is ever an error: what cannot be kept is not kept.
//!
//! Where it lies: in a folder where the worker has one that outlives its process (a pod's
//! `emptyDir`), since then a crash costs nothing either, and the kernel's page cache is a layer in
//! memory that gives way under pressure. Without a folder, in memory, within a share of its own
//! beside the pools of state and exchange. There is no layer of one above the other: it would
//! hold the same bytes twice.
//!
//! Deliberately absent: objects outside the job's folder. They are read once, before the first
//! checkpoint replaces them.

mod folder;
mod memory;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::manifest::is_foreign;
use crate::store::joined;
use folder::Folder;
use memory::Memory;

/// A worker's cache of segments; clones share it. The default one keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct SegmentCache(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    shelf: Shelf,
    book: Mutex<Book>,
    hits: AtomicU64,
    misses: AtomicU64,
    pushed_out: AtomicU64,
}

#[derive(Debug)]
enum Shelf {
    Memory(Memory),
    Folder(Arc<Folder>),
}

/// What the cache holds and what it has been good for, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheUse {
    /// Held now.
    pub held: u64,
    /// Read from here instead of from the store.
    pub hits: u64,
    /// Read from the store.
    pub misses: u64,
    /// Objects that others have pushed out; a number, not bytes.
    pub pushed_out: u64,
}

impl SegmentCache {
    /// A cache that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A cache in memory.
    #[must_use]
    pub fn in_memory(budget: u64) -> Self {
        Self::new(Shelf::Memory(Memory::default()), Book::new(budget, Vec::new()))
    }

    /// A cache of files in `folder`, which goes on with what an earlier process left there. The
    /// folder belongs to it alone.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn in_folder(folder: &Path, budget: u64) -> std::io::Result<Self> {
        let (folder, found) = Folder::open(folder)?;
        let folder = Arc::new(folder);
        let mut book = Book::new(budget, found);
        for object in book.shrink(0) {
            folder.remove(&object);
        }
        Ok(Self::new(Shelf::Folder(folder), book))
    }

    fn new(shelf: Shelf, book: Book) -> Self {
        Self(Some(Arc::new(Inner {
            shelf,
            book: Mutex::new(book),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            pushed_out: AtomicU64::new(0),
        })))
    }

    /// Whether it keeps anything at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// What it holds and has been good for.
    #[must_use]
    pub fn usage(&self) -> CacheUse {
        let Some(inner) = &self.0 else { return CacheUse::default() };
        CacheUse {
            held: inner.book().held,
            hits: inner.hits.load(Ordering::Relaxed),
            misses: inner.misses.load(Ordering::Relaxed),
            pushed_out: inner.pushed_out.load(Ordering::Relaxed),
        }
    }

    /// Keeps a new object, at the cost of those that were not used for longest.
    pub async fn put(&self, object: &str, bytes: Bytes) {
        let Some(inner) = self.of(object) else { return };
        let Some(pushed_out) = inner.book().admit(object, bytes.len() as u64) else { return };
        inner.push_out(pushed_out).await;
        inner.write(object, 0, bytes).await;
    }

    /// Keeps a part of an object that was read, if there is room without pushing out anything
    /// that this process has used. False when there is none.
    pub async fn fill(&self, object: &str, offset: u64, bytes: Bytes) -> bool {
        let Some(inner) = self.of(object) else { return false };
        let Some(pushed_out) = inner.book().admit_aside(object, bytes.len() as u64) else {
            return false;
        };
        inner.push_out(pushed_out).await;
        inner.write(object, offset, bytes).await;
        true
    }

    /// Pieces of an object, as far as they may be here; to be checked by the caller, who says
    /// with [`SegmentCache::used`] what they were worth.
    pub(crate) async fn get(&self, object: &str, pieces: &[Range<u64>]) -> Vec<Option<Bytes>> {
        let known = self.of(object).filter(|inner| inner.book().touch(object));
        match known.map(|inner| &inner.shelf) {
            None => vec![None; pieces.len()],
            Some(Shelf::Memory(memory)) => memory.get(object, pieces),
            Some(Shelf::Folder(folder)) => {
                let (folder, name, wanted) =
                    (Arc::clone(folder), object.to_owned(), pieces.to_vec());
                let read =
                    joined(tokio::task::spawn_blocking(move || folder.get(&name, &wanted))).await;
                read.unwrap_or_else(|_| vec![None; pieces.len()])
            }
        }
    }

    /// Counts bytes that were here, and bytes that were not.
    pub(crate) fn used(&self, hits: u64, misses: u64) {
        if let Some(inner) = &self.0 {
            inner.hits.fetch_add(hits, Ordering::Relaxed);
            inner.misses.fetch_add(misses, Ordering::Relaxed);
        }
    }

    /// Drops objects that the head no longer lists.
    pub async fn forget(&self, objects: &[String]) {
        let Some(inner) = &self.0 else { return };
        let known: Vec<String> = {
            let mut book = inner.book();
            objects.iter().filter(|object| book.remove(object)).cloned().collect()
        };
        inner.remove(known).await;
    }

    /// What the next process finds of a folder that this one had when it crashed, in memory: the
    /// same objects, none of them used, and with a hole in each that `is_torn`. Simulations have
    /// no folders, since the order of what their threads do is nobody's to decide.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn after_crash(&self, is_torn: impl FnMut(&str) -> bool) -> Self {
        let Some(Inner { shelf: Shelf::Memory(memory), book, .. }) = self.0.as_deref() else {
            return Self::none();
        };
        let book = book.lock().unwrap_or_else(PoisonError::into_inner);
        let found = book.entries.iter().map(|(object, entry)| (object.clone(), entry.bytes));
        let memory = memory.after_crash(is_torn);
        Self::new(Shelf::Memory(memory), Book::new(book.budget, found.collect()))
    }

    fn of(&self, object: &str) -> Option<&Inner> {
        self.0.as_deref().filter(|_| !is_foreign(object))
    }
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, object: &str, offset: u64, bytes: Bytes) {
        match &self.shelf {
            Shelf::Memory(memory) => memory.write(object, offset, bytes),
            Shelf::Folder(folder) => {
                let (folder, name) = (Arc::clone(folder), object.to_owned());
                let write = move || folder.write(&name, offset, &bytes);
                let written = joined(tokio::task::spawn_blocking(write)).await;
                if !matches!(written, Ok(Ok(()))) {
                    tracing::warn!(?written, object, "a segment cannot be cached");
                    self.book().remove(object);
                    self.remove(vec![object.to_owned()]).await;
                }
            }
        }
    }

    async fn push_out(&self, objects: Vec<String>) {
        self.pushed_out.fetch_add(objects.len() as u64, Ordering::Relaxed);
        self.remove(objects).await;
    }

    async fn remove(&self, objects: Vec<String>) {
        match &self.shelf {
            Shelf::Memory(memory) => objects.iter().for_each(|object| memory.remove(object)),
            Shelf::Folder(_) if objects.is_empty() => {}
            Shelf::Folder(folder) => {
                let folder = Arc::clone(folder);
                let remove = move || objects.iter().for_each(|object| folder.remove(object));
                tokio::task::spawn_blocking(remove).await.ok();
            }
        }
    }
}

/// Which objects are here, how large they are, and when each was used.
#[derive(Debug)]
struct Book {
    budget: u64,
    held: u64,
    /// Uses so far.
    uses: u64,
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    bytes: u64,
    /// Its last use; 0 for what an earlier process left and this one has not used.
    used: u64,
}

impl Book {
    fn new(budget: u64, found: Vec<(String, u64)>) -> Self {
        let held = found.iter().map(|(_, bytes)| bytes).sum();
        let entries = found.into_iter().map(|(object, bytes)| (object, Entry { bytes, used: 0 }));
        Self { budget, held, uses: 0, entries: entries.collect() }
    }

    /// Makes room for `bytes` of an object, and says which others have to go for it; `None` when
    /// they never fit.
    fn admit(&mut self, object: &str, bytes: u64) -> Option<Vec<String>> {
        if bytes > self.budget {
            return None;
        }
        self.touch(object);
        let pushed_out = self.shrink(bytes);
        self.add(object, bytes);
        Some(pushed_out)
    }

    /// The same, but only what this process has never used may go.
    fn admit_aside(&mut self, object: &str, bytes: u64) -> Option<Vec<String>> {
        self.touch(object);
        let unused: u64 = self.entries.values().filter(|e| e.used == 0).map(|e| e.bytes).sum();
        if self.held - unused + bytes > self.budget {
            return None;
        }
        let pushed_out = self.shrink(bytes);
        self.add(object, bytes);
        Some(pushed_out)
    }

    fn add(&mut self, object: &str, bytes: u64) {
        self.uses += 1;
        let used = self.uses;
        let entry = self.entries.entry(object.to_owned()).or_insert(Entry { bytes: 0, used });
        entry.bytes += bytes;
        entry.used = used;
        self.held += bytes;
    }

    /// Takes out what was not used for longest until `more` bytes fit.
    fn shrink(&mut self, more: u64) -> Vec<String> {
        let mut pushed_out = Vec::new();
        while self.held + more > self.budget {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(object) = oldest.map(|(object, _)| object.clone()) else { break };
            self.remove(&object);
            pushed_out.push(object);
        }
        pushed_out
    }

    /// Notes a use; false when the object is not here.
    fn touch(&mut self, object: &str) -> bool {
        self.uses += 1;
        let used = self.uses;
        self.entries.get_mut(object).map(|entry| entry.used = used).is_some()
    }

    /// False when it was not here.
    fn remove(&mut self, object: &str) -> bool {
        match self.entries.remove(object) {
            Some(entry) => {
                self.held -= entry.bytes;
                true
            }
            None => false,
        }
    }
}
