//! Both ends of the control protocol: the job's coordinator and the workers' members.
//!
//! ```text
//!   Chain (store) ◄── manifest writer ◄── driver ◄──► JobMaster (decides, no I/O)
//!                                  ▲  ▲
//!                       links ─────┘  └───── enumerators (find splits)
//!                         ▲
//!   member ── session ────┘   (in process, or gRPC)
//!     ├── TaskHost: builds and runs tasks
//!     ├── ledger: what was frozen and is not published
//!     └── commits, segments to and from the store
//! ```
//!
//! What enters: a job graph, a store, workers that attach, requests (savepoint, stop, rescale).
//! What leaves: deployments, triggers, published checkpoints, commits, the job's status.
//!
//! What always holds:
//! - Every decision about the job is made in [`master::JobMaster::on`], from one event at a time;
//!   given the order of events it always decides alike.
//! - A split assigned before a `Trigger` was sent is its reader's at that cut, one assigned
//!   later is still the enumerator's.
//! - Tasks of a term start only after its seal counts and everything that the head lists is
//!   committed.
//!
//! Deliberately absent: any knowledge of Kubernetes, of SQL, and of what operators do.

pub mod grpc;
pub mod link;
pub mod master;
pub mod member;
mod wire;

pub use master::Request;
pub use master::{Coordinator, CoordinatorConfig, CoordinatorHandle, Ending, MasterConfig};
pub use member::{HostedTasks, Member, MemberConfig, MemberEnd, MemberView, TaskHost};
