//! Every store that needs no network passes one suite; a local one survives a power cut.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use weir_checkpoint::store::testing::{MemoryStore, conformance};
use weir_checkpoint::store::{
    Created, Disk, LocalStore, ObjectStore, ProbeError, StoreOptions, open, probe,
};
use weir_checkpoint::{Nonces, Store, StoreError};

#[tokio::test]
async fn memory_conforms() {
    conformance(Arc::new(MemoryStore::new())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_local_directory_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
    conformance(store).await.unwrap();
    let url = format!("file://{}/below", dir.path().display());
    conformance(open(&url, &StoreOptions::default()).unwrap()).await.unwrap();
}

#[tokio::test]
async fn the_object_store_client_conforms() {
    let client = Arc::new(object_store::memory::InMemory::new());
    conformance(Arc::new(ObjectStore::new(client, "s3://bucket".into()))).await.unwrap();
}

#[test]
fn addresses_that_lead_nowhere_say_what_to_write() {
    let error = |address: &str| open(address, &StoreOptions::default()).unwrap_err().to_string();
    assert!(error("gs://x").contains("write a path, file:///path or s3://bucket/prefix"));
    assert!(error("s3://").contains("the bucket is missing"));
}

/// A store that takes every create.
#[derive(Debug)]
struct Careless(MemoryStore, bool);

#[async_trait]
impl Store for Careless {
    fn address(&self) -> String {
        "s3://my-bucket/weir".into()
    }
    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        if self.1 {
            return self.0.create_if_absent(name, bytes).await;
        }
        self.0.put(name, bytes).await?;
        Ok(Created::Created)
    }
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.0.put(name, bytes).await
    }
    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.0.get(name).await
    }
    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.0.get_range(name, range).await
    }
    async fn list(&self, _: &str, _: Option<&str>) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.0.delete(name).await
    }
}

#[tokio::test]
async fn a_store_that_ignores_conditions_or_lists_late_is_refused_by_name() {
    let refused = |conditional| async move {
        probe(&Careless(MemoryStore::new(), conditional), &Nonces::seeded(1)).await.unwrap_err()
    };
    assert_eq!(
        refused(false).await.to_string(),
        "s3://my-bucket/weir: the store ignores If-None-Match, so two owners could not be told apart; use a store with conditional writes (AWS S3, GCS, Azure, MinIO, versitygw, Ceph ≥ 20)"
    );
    assert!(matches!(refused(true).await, ProbeError::ListsLate(_)));
}

/// A disk whose power goes after a number of calls. Until synced, a file's content and a
/// directory's names are only in memory.
#[derive(Debug, Default)]
struct Fragile(Mutex<FragileState>);

#[derive(Debug, Default)]
struct FragileState {
    calls_left: usize,
    next: usize,
    /// Inode → content now, content on the platter.
    files: BTreeMap<usize, (Vec<u8>, Vec<u8>)>,
    /// Names now, names on the platter.
    names: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
}

impl Fragile {
    fn with_calls(calls: usize) -> Self {
        Self(Mutex::new(FragileState { calls_left: calls, ..Default::default() }))
    }

    fn call<T>(&self, f: impl FnOnce(&mut FragileState) -> io::Result<T>) -> io::Result<T> {
        let mut s = self.0.lock().unwrap();
        if s.calls_left == 0 {
            return Err(io::Error::other("power is off"));
        }
        s.calls_left -= 1;
        f(&mut s)
    }

    /// What is there when power returns. Unsynced names may have survived (`lucky`) or not.
    fn after_power_cut(&self, path: &Path, lucky: bool) -> Option<Vec<u8>> {
        let s = self.0.lock().unwrap();
        let names = if lucky { &s.names } else { &s.durable };
        names.get(path).map(|inode| s.files[inode].1.clone())
    }
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for Fragile {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.call(|s| {
            s.next += 1;
            s.files.insert(s.next, (bytes.to_vec(), Vec::new()));
            s.names.insert(path.to_owned(), s.next);
            Ok(())
        })
    }
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.call(|s| {
            let inode = *s.names.get(path).ok_or_else(absent)?;
            let file = s.files.get_mut(&inode).ok_or_else(absent)?;
            file.1 = file.0.clone();
            Ok(())
        })
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|s| {
            if s.names.contains_key(to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let inode = *s.names.get(from).ok_or_else(absent)?;
            s.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|s| {
            let inode = s.names.remove(from).ok_or_else(absent)?;
            s.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|s| s.names.remove(path).map(drop).ok_or_else(absent))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|s| {
            s.durable.retain(|name, _| name.parent() != Some(path));
            let now = s.names.iter().filter(|(name, _)| name.parent() == Some(path));
            let now: Vec<_> = now.map(|(n, i)| (n.clone(), *i)).collect();
            s.durable.extend(now);
            Ok(())
        })
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let s = self.0.lock().unwrap();
        s.names.get(path).map(|inode| s.files[inode].0.clone()).ok_or_else(absent)
    }
    fn read_range(&self, _: &Path, _: Range<u64>) -> io::Result<Vec<u8>> {
        Err(absent())
    }
    fn entries(&self, _: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn s12_a_power_cut_leaves_a_manifest_whole_or_absent_and_an_answered_one_whole() {
    let root = PathBuf::from("/state");
    let path = root.join("chain/1");
    let whole = b"a whole manifest".to_vec();
    let (mut answered, mut cut) = (0, 0);
    for calls in 1..12 {
        for create in [true, false] {
            let disk = Arc::new(Fragile::with_calls(calls));
            let store = LocalStore::with_disk(root.clone(), disk.clone()).unwrap();
            let bytes = Bytes::from(whole.clone());
            let done = if create {
                store.create_if_absent("chain/1", bytes).await.is_ok()
            } else {
                store.put("chain/1", bytes).await.is_ok()
            };
            for lucky in [true, false] {
                let found = disk.after_power_cut(&path, lucky);
                assert!(found.as_ref().is_none_or(|f| *f == whole), "torn after {calls} calls");
                assert!(!done || found.is_some(), "answered and gone after {calls} calls");
            }
            answered += usize::from(done);
            cut += usize::from(!done);
        }
    }
    assert!(answered > 0 && cut > 0);
}

#[tokio::test]
async fn left_over_temporary_files_are_never_listed() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path().to_owned()).unwrap();
    std::fs::write(dir.path().join(".tmp/left-over"), b"x").unwrap();
    store.put("data/1/a", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(store.list("data", None).await.unwrap(), ["data/1/a"]);
    assert!(store.get("../etc/passwd").await.is_err());
}
