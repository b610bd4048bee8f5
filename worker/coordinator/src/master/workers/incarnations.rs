//! Which processes have been a worker, so that an old one does not take a newer one's place.

use std::collections::BTreeMap;

use weir_protocol::WorkerId;

/// How many of a worker's processes are remembered; of those that still live there are two at most.
const REMEMBERED: usize = 8;

/// The processes of each worker that have attached to this coordinator, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Incarnations(BTreeMap<WorkerId, Vec<String>>);

impl Incarnations {
    /// A process is the worker from now on.
    pub(crate) fn attached(&mut self, worker: WorkerId, incarnation: &str) {
        let seen = self.0.entry(worker).or_default();
        seen.retain(|known| known != incarnation);
        seen.push(incarnation.to_owned());
        if seen.len() > REMEMBERED {
            seen.remove(0);
        }
    }

    /// Whether it has been the worker before.
    pub(crate) fn knows(&self, worker: WorkerId, incarnation: &str) -> bool {
        self.0.get(&worker).is_some_and(|seen| seen.iter().any(|known| known == incarnation))
    }
}
