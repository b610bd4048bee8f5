//! The sink's operator: rows to encoded bytes, bytes to the stage, files rolled by the policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_engine::operator::{
    Committable, Context, Operator, Output, PreCommitted, Progress, Restored, Snapshot,
    SnapshotRequest,
};
use weir_engine::{Batch, EngineError, OperatorError, RowKind, Watermark};
use weir_protocol::{Counter, OperatorUid};

use super::encode::{Encoder, FileEncoder};
use super::fresh;
use super::partition::Layout;
use super::payload::{self, Waiting};
use super::policy::{Age, Policy};
use super::stage::{FileId, FileName, Queue};
use super::whole::{Partition, Rule};
use crate::formats::changes::records_with_kinds;

/// Encoded bytes that are handed over at once.
const HAND_OVER: usize = 1 << 20;
/// Files open at a time; the one that was written to longest ago is closed first.
const OPEN_FILES: usize = 512;

pub(crate) struct FileWriter {
    uid: OperatorUid,
    place: String,
    layout: Layout,
    policy: Policy,
    encoder: Encoder,
    queue: Queue,
    /// By directory.
    open: BTreeMap<String, Writing>,
    next: FileId,
    checked_ms: i64,
    /// When partitions are said to be whole.
    rule: Option<Rule>,
    /// Those that are not, by directory.
    waiting: BTreeMap<String, Partition>,
    watermark: Watermark,
}

struct Writing {
    id: FileId,
    name: Arc<FileName>,
    encoder: FileEncoder,
    age: Age,
}

impl FileWriter {
    pub(crate) fn new(
        uid: OperatorUid,
        place: String,
        layout: Layout,
        policy: Policy,
        encoder: Encoder,
        rule: Option<Rule>,
        queue: Queue,
    ) -> Self {
        Self {
            uid,
            place,
            layout,
            policy,
            encoder,
            queue,
            open: BTreeMap::new(),
            next: 0,
            checked_ms: 0,
            rule,
            waiting: BTreeMap::new(),
            watermark: Watermark::MIN,
        }
    }

    /// Says of partitions that they are whole, behind all of their rows.
    fn mark_whole(&mut self, cx: &Context, ended: bool) -> Result<(), OperatorError> {
        let Some(rule) = self.rule.clone() else { return Ok(()) };
        let (now_ms, watermark) = (cx.clock.now_ms(), self.watermark);
        let due = |partition: &Partition| ended || rule.is_due(*partition, now_ms, watermark);
        let whole: Vec<String> =
            self.waiting.extract_if(.., |_, partition| due(partition)).map(|(d, _)| d).collect();
        for directory in whole {
            self.roll(&directory)?;
            self.queue.mark(&directory, &rule.name)?;
        }
        Ok(())
    }

    fn open_file(&mut self, cx: &Context, directory: &str) -> Result<(), OperatorError> {
        if self.open.len() >= OPEN_FILES {
            let oldest = self.open.iter().min_by_key(|(_, file)| (file.age.written_ms, file.id));
            if let Some(oldest) = oldest.map(|(directory, _)| directory.clone()) {
                self.roll(&oldest)?;
            }
        }
        let now_ms = cx.clock.now_ms();
        let uid: String =
            self.uid.as_str().chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        let name = format!(
            "part-{uid}-{}-{}-{}{}",
            cx.subtask,
            self.next,
            fresh(cx.term),
            self.encoder.ending()
        );
        let file = Writing {
            id: self.next,
            name: Arc::new(FileName { directory: directory.to_owned(), name }),
            encoder: self.encoder.open()?,
            age: Age { bytes: 0, opened_ms: now_ms, written_ms: now_ms },
        };
        self.next += 1;
        self.open.insert(directory.to_owned(), file);
        Ok(())
    }

    /// Closes a file: everything that it holds becomes a committable at the next barrier.
    fn roll(&mut self, directory: &str) -> Result<(), OperatorError> {
        let Some(file) = self.open.remove(directory) else {
            return Ok(());
        };
        let rest = file.encoder.finish()?;
        if !rest.is_empty() {
            self.queue.append(file.id, &file.name, rest)?;
        }
        self.queue.roll(file.id)
    }

    fn roll_where(&mut self, due: impl Fn(&Writing) -> bool) -> Result<(), OperatorError> {
        let directories: Vec<String> = self
            .open
            .iter()
            .filter(|(_, file)| due(file))
            .map(|(directory, _)| directory.clone())
            .collect();
        directories.iter().try_for_each(|directory| self.roll(directory))
    }
}

impl Operator for FileWriter {
    fn restore(&mut self, _cx: &mut Context, state: Restored) -> Result<(), OperatorError> {
        for item in state.items {
            match (payload::decode::<Waiting>(&item), &self.rule) {
                (Err(_), _) => self.queue.restore(item)?,
                (Ok((Waiting::Partitions(known), _)), Some(rule)) => {
                    for (directory, since_ms) in known {
                        let partition = rule.partition(&directory, since_ms)?;
                        self.waiting.insert(directory, partition);
                    }
                }
                // Nobody is told of them any more.
                (Ok(_), None) => {}
            }
        }
        Ok(())
    }

