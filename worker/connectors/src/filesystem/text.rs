//! Reads a file of records that stand one behind the other: chunks in, batches out, position behind
//! every batch. Where a file begins with what tells how to read the rest, that is read first.

use std::sync::Arc;

use arrow::array::RecordBatch;
use tokio::sync::oneshot;
use weir_engine::EngineError;
use weir_engine::operator::Context;
use weir_protocol::Counter;

use super::fetch::{Chunks, Growing, HEADROOM, Next, Start, line_at};
use super::mark::{Mark, Marker};
use super::place::{self, line_of_row};
use super::position::{At, FileInfo, Position};
use super::store::RemoteStore;
use crate::formats::{Compression, DecodeError, RecordDecoder, encoding};

/// Rows per batch at most.
pub(crate) const BATCH: usize = 8192;
/// A record longer than this is an error: memory must have a limit.
const LONGEST_RECORD: usize = 64 << 20;
/// With so many bytes waiting for the end of their record, finished rows go out first.
const LONG_REST: usize = 4 << 20;
/// Up to this offset the line of an error is counted; further on, its byte has to do.
const COUNTED: u64 = 4 << 30;

/// A file that is being read.
///
/// A file that may grow (its position has a mark) is read as far as records are complete: a last
/// line without its end is not given out, unless the position says that the file is whole.
pub(crate) struct TextFile {
    file: FileInfo,
    store: Option<Arc<dyn RemoteStore>>,
    decoder: Box<dyn RecordDecoder>,
    /// Opened at the first poll.
    chunks: Option<Chunks>,
    buffer: Vec<u8>,
    /// What is not decoded yet: `buffer[start..end]`.
    start: usize,
    end: usize,
    /// Byte of the content at `start`.
    offset: u64,
    /// Byte behind the last row that was given out.
    given: u64,
    /// The same before the last rows.
    given_before: u64,
    /// Everything that was read before is to be compared.
    compare: bool,
    /// The file is taken as it is.
    whole: bool,
    /// Present in a file that may grow; stands at `offset`.
    marker: Option<Marker>,
    /// The position behind the last row that was given out.
    position: Position,
    /// The buffer holds no further complete record.
    starved: bool,
    /// Nothing follows the buffer.
    ended: bool,
    /// Nothing follows the buffer, and its last record is complete.
    last: bool,
    /// Compressed content that may go on was cut off.
    cut: bool,
    skipped: u64,
    /// What is to be passed before the first record.
    beginning: Option<Beginning>,
    /// The file's beginning, where it has to be read and is not yet.
    head: Option<FileHead>,
    failing: Option<oneshot::Receiver<EngineError>>,
}

/// The beginning of a file that is read from further on.
#[derive(Default)]
struct FileHead {
    bytes: Vec<u8>,
    chunks: Option<Chunks>,
}

/// What may stand before the first record.
#[derive(Clone, Copy)]
enum Beginning {
    /// A mark that says how the file is encoded.
    Mark,
    /// The end of a line whose record was given out before, when no end had come for long; the
    /// byte is that record's last. It must not be read as an empty line, which in CSV of one
    /// column is a record.
    LineEnd(u8),
}

/// What a file has now.
pub(crate) enum Polled {
    Rows(RecordBatch),
    /// The first row of those that would be given out is none, and why.
    Wrong(String),
    Pending,
    End,
}

impl TextFile {
    /// At byte `offset`, which is the position's.
    pub(crate) fn new(
        position: Position,
        store: Option<Arc<dyn RemoteStore>>,
        decoder: Box<dyn RecordDecoder>,
        offset: u64,
    ) -> Self {
        let skipped = decoder.skipped();
        let head = (offset > 0 && decoder.has_head()).then(FileHead::default);
        let beginning = (offset == 0 && decoder.has_mark()).then_some(Beginning::Mark);
        Self {
            file: position.file.clone(),
            store,
            decoder,
            chunks: None,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            offset,
            given: offset,
            given_before: offset,
            compare: position.compare,
            whole: position.whole || position.mark.is_none(),
            marker: position.mark.map(|mark| Marker::new(offset, mark)),
            position: Position { compare: false, whole: false, ..position },
            starved: true,
            ended: false,
            last: false,
            cut: false,
            skipped,
            beginning,
            head,
            failing: None,
        }
    }

