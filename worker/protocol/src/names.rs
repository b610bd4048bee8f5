//! What people call the control protocol's states and operations.

use crate::control::{OperationKind, OperationOutcome, OperationReport, RunState};

impl RunState {
    /// The state's name, as `kubectl get` shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "Unknown",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Recovering => "Recovering",
            Self::Rescaling => "Rescaling",
            Self::Stopping => "Stopping",
            Self::Finished => "Finished",
            Self::Stopped => "Stopped",
            Self::Failed => "Failed",
            Self::Fenced => "Fenced",
        }
    }
}

impl OperationKind {
    /// The operation's name, wherever it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "Unknown",
            Self::Rescale => "Rescale",
            Self::Savepoint => "Savepoint",
            Self::Stop => "Stop",
            Self::Drain => "Drain",
            Self::Recovery => "Recovery",
        }
    }
}

impl OperationOutcome {
    /// What came of an operation, wherever it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unchanged => "unchanged",
            Self::Done | Self::Unspecified => "done",
        }
    }
}

impl OperationReport {
    /// Why it was not carried out, if it was not.
    #[must_use]
    pub fn refused(&self) -> Option<&str> {
        (self.outcome() == OperationOutcome::Refused).then_some(self.message.as_str())
    }
}
