//! Reads files one after the other and adds what is known about each: metadata and the values
//! in its directories' names.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMillisecondArray,
    UInt32Array,
};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use weir_engine::EngineError;
use weir_engine::operator::Context;
use weir_engine::source::{SourcePoll, SourceReader, Split};

use super::format::ReadFormat;
use super::location::unescape;
use super::parquet::ParquetFile;
use super::position::{At, FileInfo, Position};
use super::store::RemoteStore;
use super::text::{BATCH, Polled, TextFile};
use crate::formats::parquet::RowPosition;
use crate::formats::{Compression, partition};

/// Where a column of the table comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// The file's content: position among the decoded columns.
    Content(usize),
    /// `METADATA FROM …`.
    Metadata(Metadata),
    /// A directory `name=value`.
    Directory(String),
}

/// Metadata of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Metadata {
    Path,
    Name,
    Size,
    ModificationTime,
}

impl Metadata {
    pub(crate) const KEYS: &[(&str, Self)] = &[
        ("file.path", Self::Path),
        ("file.name", Self::Name),
        ("file.size", Self::Size),
        ("file.modification-time", Self::ModificationTime),
    ];
}

/// What readers of one table share.
pub(crate) struct ReadPlan {
    /// Columns that are given out.
    pub(crate) schema: SchemaRef,
    /// Where each comes from.
    pub(crate) origins: Vec<Origin>,
    pub(crate) format: ReadFormat,
    pub(crate) store: Option<Arc<dyn RemoteStore>>,
    /// The directory is looked at again and again: files go back when they were read.
    pub(crate) watched: bool,
}

pub(crate) struct FileReader {
    plan: Arc<ReadPlan>,
    files: BTreeMap<usize, OpenFile>,
}

struct OpenFile {
    info: FileInfo,
    /// Columns that are the same in every row: [`BATCH`] rows each.
    constants: BTreeMap<usize, ArrayRef>,
    content: Content,
}

enum Content {
    Text(Box<TextFile>),
    Parquet(Box<ParquetFile>),
}

impl FileReader {
    pub(crate) fn new(plan: Arc<ReadPlan>) -> Self {
        Self { plan, files: BTreeMap::new() }
    }
}

impl SourceReader for FileReader {
    fn add(&mut self, cx: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        let mut position = Position::decode(split)?;
        if position.mark.is_some() && !self.plan.watched {
            // It was watched before: nobody would look for the rest.
            position = position.whole();
        }
        let (file, at) = (position.file.clone(), position.at);
        let store = self.plan.store.clone();
        let content = match (self.plan.format.decoder()?, at) {
            (Some(decoder), At::Byte(offset)) => {
                Compression::check(&file.path)
                    .map_err(|why| EngineError::user(format!("{}: {why}", file.path)))?;
                Content::Text(Box::new(TextFile::new(position, store, decoder, offset)))
            }
            (None, at) => {
                let next = match at {
                    At::Row { group, row } => RowPosition { group, row },
                    // What a split begins with, whatever its format.
                    At::Byte(0) => RowPosition::default(),
                    At::Byte(_) => return Err(format_changed(&file, "records")),
                };
                let format = self.plan.format.clone();
                let watched = self.plan.watched;
                let file = ParquetFile::new(cx, position, store, format, next, watched);
                Content::Parquet(Box::new(file))
            }
            (Some(_), At::Row { .. }) => {
                return Err(format_changed(&file, "Parquet"));
            }
        };
        let constants = constants(&self.plan, &file)?;
        self.files.insert(index, OpenFile { info: file, constants, content });
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context) -> Result<SourcePoll, EngineError> {
        // In the order in which they were given, so that event time goes on as files do.
        for (&index, file) in &mut self.files {
            let polled = match &mut file.content {
                Content::Text(text) => text.poll(cx)?,
                Content::Parquet(parquet) => parquet.poll(cx)?,
            };
            match polled {
                Polled::Pending => {}
                Polled::Wrong(message) => {
                    let error = EngineError::user(message);
                    return Err(match self.place(cx, index, 0) {
                        Some(place) => error.at(place),
                        None => error,
                    });
                }
                Polled::Rows(content) => {
                    let records = complete(&self.plan, &file.info, &file.constants, &content)?;
                    return Ok(SourcePoll::Rows { split: index, records });
                }
                Polled::End => {
                    let (position, left) = file.end();
                    self.files.remove(&index);
                    return Ok(if self.plan.watched {
                        SourcePoll::Returned { split: index, position: position.encode(), left }
                    } else {
                        SourcePoll::Finished { split: index }
                    });
                }
            }
        }
        Ok(SourcePoll::Pending)
    }

    fn position(&self, index: usize) -> Bytes {
        let Some(file) = self.files.get(&index) else {
            return Bytes::new();
        };
        match &file.content {
            Content::Text(text) => text.position().encode(),
            Content::Parquet(parquet) => parquet.position().encode(),
        }
    }