    pub(crate) fn position(&self) -> Position {
        let whole = self.whole && self.marker.is_some();
        Position { whole, compare: self.compare, ..self.position.clone() }
    }

    /// The position of a file that was read as far as it goes for now.
    pub(crate) fn end_position(&self) -> Position {
        self.position.clone()
    }

    /// Bytes that are there and cannot be read yet; at least one where more is known to be owed.
    pub(crate) fn left(&self) -> u64 {
        (self.end - self.start).max(usize::from(self.cut)) as u64
    }

    /// Where row `row` of the last rows that were given out stands; `decoder` is a fresh one.
    pub(crate) fn place(
        &self,
        io: &tokio::runtime::Handle,
        decoder: Box<dyn RecordDecoder>,
        row: usize,
    ) -> String {
        if !decoder.has_lines() {
            return place::shown(&self.file, None, self.given_before, row);
        }
        let of = |records: &[u32]| records.get(row).map_or(row, |&record| record as usize);
        let record = self.decoder.records_of().map_or(row, of);
        let line = line_of_row(io, &self.file, decoder, self.given_before, record);
        place::shown(&self.file, line, self.given_before, record)
    }

    /// Bytes of the content given out so far.
    pub(crate) fn given(&self) -> u64 {
        self.given
    }

    pub(crate) fn poll(&mut self, cx: &Context) -> Result<Polled, EngineError> {
        if let Some(failing) = &mut self.failing {
            return match failing.try_recv() {
                Ok(error) => Err(error),
                Err(oneshot::error::TryRecvError::Empty) => Ok(Polled::Pending),
                Err(oneshot::error::TryRecvError::Closed) => Err(EngineError::internal(format!(
                    "{}: the search for a line ended early",
                    self.file.path
                ))),
            };
        }
        if let Some(head) = &mut self.head {
            match head.read(cx, &self.position, self.store.as_ref(), self.decoder.as_mut())? {
                true => self.head = None,
                false => return Ok(Polled::Pending),
            }
        }
        loop {
            if !self.starved
                && let Some(beginning) = self.beginning
            {
                match self.begin(beginning) {
                    Ok(Some(passed)) => self.pass(passed),
                    Ok(None) => self.starved = true,
                    Err(error) => return Ok(self.fail(cx, &error)),
                }
            }
            if !self.starved {
                let decoded =
                    self.decoder.decode(&self.buffer[self.start..self.end], BATCH, self.last);
                let decoded = match decoded {
                    Ok(decoded) => decoded,
                    Err(error) => return Ok(self.fail(cx, &error)),
                };
                if let Some(marker) = &mut self.marker {
                    // Bytes that were passed before decoding began are the file's, too.
                    let passed = usize::try_from(self.offset - marker.at()).unwrap_or_default();
                    let from = self.start.saturating_sub(passed);
                    marker.read(&self.buffer[from..self.start + decoded.consumed]);
                }
                self.start += decoded.consumed;
                self.offset += decoded.consumed as u64;
                let rest = self.end - self.start;
                if self.decoder.rows() >= BATCH || (rest > LONG_REST && self.decoder.rows() > 0) {
                    return self.give(cx);
                }
                self.starved = true;
                if rest > LONGEST_RECORD {
                    let error = DecodeError {
                        offset_in_data: 0,
                        record_in_data: 0,
                        line_in_data: 1,
                        message: format!(
                            "a record is longer than {} MiB; is the format right?",
                            LONGEST_RECORD >> 20
                        ),
                    };
                    return Ok(self.fail(cx, &error));
                }
            }
            if self.ended {
                return if self.decoder.rows() > 0 { self.give(cx) } else { self.end(cx) };
            }
            let chunks = self.chunks.get_or_insert_with(|| {
                Chunks::open(
                    &cx.io,
                    cx.waker.clone(),
                    self.file.clone(),
                    self.store.clone(),
                    Start {
                        offset: self.offset,
                        growing: self.position.mark.map(|mark| Growing {
                            mark,
                            compare: self.compare,
                            may_be_cut: !self.whole,
                            lines: self.decoder.has_lines(),
                        }),
                    },
                )
            });
            match chunks.next()? {
                Next::Pending => return Ok(Polled::Pending),
                Next::InLine(before) => self.beginning = Some(Beginning::LineEnd(before)),
                Next::Cut => self.cut = true,
                Next::End => {
                    self.check_length()?;
                    (self.ended, self.last) = (true, self.whole);
                    self.starved = !self.last || self.start == self.end;
                }
                Next::Chunk(chunk) => {
                    cx.metrics.add(Counter::Bytes, chunk.end - HEADROOM);
                    self.append(chunk.buffer, chunk.end);
                }
            }
        }
    }

