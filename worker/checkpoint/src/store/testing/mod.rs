//! Stores for tests: in memory, and one that lies and delays after a script; and the suite that
//! every store has to pass.

mod conformance;
mod lying;
mod memory;

pub use self::conformance::conformance;
pub use self::lying::{Fault, FaultRates, LyingStore, Operation};
pub use self::memory::MemoryStore;
