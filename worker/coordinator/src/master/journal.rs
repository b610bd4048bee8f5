//! What the coordinator writes into the log: how the job goes from state to state, what became of
//! operations, and the first checkpoint of each term. A calm job adds nothing.

use weir_protocol::control::{JobStatus, RunState};

use super::owner::JobMaster;

/// What has been written so far.
#[derive(Debug, Default)]
pub(super) struct Journal {
    now: (RunState, &'static str),
    /// Number of the last operation that was told.
    told: u64,
    /// The term whose first checkpoint was told, and the epoch that it began with.
    began: (u64, u64),
    first_is_told: bool,
}

impl Journal {
    /// Writes what has changed since the last call.
    pub(super) fn note(&mut self, master: &JobMaster, status: &JobStatus) {
        let JobStatus { term, epoch, .. } = *status;
        if self.began.0 != term {
            (self.began, self.first_is_told) = ((term, epoch), false);
        }
        if !self.first_is_told && epoch > self.began.1 {
            self.first_is_told = true;
            let ms = status.checkpoint_ms;
            tracing::info!(term, epoch, ms, "the first checkpoint of this term is published");
        }
        let now = (master.run_state(), master.phase_name());
        if now != self.now {
            self.now = now;
            let (state, phase) = now;
            let (parallelism, workers) = (status.parallelism, status.workers);
            let why = if state == RunState::Recovering { status.failure.as_str() } else { "" };
            let state = state.name();
            tracing::info!(term, epoch, parallelism, workers, phase, why, "the job is {state}");
        }
        for done in status.operations.iter().filter(|done| done.number > self.told) {
            let (kind, id) = (done.kind().name(), &done.id);
            let refused = done.refused().is_some();
            tracing::info!(term, kind, id, refused, "{}", done.message);
        }
        self.told = status.operations.last().map_or(self.told, |newest| newest.number);
    }
}