    /// Bytes to be passed before the first record; `None`: more bytes must tell.
    fn begin(&self, beginning: Beginning) -> Result<Option<usize>, DecodeError> {
        let bytes = &self.buffer[self.start..self.end];
        match (beginning, bytes) {
            (Beginning::Mark, _) if !self.last && encoding::may_become_mark(bytes) => Ok(None),
            (Beginning::Mark, _) => encoding::mark(bytes).map(Some).map_err(|what| {
                DecodeError::at(bytes, 0, 0, format!("the file begins with {what}"))
            }),
            (Beginning::LineEnd(_), []) if !self.last => Ok(None),
            (Beginning::LineEnd(_), [b'\n', ..]) => Ok(Some(1)),
            // The record's end was one already.
            (Beginning::LineEnd(b'\r'), _) => Ok(Some(0)),
            (Beginning::LineEnd(_), [b'\r', b'\n', ..]) => Ok(Some(2)),
            (Beginning::LineEnd(_), [b'\r']) if !self.last => Ok(None),
            (Beginning::LineEnd(_), [b'\r', ..]) => Ok(Some(1)),
            (Beginning::LineEnd(_), _) => Ok(Some(0)),
        }
    }

    fn pass(&mut self, bytes: usize) {
        self.beginning = None;
        self.start += bytes;
        self.offset += bytes as u64;
        // From here on rows are counted, where the place of one is looked up.
        self.given = self.offset;
    }

    /// Puts the rest of the buffer in front of the next one.
    fn append(&mut self, mut next: Vec<u8>, end: usize) {
        let rest = &self.buffer[self.start..self.end];
        let (start, end) = if rest.len() <= HEADROOM {
            let start = HEADROOM - rest.len();
            next[start..HEADROOM].copy_from_slice(rest);
            (start, end)
        } else {
            let mut joined = Vec::with_capacity(rest.len() + end - HEADROOM);
            joined.extend_from_slice(rest);
            joined.extend_from_slice(&next[HEADROOM..end]);
            let spare = std::mem::replace(&mut next, joined);
            if let Some(chunks) = &self.chunks {
                chunks.recycle(spare);
            }
            (0, next.len())
        };
        let used = std::mem::replace(&mut self.buffer, next);
        if let Some(chunks) = &self.chunks {
            chunks.recycle(used);
        }
        (self.start, self.end, self.starved) = (start, end, false);
    }

    /// A file that may grow has at least the bytes with which it was found.
    fn check_length(&self) -> Result<(), EngineError> {
        let read = self.offset + (self.end - self.start) as u64;
        let plain = Compression::of_path(&self.file.path) == Compression::None;
        if plain && self.marker.is_some() && read < self.file.size {
            return Err(self
                .file
                .rewritten(&format!("from {} to {read} bytes while it was read", self.file.size)));
        }
        Ok(())
    }

