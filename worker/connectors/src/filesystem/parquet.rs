//! Reads a Parquet file: ranges are fetched on the I/O runtime, pages decoded in `poll`.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Wake};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};
use tokio::sync::oneshot;
use weir_engine::EngineError;
use weir_engine::operator::{Context, OperatorMetrics, Waker};

use super::fetch::{get_range, read_ranges};
use super::format::ReadFormat;
use super::position::{At, FileInfo};
use super::store::RemoteStore;
use super::text::{BATCH, Polled};
use crate::formats::parquet::{ParquetPlan, RowPosition};

/// Requests to a bucket at the same time.
const REQUESTS: usize = 8;

type Answer<T> = oneshot::Receiver<Result<T, EngineError>>;

pub(crate) struct ParquetFile {
    source: FileSource,
    format: ReadFormat,
    state: State,
    /// The next row that `poll` gives out.
    next: RowPosition,
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
        file: FileInfo,
        store: Option<Arc<dyn RemoteStore>>,
        format: ReadFormat,
        next: RowPosition,
    ) -> Self {
        let source = FileSource { file, store, io: cx.io.clone() };
        Self { source, format, state: State::New, next }
    }

    pub(crate) fn at(&self) -> At {
        At::Row { group: self.next.group, row: self.next.row }
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
                        return Err(EngineError::outside(format!(
                            "{}: reading ended early",
                            file.path
                        )));
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
                        self.next = plan.advance(self.next, records.num_rows() as u64);
                        OperatorMetrics::add(&cx.metrics.bytes, batch.get_array_memory_size());
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
        let fetched =
            self.io.spawn(async move { fetch(&source.file, source.store.as_ref(), &ranges).await });
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
            Err(other) => EngineError::outside(format!("{}: cannot be read: {other}", file.path)),
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
                let bytes = fetch(file, store, &ranges).await?;
                decoder.push_ranges(ranges, bytes).map_err(failed)?;
            }
            DecodeResult::Finished => {
                return Err(EngineError::ours(format!("{}: the footer was read twice", file.path)));
            }
        }
    }
}

async fn fetch(
    file: &FileInfo,
    store: Option<&Arc<dyn RemoteStore>>,
    ranges: &[Range<u64>],
) -> Result<Vec<Bytes>, EngineError> {
    use futures::{StreamExt, TryStreamExt};
    match store {
        None => {
            let (file, ranges) = (file.clone(), ranges.to_vec());
            tokio::task::spawn_blocking(move || read_ranges(&file, &ranges))
                .await
                .map_err(|error| EngineError::ours(format!("reading ended early: {error}")))?
        }
        Some(store) => {
            // Owned, because a borrowed item would tie the future to one lifetime.
            let request = |range: Range<u64>| {
                let (store, file) = (store.clone(), file.clone());
                async move { get_range(store.as_ref(), &file, range).await }
            };
            let requests: Vec<_> = ranges.iter().cloned().map(request).collect();
            futures::stream::iter(requests).buffered(REQUESTS).try_collect().await
        }
    }
}
