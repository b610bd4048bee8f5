//! Faults of one run: what a store does to requests, and a count of what was hit.

mod histogram;
mod stage;
mod weather;

pub use histogram::Histogram;
pub use stage::Stage;
pub use weather::{Pace, Weather};
