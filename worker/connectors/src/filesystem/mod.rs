//! `filesystem`: files in local directories and buckets, read exactly where they were left,
//! written so that they appear whole and once.
//!
//! One split is one file. Files must not change: what a split was found as (size, time, ETag)
//! stands in its position, and a file that differs is an error. Only local files of a directory
//! that is watched may grow at their ends (see [`GROWTH`]).
//!
//! Where the event time is a physical column of a Parquet table, the statistics in the files'
//! footers tell its lowest value in each file (see `bounds`). Files are then read from the
//! earliest on, and windows close on the way. Without it (other formats, computed event times,
//! files whose statistics say nothing) windows of a bounded table close at its end, unless the
//! table says [`ORDERED`].

mod bounds;
mod enumerator;
mod fault;
mod fetch;
mod first;
mod format;
mod list;
mod location;
mod mark;
mod parquet;
mod place;
mod position;
mod reader;
mod sink;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use bytes::Bytes;
use weir_engine::EngineError;
use weir_engine::operator::Context;
use weir_engine::source::{Assignment, Source, SourceReader, SplitEnumerator};

use crate::formats::metadata::Wanted;
use crate::formats::{Format, changes, metadata_of, partition};
use crate::options::Options;
use crate::table::{Place, Problem, SinkParts, SourceParts, Table};
use bounds::Bounds;
use enumerator::{FileEnumerator, Watch};
use format::ReadFormat;
use location::{Location, Root};
use reader::{FileReader, Metadata, Origin, ReadPlan};
pub use store::{RemoteStore, S3, Stores, brief};
use watch::Growth;

/// Whether the folder of one option `path` is within that of another, relative to `base` where they
/// are; false where one of them names no folder.
pub(crate) fn is_path_within(path: &str, other: &str, base: &std::path::Path) -> bool {
    let parsed = |path| Location::parse(path, base);
    matches!((parsed(path), parsed(other)), (Ok(here), Ok(there)) if here.is_within(&there))
}

const MONITOR: &str = "source.monitor-interval";
const REGEX: &str = "source.path.regex-pattern";
/// `'source.file-growth'`: what becomes of a file in a watched directory (`source.monitor-interval`)
/// that grows after it was read.
///
/// `'continue'` (default): it is read on exactly where reading stopped. A last line without its
/// end waits until the end is there, and so do compressed files that are cut off and Parquet files
/// without their footer; see [`UNFINISHED`]. What stands before the position is compared first: all
/// of it up to 64 MiB, of longer files the last 64 KiB or more. A file that was written anew is an
/// error that names it; so is one that became shorter, a Parquet file or an object that changed.
/// Rows that are appended behind windows that have closed are late, as rows of new files are.
///
/// `'fail'`: files must be complete when they appear, as those are that were written elsewhere and
/// moved in. Every line is read at once, and a file that grows is an error that names it.
///
/// A file that is gone may come back as it was; another file of its name is an error.
pub(crate) const GROWTH: &str = "source.file-growth";
/// `'source.unfinished-file.timeout'`, 10 s: how long a watched file that ends in the middle of a
/// line (of compressed content, of a block of Avro, without a Parquet footer) may stay the same before it is taken as
/// it is: then the line counts as whole, or the file is an error. While it waits it holds the
/// watermark. A line that goes on after it was taken as whole is an error.
const UNFINISHED: &str = "source.unfinished-file.timeout";
/// As Hive and Spark name the directory of NULL.
const HIVE_DEFAULT_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";
const UNFINISHED_DEFAULT: Duration = Duration::from_secs(10);
const IDLE: &str = "scan.watermark.idle-timeout";
/// `'source.time-ordered' = 'true'`: the files of the table, in the order of their paths, are in
/// the order of time, so that windows may close while later files wait.
///
/// What it declares: no row of a file is behind the watermark that the first row of an earlier
/// file allows. Files may overlap by what `WATERMARK FOR` allows. Paths compare byte by byte, so
/// numbers in them need leading zeros (`part-09` before `part-10`).
///
/// What it does: files are read in that order by all readers together. When files are found, the
/// first row of each is read, and the watermark that it allows is the lower bound of the file. The
/// lowest bound of the files that nobody reads yet holds the watermark. Of more than 4096 files,
/// evenly spaced ones are looked into, and the others begin where the last one before them does;
/// so does a file whose first row cannot be read. Parquet files are asked for their statistics
/// first.
///
/// What is checked: each file starts with its bound as its watermark. Rows below it are late,
/// which means counted and given to the table for late rows, never lost in silence. Where every
/// file was looked into, no row is late that is not late without the option: a row below what the
/// first row of its own file allows is behind in any case. Names in the wrong order then only
/// make windows close later. (A file that a watched directory gains when windows behind its rows
/// have closed is late as without the option.)
pub const ORDERED: &str = "source.time-ordered";
/// Options that only a source reads.
pub(crate) const SOURCE_OPTIONS: [&str; 7] =
    [MONITOR, GROWTH, UNFINISHED, REGEX, IDLE, ORDERED, "scan.parallelism"];

