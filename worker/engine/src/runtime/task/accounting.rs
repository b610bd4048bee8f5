//! What a task holds, and what it does about it: rows that segments hold leave memory, a checkpoint is
//! asked for, and where neither is enough the task waits for one.

use std::sync::atomic::Ordering;

use super::{Head, Task};
use crate::EngineError;
use crate::runtime::memory::Held;
use crate::task::TaskEvent;

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
        !self.is_aligning() && self.share.should_wait(self.passed) && self.chain.keeps_tables()
    }
}
