//! Segments of the tasks to come, read while the present ones run.

use std::sync::Arc;

use weir_checkpoint::{DataError, DataReader, Prefetched, SubtaskRestore};
use weir_engine::graph::JobGraph;
use weir_protocol::{KeyGroupRange, control};

use crate::wire::decode_all;

/// Reads into the cache what a `Prefetch` names, one operator after the other. What cannot be
/// read is left to the restore, which says so if it is still so then.
pub(super) async fn prefetch(
    graph: Arc<JobGraph>,
    reader: DataReader,
    wanted: control::Prefetch,
) -> control::Prefetched {
    let mut bytes = 0;
    let restores = decode_all(&wanted.restore_json).unwrap_or_else(|error| {
        tracing::warn!(%error, "a prefetch cannot be read");
        Vec::new()
    });
    for SubtaskRestore { uid, subtask, state, .. } in restores {
        let Some((vertex, position)) = graph.operator(&uid) else { continue };
        let subtasks = graph.subtasks(vertex.id, wanted.parallelism);
        let range = KeyGroupRange::of_subtask(subtask, subtasks, graph.max_parallelism);
        let read = async {
            let mut done = reader.prefetch(&state.segments, range).await?;
            for references in state.by_table().values() {
                if !done.full {
                    let table = reader.prefetch_table(references, range).await?;
                    done = Prefetched { bytes: done.bytes + table.bytes, ..table };
                }
            }
            Ok::<_, DataError>(done)
        };
        match read.await {
            Ok(done) => {
                bytes += done.bytes;
                if done.full {
                    tracing::debug!(bytes, "no room to prefetch more");
                    break;
                }
            }
            Err(error) => {
                let name = vertex.chain.get(position).map_or("", |(info, _)| info.name.as_str());
                tracing::warn!(%error, operator = name, %subtask, "state was not prefetched");
                break;
            }
        }
    }
    control::Prefetched { id: wanted.id, bytes }
}
