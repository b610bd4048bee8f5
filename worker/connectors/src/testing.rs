//! What the tests of connectors share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartId, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use weir_engine::env::Clock;
use weir_engine::operator::{Context, OperatorMetrics, Waker};
use weir_protocol::{KeyGroupRange, Subtask, Term};

use crate::reference::{OptionText, Variable};
use crate::table::{OptionValue, Output, Position, Table};

/// A table with these options, one a line, and these columns.
pub(crate) fn table(options: &[(&str, &str)], columns: &[(&str, DataType)]) -> Table {
    let options = options.iter().enumerate().map(|(line, (key, value))| {
        let at = Position { line: line as u64 + 1, column: 3 };
        ((*key).to_owned(), OptionValue { value: (*value).into(), at })
    });
    let fields: Vec<_> =
        columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
    Table {
        name: "t".into(),
        schema: Arc::new(Schema::new(fields)),
        declared: Vec::new(),
        not_null: Vec::new(),
        part_not_null: Vec::new(),
        metadata: BTreeMap::new(),
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        event_time: None,
        options: options.collect(),
        output: Output::default(),
    }
}

/// The same with `${env:NAME}` looked up.
pub(crate) fn table_in(
    environment: &dyn Fn(&str) -> Option<Variable>,
    options: &[(&str, &str)],
    columns: &[(&str, DataType)],
) -> Table {
    let mut table = table(options, columns);
    for option in table.options.values_mut() {
        option.value = OptionText::resolve(option.value.shown(), environment).expect("all are set");
    }
    table
}

/// The context of a subtask; its clock stands still.
pub(crate) fn context(
    io: &tokio::runtime::Handle,
    term: u64,
    subtask: u32,
    parallelism: u32,
) -> Context {
    Context {
        uid: "op".into(),
        name: "test".into(),
        subtask: Subtask(subtask),
        parallelism,
        max_parallelism: 128,
        key_groups: KeyGroupRange { start: 0, end: 128 },
        term: Term(term),
        clock: Clock::manual(1_700_000_000_000),
        io: io.clone(),
        waker: Waker::none(),
        metrics: Arc::new(OperatorMetrics::default()),
    }
}

/// A runtime for I/O.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built")
}

/// Buckets in memory; every name is the same bucket.
pub(crate) struct MemoryStores(pub(crate) Arc<Bucket>);

impl MemoryStores {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }
}

impl crate::filesystem::Stores for MemoryStores {
    fn open(&self, _bucket: &str) -> Result<Arc<dyn crate::filesystem::RemoteStore>, String> {
        Ok(self.0.clone())
    }
}

/// An upload's parts: index → ETag and bytes.
type Parts = BTreeMap<usize, (String, PutPayload)>;

/// A bucket in memory whose uploads behave as S3's: exactly the listed parts are completed, by
/// their ETags, and an upload that is completed or aborted is not found.
#[derive(Default, Debug)]
pub(crate) struct Bucket {
    objects: InMemory,
    uploads: Mutex<BTreeMap<String, Parts>>,
    next: AtomicU64,
    held: Held,
}

/// Requests for what is behind a byte wait.
#[derive(Default, Debug)]
struct Held {
    behind: Mutex<Option<u64>>,
    released: tokio::sync::Notify,
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bucket in memory")
    }
}

fn no_upload(path: &Path) -> object_store::Error {
    object_store::Error::NotFound { path: path.to_string(), source: "NoSuchUpload".into() }
}

impl Bucket {
    /// Forgets every upload, as a bucket rule does.
    pub(crate) fn forget_uploads(&self) {
        self.uploads.lock().unwrap().clear();
    }

    /// Lets requests for ranges that begin at `byte` or behind wait for [`Bucket::release`].
    pub(crate) fn hold(&self, byte: u64) {
        *self.held.behind.lock().unwrap() = Some(byte);
    }

    /// Answers every request again.
    pub(crate) fn release(&self) {
        *self.held.behind.lock().unwrap() = None;
        self.held.released.notify_waiters();
    }

    async fn wait(&self, range: Option<&GetRange>) {
        loop {
            let released = self.held.released.notified();
            let behind = *self.held.behind.lock().unwrap();
            match (behind, range) {
                (Some(behind), Some(GetRange::Bounded(range))) if range.start >= behind => {}
                _ => return,
            }
            released.await;
        }
    }

    /// Uploads that are neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        self.uploads.lock().unwrap().len()
    }
}

#[async_trait]
impl MultipartStore for Bucket {
    async fn create_multipart(&self, _path: &Path) -> object_store::Result<MultipartId> {
        let id = format!("upload-{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.uploads.lock().unwrap().insert(id.clone(), BTreeMap::new());
        Ok(id)
    }

    async fn put_part(
        &self,
        path: &Path,
        id: &MultipartId,
        index: usize,
        data: PutPayload,
    ) -> object_store::Result<PartId> {
        let tag = format!("part-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let mut uploads = self.uploads.lock().unwrap();
        uploads.get_mut(id).ok_or_else(|| no_upload(path))?.insert(index, (tag.clone(), data));
        Ok(PartId { content_id: tag })
    }

    async fn complete_multipart(
        &self,
        path: &Path,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> object_store::Result<PutResult> {
        let mut bytes = Vec::new();
        {
            let mut uploads = self.uploads.lock().unwrap();
            let upload = uploads.get(id).ok_or_else(|| no_upload(path))?;
            for (index, part) in parts.iter().enumerate() {
                match upload.get(&index) {
                    Some((tag, data)) if *tag == part.content_id => {
                        bytes.extend(data.iter().flat_map(|b| b.to_vec()))
                    }
                    _ => {
                        let source = "InvalidPart".into();
                        return Err(object_store::Error::Generic { store: "memory", source });
                    }
                }
                let last = index + 1 == parts.len();
                assert!(
                    last || bytes.len() >= (index + 1) * (5 << 20),
                    "S3 wants 5 MiB in every part but the last"
                );
            }
            uploads.remove(id);
        }
        self.objects.put(path, bytes.into()).await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> object_store::Result<()> {
        self.uploads.lock().unwrap().remove(id).map(|_| ()).ok_or_else(|| no_upload(path))
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.objects.put_opts(to, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.objects.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.wait(options.range.as_ref()).await;
        self.objects.get_opts(from, options).await
    }

    fn delete_stream(
        &self,
        names: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.objects.delete_stream(names)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
