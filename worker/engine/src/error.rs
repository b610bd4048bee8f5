//! Errors of the data plane: whose fault, and whether trying again can help.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::veil;

/// Whose fault an error is, and so what may help.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// The user's program, options or data: trying again repeats the error.
    User,
    /// A store, broker or network: trying again with backoff may succeed.
    External,
    /// Weir's own: a bug, or state that should not exist.
    Internal,
}

/// An error with its place, cause and way out, ready to be shown to a user.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct EngineError {
    /// Whose fault it is.
    pub fault: Fault,
    /// Place, cause and fix, in that order, in one or a few lines.
    pub message: String,
}

/// Errors that operators return; the task adds its own name.
pub type OperatorError = EngineError;

impl EngineError {
    /// The one way to an error: what the process covers stands in none.
    fn new(fault: Fault, message: &dyn fmt::Display) -> Self {
        Self { fault, message: veil::hide(&message.to_string()).into_owned() }
    }

    /// An error that only the user can mend.
    #[must_use]
    pub fn user(message: impl fmt::Display) -> Self {
        Self::new(Fault::User, &message)
    }

    /// An error of the surroundings, worth another try.
    #[must_use]
    pub fn external(message: impl fmt::Display) -> Self {
        Self::new(Fault::External, &message)
    }

    /// A broken invariant of our own.
    #[must_use]
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Fault::Internal, &message)
    }

    /// The same error, with the place it happened in front.
    #[must_use]
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self::new(self.fault, &format_args!("{place}: {}", self.message))
    }
}

impl From<arrow::error::ArrowError> for EngineError {
    fn from(error: arrow::error::ArrowError) -> Self {
        // Kernels fail on data (overflow, division by zero, bad casts) in ways a user can mend.
        Self::user(error)
    }
}

impl From<weir_state::table::TableError> for EngineError {
    fn from(error: weir_state::table::TableError) -> Self {
        // Operators declare their tables themselves: what does not fit is theirs.
        Self::internal(error)
    }
}