/// The parts of a filesystem source.
///
/// # Errors
/// Every problem with the table's options.
pub fn source(
    table: &Table,
    projection: &[usize],
    place: &Place,
) -> Result<SourceParts, Vec<Problem>> {
    source_with(table, projection, place, &S3)
}

/// The same with other buckets than S3's.
///
/// # Errors
/// Every problem with the table's options.
pub fn source_with(
    table: &Table,
    projection: &[usize],
    place: &Place,
    stores: &dyn Stores,
) -> Result<SourceParts, Vec<Problem>> {
    let mut options = Options::new(table);
    // Options of the sink, so that one table can be read and written.
    sink::allow_sink_options(&mut options);
    let parallelism = options.parallelism("scan.parallelism");
    crate::lookup::allow(&mut options);
    let location = read_location(&mut options, place);
    let format = format::read(&mut options);
    let watch = read_watch(&mut options);
    let idle_after = options.duration(IDLE);
    let ordered = options.bool(ORDERED, false);
    if ordered && place.first_row.is_none() {
        options.refuse(
            ORDERED,
            format!(
                "'{ORDERED}' has no meaning without event time; add WATERMARK FOR to the table, or remove the option"
            ),
        );
    }
    let first_row = place.first_row.clone();
    let null_directories = match options.reveal("partition.default-name") {
        Some(name) => vec![name.to_owned()],
        None => [sink::DEFAULT_PARTITION, HIVE_DEFAULT_PARTITION].map(str::to_owned).into(),
    };
    let regex = options.text(REGEX).and_then(|pattern| {
        // Whole paths, as Java's `matches`.
        regex::Regex::new(&format!("^(?:{})$", pattern.stand_in()))
            .map_err(|error| {
                // The error repeats the pattern.
                let why = pattern.detail(error.to_string());
                options.refuse(REGEX, format!("'{REGEX}' is not a regular expression: {why}"));
            })
            .ok()
    });
    let store = match location.as_ref().map(|location| &location.root) {
        Some(Root::Remote { bucket, .. }) => {
            stores.open(bucket).map_err(|why| options.refuse("path", why)).ok()
        }
        _ => None,
    };
    let mut columns = Columns::read(&mut options, format.as_ref(), projection);
    if format.as_ref().is_some_and(Format::has_kinds) {
        columns.add_kinds();
    }
    let event_time = columns.event_time;
    let read_format = format.map(|format| ReadFormat {
        format,
        physical: columns.physical.clone(),
        wanted: columns.wanted.clone(),
        metadata: columns.metadata.clone(),
        null_directories,
    });
    // Made once here, so that a column that the format cannot hold is told in time.
    if let Some(Err(why)) = read_format.as_ref().map(ReadFormat::try_decoder) {
        options.refuse("format", why);
    }
    let shown = location.as_ref().map_or_else(String::new, |l| options.detail("path", l));
    let looks = watch.map(|watch| options.detail(MONITOR, format!("{:?}", watch.interval)));
    let problems = options.finish();
    let (Some(location), Some(format), true) = (location, read_format, problems.is_empty()) else {
        return Err(problems);
    };
    let mut details = BTreeMap::from([
        ("connector".to_owned(), "filesystem".to_owned()),
        ("path".to_owned(), shown),
        ("format".to_owned(), format.format.name().to_owned()),
    ]);
    details.extend(parallelism);
    if let Some(interval) = looks {
        details.insert("looks again every".to_owned(), interval);
    }
    if let Some(watch) = watch {
        let grown = match watch.growth {
            Growth::Continue => "are read on where they ended",
            Growth::Fail => "are an error",
        };
        details.insert("files that grow".to_owned(), grown.to_owned());
    }
    let plan = Arc::new(ReadPlan {
        schema: columns.schema,
        origins: columns.origins,
        format,
        store: store.clone(),
        watched: watch.is_some(),
    });
    let place = list::Place { location, store, regex };
    let bounds = Bounds::new(&plan, event_time, first_row.clone().filter(|_| ordered));
    if first_row.is_some() {
        details.insert("windows close".to_owned(), Bounds::describe(bounds.as_ref()));
    }
    let source = FileSource { plan, place, watch, bounds };
    Ok(SourceParts { source: Arc::new(source), idle_after, details })
}

