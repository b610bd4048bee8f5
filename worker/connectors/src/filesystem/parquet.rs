//! Reads a Parquet file: ranges are fetched on the I/O runtime, pages decoded in `poll`.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Wake};

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};
use tokio::sync::oneshot;
use weir_engine::operator::{Context, Waker};
use weir_engine::{EngineError, Fault};
use weir_protocol::Counter;

use super::fetch::fetch_ranges;
use super::format::ReadFormat;
use super::position::{At, FileInfo, Position};
use super::store::RemoteStore;
use super::text::{BATCH, Polled};
use crate::formats::parquet::{ParquetPlan, RowPosition};

type Answer<T> = oneshot::Receiver<Result<T, EngineError>>;

pub(crate) struct ParquetFile {
    source: FileSource,
    format: ReadFormat,
    state: State,
    /// The next row that `poll` gives out.
    next: RowPosition,
    /// The first row that it gave out last.
    given: RowPosition,
    /// The file is taken as it is.
    whole: bool,
    /// A footer that is not there may come: the file is watched, and nothing of it was read.
    patient: bool,
    unfinished: bool,
}

enum State {
    New,
    /// The footer is on its way.
    Opening(Answer<ParquetMetaData>),
    Reading {
        plan: Box<ParquetPlan>,
        rows: Pin<Box<ParquetRecordBatchStream<FileSource>>>,
    },
}

/// Where ranges come from.
#[derive(Clone)]
struct FileSource {
    file: FileInfo,
    store: Option<Arc<dyn RemoteStore>>,
    io: tokio::runtime::Handle,
}

struct WakeTask(Waker);

impl Wake for WakeTask {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

impl ParquetFile {
    pub(crate) fn new(
        cx: &Context,
        position: Position,
        store: Option<Arc<dyn RemoteStore>>,
        format: ReadFormat,
        next: RowPosition,
        watched: bool,
    ) -> Self {
        let Position { file, whole, .. } = position;
        let patient = watched && !whole && store.is_none() && next == RowPosition::default();
        let source = FileSource { file, store, io: cx.io.clone() };
        let given = next;
        Self { source, format, state: State::New, next, given, whole, patient, unfinished: false }
    }

    pub(crate) fn at(&self) -> At {
        At::Row { group: self.next.group, row: self.next.row }
    }

    pub(crate) fn position(&self) -> Position {
        let position = Position::new(self.source.file.clone(), self.at());
        // Whoever takes it over must not wait for a footer again.
        if self.whole { position.whole() } else { position }
    }

    /// Where row `row` of the last rows that were given out stands.
    pub(crate) fn place(&self, row: usize) -> String {
        let file = &self.source.file.path;
        let State::Reading { plan, .. } = &self.state else { return file.clone() };
        let at = plan.advance(self.given, row as u64);
        format!("{file}: row {} of row group {}", at.row + 1, at.group)
    }

    /// Bytes that are there and cannot be read before the footer is.
    pub(crate) fn left(&self) -> u64 {
        if self.unfinished { self.source.file.size } else { 0 }
    }

    /// Bytes left of the wanted columns; before the footer is read, of the file.
    pub(crate) fn remaining(&self) -> u64 {
        match &self.state {
            State::Reading { plan, .. } => {
                plan.row_groups().iter().skip(self.next.group).map(|g| g.bytes).sum()
            }
            State::New | State::Opening(_) => self.source.file.size,
        }
    }