    fn count_skipped(&mut self, cx: &Context) {
        let skipped = self.decoder.skipped();
        cx.metrics.add(Counter::Malformed, (skipped - self.skipped) as usize);
        self.skipped = skipped;
    }

    fn give(&mut self, cx: &Context) -> Result<Polled, EngineError> {
        self.count_skipped(cx);
        let records = self.decoder.finish();
        self.advance();
        let records = match records {
            Ok(records) => records,
            // Of a record that was decoded and is no change of a row.
            Err(error) if self.decoder.records_of().is_some() => {
                return Ok(Polled::Wrong(error.message));
            }
            Err(error) => return Err(EngineError::internal(error.message).at(&self.file.path)),
        };
        // A decoder may stop early when its columns are full.
        self.starved = self.last && self.start == self.end;
        Ok(Polled::Rows(records))
    }

    /// Everything before `offset` was given out.
    fn advance(&mut self) {
        (self.given_before, self.given) = (self.given, self.offset);
        self.position.at = At::Byte(self.offset);
        if let Some(marker) = &mut self.marker {
            self.position.mark = Some(marker.mark());
        }
    }

    fn end(&mut self, cx: &Context) -> Result<Polled, EngineError> {
        self.count_skipped(cx);
        if self.last && self.start < self.end {
            return Err(EngineError::internal(format!(
                "{}: {} bytes behind the last record were not decoded",
                self.file.path,
                self.end - self.start
            )));
        }
        self.advance();
        Ok(Polled::End)
    }

    /// Looks up the line of an error, off the task's thread: counting lines all along would
    /// cost every reader what only a broken file needs.
    fn fail(&mut self, cx: &Context, error: &DecodeError) -> Polled {
        let (send, receive) = oneshot::channel();
        self.failing = Some(receive);
        let at = self.offset + error.offset_in_data as u64;
        let (io, file, store) = (cx.io.clone(), self.file.clone(), self.store.clone());
        let (growing, has_lines) = (self.marker.is_some(), self.decoder.has_lines());
        let (message, waker) = (error.message.clone(), cx.waker.clone());
        cx.io.spawn_blocking(move || {
            let name = file.path.clone();
            let line = if at > COUNTED || !has_lines {
                None
            } else {
                line_at(&io, file, store, at, growing).ok()
            };
            let error = match line {
                Some(line) => EngineError::user(format!("{name}:{line}: {message}")),
                None => EngineError::user(format!("{name}: byte {at}: {message}")),
            };
            let _ = send.send(error);
            waker.wake();
        });
        Polled::Pending
    }
}

impl FileHead {
    /// Reads on; whether the decoder has the whole of it.
    fn read(
        &mut self,
        cx: &Context,
        position: &Position,
        store: Option<&Arc<dyn RemoteStore>>,
        decoder: &mut dyn RecordDecoder,
    ) -> Result<bool, EngineError> {
        let file = &position.file;
        let chunks = self.chunks.get_or_insert_with(|| {
            // What stands there is compared when the file is read on.
            let growing = position.mark.map(|_| Growing {
                mark: Mark::default(),
                compare: false,
                may_be_cut: true,
                lines: false,
            });
            let start = Start { offset: 0, growing };
            Chunks::open(&cx.io, cx.waker.clone(), file.clone(), store.cloned(), start)
        });
        loop {
            let last = match chunks.next()? {
                Next::Pending => return Ok(false),
                Next::InLine(_) | Next::Cut => continue,
                Next::End => true,
                Next::Chunk(chunk) => {
                    self.bytes.extend_from_slice(&chunk.buffer[HEADROOM..chunk.end]);
                    chunks.recycle(chunk.buffer);
                    false
                }
            };
            let begun = decoder.begin(&self.bytes, last);
            let begun = begun
                .map_err(|error| EngineError::user(format!("{}: {}", file.path, error.message)))?;
            if begun {
                return Ok(true);
            }
            if last {
                return Err(EngineError::user(format!(
                    "{}: the file's head is not there",
                    file.path
                )));
            }
        }
    }
}
