//! Deletes what no manifest needs any more.

use weir_protocol::Version;

use super::WriterTerm;
use crate::chain::retention::{plan_collection, plan_sweep};
use crate::chain::settle::{timed, write_hint};
use crate::manifest::chain_name;
use crate::steps;
use crate::store::StoreError;

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects deleted.
    pub deleted: usize,
    /// Objects whose deletion failed; tried again by the next collection.
    pub failed: usize,
}

impl WriterTerm {
    /// Deletes what the head allows: names of the chain below it that it does not retain, what
    /// it dropped, and, once per writer, what older terms left. Failed deletions are tried again
    /// by the next collection. Also writes the hint where listings may start.
    ///
    /// # Errors
    /// When the listing fails, or this writer is fenced: a fenced writer deletes nothing.
    pub async fn collect(&self) -> Result<Collected, CollectError> {
        let (head, swept) = {
            let state = self.state();
            if let Some(version) = state.fenced {
                return Err(CollectError::Fenced { version });
            }
            (state.head.clone(), state.swept)
        };
        let chain = &self.chain;
        write_hint(chain, &head).await;
        let names = timed(chain, "list", "chain", chain.store.list("chain", None)).await?;
        let mut garbage = plan_collection(&head, &names);
        if !swept {
            let data = timed(chain, "list", "data", chain.store.list("data", None)).await?;
            garbage.extend(plan_sweep(&head, &data));
        }
        garbage.sort_unstable();
        garbage.dedup();
        chain.options.steps.reached(steps::COLLECT_LISTED).await;
        debug_assert!(!garbage.contains(&chain_name(head.version)));
        let mut done = Collected::default();
        for name in garbage {
            chain.options.steps.reached(steps::COLLECT_BEFORE_DELETE).await;
            match timed(chain, "delete", &name, chain.store.delete(&name)).await {
                Ok(()) => {
                    done.deleted += 1;
                    let mut state = self.state();
                    if state.head.dropped.contains(&name) {
                        state.memory.deleted.insert(name);
                    }
                }
                Err(error) => {
                    done.failed += 1;
                    tracing::debug!(%error, "left to the next collection");
                }
            }
        }
        if done.failed == 0 {
            self.state().swept = true;
        }
        chain.options.steps.reached(steps::COLLECTED).await;
        Ok(done)
    }
}

/// A collection that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A later term holds the chain.
    #[error("nothing was deleted: a later coordinator holds the chain (seen at version {version})")]
    Fenced {
        /// Where this was seen.
        version: Version,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
