//! The external system that the simulated job writes to: stage, commit, discard.
//!
//! It keeps the rules that a transactional system has: committing is repeatable, what was
//! discarded can never be committed, and staged rows are invisible. It checks what it is asked:
//! a commit of discarded or unknown output is a violation, and so is a second commit under
//! another name of the same rows, which shows as a repeated row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use weir_engine::operator::{Committable, OperatorFactory, PreCommitted, SnapshotRequest};
use weir_engine::sink::{CommitAnswer, CommitContext, Committer};
use weir_engine::{Batch, Context, EngineError, Operator, Output, Progress, Snapshot};

/// The external system.
#[derive(Default)]
pub struct ExternalSystem {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    staged: BTreeMap<u64, Vec<String>>,
    committed: BTreeSet<u64>,
    discarded: BTreeSet<u64>,
    visible: BTreeMap<String, u64>,
    violations: Vec<String>,
    /// How many of the next commits answer `Retry` though they were applied.
    lose_answers: u32,
    slow_flush_one_in: u64,
}

/// Longer than an attempt may take in simulated runs.
const SLOW_FLUSH: Duration = Duration::from_millis(2_500);

impl ExternalSystem {
    /// Rows that anybody can see, and how often each.
    #[must_use]
    pub fn visible(&self) -> BTreeMap<String, u64> {
        self.state.lock().visible.clone()
    }

    /// What must never happen and did.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }

    /// Applies the next `n` commits but answers that they failed.
    pub fn lose_answers(&self, n: u32) {
        self.state.lock().lose_answers += n;
    }

    /// Staging takes no time, but one in so many flushes takes longer than an attempt may.
    pub fn slow_flushes(&self, one_in: u64) {
        self.state.lock().slow_flush_one_in = one_in;
    }

    /// Stages rows; says under which name, and how long flushing takes.
    fn stage(&self, rows: Vec<String>) -> (u64, Duration) {
        let mut state = self.state.lock();
        state.next += 1;
        let name = state.next;
        state.staged.insert(name, rows);
        let slow = state.slow_flush_one_in > 0 && name.is_multiple_of(state.slow_flush_one_in);
        (name, if slow { SLOW_FLUSH } else { Duration::ZERO })
    }
}

fn name(item: &Committable) -> Option<u64> {
    std::str::from_utf8(&item.payload).ok()?.parse().ok()
}

#[async_trait]
impl Committer for ExternalSystem {
    async fn commit(&self, _: &CommitContext, item: &Committable) -> CommitAnswer {
        let mut state = self.state.lock();
        let Some(name) = name(item) else {
            return CommitAnswer::Lost("a committable that no writer made".into());
        };
        if state.discarded.contains(&name) {
            state.violations.push(format!("discarded output {name} was committed"));
            return CommitAnswer::Lost("it was discarded".into());
        }
        if state.committed.insert(name) {
            let Some(rows) = state.staged.remove(&name) else {
                state.violations.push(format!("output {name} was committed but never staged"));
                return CommitAnswer::Lost("it was never staged".into());
            };
            for row in rows {
                *state.visible.entry(row).or_default() += 1;
            }
        }
        if state.lose_answers > 0 {
            state.lose_answers -= 1;
            return CommitAnswer::Retry("no answer".into());
        }
        CommitAnswer::Committed
    }

    async fn discard(&self, _: &CommitContext, item: &Committable) -> CommitAnswer {
        let mut state = self.state.lock();
        if let Some(name) = name(item) {
            if state.committed.contains(&name) {
                state.violations.push(format!("committed output {name} was discarded"));
            }
            state.staged.remove(&name);
            state.discarded.insert(name);
        }
        CommitAnswer::Committed
    }
}

/// Says of the rows of a batch what anybody will see of them.
pub type Show = Box<dyn FnMut(&mut Context, Batch) -> Result<Vec<String>, EngineError> + Send>;

/// A sink that stages what came since the last barrier, as `show` makes each writer say it.
pub fn sink_factory(
    external: &Arc<ExternalSystem>,
    show: impl Fn(&Context) -> Result<Show, EngineError> + Send + Sync + 'static,
) -> Arc<dyn OperatorFactory> {
    let external = Arc::clone(external);
    Arc::new(move |cx: &Context| -> Result<Box<dyn Operator>, EngineError> {
        Ok(Box::new(Sink { external: Arc::clone(&external), show: show(cx)?, rows: Vec::new() }))
    })
}

struct Sink {
    external: Arc<ExternalSystem>,
    show: Show,
    rows: Vec<String>,
}

impl Operator for Sink {
    fn on_batch(
        &mut self,
        cx: &mut Context,
        _: usize,
        batch: Batch,
        _: &mut Output,
    ) -> Result<Progress, EngineError> {
        self.rows.extend((self.show)(cx, batch)?);
        Ok(Progress::Done)
    }

    fn on_barrier(
        &mut self,
        cx: &mut Context,
        _: SnapshotRequest,
    ) -> Result<Snapshot, EngineError> {
        if self.rows.is_empty() {
            return Ok(Snapshot::default());
        }
        let (name, flush) = self.external.stage(std::mem::take(&mut self.rows));
        let item = Committable { sink: cx.uid.clone(), payload: Bytes::from(name.to_string()) };
        let ready = PreCommitted { committables: vec![item], items: Vec::new() };
        let pre_commit = Box::pin(async move {
            tokio::time::sleep(flush).await;
            Ok(ready)
        });
        Ok(Snapshot { pre_commit: Some(pre_commit), ..Snapshot::default() })
    }
}
