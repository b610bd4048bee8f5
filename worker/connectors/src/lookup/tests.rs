//! Options of lookups, and tables that are read as a whole.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use weir_engine::source::{Assignment, Source, SourcePoll, SourceReader, Split, SplitEnumerator};
use weir_engine::{Context, EngineError};

use super::index::Indexed;
use super::*;
use crate::testing::{context, runtime, table};

fn with(options: &[(&str, &str)]) -> Result<Caching, String> {
    let table = table(options, &[("k", DataType::Int64)]);
    let said = |problems: Vec<Problem>| {
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("\n")
    };
    caching(&table).map_err(said)
}

#[test]
fn options_say_when_a_table_is_read_again() {
    assert_eq!(with(&[("path", "x")]), Ok(Caching { reload: None, retries: 3 }));
    let reload = Reload { interval: Duration::from_secs(600), fixed_rate: true };
    assert_eq!(
        with(&[
            ("lookup.cache", "FULL"),
            ("lookup.max-retries", "1"),
            ("lookup.full-cache.reload-strategy", "PERIODIC"),
            ("lookup.full-cache.periodic-reload.interval", "10 min"),
            ("lookup.full-cache.periodic-reload.schedule-mode", "FIXED_RATE"),
        ]),
        Ok(Caching { reload: Some(reload), retries: 1 })
    );
}

#[test]
fn options_that_cannot_be_done_are_refused_by_name() {
    for (key, value) in [
        ("lookup.cache", "PARTIAL"),
        ("lookup.cache", "NONE"),
        ("lookup.full-cache.reload-strategy", "TIMED"),
        ("lookup.partial-cache.max-rows", "100"),
        ("lookup.full-cache.periodic-reload.interval", "0 s"),
        ("lookup.full-cache.periodic-reload.schedule-mode", "FIXED_RATE"),
    ] {
        let said = with(&[(key, value)]).expect_err(key);
        assert!(said.contains(key), "{key}: {said}");
    }
}

#[test]
fn rows_are_found_by_their_keys_in_the_order_in_which_they_were_read() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ]));
    let batch = |rows: &[(Option<&str>, i64)]| {
        let k = StringArray::from_iter(rows.iter().map(|r| r.0));
        let n = Int64Array::from_iter_values(rows.iter().map(|r| r.1));
        RecordBatch::try_new(schema.clone(), vec![Arc::new(k), Arc::new(n)]).unwrap()
    };
    let batches = [
        batch(&[(Some("b"), 1), (None, 2), (Some("a"), 3)]),
        batch(&[(Some("b"), 4), (Some("c"), 5)]),
    ];
    let rows = Indexed::new(&schema, &batches, &[0]).unwrap();
    assert_eq!(rows.len(), 4);
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["c", "d", "b"]));
    let found = rows.find(&[keys], 3).unwrap();
    assert_eq!(found.of, [0, 2, 2]);
    let n: &Int64Array = found.rows.column(1).as_any().downcast_ref().unwrap();
    assert_eq!(n.values(), &[5, 1, 4]);
}

/// A source of the numbers from 1 to one that changes, which is read as often as is counted. At 0
/// it fails.
#[derive(Clone, Default)]
struct Numbers {
    to: Arc<Mutex<i64>>,
    read: Arc<AtomicU32>,
}

fn numbers() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
}

impl Source for Numbers {
    fn schema(&self) -> SchemaRef {
        numbers()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn assignment(&self) -> Assignment {
        Assignment::Pull
    }

    fn enumerator(&self, _: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        Ok(Box::new(self.clone()))
    }

    fn reader(&self, _: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Ok(Box::new(Reader { to: *self.to.lock().unwrap(), rests: true, left: None }))
    }
}

#[async_trait]
impl SplitEnumerator for Numbers {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        self.read.fetch_add(1, Ordering::SeqCst);
        let split = |id: &str| Split {
            id: id.to_owned(),
            position: Bytes::new(),
            watermark: None,
            lower_bound: None,
            size: 1,
        };
        Ok(vec![split("a"), split("b")])
    }

