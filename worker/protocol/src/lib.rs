//! The words that Weir's processes share.
//!
//! What is here: newtypes for every number that names something ([`Term`], [`Version`],
//! [`Attempt`], …), so that one can never stand for another, what tasks hand over ([`Split`],
//! [`Committable`], [`OperatorCounts`]), what people look at ([`view`]), and, behind the feature `rpc`, the control protocol between
//! coordinator and workers.
//!
//! What always holds: a value of one of these types means the same thing in every crate,
//! in every manifest and on every wire. Nothing here does I/O.

pub mod base64;
mod counts;
mod ids;
mod keygroup;
#[cfg(feature = "rpc")]
mod names;
mod snapshot;
pub mod view;

pub use base64::Blob;
pub use counts::{Counter, OperatorCounts};
pub use ids::{
    Attempt, Epoch, JobName, Lineage, OperatorUid, Subtask, Term, Version, VertexId, WorkerId,
};
pub use keygroup::{KeyGroup, KeyGroupRange, MAX_KEY_GROUPS};
pub use snapshot::{Committable, Placement, Split, StateSchema};

/// The version of the control protocol. Coordinator and workers of another one do not work together:
/// what tasks hand over has one form at a time.
pub const CONTROL_VERSION: u32 = 3;

/// The control protocol: messages and gRPC service, generated from `proto/control.proto`.
#[cfg(feature = "rpc")]
#[expect(
    missing_docs,
    clippy::all,
    clippy::unwrap_used,
    reason = "generated; documented in the .proto file"
)]
#[allow(unreachable_pub, unfulfilled_lint_expectations)]
pub mod control {
    tonic::include_proto!("weir.control.v1");
}
