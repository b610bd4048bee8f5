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
        let held = self.measure();
        let held = match self.share.surplus(held).filter(|_| self.chain.is_idle()) {
            Some(want) => {
                self.chain.trim(want);
                self.measure()
            }
            None => held,
        };
        let wants_checkpoint = self.share.set(held)?;
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
