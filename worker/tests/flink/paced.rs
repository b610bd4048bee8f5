//! A source whose rows come a few at a time, with pauses, as a seed decides.
//!
//! A position is that of the connector's own reader before a batch, and how many of the batch's
//! rows were given: a file is read again from there and gives the same rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;
use weir_engine::source::{Assignment, Source, SourcePoll, SourceReader, Split, SplitEnumerator};
use weir_engine::{Context, EngineError};

/// How much comes at once.
const AT_ONCE: [usize; 5] = [1, 2, 3, 7, usize::MAX];
/// How long nothing comes then, in milliseconds of simulated time.
const PAUSES: [u64; 4] = [0, 0, 40, 150];

/// A source of the suite, slowed down.
pub(crate) struct Paced {
    pub(crate) inner: Arc<dyn Source>,
    pub(crate) seed: u64,
}

impl Source for Paced {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn is_bounded(&self) -> bool {
        self.inner.is_bounded()
    }

    fn assignment(&self) -> Assignment {
        self.inner.assignment()
    }

    fn enumerator(&self, snapshot: Option<Bytes>) -> Result<Box<dyn SplitEnumerator>, EngineError> {
        Ok(Box::new(Enumerator(self.inner.enumerator(snapshot)?)))
    }

    fn reader(&self, cx: &Context) -> Result<Box<dyn SourceReader>, EngineError> {
        let chance = self.seed ^ (u64::from(cx.subtask.0) << 32) ^ (cx.term.0 << 40);
        let mut rng = StdRng::seed_from_u64(chance);
        Ok(Box::new(Reader {
            inner: self.inner.reader(cx)?,
            at_once: AT_ONCE[rng.random_range(0..AT_ONCE.len())],
            rng,
            rests_until: None,
            has_rested: false,
            restored: BTreeMap::new(),
            stood: BTreeMap::new(),
            held: None,
        }))
    }
}

/// Rows of a batch that were given, and the position before it.
#[derive(Clone)]
struct Position {
    given: usize,
    before: Bytes,
}

impl Position {
    fn encode(&self) -> Bytes {
        [&(self.given as u64).to_le_bytes(), &self.before[..]].concat().into()
    }

    fn decode(bytes: &Bytes) -> Result<Self, EngineError> {
        let given = bytes.first_chunk().ok_or_else(|| EngineError::internal("no position"))?;
        Ok(Self { given: u64::from_le_bytes(*given) as usize, before: bytes.slice(8..) })
    }
}

struct Enumerator(Box<dyn SplitEnumerator>);

#[async_trait]
impl SplitEnumerator for Enumerator {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        let paced = |split: Split| {
            let position = Position { given: 0, before: split.position.clone() }.encode();
            Split { position, ..split }
        };
        Ok(self.0.discover().await?.into_iter().map(paced).collect())
    }

    fn interval(&self) -> Option<Duration> {
        self.0.interval()
    }

    fn snapshot(&self) -> Bytes {
        self.0.snapshot()
    }

    fn take_back(&mut self, split: Split) -> Result<(), EngineError> {
        let position = Position::decode(&split.position)?.before;
        self.0.take_back(Split { position, ..split })
    }

    fn held(&self) -> Option<i64> {
        self.0.held()
    }
}

/// A batch of which not all rows were given.
struct Held {
    split: usize,
    records: RecordBatch,
    position: Position,
}

struct Reader {
    inner: Box<dyn SourceReader>,
    at_once: usize,
    rng: StdRng,
    rests_until: Option<Instant>,
    has_rested: bool,
    /// Splits that go on within a batch which has not been read again yet.
    restored: BTreeMap<usize, Position>,
    /// Where the connector's reader stood in each split before it moved.
    stood: BTreeMap<usize, Bytes>,
    held: Option<Held>,
}

impl Reader {
    /// Whether nothing comes now; the task is woken when it does.
    fn rests(&mut self, cx: &Context) -> bool {
        if self.rests_until.is_none() && !self.has_rested {
            let pause = PAUSES[self.rng.random_range(0..PAUSES.len())];
            let until = Instant::now() + Duration::from_millis(pause);
            self.rests_until = Some(until);
            let waker = cx.waker.clone();
            cx.io.spawn(async move {
                tokio::time::sleep_until(until).await;
                waker.wake();
            });
        }
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return true;
        }
        self.rests_until = None;
        self.has_rested = true;
        false
    }

    fn give(&mut self) -> Option<SourcePoll> {
        let held = self.held.as_mut()?;
        let split = held.split;
        let given = held.position.given;
        let n = self.at_once.min(held.records.num_rows() - given);
        let records = held.records.slice(given, n);
        held.position.given += n;
        if held.position.given == held.records.num_rows() {
            self.held = None;
        }
        self.has_rested = false;
        Some(SourcePoll::Rows { split, records })
    }
}

impl SourceReader for Reader {
    fn add(&mut self, cx: &Context, index: usize, split: &Split) -> Result<(), EngineError> {
        let position = Position::decode(&split.position)?;
        let split = Split { position: position.before.clone(), ..split.clone() };
        self.stood.insert(index, position.before.clone());
        if position.given > 0 {
            self.restored.insert(index, position);
        }
        self.inner.add(cx, index, &split)
    }

    fn poll(&mut self, cx: &mut Context) -> Result<SourcePoll, EngineError> {
        if self.rests(cx) {
            return Ok(SourcePoll::Pending);
        }
        loop {
            if let Some(rows) = self.give() {
                return Ok(rows);
            }
            let (split, records) = match self.inner.poll(cx)? {
                SourcePoll::Rows { split, records } => (split, records),
                SourcePoll::Returned { split, position, left } => {
                    let position = Position { given: 0, before: position }.encode();
                    return Ok(SourcePoll::Returned { split, position, left });
                }
                other => return Ok(other),
            };
            let now = self.inner.position(split);
            let before = self.stood.insert(split, now).unwrap_or_default();
            let given = self.restored.remove(&split).map_or(0, |position| position.given);
            let rows = records.num_rows();
            if given < rows {
                let position = Position { given, before };
                self.held = Some(Held { split, records, position });
            } else if given > rows {
                let before = self.inner.position(split);
                self.restored.insert(split, Position { given: given - rows, before });
            }
        }
    }

    fn position(&self, index: usize) -> Bytes {
        let held = self.held.as_ref().filter(|held| held.split == index).map(|h| &h.position);
        match held.or_else(|| self.restored.get(&index)) {
            Some(position) => position.encode(),
            None => Position { given: 0, before: self.inner.position(index) }.encode(),
        }
    }

    fn place(&self, cx: &Context, index: usize, row: usize) -> Option<String> {
        self.inner.place(cx, index, row)
    }

    fn owes(&self, index: usize) -> bool {
        self.held.as_ref().is_some_and(|held| held.split == index)
            || self.restored.contains_key(&index)
            || self.inner.owes(index)
    }

    fn remaining(&self, index: usize) -> u64 {
        self.inner.remaining(index)
    }
}