/// The parts of a filesystem sink.
///
/// # Errors
/// Every problem with the table's options.
pub fn sink(table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
    sink_with(table, place, Arc::new(S3))
}

/// The same with other buckets than S3's.
///
/// # Errors
/// Every problem with the table's options.
pub fn sink_with(
    table: &Table,
    place: &Place,
    stores: Arc<dyn Stores>,
) -> Result<SinkParts, Vec<Problem>> {
    sink::sink(table, place, stores)
}

fn read_watch(options: &mut Options<'_>) -> Option<Watch> {
    let interval = options.duration(MONITOR);
    if !options.is_given(MONITOR) {
        for key in [GROWTH, UNFINISHED] {
            options.only_with(key, &format!("'{MONITOR}'"));
        }
        return None;
    }
    if interval.is_some_and(|interval| interval < Duration::from_millis(100)) {
        options.refuse(
            MONITOR,
            format!("'{MONITOR}' is less than 100 ms; directories cannot be listed that often"),
        );
    }
    let choices = [("continue", Growth::Continue), ("fail", Growth::Fail)];
    let growth = options.choice(GROWTH, Growth::Continue, &choices);
    let timeout = options.duration(UNFINISHED);
    if growth == Growth::Fail && timeout.is_some() {
        options.refuse(
            UNFINISHED,
            format!("'{UNFINISHED}' has no meaning with '{GROWTH}' = 'fail'; remove one of them"),
        );
    }
    let unfinished_timeout = timeout.unwrap_or(UNFINISHED_DEFAULT);
    interval.map(|interval| Watch { interval, growth, unfinished_timeout })
}

fn read_location(options: &mut Options<'_>, place: &Place) -> Option<Location> {
    let path = options.required("path", "give a file, a directory or 's3://bucket/folder'")?;
    match Location::parse(path.stand_in(), &place.base) {
        Ok(location) => Some(location),
        Err(_) if !path.is_literal() => {
            let given = path.quoted();
            options.refuse(
                "path",
                format!("'path' is {given}; give a file, a directory or 's3://bucket/folder'"),
            );
            None
        }
        Err(why) => {
            options.refuse("path", format!("'path': {why}"));
            None
        }
    }
}

/// Refuses columns whose values cannot stand in the names of directories.
fn check_directories(options: &mut Options<'_>) {
    let table = options.table();
    for field in table.partitioned_by.iter().filter_map(|&i| table.schema.fields().get(i)) {
        if let Err(why) = partition::check(field) {
            options.refuse_table(why);
        }
    }
}

/// The table's columns by where they come from.
struct Columns {
    physical: SchemaRef,
    /// Of `physical`, in order.
    wanted: Vec<usize>,
    /// What the format says beside them.
    metadata: Vec<Wanted>,
    /// The event time, in `physical`, where files hold it.
    event_time: Option<usize>,
    /// Columns of the projection.
    schema: SchemaRef,
    origins: Vec<Origin>,
}

