//! Named points of the protocol, where a test can stop a process and a histogram is counted.
//!
//! Production passes [`Steps::none`]; nothing is awaited then.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;

/// The chain has been listed for a take-over; nothing is written yet.
pub const TAKE_OVER_LISTED: &str = "take-over.listed";
/// A seal is about to be put.
pub const SEAL_BEFORE_PUT: &str = "seal.before-put";
/// A PUT of the seal has been answered, one way or the other.
pub const SEAL_AFTER_PUT: &str = "seal.after-put";
/// The seal counts.
pub const SEALED: &str = "seal.counts";
/// Somebody else holds the name, or a name above it.
pub const SEAL_LOST: &str = "seal.lost";
/// A manifest is built and about to be put for the first time: after the acks.
pub const PUBLISH_BEFORE_PUT: &str = "publish.before-put";
/// A PUT of a manifest has been answered, one way or the other.
pub const PUBLISH_AFTER_PUT: &str = "publish.after-put";
/// The manifest's name was read back, because the PUT's answer did not decide.
pub const PUBLISH_READ_BACK: &str = "publish.read-back";
/// A manifest is put again, because nobody holds its name.
pub const PUBLISH_PUT_AGAIN: &str = "publish.put-again";
/// A void manifest is about to be put under the undecided name.
pub const PUBLISH_BEFORE_VOID: &str = "publish.before-void";
/// The manifest counts.
pub const PUBLISHED: &str = "publish.counts";
/// The void manifest counts.
pub const VOIDED: &str = "publish.voided";
/// The writer found itself fenced.
pub const FENCED: &str = "publish.fenced";
/// For the coordinator: about to send a commit.
pub const BEFORE_COMMIT: &str = "commit.before";
/// A commit was acknowledged.
pub const COMMIT_ACKNOWLEDGED: &str = "commit.acknowledged";
/// Collection has listed what it will delete.
pub const COLLECT_LISTED: &str = "collect.listed";
/// About to delete one object.
pub const COLLECT_BEFORE_DELETE: &str = "collect.before-delete";
/// Collection has ended.
pub const COLLECTED: &str = "collect.done";
/// Dropped output is destroyed; the restoring manifest is about to be published.
pub const ROLL_BACK_DESTROYED: &str = "roll-back.destroyed";
/// One object of a savepoint is copied.
pub const SAVEPOINT_COPIED: &str = "savepoint.copied";
/// A savepoint's manifest is about to be written.
pub const SAVEPOINT_BEFORE_MANIFEST: &str = "savepoint.before-manifest";

/// Every step that this crate reports, in the order of the protocol.
pub const ALL: &[&str] = &[
    TAKE_OVER_LISTED,
    SEAL_BEFORE_PUT,
    SEAL_AFTER_PUT,
    SEALED,
    SEAL_LOST,
    PUBLISH_BEFORE_PUT,
    PUBLISH_AFTER_PUT,
    PUBLISH_READ_BACK,
    PUBLISH_PUT_AGAIN,
    PUBLISH_BEFORE_VOID,
    PUBLISHED,
    VOIDED,
    FENCED,
    BEFORE_COMMIT,
    COMMIT_ACKNOWLEDGED,
    COLLECT_LISTED,
    COLLECT_BEFORE_DELETE,
    COLLECTED,
    ROLL_BACK_DESTROYED,
    SAVEPOINT_COPIED,
    SAVEPOINT_BEFORE_MANIFEST,
];

/// What is called at each step and awaited: returning late stalls the process there, never
/// returning stops it for good.
pub type Hook = Arc<dyn Fn(&'static str) -> BoxFuture<'static, ()> + Send + Sync>;

/// Reports steps to a hook and counts them.
#[derive(Clone, Default)]
pub struct Steps {
    hook: Option<Hook>,
    counts: Option<Arc<Mutex<BTreeMap<&'static str, u64>>>>,
}

impl Steps {
    /// Reports to nobody.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Counts only.
    #[must_use]
    pub fn counting() -> Self {
        Self { hook: None, counts: Some(Arc::default()) }
    }

    /// Awaits `hook` at each step, and counts.
    #[must_use]
    pub fn with_hook(hook: Hook) -> Self {
        Self { hook: Some(hook), counts: Some(Arc::default()) }
    }

    /// To be called wherever a named step is reached.
    pub async fn reached(&self, step: &'static str) {
        tracing::trace!(target: "weir::steps", step);
        if let Some(counts) = &self.counts {
            *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(step).or_default() += 1;
        }
        if let Some(hook) = &self.hook {
            hook(step).await;
        }
    }

    /// How often each step was reached so far.
    #[must_use]
    pub fn histogram(&self) -> BTreeMap<&'static str, u64> {
        self.counts.as_ref().map_or_else(BTreeMap::new, |counts| {
            counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps").field("hook", &self.hook.is_some()).finish_non_exhaustive()
    }
}
