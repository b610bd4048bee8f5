//! What a task holds, and what it does about it: rows that segments hold leave memory, a checkpoint is
//! asked for, and where neither is enough the task waits for one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Head, Task};
use crate::EngineError;
use crate::env::instant;
use crate::runtime::memory::Held;
use crate::task::{SHOWN_SPLITS, TaskEvent};

/// How often splits are shown.
const SPLITS_EVERY: Duration = Duration::from_millis(500);

impl Task {
    /// Shows what the task holds, and holds it against the pool's limit.
    pub(super) fn account(&mut self) -> Result<(), EngineError> {
        let watermark = match &self.head {
            Head::Source(head, _) => {
                self.handle.remaining.store(head.remaining(), Ordering::Relaxed);
                self.sent
            }
            Head::Inputs(inputs) => inputs.watermark(),
        };
        self.handle.watermark.store(watermark.0, Ordering::Relaxed);
        self.show_splits();
        let mut held = self.measure();
        let between_batches = self.chain.is_idle();
        if let Some(want) = self.share.surplus(held).filter(|_| between_batches) {
            self.chain.trim(want);
            held = self.measure();
        }
        let wants_checkpoint = match self.share.set(held) {
            // Rows leave only between batches: whether it is too much is known then.
            Err(_) if !between_batches && self.chain.keeps_tables() => true,
            wanted => wanted?,
        };
        if wants_checkpoint && !std::mem::replace(&mut self.wants_checkpoint, true) {
            self.report(TaskEvent::CheckpointWanted);
        }
        Ok(())
    }

    /// Shows the splits of a source, now and then: there may be thousands.
    fn show_splits(&mut self) {
        let Head::Source(head, _) = &self.head else { return };
        let now = instant();
        if self.splits_due.is_none_or(|due| now >= due) {
            self.splits_due = Some(now + SPLITS_EVERY);
            *self.handle.splits.lock() = head.reports(SHOWN_SPLITS);
        }
    }

    /// What the task holds, which is shown, too.
    fn measure(&mut self) -> Held {
        let mut shown = self.handle.state_bytes.lock();
        shown.clear();
        let mut all = Held::default();
        for held in self.chain.held() {
            shown.push(held.bytes);
            all = all + held;
        }
        all
    }

    /// Whether nothing more is taken before more is published.
    pub(super) fn waits_for_memory(&mut self) -> bool {
        !self.is_aligning() && self.share.should_wait() && self.chain.keeps_tables()
    }
}
