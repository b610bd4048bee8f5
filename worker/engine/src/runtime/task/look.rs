//! What a task shows because somebody looks, and does not find out otherwise.

use super::Task;
use crate::task::Look;

impl Task {
    /// Shows operators that somebody looks at. Between batches only: the state is whole then.
    pub(super) fn look(&mut self, looks: &[Look]) {
        let shown = self.chain.look(looks);
        *self.handle.shown.lock() = shown;
    }
}
