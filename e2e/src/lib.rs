//! Proof that Weir keeps its promises, with real processes, real files and a real S3 server.
//!
//! - **In**: the built `weir` program, used as a user would: a manifest, a command, signals.
//! - **Out**: passed tests under `tests/`, and figures from `cargo run --release -p weir-e2e --bin bench`.
//! - **Always**: what is started is ended, also when a test fails; traffic stays on loopback;
//!   downloads go to one cache folder that may be deleted at any time.
//! - **Deliberately absent**: the engine's crates. What is judged is what a user gets, and the
//!   expected rows come from programs that share no code with it.
//!
//! ```text
//!  data ──► files ──► job (manifest, `weir run`) ──► committed files ──► rows ─┐
//!    │                  ▲ chaos: kills, stops, a lying store (testbed::proxy)    ├─► equal?
//!    └────► oracle (DuckDB, Flink, plain Rust) ──────────────────────────► rows ─┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`cache`] | where downloads are kept, and how they are made |
//! | [`data`] | the 3,000,000 flights in four orders and three formats; bids for benchmarks |
//! | [`oracle`] | expected rows from DuckDB, from Flink, and from the definition of lateness |
//! | [`testbed`] | an S3 server and a proxy before it that fails, delays and forgets |
//! | [`process`] | processes that end with their owner, signals, CPU time |
//! | [`job`] | a manifest, its run, its committed output |
//! | [`workers`] | a job's workers as pods start them, without Kubernetes |
//! | [`dashboards`] | what Grafana shows, and every query of it |
//! | [`rows`] | rows as a multiset, and readable differences |
//! | [`sql`] | the SQL that tests share, Flink's as it stands |
//! | [`chaos`] | the faults of one run, and the histogram of the steps they hit |

pub mod cache;
pub mod chaos;
pub mod dashboards;
pub mod data;
pub mod job;
pub mod oracle;
pub mod page;
pub mod process;
pub mod programs;
pub mod promql;
pub mod rows;
pub mod sql;
pub mod testbed;
pub mod workers;
