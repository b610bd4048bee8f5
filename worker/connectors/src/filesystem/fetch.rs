//! Reads a file's bytes ahead of its decoder, on the I/O runtime.
//!
//! What enters: a file as it was found and where to begin. What leaves: a few chunks ahead, in
//! order, decompressed, each with room in front for the rest of the one before it, so that a
//! record across two chunks costs a small copy and nothing else does.
//!
//! What always holds: the bytes are those of the file that was found. Its size and modification
//! time (local) or ETag (bucket) are checked before the first and after the last byte. A file that
//! may grow is read up to the size with which it was found, and what stands before the beginning
//! must be what was read before (see [`Start`]).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::{Buf, Bytes};
use object_store::{GetOptions, GetRange};
use tokio::sync::mpsc;
use weir_engine::EngineError;
use weir_engine::env::joined;
use weir_engine::operator::Waker;

use super::fault::local_error;
use super::list::local_info;
use super::mark::Mark;
use super::position::FileInfo;
use super::store::RemoteStore;
use crate::formats::Compression;

/// Room in front of every chunk for the unfinished record of the one before.
pub(crate) const HEADROOM: usize = 64 << 10;
/// Bytes per chunk: large enough that handing over costs nothing, small enough for the cache.
const CHUNK: usize = 1 << 20;
/// Chunks read ahead.
const AHEAD: usize = 4;
/// Bytes per request to a bucket, and requests ahead of the decompression.
const RANGE: u64 = 8 << 20;
const RANGES_AHEAD: usize = 2;
/// Requests to a bucket at the same time, where many ranges are wanted.
const REQUESTS: usize = 8;
/// Bytes that [`head`] reads: a record, or a whole block of the largest size that zstd makes.
const HEAD: u64 = 64 << 10;
const PACKED_HEAD: u64 = 160 << 10;

/// Up to so many bytes before a position are compared before a file is read on; of longer files
/// the last ones have to do, because they may grow every second.
const COMPARED: u64 = 64 << 20;

/// Where to begin to read a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// Byte of the uncompressed content.
    pub(crate) offset: u64,
    /// Present for a file that may grow.
    pub(crate) growing: Option<Growing>,
}

/// How a file is read that may grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growing {
    /// What stands before the offset.
    pub(crate) mark: Mark,
    /// All of it is compared, however long it is.
    pub(crate) compare: bool,
    /// Compressed content may end anywhere, since more may come.
    pub(crate) may_be_cut: bool,
    /// Records are lines: the last one may have been taken without its end.
    pub(crate) lines: bool,
}

/// A buffer with [`HEADROOM`] free bytes, then data up to `end`.
pub(crate) struct Chunk {
    pub(crate) buffer: Vec<u8>,
    pub(crate) end: usize,
}

/// The chunks of a file from some byte on.
pub(crate) struct Chunks {
    ready: mpsc::Receiver<Result<Item, EngineError>>,
    /// Buffers to be filled again.
    empty: SyncSender<Vec<u8>>,
}

enum Item {
    /// Told first: see [`Next::InLine`].
    InLine(u8),
    Chunk(Chunk),
    /// The compressed content ends in the middle of something.
    Cut,
}

/// What there is to take.
pub(crate) enum Next {
    /// The content goes on behind a record that was given out without its line's end, or with half
    /// of one; the byte is that record's last.
    InLine(u8),
    Chunk(Chunk),
    Pending,
    /// Nothing follows for now; the end follows.
    Cut,
    End,
}

impl Chunks {
    /// Begins to read `file`.
    pub(crate) fn open(
        io: &tokio::runtime::Handle,
        waker: Waker,
        file: FileInfo,
        store: Option<Arc<dyn RemoteStore>>,
        start: Start,
    ) -> Self {
        let (send, ready) = mpsc::channel(AHEAD);
        let (empty, emptied) = sync_channel(AHEAD + 2);
        let handle = io.clone();
        io.spawn_blocking(move || {
            let read = Content::open(&handle, file, store, start)
                .and_then(|mut bytes| bytes.pump(&send, &emptied, &waker));
            if let Err(error) = read {
                // Nobody listens when the reader is gone, which is fine.
                let _ = send.blocking_send(Err(error));
            }
            // The end is told by the channel closing.
            drop(send);
            waker.wake();
        });
        Self { ready, empty }
    }

