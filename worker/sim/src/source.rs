//! The simulated sources: a source's splits are found, added and read as their bursts arrive.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use bytes::Bytes;
use weir_engine::source::{
    Assignment, EventTimes, Source, SourcePoll, SourceReader, Split, SplitEnumerator, WatermarkRule,
};
use weir_engine::{Context, EngineError};
use weir_protocol::Term;

use crate::arrival::Arrivals;
use crate::job::{JobSpec, SplitSpec};

/// Event time, key, and a number that no other row has.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        Field::new("key", DataType::Int64, false),
        Field::new("id", DataType::Int64, false),
    ]))
}

/// Takes rows as they are.
pub(crate) struct Times(pub(crate) WatermarkRule);

impl EventTimes for Times {
    fn project(&mut self, records: RecordBatch) -> Result<RecordBatch, EngineError> {
        Ok(records)
    }

    fn rule(&self) -> Option<&WatermarkRule> {
        Some(&self.0)
    }
}

/// One of the job's sources.
pub(crate) struct Events {
    pub(crate) job: JobSpec,
    /// Its splits in the order in which they are found.
    pub(crate) splits: Arc<Vec<SplitSpec>>,
    pub(crate) arrivals: Arc<Arrivals>,
}

impl Source for Events {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn assignment(&self) -> Assignment {
        self.job.assignment
    }

    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        Ok(Box::new(Enumerator {
            splits: Arc::clone(&self.splits),
            arrivals: Arc::clone(&self.arrivals),
            found: snapshot.map_or(Ok(0), |found| parse(&found))?,
            before: self.arrivals.newest(),
        }))
    }

    fn reader(&self, _: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        Ok(Box::new(Reader {
            job: self.job.clone(),
            known: Arc::clone(&self.splits),
            arrivals: Arc::clone(&self.arrivals),
            term: self.arrivals.term(),
            splits: BTreeMap::new(),
            rest: false,
            turn: 0,
        }))
    }
}

/// Finds splits with the burst of their first rows.
struct Enumerator {
    splits: Arc<Vec<SplitSpec>>,
    arrivals: Arc<Arrivals>,
    /// How many.
    found: usize,
    /// The newest term when it was made, which is before its own term's tasks are.
    before: Term,
}

/// Between two looks into a folder.
const LOOK: Duration = Duration::from_millis(15);

impl Enumerator {
    /// How many are there to be found. What an earlier term has read, its own may have to read
    /// again: readers must not get a later burst's splits first.
    fn there(&self) -> usize {
        let newest = self.arrivals.newest();
        let term = if newest > self.before { newest } else { Term(0) };
        let new = self.splits.iter().skip(self.found);
        self.found + new.take_while(|s| self.arrivals.is_there(term, s.first_burst())).count()
    }
}

#[async_trait]
impl SplitEnumerator for Enumerator {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        let there = self.there();
        let split = |s: &SplitSpec| Split {
            id: s.number.to_string(),
            position: Bytes::from("0"),
            watermark: None,
            lower_bound: None,
            size: s.rows() as u64,
        };
        let found = self.splits[self.found..there].iter().map(split).collect();
        self.found = there;
        Ok(found)
    }

    fn interval(&self) -> Option<Duration> {
        (self.there() < self.splits.len()).then_some(LOOK)
    }

    fn snapshot(&self) -> Bytes {
        Bytes::from(self.found.to_string())
    }
}

struct Reader {
    job: JobSpec,
    known: Arc<Vec<SplitSpec>>,
    arrivals: Arc<Arrivals>,
    term: Term,
    /// Index → split and next row.
    splits: BTreeMap<usize, (SplitSpec, i64)>,
    rest: bool,
    turn: usize,
}

fn parse<T: std::str::FromStr>(bytes: &[u8]) -> Result<T, EngineError> {
    let text = std::str::from_utf8(bytes).map_err(EngineError::internal)?;
    text.parse().map_err(|_| EngineError::internal(format!("{text} is not a number")))
}

impl Reader {
    /// The next split in turn that has rows to be read, and where its burst ends.
    fn next(&mut self) -> Option<(usize, i64)> {
        let n = self.splits.len();
        self.turn += 1;
        let in_turn = self.splits.iter().cycle().skip(self.turn % n.max(1)).take(n);
        let mut readable = in_turn.filter_map(|(&index, (split, at))| {
            let (burst, end) = split.burst_of(*at)?;
            self.arrivals.is_there(self.term, burst).then_some((index, end))
        });
        readable.next()
    }
}

impl SourceReader for Reader {
    fn add(&mut self, _: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        let number: u32 = parse(split.id.as_bytes())?;
        let known = self.known.iter().find(|s| s.number == number);
        let known = known.ok_or_else(|| EngineError::internal(format!("no split {number}")))?;
        self.splits.insert(index, (known.clone(), parse(&split.position)?));
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context) -> Result<SourcePoll, EngineError> {
        if let Some((&index, _)) = self.splits.iter().find(|(_, (s, at))| *at >= s.rows()) {
            self.splits.remove(&index);
            return Ok(SourcePoll::Finished { split: index });
        }
        // A reader rests after each batch, so that a run takes simulated time.
        self.rest = !self.rest;
        let next = if self.rest { None } else { self.next() };
        let Some((index, end)) = next else {
            let (waker, pause) = (cx.waker.clone(), self.job.pause);
            cx.io.spawn(async move {
                tokio::time::sleep(pause).await;
                waker.wake();
            });
            return Ok(SourcePoll::Pending);
        };
        let Some((split, at)) = self.splits.get_mut(&index) else {
            return Ok(SourcePoll::Pending);
        };
        let end = end.min(*at + self.job.batch);
        let rows: Vec<_> = (*at..end).map(|n| self.job.row(split, n)).collect();
        *at = end;
        self.arrivals.read(self.term, rows.len() as u64);
        let times = TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.time));
        let keys = Int64Array::from_iter_values(rows.iter().map(|r| r.key));
        let ids = Int64Array::from_iter_values(rows.iter().map(|r| r.id));
        let columns: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(keys), Arc::new(ids)];
        Ok(SourcePoll::Rows { split: index, records: RecordBatch::try_new(schema(), columns)? })
    }

    fn position(&self, index: usize) -> Bytes {
        // A split that was read to its end is forgotten by the task, too.
        let at = self.splits.get(&index).map_or(0, |(_, at)| *at);
        Bytes::from(at.to_string())
    }
}