    fn interval(&self) -> Option<Duration> {
        None
    }

    fn snapshot(&self) -> Bytes {
        Bytes::new()
    }
}

/// Gives the even numbers of one split and the odd ones of the other, after a rest.
struct Reader {
    to: i64,
    rests: bool,
    left: Option<(usize, bool)>,
}

impl SourceReader for Reader {
    fn add(&mut self, _: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        self.left = Some((index, split.id == "a"));
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context) -> Result<SourcePoll, EngineError> {
        if self.to == 0 {
            return Err(EngineError::external("the numbers are away"));
        }
        if std::mem::take(&mut self.rests) {
            cx.waker.wake();
            return Ok(SourcePoll::Pending);
        }
        self.rests = true;
        let Some((split, even)) = self.left else { return Ok(SourcePoll::Pending) };
        if self.to < 0 {
            self.to = -self.to;
            return Ok(SourcePoll::Finished { split });
        }
        let of_split = (1..=self.to).filter(|n| (n % 2 == 0) == even);
        self.to = -self.to;
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(of_split));
        let records = RecordBatch::try_new(numbers(), vec![column])?;
        Ok(SourcePoll::Rows { split, records })
    }

    fn position(&self, _: usize) -> Bytes {
        Bytes::new()
    }
}

fn whole(source: &Numbers, reload: Option<Duration>) -> Whole {
    let reload = reload.map(|interval| Reload { interval, fixed_rate: false });
    let project: Project = Arc::new(|rows: &RecordBatch| Ok(rows.clone()));
    let caching = Caching { reload, retries: 0 };
    Whole::new("numbers", Arc::new(source.clone()), project, numbers(), vec![0], caching)
}

fn asked(io: &tokio::runtime::Runtime, table: &Arc<dyn Lookup>) -> Result<usize, EngineError> {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=10));
    Ok(io.block_on(table.lookup(&[keys], 10))?.rows.num_rows())
}

#[test]
fn a_table_is_read_again_and_again_for_as_long_as_somebody_asks_it() {
    let (io, source) = (runtime(), Numbers::default());
    *source.to.lock().unwrap() = 4;
    let whole = whole(&source, Some(Duration::from_millis(5)));
    let cx = context(io.handle(), 1, 0, 1);
    let table = whole.open(&cx).unwrap();
    assert_eq!(asked(&io, &table).unwrap(), 4);
    // Whoever has rows keeps them when they cannot be read again.
    *source.to.lock().unwrap() = 0;
    let read = source.read.load(Ordering::SeqCst);
    while source.read.load(Ordering::SeqCst) < read + 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(asked(&io, &table).unwrap(), 4);
    *source.to.lock().unwrap() = 7;
    while asked(&io, &table).unwrap() != 7 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(table);
    let mut read = source.read.load(Ordering::SeqCst);
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = source.read.load(Ordering::SeqCst);
        if now == read {
            break;
        }
        read = now;
    }
}

#[test]
fn subtasks_share_what_was_read_and_are_told_what_cannot_be() {
    let (io, source) = (runtime(), Numbers::default());
    *source.to.lock().unwrap() = 3;
    let whole = whole(&source, None);
    let (a, b) = (context(io.handle(), 1, 0, 2), context(io.handle(), 1, 1, 2));
    let tables = [whole.open(&a).unwrap(), whole.open(&b).unwrap()];
    assert_eq!(asked(&io, &tables[0]).unwrap() + asked(&io, &tables[1]).unwrap(), 6);
    assert_eq!(source.read.load(Ordering::SeqCst), 1);
    drop(tables);
    *source.to.lock().unwrap() = 0;
    let table = whole.open(&a).unwrap();
    let error = asked(&io, &table).unwrap_err();
    assert!(error.message.contains("numbers") && error.message.contains("away"), "{error}");
}