    /// The next chunk, if it is there.
    pub(crate) fn next(&mut self) -> Result<Next, EngineError> {
        match self.ready.try_recv() {
            Ok(item) => item.map(|item| match item {
                Item::InLine(before) => Next::InLine(before),
                Item::Chunk(chunk) => Next::Chunk(chunk),
                Item::Cut => Next::Cut,
            }),
            Err(mpsc::error::TryRecvError::Empty) => Ok(Next::Pending),
            Err(mpsc::error::TryRecvError::Disconnected) => Ok(Next::End),
        }
    }

    /// Gives a buffer back.
    pub(crate) fn recycle(&self, buffer: Vec<u8>) {
        // Buffers made for an oversized record are not kept.
        if buffer.len() == HEADROOM + CHUNK {
            let _ = self.empty.try_send(buffer);
        }
    }
}

/// A file's uncompressed bytes.
pub(crate) struct Content {
    file: FileInfo,
    read: Box<dyn Read + Send>,
    /// What stands before, where a record may have been taken without its line's end.
    before: Option<u8>,
    check: Check,
    may_be_cut: bool,
    is_cut: bool,
}

/// What is looked at after the last byte.
enum Check {
    Local,
    /// A file that may grow.
    Growing,
    /// Every request carried the ETag.
    Done,
}

impl Content {
    pub(crate) fn open(
        io: &tokio::runtime::Handle,
        file: FileInfo,
        store: Option<Arc<dyn RemoteStore>>,
        Start { offset, growing }: Start,
    ) -> Result<Self, EngineError> {
        if let (Some(growing), None) = (growing, &store) {
            let (read, before) = open_growing(&file, offset, growing)?;
            let (check, may_be_cut) = (Check::Growing, growing.may_be_cut);
            return Ok(Self { file, read, before, check, may_be_cut, is_cut: false });
        }
        let packing = Compression::of_path(&file.path);
        // Only plain bytes can be entered in the middle.
        let from = if packing == Compression::None { offset } else { 0 };
        let (raw, check): (Box<dyn Read + Send>, _) = match store {
            None => (Box::new(open_local(&file, from)?), Check::Local),
            Some(store) => (Box::new(Ranges::open(io, &file, store, from)), Check::Done),
        };
        let failed = |error: io::Error| read_error(&file, &error);
        let mut read = unpack(packing, raw).map_err(failed)?;
        if packing != Compression::None && offset > 0 {
            let skipped =
                io::copy(&mut read.by_ref().take(offset), &mut io::sink()).map_err(failed)?;
            if skipped < offset {
                return Err(file
                    .changed(&format!("it ends at byte {skipped}, before the position {offset}")));
            }
        }
        Ok(Self { file, read, before: None, check, may_be_cut: false, is_cut: false })
    }

