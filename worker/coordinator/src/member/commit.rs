//! Carries out commits. Any worker can commit anything; repeating it is harmless.

use std::collections::BTreeMap;

use weir_checkpoint::steps::{BEFORE_COMMIT, Steps};
use weir_engine::graph::JobGraph;
use weir_engine::operator::Committable;
use weir_engine::sink::{CommitAnswer, CommitContext};
use weir_protocol::{Epoch, OperatorUid, control};

/// Commits what a `Commit` lists. Sinks go side by side; within a sink one after the other, in
/// order, and nothing is committed behind something that could not be.
pub(super) async fn execute(
    graph: &JobGraph,
    steps: &Steps,
    commit: control::Commit,
) -> control::Committed {
    let cx = CommitContext { epoch: Epoch(commit.epoch), lineage: commit.lineage };
    let mut sinks: BTreeMap<OperatorUid, Vec<(u32, Committable)>> = BTreeMap::new();
    let mut results = Vec::new();
    for (bytes, index) in commit.committables.iter().zip(0..) {
        match serde_json::from_slice::<Committable>(bytes) {
            Ok(item) => sinks.entry(item.sink.clone()).or_default().push((index, item)),
            Err(error) => results.push(lost(index, format!("it cannot be read: {error}"))),
        }
    }
    let sinks = sinks.into_iter().map(|(uid, items)| commit_sink(graph, steps, &cx, uid, items));
    results.extend(futures::future::join_all(sinks).await.into_iter().flatten());
    results.sort_by_key(|r| r.index);
    control::Committed { epoch: commit.epoch, results }
}

async fn commit_sink(
    graph: &JobGraph,
    steps: &Steps,
    cx: &CommitContext,
    uid: OperatorUid,
    items: Vec<(u32, Committable)>,
) -> Vec<control::CommitResult> {
    let Some(committer) = graph.committers.get(&uid) else {
        // Which one it is, is said by the coordinator, who knows its name.
        let why = "this program does not have the sink, which alone could commit it";
        return items.into_iter().map(|(index, _)| lost(index, why.to_owned())).collect();
    };
    let mut results = Vec::with_capacity(items.len());
    let mut behind: Option<String> = None;
    for (index, item) in items {
        if let Some(why) = &behind {
            results.push(control::CommitResult {
                index,
                retry: format!("waits for earlier output: {why}"),
                lost: String::new(),
            });
            continue;
        }
        steps.reached(BEFORE_COMMIT).await;
        match committer.commit(cx, &item).await {
            CommitAnswer::Committed => {
                results.push(control::CommitResult { index, ..Default::default() });
            }
            CommitAnswer::Retry(why) => {
                // An empty reason would read as success.
                let retry = if why.is_empty() { "no reason given".to_owned() } else { why };
                behind = Some(retry.clone());
                results.push(control::CommitResult { index, retry, lost: String::new() });
            }
            CommitAnswer::Lost(why) => {
                behind = Some(why.clone());
                results.push(lost(index, why));
            }
        }
    }
    results
}

fn lost(index: u32, why: String) -> control::CommitResult {
    let lost = if why.is_empty() { "no reason given".to_owned() } else { why };
    control::CommitResult { index, retry: String::new(), lost }
}
