//! Checkpoints as a chain of manifests in a store that creates conditionally.
//!
//! ```text
//!            term 3 (old coordinator)          term 4 (new coordinator)
//!   ┌───────────────┴──────────────┐  ┌────────────────┴───────────────┐
//!   chain/…41 ──► chain/…42 ──► 43 ──► 44 seal ──► 45 checkpoint ──► 46 void ──► 47 …
//!    (retained)                        │             │
//!                     repeats 43 under ┘             └─ operators → segments in data/<term>/…
//!                     a new term                        pending    → output not known committed
//!                                                       retained   → versions that may be restored
//!                                                       dropped    → objects that may be deleted
//!
//!   publish:  PUT 45 ── answer lost? ──► PUT the same again ──► read 45 ──► list above 45
//!                          │ deadline                            │ ours, nothing above: published
//!                          └──► PUT a void 45, see who won       └ anything else: fenced
//! ```
//!
//! **What enters:** acks of attempts (as a [`CheckpointBody`]), acknowledged commits, a store.
//! **What leaves:** a head that suffices to recover, commits to carry out, a bounded set of
//! objects in the store.
//!
//! **What always holds:**
//! - Version v+1 is only ever the child of v. A manifest counts once a listing that began after
//!   its creation shows no name above it; the head is never deleted.
//! - Only who holds a [`WriterTerm`] publishes, commits or deletes, and who finds itself fenced
//!   deletes nothing.
//! - A manifest once put stays undecided until its name is seen occupied; before that nothing
//!   else is published and nothing of it is discarded.
//! - The head lists all output not known to be committed, in order.
//! - The retained set only shrinks, and a collector deletes only what its own manifest dropped
//!   or what older terms left unlisted: a delete that arrives late is harmless for ever.
//!
//! **Deliberately absent:** clocks in decisions, leases, locks, any trust in `head-hint` (it only
//! shows that a later head was there), and falling back to an older manifest when the head cannot
//! be read or is gone.
//!
//! Where to read: [`protocol`] is the law, [`chain::decide`] and [`chain::retention`] hold the rules as functions of
//! values, [`Chain`] and [`WriterTerm`] carry them out, [`store`] is the only module with I/O,
//! `tests/model.rs` explores the rules exhaustively and `tests/schedules/` holds the
//! schedules S1 to S15.

#[doc = include_str!("../PROTOCOL.md")]
pub mod protocol {}

mod cache;
pub mod chain;
pub mod data;
pub mod manifest;
mod nonce;
pub mod savepoint;
mod snapshot;
pub mod steps;
pub mod store;

pub use cache::{CacheUse, SegmentCache};
pub use chain::{
    Authority, Chain, ChainError, ChainOptions, CheckpointBody, CollectError, Collected, Destroyed,
    FrozenLedger, MAX_UNCOMMITTED_VERSIONS, Opened, PublishError, Published, Refusal, RollBackEnd,
    RollBackError, SealRequest, Start, TakeOverError, WriterTerm,
};
pub use data::{DataError, DataReader, DataWriter, Prefetched};
pub use manifest::{
    CommitId, EnumeratorState, Manifest, ManifestError, ManifestKind, OperatorEntry, OperatorState,
    PendingCommit, SegmentRef, TableSegment,
};
pub use nonce::{Nonce, Nonces};
pub use snapshot::{SubtaskRestore, TaskSnapshot};
pub use steps::Steps;
pub use store::{Store, StoreError};