    /// Passes `bytes` over, or what there is; the number of newlines in them.
    pub(crate) fn pass(&mut self, bytes: u64) -> Result<u64, EngineError> {
        let mut buffer = vec![0; CHUNK];
        let (mut left, mut lines) = (bytes, 0);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let end = self.fill(&mut buffer[..most], 0)?;
            if end == 0 {
                break;
            }
            lines += memchr::memchr_iter(b'\n', &buffer[..end]).count() as u64;
            left -= end as u64;
        }
        Ok(lines)
    }

    /// Fills a buffer from `at` on; the end of what was filled.
    pub(crate) fn fill(&mut self, buffer: &mut [u8], mut at: usize) -> Result<usize, EngineError> {
        while at < buffer.len() {
            match self.read.read(&mut buffer[at..]) {
                Ok(0) => break,
                Ok(n) => at += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whether more will come, or it is damaged, only time can tell.
                Err(error) if self.may_be_cut && is_damage(&self.file, &error) => {
                    self.is_cut = true;
                    break;
                }
                Err(error) => return Err(read_error(&self.file, &error)),
            }
        }
        Ok(at)
    }

    /// Sends everything; returns early when nobody listens any more.
    fn pump(
        &mut self,
        to: &mpsc::Sender<Result<Item, EngineError>>,
        emptied: &Receiver<Vec<u8>>,
        waker: &Waker,
    ) -> Result<(), EngineError> {
        if let Some(before) = self.before.filter(|&before| before != b'\n')
            && to.blocking_send(Ok(Item::InLine(before))).is_err()
        {
            return Ok(());
        }
        loop {
            let mut buffer = emptied.try_recv().unwrap_or_else(|_| vec![0; HEADROOM + CHUNK]);
            let end = self.fill(&mut buffer, HEADROOM)?;
            let last = end < buffer.len();
            if last {
                // Before the last rows can be seen: they must not come from a changed file.
                self.check_end()?;
            }
            if end > HEADROOM && to.blocking_send(Ok(Item::Chunk(Chunk { buffer, end }))).is_err() {
                return Ok(());
            }
            if self.is_cut && to.blocking_send(Ok(Item::Cut)).is_err() {
                return Ok(());
            }
            waker.wake();
            if last {
                return Ok(());
            }
        }
    }

    fn check_end(&self) -> Result<(), EngineError> {
        match self.check {
            Check::Local => same_file(&self.file).map(|_| ()),
            Check::Growing => not_shorter(&self.file),
            Check::Done => Ok(()),
        }
    }
}

fn unpack(packing: Compression, raw: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let buffered = |raw| io::BufReader::with_capacity(CHUNK / 4, raw);
    Ok(match packing {
        Compression::None => raw,
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(buffered(raw))),
        Compression::Deflate => Box::new(flate2::read::ZlibDecoder::new(buffered(raw))),
        Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(raw)),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new(buffered(raw), true)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(raw)?),
    })
}

/// The first bytes of a file's uncompressed content, and whether nothing follows them.
pub(crate) async fn head(
    file: &FileInfo,
    store: Option<&Arc<dyn RemoteStore>>,
) -> Result<(Vec<u8>, bool), EngineError> {
    let packing = Compression::of_path(&file.path);
    let most = if packing == Compression::None { HEAD } else { PACKED_HEAD };
    let end = most.min(file.size);
    let raw = fetch_ranges(file, store, std::slice::from_ref(&(0..end)))
        .await?
        .into_iter()
        .next()
        .unwrap_or_default();
    let (raw, whole): (Box<dyn Read + Send>, _) = (Box::new(raw.reader()), end == file.size);
    let mut bytes = Vec::new();
    // A packed head ends in the middle of something, which is an error behind what it held.
    let read = unpack(packing, raw).and_then(|raw| raw.take(most).read_to_end(&mut bytes));
    let whole =
        whole && read.is_ok() && (packing == Compression::None || (bytes.len() as u64) < most);
    Ok((bytes, whole))
}

fn read_error(file: &FileInfo, error: &io::Error) -> EngineError {
    // Errors of a bucket travel through `Read` and keep their own words and fault.
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<EngineError>()) {
        return inner.clone();
    }
    if is_damage(file, error) {
        return EngineError::user(format!(
            "{}: the compressed content is damaged or cut off: {error}; replace the file",
            file.path
        ));
    }
    if file.is_remote() {
        return EngineError::external(format!("{}: cannot be read: {error}", file.path));
    }
    local_error(Path::new(&file.path), "read the file", error)
}

/// Whether the error is about compressed content, not about reaching it.
fn is_damage(file: &FileInfo, error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::InvalidData,
        io::ErrorKind::InvalidInput,
        io::ErrorKind::Other,
    ];
    Compression::of_path(&file.path) != Compression::None && kinds.contains(&error.kind())
}