    fn is_ready(&mut self, _cx: &mut Context) -> bool {
        self.queue.has_room()
    }

    fn on_batch(
        &mut self,
        cx: &mut Context,
        _input: usize,
        batch: Batch,
        _out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        self.queue.check()?;
        let has_kinds = self.encoder.format.has_kinds();
        if !has_kinds
            && batch.kinds().is_some_and(|kinds| kinds.iter().any(|kind| *kind != RowKind::Insert))
        {
            return Err(EngineError::user(format!(
                "{}: connector 'filesystem' only takes new rows, and this result also updates or deletes; write it to a sink that takes updates",
                self.place
            )));
        }
        if batch.num_rows() == 0 {
            return Ok(Progress::Done);
        }
        let now_ms = cx.clock.now_ms();
        let records = match has_kinds {
            true => records_with_kinds(&batch)?,
            false => batch.into_records(),
        };
        for (directory, records) in self.layout.split(&records)? {
            if let Some(rule) = &self.rule
                && !self.waiting.contains_key(&directory)
            {
                let partition = rule.partition(&directory, now_ms);
                let partition = partition.map_err(|error| error.at(&self.place))?;
                self.waiting.insert(directory.clone(), partition);
            }
            if !self.open.contains_key(&directory) {
                self.open_file(cx, &directory)?;
            }
            let Some(file) = self.open.get_mut(&directory) else {
                continue;
            };
            file.encoder.write(&records).map_err(|error| error.at(&self.place))?;
            file.age.written_ms = now_ms;
            file.age.bytes = file.encoder.bytes();
            let full = self.policy.is_full(file.age);
            if full || file.encoder.pending() >= HAND_OVER {
                let data = file.encoder.take()?;
                cx.metrics.add(Counter::Bytes, data.len());
                if !data.is_empty() {
                    self.queue.append(file.id, &file.name, data)?;
                }
            }
            if full {
                self.roll(&directory)?;
            }
        }
        Ok(Progress::Done)
    }

    fn on_watermark(
        &mut self,
        _cx: &mut Context,
        mark: Watermark,
        _out: &mut Output,
    ) -> Result<Progress, OperatorError> {
        self.watermark = self.watermark.max(mark);
        Ok(Progress::Done)
    }

    fn on_tick(&mut self, cx: &mut Context, _out: &mut Output) -> Result<(), OperatorError> {
        self.queue.check()?;
        let now_ms = cx.clock.now_ms();
        if now_ms - self.checked_ms >= self.policy.check_ms || now_ms < self.checked_ms {
            self.checked_ms = now_ms;
            let policy = self.policy;
            // Parquet waits for a barrier, so that its row groups are not cut more than needed.
            if !self.encoder.is_parquet() {
                self.roll_where(|file| policy.is_due(file.age, now_ms))?;
            }
        }
        Ok(())
    }

    fn on_barrier(
        &mut self,
        cx: &mut Context,
        request: SnapshotRequest,
    ) -> Result<Snapshot, OperatorError> {
        self.queue.check()?;
        let (policy, now_ms) = (self.policy, cx.clock.now_ms());
        // What is due is shown with this checkpoint, not with the one after the next look.
        self.roll_where(|file| request.last || policy.is_due(file.age, now_ms))?;
        // A job may also stop before its end, with a savepoint to go on from.
        let ended = request.last && self.watermark == Watermark::MAX;
        self.mark_whole(cx, ended)?;
        let mut footers = Vec::new();
        for file in self.open.values_mut() {
            file.encoder.pause()?;
            let data = file.encoder.take()?;
            let footer = file.encoder.footer()?;
            if !data.is_empty() {
                cx.metrics.add(Counter::Bytes, data.len());
                self.queue.append(file.id, &file.name, data)?;
            }
            if !footer.is_empty() {
                footers.push((file.id, footer));
            }
        }
        let staged = self.queue.barrier(footers, ended);
        let waiting = self.waiting.iter().map(|(directory, p)| (directory.clone(), p.since_ms));
        let waiting: Vec<(String, i64)> = waiting.collect();
        let uid = self.uid.clone();
        let pre_commit = async move {
            let (commits, mut items) = staged.await?;
            if !waiting.is_empty() {
                items.push(payload::encode(&Waiting::Partitions(waiting), &[]));
            }
            let committable =
                |commit| Committable { sink: uid.clone(), payload: payload::encode(&commit, &[]) };
            Ok(PreCommitted { committables: commits.into_iter().map(committable).collect(), items })
        };
        Ok(Snapshot { pre_commit: Some(Box::pin(pre_commit)), ..Snapshot::default() })
    }

    fn state_bytes(&self) -> usize {
        self.queue.queued_bytes()
            + self.open.values().map(|file| file.encoder.memory()).sum::<usize>()
    }
}