impl Columns {
    fn read(options: &mut Options<'_>, format: Option<&Format>, projection: &[usize]) -> Self {
        let table = options.table();
        let fields = table.schema.fields();
        let of_format = format.map_or(&[][..], |format| metadata_of(format.name()));
        let mut metadata = BTreeMap::new();
        for (&i, key) in &table.metadata {
            let (column, declared) = fields
                .get(i)
                .map_or(("", &DataType::Null), |field| (field.name(), field.data_type()));
            let known = of_format.iter().find(|known| known.key == key);
            match (Metadata::KEYS.iter().find(|(name, _)| name == key), known) {
                (Some((_, found)), _) => {
                    metadata.insert(i, *found);
                }
                (None, Some(known)) if !known.of.fits(declared) => options.refuse_table(format!(
                    "column '{column}': the metadata '{key}' is {}; declare the column as that",
                    known.of.sql()
                )),
                (None, Some(_)) => {}
                (None, None) => {
                    let names = Metadata::KEYS.iter().map(|(name, _)| *name);
                    let names: Vec<_> =
                        names.chain(of_format.iter().map(|known| known.key)).collect();
                    options.refuse_table(format!(
                        "column '{column}': metadata '{key}' is unknown for connector 'filesystem'; give one of: {}",
                        names.join(", ")
                    ));
                }
            }
        }
        check_directories(options);
        let is_physical =
            |i: &usize| !table.metadata.contains_key(i) && !table.partitioned_by.contains(i);
        let physical: Vec<usize> = (0..fields.len()).filter(is_physical).collect();
        let mut wanted: Vec<usize> =
            projection.iter().filter_map(|i| physical.iter().position(|p| p == i)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut of_records = Vec::new();
        let origins = projection.iter().map(|i| {
            if let (None, Some(key)) = (metadata.get(i), table.metadata.get(i)) {
                let field = Arc::clone(&fields[*i]);
                of_records.push(Wanted { key: key.clone(), field });
                return Origin::Content(wanted.len() + of_records.len() - 1);
            }
            match (metadata.get(i), physical.iter().position(|p| p == i)) {
                (Some(found), _) => Origin::Metadata(*found),
                (None, Some(at)) => Origin::Content(wanted.binary_search(&at).unwrap_or_default()),
                (None, None) => {
                    Origin::Directory(fields.get(*i).map(|f| f.name().clone()).unwrap_or_default())
                }
            }
        });
        let origins: Vec<Origin> = origins.collect();
        let project = |indices: &[usize]| -> SchemaRef {
            Arc::new(Schema::new(
                indices.iter().filter_map(|&i| fields.get(i).cloned()).collect::<Vec<_>>(),
            ))
        };
        let event_time =
            table.event_time.and_then(|column| physical.iter().position(|p| *p == column));
        Self {
            physical: project(&physical),
            wanted,
            metadata: of_records,
            event_time,
            schema: project(projection),
            origins,
        }
    }
}

impl Columns {
    /// The kinds of rows, behind all columns of the content.
    fn add_kinds(&mut self) {
        self.origins.push(Origin::Content(self.wanted.len() + self.metadata.len()));
        self.schema = changes::with_kind(&self.schema);
    }
}

struct FileSource {
    plan: Arc<ReadPlan>,
    place: list::Place,
    watch: Option<Watch>,
    /// Where the files' earliest event times can be known.
    bounds: Option<Bounds>,
}

impl Source for FileSource {
    fn schema(&self) -> SchemaRef {
        self.plan.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        self.watch.is_none()
    }

    fn assignment(&self) -> Assignment {
        Assignment::Pull
    }

    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        let (place, bounds) = (self.place.clone(), self.bounds.clone());
        Ok(Box::new(FileEnumerator::new(place, self.watch, bounds, snapshot.as_ref())?))
    }

    fn reader(&self, _cx: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Ok(Box::new(FileReader::new(self.plan.clone())))
    }
}
