//! What operators count.

use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// What an operator has counted up to some moment: one of its tasks, or all of a job's so far.
/// Encoded without its zeros, since most operators count none of it but rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorCounts {
    /// Rows taken in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows_in: u64,
    /// Rows given out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows_out: u64,
    /// Rows dropped as late.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub late: u64,
    /// Input records skipped because they could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub malformed: u64,
}

impl OperatorCounts {
    /// Whether nothing was counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl Add for OperatorCounts {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            rows_in: self.rows_in + more.rows_in,
            rows_out: self.rows_out + more.rows_out,
            late: self.late + more.late,
            malformed: self.malformed + more.malformed,
        }
    }
}

impl Sum for OperatorCounts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(feature = "rpc")]
mod rpc {
    use super::OperatorCounts;
    use crate::control;

    impl From<OperatorCounts> for control::OperatorCounts {
        fn from(counts: OperatorCounts) -> Self {
            let OperatorCounts { rows_in, rows_out, late, malformed } = counts;
            Self { rows_in, rows_out, late, malformed }
        }
    }

    impl From<control::OperatorCounts> for OperatorCounts {
        fn from(counts: control::OperatorCounts) -> Self {
            let control::OperatorCounts { rows_in, rows_out, late, malformed } = counts;
            Self { rows_in, rows_out, late, malformed }
        }
    }
}
