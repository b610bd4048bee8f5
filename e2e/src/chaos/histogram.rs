//! Which steps of the protocol were hit by which faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::testbed::proxy::{Done, Step};

/// Counts of faults by step. Kills between requests are counted under no step.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: BTreeMap<(Option<Step>, String), u64>,
}

impl Histogram {
    /// Counts one fault.
    pub fn add(&mut self, step: Option<Step>, fault: &str) {
        *self.counts.entry((step, fault.to_owned())).or_default() += 1;
    }

    /// Counts what a proxy did.
    pub fn add_all(&mut self, done: &[Done]) {
        done.iter().for_each(|done| self.add(Some(done.step), &done.fault.to_string()));
    }

    /// How often a step was hit, by whatever.
    #[must_use]
    pub fn hits(&self, step: Step) -> u64 {
        self.counts.iter().filter(|((hit, _), _)| *hit == Some(step)).map(|(_, n)| n).sum()
    }
}

impl fmt::Display for Histogram {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: BTreeSet<&str> = self.counts.keys().map(|(_, fault)| fault.as_str()).collect();
        let steps: BTreeSet<Option<Step>> = self.counts.keys().map(|(step, _)| *step).collect();
        write!(to, "{:18}", "step")?;
        for fault in &faults {
            write!(to, " {fault:>15}")?;
        }
        writeln!(to)?;
        for step in steps {
            let name = step.map_or_else(|| "between requests".to_owned(), |step| step.to_string());
            write!(to, "{name:18}")?;
            for fault in &faults {
                match self.counts.get(&(step, (*fault).to_owned())) {
                    Some(count) => write!(to, " {count:>15}")?,
                    None => write!(to, " {:>15}", "·")?,
                }
            }
            writeln!(to)?;
        }
        Ok(())
    }
}
