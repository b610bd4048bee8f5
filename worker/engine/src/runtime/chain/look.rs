//! What a chain shows of its operators because somebody looks.

use weir_protocol::KeyGroupRange;

use super::{Chain, Link};
use crate::task::{Look, OperatorShown};

/// Rows of a table that are looked at: enough to see which key groups have most, and few enough that
/// nobody waits for it.
const ROWS: usize = 8_192;

impl Chain {
    /// What is known of these operators just now.
    pub(crate) fn look(&mut self, looks: &[Look]) -> Vec<OperatorShown> {
        let looked_at = |link: &&mut Link| looks.iter().any(|look| look.uid == link.cx.uid);
        self.links.iter_mut().filter(looked_at).map(shown).collect()
    }
}

fn shown(link: &mut Link) -> OperatorShown {
    let groups = link.cx.key_groups;
    OperatorShown { uid: link.cx.uid.clone(), groups, state_rows: state_rows(link, groups) }
}

fn state_rows(link: &mut Link, groups: KeyGroupRange) -> Vec<u64> {
    let tables = link.operator.tables();
    if tables.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![0; groups.len()];
    for table in tables {
        let counted = table.count_groups(ROWS, &mut |group, count| {
            if let Some(rows) = rows.get_mut(usize::from(group.0.wrapping_sub(groups.start))) {
                *rows += count;
            }
        });
        if let Err(error) = counted {
            tracing::warn!(%error, table = table.spec().name, "its rows were not counted");
        }
    }
    rows
}
