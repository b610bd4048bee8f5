//! What a chain shows of its operators because somebody looks.

use weir_protocol::{KeyGroup, KeyGroupRange};

use super::{Chain, Link};
use crate::Batch;
use crate::rows::Tap;
use crate::task::{Look, OperatorShown};

/// Rows of a table that are looked at: enough to see which key groups have most, and few enough that
/// nobody waits for it.
const ROWS: usize = 8_192;

impl Chain {
    /// What is known of these operators just now.
    pub(crate) fn look(&mut self, looks: &[Look]) -> Vec<OperatorShown> {
        let mut taken = std::mem::take(&mut self.taps);
        let mut shown = Vec::new();
        for (at, link) in self.links.iter_mut().enumerate() {
            let Some(look) = looks.iter().find(|look| look.uid == link.cx.uid) else { continue };
            let tap = taken.iter().position(|tap| tap.at == at).map(|tap| taken.swap_remove(tap));
            if look.rows {
                self.taps.push(Tap::new(at));
            }
            let (uid, groups) = (link.cx.uid.clone(), link.cx.key_groups);
            let rows = tap.filter(|_| look.rows).and_then(Tap::rows);
            shown.push(OperatorShown { uid, groups, state_rows: state_rows(link, groups), rows });
        }
        shown
    }

    /// Rows pass an operator.
    #[cold]
    pub(super) fn tap(&mut self, at: usize, batch: &Batch) {
        let Some(Link { cx, .. }) = self.links.get(at) else { return };
        for tap in self.taps.iter_mut().filter(|tap| tap.at == at && !tap.is_full()) {
            tap.take(batch, cx.subtask.0, cx.clock.now_ms());
        }
    }

    /// Whether an operator gives its rows to nobody: a sink.
    pub(super) fn is_end(&self, at: usize) -> bool {
        at + 1 == self.links.len() && self.partitions.iter().all(|p| p.operator != at)
    }
}

/// Rows of state in memory by key group; none where the operator keeps no state by key.
fn state_rows(link: &mut Link, groups: KeyGroupRange) -> Vec<u64> {
    let Link { operator, cx } = link;
    if cx.metrics.groups().is_none() {
        return Vec::new();
    }
    let mut rows = vec![0; groups.len()];
    let mut add = |group: KeyGroup, count| {
        if let Some(rows) = rows.get_mut(usize::from(group.0.wrapping_sub(groups.start))) {
            *rows += count;
        }
    };
    let counted = operator.count_keys(ROWS, &mut |hashes, count| {
        hashes.iter().for_each(|hash| add(KeyGroup::of_hash(*hash, cx.max_parallelism), count));
    });
    if let Err(error) = counted {
        tracing::warn!(%error, operator = %cx.name, "its rows were not counted");
    }
    for table in operator.tables() {
        if let Err(error) = table.count_groups(ROWS, &mut add) {
            tracing::warn!(%error, table = table.spec().name, "its rows were not counted");
        }
    }
    rows
}