    fn place(&self, cx: &Context, index: usize, row: usize) -> Option<String> {
        let file = self.files.get(&index)?;
        match &file.content {
            Content::Text(text) => Some(text.place(&cx.io, self.plan.format.decoder().ok()??, row)),
            Content::Parquet(parquet) => Some(parquet.place(row)),
        }
    }

    /// A file owes its rows until it is read as far as it goes: it was found with them. They may be
    /// decoded already and wait for their batch to fill, in a file whose next bytes are slow to
    /// come; or the file waits for its turn behind another one of this reader.
    fn owes(&self, index: usize) -> bool {
        self.files.contains_key(&index)
    }

    fn remaining(&self, index: usize) -> u64 {
        self.files.get(&index).map_or(0, |file| match &file.content {
            // Of compressed files it is a lower bound, since only the packed size is known.
            Content::Text(text) => file.info.size.saturating_sub(text.given()),
            Content::Parquet(parquet) => parquet.remaining(),
        })
    }
}

impl OpenFile {
    /// Where a file that was read as far as it goes for now is to be read on, and how many bytes
    /// are there already.
    fn end(&self) -> (Position, u64) {
        match &self.content {
            Content::Text(text) => (text.end_position(), text.left()),
            Content::Parquet(parquet) => {
                (Position::new(self.info.clone(), parquet.at()), parquet.left())
            }
        }
    }
}

impl ReadPlan {
    /// Rows of a file with the columns that do not come from its content.
    pub(crate) fn complete(
        &self,
        file: &FileInfo,
        content: &RecordBatch,
    ) -> Result<RecordBatch, EngineError> {
        complete(self, file, &constants(self, file)?, content)
    }
}

fn complete(
    plan: &ReadPlan,
    file: &FileInfo,
    constants: &BTreeMap<usize, ArrayRef>,
    content: &RecordBatch,
) -> Result<RecordBatch, EngineError> {
    let rows = content.num_rows();
    let columns = plan.origins.iter().enumerate().map(|(i, origin)| match origin {
        Origin::Content(at) => Ok(content.column(*at).clone()),
        _ => {
            let constant = constants.get(&i).ok_or_else(|| {
                EngineError::internal(format!("{}: column {i} has no value", file.path))
            })?;
            if rows <= constant.len() {
                return Ok(constant.slice(0, rows));
            }
            // One line may hold more rows than a batch has otherwise.
            Ok(take(constant, &UInt32Array::from(vec![0; rows]), None)?)
        }
    });
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, EngineError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(plan.schema.clone(), columns, &options)?)
}

fn format_changed(file: &FileInfo, before: &str) -> EngineError {
    EngineError::user(format!(
        "{}: was being read as {before} when the state was saved; 'format' cannot change while a file is read",
        file.path
    ))
}

fn constants(plan: &ReadPlan, file: &FileInfo) -> Result<BTreeMap<usize, ArrayRef>, EngineError> {
    let mut constants = BTreeMap::new();
    for (i, (origin, field)) in plan.origins.iter().zip(plan.schema.fields()).enumerate() {
        let value: ArrayRef = match origin {
            Origin::Content(_) => continue,
            Origin::Metadata(Metadata::Path) => {
                Arc::new(StringArray::from(vec![file.path.as_str()]))
            }
            Origin::Metadata(Metadata::Name) => Arc::new(StringArray::from(vec![file.name()])),
            Origin::Metadata(Metadata::Size) => Arc::new(Int64Array::from(vec![file.size as i64])),
            Origin::Metadata(Metadata::ModificationTime) => {
                let ms =
                    TimestampMillisecondArray::from(vec![file.modified_ns.div_euclid(1_000_000)]);
                let zone = match field.data_type() {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                Arc::new(ms.with_timezone_opt(zone))
            }
            Origin::Directory(column) => {
                let text = directory_value(plan, file, column)?;
                partition::read(field, text.as_deref())
                    .map_err(|why| EngineError::user(format!("{}: {why}", file.path)))?
            }
        };
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let value = cast_with_options(&value, field.data_type(), &strict).map_err(|error| {
            EngineError::user(format!("{}: column '{}': {error}", file.path, field.name()))
        })?;
        let repeated = take(&value, &UInt32Array::from(vec![0; BATCH]), None)?;
        constants.insert(i, repeated);
    }
    Ok(constants)
}

/// The value of a partition column; `None` for the default partition, which stands for NULL.
fn directory_value(
    plan: &ReadPlan,
    file: &FileInfo,
    column: &str,
) -> Result<Option<String>, EngineError> {
    let value = file.path.rsplit('/').skip(1).find_map(|name| {
        let (key, value) = name.split_once('=')?;
        (unescape(key) == column).then(|| unescape(value))
    });
    match value {
        Some(value) if plan.format.null_directories.contains(&value) => Ok(None),
        Some(value) => Ok(Some(value)),
        None => Err(EngineError::user(format!(
            "{}: no directory '{column}=…' above it; the table is PARTITIONED BY ({column}), so its files must lie in such directories",
            file.path
        ))),
    }
}
