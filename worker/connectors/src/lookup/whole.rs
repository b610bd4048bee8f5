//! A table that is read as a whole, once or again and again, and asked in memory.

use std::sync::{Arc, Weak};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use weir_engine::EngineError;
use weir_engine::env::instant;
use weir_engine::lookup::{Found, Lookup, LookupSource};
use weir_engine::operator::{Context, OperatorMetrics, Waker};
use weir_engine::source::{Source, SourcePoll};

use super::Caching;
use super::index::Indexed;

/// What the program makes of a source's rows.
pub type Project = Arc<dyn Fn(&RecordBatch) -> Result<RecordBatch, EngineError> + Send + Sync>;

/// The pause before reading is tried again that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// A table that ends, kept in memory. The subtasks of a process share it.
pub struct Whole {
    reading: Arc<Reading>,
    shared: Mutex<Weak<Table>>,
}

/// How it is read.
struct Reading {
    /// The table's name, for messages.
    name: String,
    source: Arc<dyn Source>,
    project: Project,
    schema: SchemaRef,
    keys: Vec<usize>,
    caching: Caching,
}

/// What was read last, or why it could not be.
type Loaded = Option<Result<Arc<Indexed>, EngineError>>;

struct Table(watch::Receiver<Loaded>);

impl Whole {
    /// The table that a source gives; `schema` is what `project` makes of its rows, `keys` the columns
    /// of that by which it is asked.
    #[must_use]
    pub fn new(
        name: &str,
        source: Arc<dyn Source>,
        project: Project,
        schema: SchemaRef,
        keys: Vec<usize>,
        caching: Caching,
    ) -> Self {
        let name = name.to_owned();
        let reading = Arc::new(Reading { name, source, project, schema, keys, caching });
        Self { reading, shared: Mutex::default() }
    }
}

impl LookupSource for Whole {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.reading.schema)
    }

    fn open(&self, cx: &Context) -> Result<Arc<dyn Lookup>, EngineError> {
        let mut shared = self.shared.lock();
        if let Some(table) = shared.upgrade() {
            return Ok(table);
        }
        let (tell, loaded) = watch::channel(None);
        let table = Arc::new(Table(loaded));
        *shared = Arc::downgrade(&table);
        let (reading, cx) = (Arc::clone(&self.reading), own_context(cx));
        cx.io.clone().spawn(keep(reading, cx, tell));
        Ok(table)
    }
}

/// A context for the reader, which works beside the task.
fn own_context(cx: &Context) -> Context {
    Context {
        uid: cx.uid.clone(),
        name: Arc::clone(&cx.name),
        subtask: cx.subtask,
        parallelism: cx.parallelism,
        max_parallelism: cx.max_parallelism,
        key_groups: cx.key_groups,
        term: cx.term,
        clock: cx.clock.clone(),
        io: cx.io.clone(),
        waker: Waker::none(),
        metrics: Arc::new(OperatorMetrics::default()),
    }
}

/// Reads the table for as long as somebody asks it.
async fn keep(reading: Arc<Reading>, mut cx: Context, tell: watch::Sender<Loaded>) {
    loop {
        let began = instant();
        match reading.load_patiently(&mut cx).await {
            Ok(rows) => {
                tracing::debug!(table = %reading.name, rows = rows.len(), "read for lookups");
                let _ = tell.send(Some(Ok(Arc::new(rows))));
            }
            // Whoever has rows goes on with them.
            Err(error) if matches!(*tell.borrow(), Some(Ok(_))) => {
                tracing::warn!(table = %reading.name, %error, "not read again for lookups");
            }
            Err(error) => {
                let _ = tell.send(Some(Err(error)));
                return;
            }
        }
        let Some(reload) = reading.caching.reload else { return };
        let pause = if reload.fixed_rate {
            reload.interval.saturating_sub(instant().duration_since(began))
        } else {
            reload.interval
        };
        tokio::select! {
            () = tell.closed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Reading {
    async fn load_patiently(&self, cx: &mut Context) -> Result<Indexed, EngineError> {
        let mut tries = 0;
        loop {
            match self.load(cx).await {
                Err(_) if tries < self.caching.retries => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                loaded => return loaded.map_err(|error| error.at(&self.name)),
            }
        }
    }

    /// Reads all that there is now.
    async fn load(&self, cx: &mut Context) -> Result<Indexed, EngineError> {
        let news = Arc::new(Notify::new());
        let waker = Arc::clone(&news);
        cx.waker = Waker::new(move || waker.notify_one());
        let splits = self.source.enumerator(None)?.discover().await?;
        let mut reader = self.source.reader(cx)?;
        let mut batches = Vec::new();
        for (index, split) in splits.iter().enumerate() {
            reader.add(cx, index, split)?;
            loop {
                match reader.poll(cx)? {
                    SourcePoll::Rows { records, .. } => {
                        batches.push((self.project)(&records)?);
                        tokio::task::yield_now().await;
                    }
                    SourcePoll::Finished { .. } | SourcePoll::Returned { .. } => break,
                    SourcePoll::Pending => news.notified().await,
                }
            }
        }
        Indexed::new(&self.schema, &batches, &self.keys)
    }
}

#[async_trait]
impl Lookup for Table {
    async fn lookup(&self, keys: &[ArrayRef], rows: usize) -> Result<Found, EngineError> {
        let mut loaded = self.0.clone();
        let known = loaded.wait_for(Option::is_some).await.map(|known| known.clone());
        match known {
            Ok(Some(known)) => known?.find(keys, rows),
            Ok(None) | Err(_) => Err(EngineError::external("a table is no longer read")),
        }
    }

    fn at_once(&self, keys: &[ArrayRef], rows: usize) -> Result<Option<Found>, EngineError> {
        let known = self.0.borrow().clone();
        known.map(|known| known?.find(keys, rows)).transpose()
    }
}
