//! The API of Weir: what a manifest says, as Rust types.
//!
//! - **In**: the text of a manifest, as a user wrote it.
//! - **Out**: a [`StreamJob`] whose every value is within its range, or all that is wrong with
//!   the text, each error with its line and the path of the field.
//! - **Always**: a field that is accepted does what its description says; a field that nothing
//!   implements is refused like a misspelt one. Reading is pure: no files, no clock, no network.
//! - **Deliberately absent**: Kubernetes, unless the feature `kube` is on. The engine reads
//!   manifests without it; with it the same [`StreamJobSpec`] is a custom resource.
//!
//! ```text
//!  types, bounds, rules ──► definition (in the chart) ──► API server
//!                                │
//!  text ──► yaml (tree with ──► reader ──► StreamJob
//!           positions)           └──► Vec<ManifestError>
//!  API server ──► kube::StreamJob ──► manifest text (what the workers read as above)
//! ```
//!
//! What may stand in a manifest is said once: by the types (`spec`), their bounds (`schema`) and
//! the rules in CEL (`rules`). The reader has it from the generated definition, so a new field or
//! rule needs no line of it. Its own evaluator of CEL knows what our rules use; `tests/agreement.rs`
//! breaks every keyword of the definition once, and asks another implementation about the rules.

mod duration;
mod error;
#[cfg(feature = "kube")]
pub mod kube;
#[cfg(feature = "kube")]
mod pods;
mod reader;
#[cfg(feature = "kube")]
mod rules;
mod scalar;
#[cfg(feature = "kube")]
mod schema;
mod spec;
#[cfg(feature = "kube")]
mod status;
mod types;
mod yaml;

pub use duration::{format_duration, parse_duration};
pub use error::ManifestError;
pub use spec::{
    Backoff, Checkpoint, ConfigMapKeyRef, Deletion, DeletionPolicy, DeletionTimeout, DesiredState,
    DisruptionBudget, NetworkPolicy, Restart, SqlFrom, State, StateRetention, StreamJobSpec,
    Upgrade, UpgradeStrategy, Workers,
};
pub use types::{MOUNTED_MANIFEST, Metadata, SqlPosition, StreamJob};

/// The API group and version of every resource of Weir.
pub const API_VERSION: &str = "weir.dev/v1alpha1";

/// Bounds and defaults of the fields, in one place.
pub mod limits {
    use std::time::Duration;

    /// Characters of a job's name: room for the suffixes of the objects made from it.
    pub const NAME_LEN: usize = 40;
    /// Bytes of `spec.sql`, of which the definition can only count the characters; a manifest must
    /// fit an API server's object limit many times over.
    pub const SQL_BYTES: usize = 128 * 1024;
    /// Largest `spec.maxParallelism`, the number of key groups.
    pub const MAX_PARALLELISM: u32 = 32_768;
    /// `spec.maxParallelism` where none is given: 720 divides evenly among 2, 3, 4, 5, 6, 8, 9,
    /// 10, 12 and many more subtasks.
    pub const DEFAULT_MAX_PARALLELISM: u32 = 720;
    /// Shortest duration any field takes.
    pub const MIN_DURATION: Duration = Duration::from_millis(10);
    /// Shortest `spec.nodeLostTimeout`: a healthy node renews its lease every 10 s.
    pub const MIN_NODE_LOST: Duration = Duration::from_secs(15);
    /// Longest duration any field takes.
    pub const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);
    /// Largest `spec.state.checkpoint.retained`.
    pub const MAX_RETAINED: u32 = 100;
    /// Entries of any list, and of labels and annotations.
    pub const LIST_LEN: usize = 256;
    /// Characters of a short text, such as an operator's name.
    pub const TEXT_LEN: usize = 256;
    /// Bytes of `spec.state.root`.
    pub const ROOT_LEN: usize = 1024;
    /// Characters of an image's name with its digest.
    pub const IMAGE_LEN: usize = 512;
    /// Characters of the name of another object.
    pub const OBJECT_NAME_LEN: usize = 253;
}