    pub(crate) fn poll(&mut self, cx: &Context) -> Result<Polled, EngineError> {
        let file = &self.source.file;
        loop {
            match &mut self.state {
                State::New => {
                    let (source, waker) = (self.source.clone(), cx.waker.clone());
                    let (send, answer) = oneshot::channel();
                    cx.io.spawn(async move {
                        // Nobody listens when the reader is gone.
                        let _ = send.send(read_footer(&source.file, source.store.as_ref()).await);
                        waker.wake();
                    });
                    self.state = State::Opening(answer);
                }
                State::Opening(answer) => match answer.try_recv() {
                    Err(oneshot::error::TryRecvError::Empty) => return Ok(Polled::Pending),
                    Err(oneshot::error::TryRecvError::Closed) => {
                        return Err(EngineError::external(format!(
                            "{}: reading ended early",
                            file.path
                        )));
                    }
                    // Written from its beginning on, a file has its footer last.
                    Ok(Err(error)) if self.patient && error.fault == Fault::User => {
                        tracing::debug!(%error, "a file cannot be read yet");
                        self.unfinished = true;
                        return Ok(Polled::End);
                    }
                    Ok(metadata) => {
                        let plan = ParquetPlan::new(
                            Arc::new(metadata?),
                            &self.format.physical,
                            &self.format.wanted,
                        )
                        .map_err(|why| EngineError::user(format!("{}: {why}", file.path)))?;
                        let end = plan.row_groups().len();
                        let rows = plan
                            .stream(self.source.clone(), self.next, end, BATCH)
                            .map_err(|error| damaged(file, error))?;
                        self.state = State::Reading { plan: Box::new(plan), rows: Box::pin(rows) };
                    }
                },
                State::Reading { plan, rows } => {
                    // The stream decodes here; only its requests run elsewhere.
                    let waker = Arc::new(WakeTask(cx.waker.clone())).into();
                    let polled =
                        rows.as_mut().poll_next(&mut std::task::Context::from_waker(&waker));
                    let batch = match polled {
                        Poll::Pending => return Ok(Polled::Pending),
                        Poll::Ready(None) => return Ok(Polled::End),
                        Poll::Ready(Some(batch)) => batch.map_err(|error| damaged(file, error))?,
                    };
                    if batch.num_rows() > 0 {
                        let records = plan.convert(&batch);
                        let records = records
                            .map_err(|why| EngineError::user(format!("{}: {why}", file.path)))?;
                        self.given = self.next;
                        self.next = plan.advance(self.next, records.num_rows() as u64);
                        cx.metrics.add(Counter::Bytes, batch.get_array_memory_size());
                        return Ok(Polled::Rows(records));
                    }
                }
            }
        }
    }
}

impl AsyncFileReader for FileSource {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let bytes = self.get_byte_ranges(vec![range]);
        async move { bytes.await.map(|bytes| bytes.into_iter().next().unwrap_or_default()) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        let source = self.clone();
        let fetched = self
            .io
            .spawn(async move { fetch_ranges(&source.file, source.store.as_ref(), &ranges).await });
        async move {
            match fetched.await {
                Ok(Ok(bytes)) => Ok(bytes),
                Ok(Err(error)) => Err(ParquetError::External(Box::new(error))),
                Err(error) => Err(ParquetError::External(Box::new(error))),
            }
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let footer = read_footer(&self.file, self.store.as_ref()).await;
            footer.map(Arc::new).map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }
}

/// What the fetching said, or that the file is no Parquet file.
fn damaged(file: &FileInfo, error: ParquetError) -> EngineError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<EngineError>() {
            Ok(error) => *error,
            Err(other) => EngineError::external(format!("{}: cannot be read: {other}", file.path)),
        },
        error => EngineError::user(format!("{}: not readable as Parquet: {error}", file.path)),
    }
}

/// The metadata at a file's end, without page indexes.
pub(crate) async fn read_footer(
    file: &FileInfo,
    store: Option<&Arc<dyn RemoteStore>>,
) -> Result<ParquetMetaData, EngineError> {
    let failed = |error: ParquetError| damaged(file, error);
    let decoder = ParquetMetaDataPushDecoder::try_new(file.size).map_err(failed)?;
    let mut decoder = decoder.with_page_index_policy(PageIndexPolicy::Skip);
    loop {
        match decoder.try_decode().map_err(failed)? {
            DecodeResult::Data(metadata) => return Ok(metadata),
            DecodeResult::NeedsData(ranges) => {
                let bytes = fetch_ranges(file, store, &ranges).await?;
                decoder.push_ranges(ranges, bytes).map_err(failed)?;
            }
            DecodeResult::Finished => {
                return Err(EngineError::internal(format!(
                    "{}: the footer was read twice",
                    file.path
                )));
            }
        }
    }
}

/// The first row of a file; `None` when it has none.
pub(crate) async fn first_row(
    file: &FileInfo,
    store: Option<&Arc<dyn RemoteStore>>,
    format: &ReadFormat,
) -> Result<Option<RecordBatch>, EngineError> {
    let failed = |why: String| EngineError::user(format!("{}: {why}", file.path));
    let footer = Arc::new(read_footer(file, store).await?);
    let plan = ParquetPlan::new(footer, &format.physical, &format.wanted).map_err(failed)?;
    let io = tokio::runtime::Handle::current();
    let source = FileSource { file: file.clone(), store: store.cloned(), io };
    let mut rows = plan
        .stream(source, RowPosition::default(), plan.row_groups().len(), 1)
        .map_err(|error| damaged(file, error))?;
    match futures::StreamExt::next(&mut rows).await {
        None => Ok(None),
        Some(Err(error)) => Err(damaged(file, error)),
        Some(Ok(batch)) => plan.convert(&batch).map(Some).map_err(failed),
    }
}
