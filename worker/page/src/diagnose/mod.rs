//! What is wrong with a job, from one snapshot: where, why, what shows it, what helps.
//!
//! One pure function, so that the page, the terminal, conditions and alerts say the same words. A
//! finding needs evidence that the snapshot holds; what cannot be seen is not guessed at.

mod flow;
mod health;
#[cfg(test)]
mod tests;

use weir_protocol::view::{Finding, Snapshot, VertexView};

/// A share of time from which a task counts as fully busy.
const BUSY: f64 = 0.9;
/// A share of time from which a task counts as held back.
const HELD: f64 = 0.5;
/// Rates below are too small to compare subtasks by.
const SOME_ROWS: f64 = 50.0;

/// What is wrong, the worst first; at most one finding for each matter and place.
#[must_use]
pub fn diagnose(snapshot: &Snapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(health::ended(snapshot));
    findings.extend(health::tasks_fail(snapshot));
    findings.extend(health::source_waits(snapshot));
    findings.extend(health::checkpoints(snapshot));
    findings.extend(health::memory(snapshot));
    let slowest = flow::bottleneck(snapshot);
    let is_explained = slowest.is_some();
    findings.extend(slowest);
    findings.extend(flow::skew(snapshot));
    findings.extend(flow::held_back(snapshot).filter(|_| !is_explained));
    findings.extend(flow::silent_split(snapshot));
    findings.extend(flow::too_few_splits(snapshot));
    findings.extend(flow::lost_rows(snapshot));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// A chain's name for a sentence: its operator that says most.
fn name(vertex: &VertexView) -> String {
    let said = vertex.operators.iter().find(|o| !matches!(o.kind.as_str(), "calc" | "watermark"));
    said.or(vertex.operators.first()).map_or_else(|| vertex.name.clone(), |o| o.name.clone())
}

/// How to run the job at another parallelism, if it has room for that.
fn scale(snapshot: &Snapshot) -> Option<(String, Option<String>)> {
    let job = &snapshot.job;
    let wanted = (job.parallelism * 2).min(job.max_parallelism);
    if wanted <= job.parallelism {
        return None;
    }
    Some(match job.manifest.as_str() {
        "" => {
            let command =
                format!("kubectl -n {} scale sj/{} --replicas={wanted}", job.namespace, job.name);
            ("run it at a higher parallelism".to_owned(), Some(command))
        }
        file => (format!("set spec.parallelism: {wanted} in {file} and save it"), None),
    })
}