/// The local file, if it still is the one that was found.
fn same_file(file: &FileInfo) -> Result<std::fs::Metadata, EngineError> {
    let metadata = match std::fs::metadata(&file.path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(file.changed("it is gone"));
        }
        Err(error) => return Err(read_error(file, &error)),
    };
    let now = local_info(Path::new(&file.path), &metadata)?;
    if now.size != file.size {
        return Err(file.changed(&format!("from {} to {} bytes", file.size, now.size)));
    }
    if now.modified_ns != file.modified_ns {
        return Err(file.changed("its modification time is another"));
    }
    Ok(metadata)
}

/// A local file that may have grown since it was found.
fn not_shorter(file: &FileInfo) -> Result<(), EngineError> {
    match std::fs::metadata(&file.path) {
        Ok(now) if now.len() < file.size => {
            Err(file.rewritten(&format!("from {} to {} bytes", file.size, now.len())))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(file.rewritten("it is gone")),
        Err(error) => Err(read_error(file, &error)),
    }
}

/// Opens a local file that may grow at `offset` of its content, as far as it had come when it was
/// found, after checking that what stands before is what was read. Also its last byte before.
fn open_growing(
    file: &FileInfo,
    offset: u64,
    growing: Growing,
) -> Result<(Box<dyn Read + Send>, Option<u8>), EngineError> {
    not_shorter(file)?;
    let packing = Compression::of_path(&file.path);
    let plain = packing == Compression::None;
    let everything = !plain || growing.compare || offset <= COMPARED;
    let (from, crc) = growing.mark.start(everything);
    let open = || -> io::Result<_> {
        let mut raw = File::open(&file.path)?;
        let at = if plain { raw.seek(SeekFrom::Start(from))? } else { 0 };
        let mut read = unpack(packing, Box::new(raw.take(file.size - at.min(file.size))))?;
        let before = checksum(&mut read, offset.saturating_sub(from), crc)?;
        Ok((read, before))
    };
    let (mut read, before) = open().map_err(|error| read_error(file, &error))?;
    if before.bytes + from < offset || before.crc != growing.mark.crc {
        return Err(
            file.rewritten(&format!("what stands before byte {offset} is not what was read"))
        );
    }
    if !growing.lines {
        return Ok((read, None));
    }
    // Only a last line that was taken as it was does not end in a newline.
    if before.last.is_none_or(|last| matches!(last, b'\n' | b'\r')) {
        return Ok((read, before.last));
    }
    let mut next = Vec::new();
    read.by_ref().take(2).read_to_end(&mut next).map_err(|error| read_error(file, &error))?;
    if !matches!(&next[..], [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n']) {
        return Err(file.rewritten(&format!(
            "its last line had no end and was read as it was, and now goes on at byte {offset}; 'source.unfinished-file.timeout' tells how long a line may pause"
        )));
    }
    Ok((Box::new(Read::chain(io::Cursor::new(next), read)), before.last))
}

/// What was passed over.
struct Passed {
    bytes: u64,
    crc: u32,
    last: Option<u8>,
}

fn checksum(read: &mut dyn Read, bytes: u64, crc: u32) -> io::Result<Passed> {
    let mut passed = Passed { bytes: 0, crc, last: None };
    let mut buffer = vec![0; CHUNK.min(usize::try_from(bytes).unwrap_or(CHUNK))];
    while passed.bytes < bytes {
        let most = usize::try_from(bytes - passed.bytes).unwrap_or(CHUNK).min(CHUNK);
        let n = match read.read(&mut buffer[..most]) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        passed.crc = crc32c::crc32c_append(passed.crc, &buffer[..n]);
        passed.last = buffer[..n].last().copied();
        passed.bytes += n as u64;
    }
    Ok(passed)
}

/// Opens a local file for reading at `offset`, after checking that it is the one that was found.
pub(crate) fn open_local(file: &FileInfo, offset: u64) -> Result<File, EngineError> {
    same_file(file)?;
    let open = || -> io::Result<File> {
        let mut opened = File::open(&file.path)?;
        opened.seek(SeekFrom::Start(offset))?;
        Ok(opened)
    };
    open().map_err(|error| read_error(file, &error))
}

/// A range of an object, if it still is the one that was found.
async fn get_range(
    store: &dyn RemoteStore,
    file: &FileInfo,
    range: Range<u64>,
) -> Result<Bytes, EngineError> {
    let key = remote_key(file)?;
    let options = GetOptions {
        if_match: file.etag.clone(),
        range: Some(GetRange::Bounded(range)),
        ..GetOptions::default()
    };
    let failed = |error: object_store::Error| match error {
        object_store::Error::Precondition { .. } => file.changed("its ETag is another"),
        object_store::Error::NotFound { .. } => file.changed("it is gone"),
        error => EngineError::external(format!("{}: cannot be read: {error}", file.path)),
    };
    let result = store.get_opts(&key, options).await.map_err(failed)?;
    if result.meta.size != file.size {
        return Err(file.changed(&format!("from {} to {} bytes", file.size, result.meta.size)));
    }
    result.bytes().await.map_err(failed)
}

fn remote_key(file: &FileInfo) -> Result<object_store::path::Path, EngineError> {
    let key = file
        .path
        .strip_prefix("s3://")
        .and_then(|path| path.split_once('/'))
        .map_or("", |(_, key)| key);
    object_store::path::Path::parse(key)
        .map_err(|error| EngineError::user(format!("{}: not a key: {error}", file.path)))
}

/// An object's bytes as a blocking reader; requests run ahead.
struct Ranges {
    ready: mpsc::Receiver<Result<Bytes, EngineError>>,
    current: Bytes,
}

impl Ranges {
    fn open(
        io: &tokio::runtime::Handle,
        file: &FileInfo,
        store: Arc<dyn RemoteStore>,
        from: u64,
    ) -> Self {
        let (send, ready) = mpsc::channel(RANGES_AHEAD);
        let file = file.clone();
        io.spawn(async move {
            let mut at = from;
            while at < file.size {
                let end = (at + RANGE).min(file.size);
                let bytes = get_range(store.as_ref(), &file, at..end).await;
                let failed = bytes.is_err();
                if send.send(bytes).await.is_err() || failed {
                    return;
                }
                at = end;
            }
        });
        Self { ready, current: Bytes::new() }
    }
}

impl Read for Ranges {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.ready.blocking_recv() {
                Some(Ok(bytes)) => self.current = bytes,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.current.len());
        buffer[..n].copy_from_slice(&self.current[..n]);
        self.current.advance(n);
        Ok(n)
    }
}

/// The line, from 1, of byte `offset` of the uncompressed content; blocks.
pub(crate) fn line_at(
    io: &tokio::runtime::Handle,
    file: FileInfo,
    store: Option<Arc<dyn RemoteStore>>,
    offset: u64,
    growing: bool,
) -> Result<u64, EngineError> {
    let growing = growing.then(|| Growing {
        mark: Mark::default(),
        compare: false,
        may_be_cut: true,
        lines: true,
    });
    Ok(1 + Content::open(io, file, store, Start { offset: 0, growing })?.pass(offset)?)
}

/// Ranges of a local file, if it still is the one that was found; blocks.
fn read_ranges(file: &FileInfo, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, EngineError> {
    use std::os::unix::fs::FileExt;
    let opened = open_local(file, 0)?;
    let read = |range: &Range<u64>| {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        opened.read_exact_at(&mut bytes, range.start).map_err(|error| read_error(file, &error))?;
        Ok::<_, EngineError>(Bytes::from(bytes))
    };
    let bytes = ranges.iter().map(read).collect::<Result<_, _>>()?;
    same_file(file)?;
    Ok(bytes)
}

/// Ranges of a file, if it still is the one that was found.
pub(crate) async fn fetch_ranges(
    file: &FileInfo,
    store: Option<&Arc<dyn RemoteStore>>,
    ranges: &[Range<u64>],
) -> Result<Vec<Bytes>, EngineError> {
    use futures::{StreamExt, TryStreamExt};
    match store {
        None => {
            let (file, ranges) = (file.clone(), ranges.to_vec());
            joined(tokio::task::spawn_blocking(move || read_ranges(&file, &ranges)))
                .await
                .map_err(|error| EngineError::internal(format!("reading ended early: {error}")))?
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
