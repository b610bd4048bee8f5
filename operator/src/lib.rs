//! The operator: turns `StreamJob` resources into running jobs, and keeps them so.
//!
//! - **In**: what the API server holds (jobs, their children, pods) and what coordinators report.
//! - **Out**: desired children by server-side apply, calls to coordinators, one status a round.
//! - **Always**: every step is idempotent and may be the last one of this process. Ids and names
//!   are functions of what they stand for, so a step that is repeated finds what it made before.
//! - **Deliberately absent**: the data path, the object store, and any record that only this
//!   process, or only the status, holds.
//!
//! ```text
//!  observe ──► validate ──► ask ──► decide ──► build ──► apply ──► status
//!  (reads)      (pure)    (asks)    (pure)     (pure)  (writes)  (one patch, then events)
//!     ▲                                │                              │
//!     └────── watches wake it ◄────────┴──── looks again after a while ◄┘
//! ```
//!
//! Asking is the second half of observing: what a dry run and a running coordinator say about a
//! new spec can only be asked for once it is known what the spec stands for. A decision is made
//! once a round; what a write brings to light is a fact of the next round, which follows at once.
//!
//! Beside the rounds, [`termination`] tells the processes of pods that are being deleted, and [`orphans`]
//! removes what jobs leave behind that went without an operator: children have no owner references,
//! for which a deletion in the foreground would not wait ([`ownership`]).
//!
//! What it may do in a cluster is listed in `rbac.yaml` beside this crate. Being allowed to create
//! StatefulSets and pods in a namespace is being allowed to mount every Secret there: whoever may
//! create a `StreamJob` in a namespace can read its Secrets through a pod, as with a Deployment.

pub mod answers;
pub mod apply;
pub mod build;
pub mod clock;
pub mod config;
pub mod context;
pub mod decide;
pub mod events;
pub mod http;
pub mod lease;
pub mod metrics;
pub mod names;
pub mod observe;
pub mod orphans;
pub mod ownership;
pub mod reconcile;
pub mod requeue;
pub mod run;
pub mod status;
pub mod termination;
pub mod uninstall;
pub mod validate;
pub mod workers;
