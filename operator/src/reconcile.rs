//! One round for one job.
//!
//! What a round learns by doing, such as a write that the cluster refuses, is a fact of the next,
//! which then follows at once: a decision is made once a round, and from facts alone.

use std::time::Duration;

use tracing::field::Empty;
use tracing::instrument;

pub use crate::context::Context;

use crate::apply::{ApplyError, apply};
use crate::build::build;
use crate::decide::{SOON, decide};
use crate::observe::{ObserveError, ask, observe};
use crate::status::{StatusError, publish};
use crate::validate::validate_observed;

/// A round that failed; the next one begins anew.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A read failed.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A write failed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The status was not written.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl ReconcileError {
    /// One word for the metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Observe(_) => "observe",
            _ if self.is_conflict() => "conflict",
            Self::Apply(_) => "apply",
            Self::Status(_) => "status",
        }
    }

    /// How long to wait before the next round.
    #[must_use]
    pub fn pause(&self) -> Duration {
        if self.is_conflict() { SOON } else { Duration::from_secs(2) }
    }

    /// The facts were old: a new look will tell.
    fn is_conflict(&self) -> bool {
        match self {
            Self::Apply(error) => error.is_conflict(),
            Self::Status(error) => error.is_conflict(),
            Self::Observe(_) => false,
        }
    }
}

/// One round for one job. Returns when to look again, or none when the job is gone.
///
/// # Errors
/// A read or write failed. What was written stands, and the next round goes on from there.
#[instrument(skip_all, fields(namespace = namespace, job = name, uid = Empty, generation = Empty))]
pub async fn reconcile(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<Duration>, ReconcileError> {
    let Some(observed) = observe(context, namespace, name).await? else {
        context.forget(namespace, name);
        return Ok(None);
    };
    let spec = validate_observed(&observed);
    let facts = ask(context, &observed, &spec).await?;
    let plan = decide(&facts);
    let children = build(&observed, &spec, &facts, &plan);
    let applied = apply(context, &observed, &plan, children).await?;
    Ok(publish(context, &observed, &facts, &plan, applied).await?)
}
