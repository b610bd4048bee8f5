//! `execution.runtime-mode` = `batch`: rows that are corrected become those that are left at the end.
//!
//! Whatever would correct its rows is followed by an operator that keeps them until everything has
//! come, as close to it as can be. So nothing above takes rows back, and every operator that takes
//! rows that only come stands over any other.

use std::sync::Arc;

use weir_engine::operators::rank::spec::RankFunction;

use super::Binder;
use crate::rel::{Rank, Rel, RelKind};

impl Binder<'_> {
    /// In batch mode the rows that are left when everything has come; else the rows as they are.
    pub(super) fn final_rows(&self, rel: &Arc<Rel>) -> Arc<Rel> {
        if self.batch { settled(rel) } else { rel.clone() }
    }
}

/// The rows that are left of a relation when everything has come.
fn settled(rel: &Arc<Rel>) -> Arc<Rel> {
    let Some(by) = rel.corrected_by() else { return rel.clone() };
    let kind = match &rel.kind {
        // Below the projection: what it computes may be another thing each time.
        RelKind::Calc { input, filter, exprs } => {
            RelKind::Calc { input: settled(input), filter: filter.clone(), exprs: exprs.clone() }
        }
        RelKind::Union(branches) => RelKind::Union(branches.iter().map(settled).collect()),
        RelKind::Rank(rank) => RelKind::Rank(Rank { at_end: true, ..rank.clone() }),
        // Equal rows are together, and each is given as often as it is left.
        _ => RelKind::Rank(Rank {
            input: rel.clone(),
            partition: (0..rel.fields.len()).collect(),
            order: Vec::new(),
            function: RankFunction::RowNumber,
            from: 1,
            to: u64::MAX,
            span: by.span,
            limit: false,
            at_end: true,
        }),
    };
    Arc::new(Rel { kind, fields: rel.fields.clone() })
}
