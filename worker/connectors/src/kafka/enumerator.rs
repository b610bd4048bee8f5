//! Finds partitions and resolves where each starts and ends, to numbers, before anybody reads.
//!
//! A position is never "latest": a partition without rows would otherwise lose those that come
//! between two restarts. Partitions that were known once are never dropped, whatever a metadata
//! answer says, and those found later start at their first offset.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_engine::EngineError;
use weir_engine::env::joined;
use weir_engine::source::{Split, SplitEnumerator};

use super::client::{Cluster, PATIENCE, Partition, Subject, Topics};
use super::offsets::{Bound, GroupReset, Position, Startup};

/// What an enumerator is to find.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The topics.
    pub(super) topics: Topics,
    /// Where the first partitions start.
    pub(super) startup: Startup,
    /// Where partitions end.
    pub(super) bound: Bound,
    /// Look for new partitions this often.
    pub(super) interval: Option<Duration>,
    /// A consumer group that the user named, whose positions may be looked at.
    pub(super) named_group: bool,
    /// Commit positions to the group.
    pub(super) commit: bool,
}

/// What it remembers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Memory {
    v: u32,
    /// The startup mode has been applied; all later partitions start at the beginning.
    started: bool,
    /// Known partitions by topic.
    partitions: BTreeMap<String, BTreeSet<i32>>,
}

const MEMORY_VERSION: u32 = 1;

impl Default for Memory {
    fn default() -> Self {
        Self { v: MEMORY_VERSION, started: false, partitions: BTreeMap::new() }
    }
}

impl Memory {
    /// Reads a stored memory.
    pub(super) fn decode(stored: &[u8]) -> Result<Self, EngineError> {
        let memory: Self = serde_json::from_slice(stored).map_err(|error| {
            EngineError::internal(format!(
                "the stored list of Kafka partitions is damaged: {error}"
            ))
        })?;
        if memory.v != MEMORY_VERSION {
            return Err(EngineError::user(format!(
                "the stored list of Kafka partitions has version {}, and this release reads version {MEMORY_VERSION}; run the release that wrote it, or a newer one",
                memory.v
            )));
        }
        Ok(memory)
    }

    fn knows(&self, (topic, partition): &Partition) -> bool {
        self.partitions.get(topic).is_some_and(|known| known.contains(partition))
    }

    fn learn(&mut self, (topic, partition): Partition) {
        self.partitions.entry(topic).or_default().insert(partition);
    }
}

/// What the cluster says about a partition, as far as the plan asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Facts {
    /// First offset and end.
    range: (i64, i64),
    /// The group's position.
    group: Option<i64>,
    /// First offset at or after the startup timestamp.
    start_time: Option<i64>,
    /// First offset at or after the bound's timestamp.
    end_time: Option<i64>,
}

/// Decides where a partition starts.
fn decide_start(
    startup: &Startup,
    first_round: bool,
    (topic, partition): &Partition,
    facts: Facts,
) -> Result<i64, String> {
    let (low, high) = facts.range;
    if !first_round {
        return Ok(low);
    }
    match startup {
        Startup::Earliest => Ok(low),
        Startup::Latest => Ok(high),
        Startup::Timestamp(_) => Ok(facts.start_time.unwrap_or(high)),
        Startup::Group(reset) => match (facts.group, reset) {
            (Some(offset), _) => Ok(offset),
            (None, GroupReset::Earliest) => Ok(low),
            (None, GroupReset::Latest) => Ok(high),
            (None, GroupReset::None) => Err(format!(
                "the consumer group has no position in '{topic}/{partition}'; set 'properties.auto.offset.reset' to 'earliest' or 'latest', or choose another 'scan.startup.mode'"
            )),
        },
        Startup::Specific(offsets) => {
            Ok(offsets.get(partition).copied().or(facts.group).unwrap_or(low))
        }
    }
}

/// Decides where a partition ends.
fn decide_end(
    bound: &Bound,
    (topic, partition): &Partition,
    facts: Facts,
) -> Result<Option<i64>, String> {
    let (_, high) = facts.range;
    match bound {
        Bound::Unbounded => Ok(None),
        Bound::Latest => Ok(Some(high)),
        Bound::Timestamp(_) => Ok(Some(facts.end_time.unwrap_or(high))),
        Bound::Specific(offsets) => match offsets.get(partition) {
            // Rows that do not exist yet would be waited for, perhaps for ever.
            Some(&end) if end > high => Err(format!(
                "'scan.bounded.specific-offsets' ends '{topic}/{partition}' at {end}, but its last row is before {high}; give at most {high}"
            )),
            Some(&end) => Ok(Some(end)),
            None => Err(format!(
                "'scan.bounded.specific-offsets' does not say where '{topic}/{partition}' ends; name every partition"
            )),
        },
    }
}

/// Finds the partitions of a table.
pub(super) struct Enumerator {
    plan: Arc<Plan>,
    cluster: Arc<Cluster>,
    subject: Arc<Subject>,
    memory: Memory,
    /// Positions are on their way to the group.
    committing: Arc<AtomicBool>,
}

/// How long the coordinator is held up by positions that are only shown.
const SHOW: Duration = Duration::from_secs(2);

impl Enumerator {
    /// An enumerator that goes on from a memory.
    pub(super) fn new(
        plan: Arc<Plan>,
        cluster: Cluster,
        subject: Arc<Subject>,
        memory: Memory,
    ) -> Self {
        Self { plan, cluster: Arc::new(cluster), subject, memory, committing: Arc::default() }
    }

    async fn on_blocking_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cluster) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let cluster = Arc::clone(&self.cluster);
        joined(tokio::task::spawn_blocking(move || work(&cluster))).await.map_err(|error| {
            EngineError::internal(format!("a request to Kafka ended without an answer: {error}"))
        })
    }

    async fn look(&self) -> Result<Vec<(Partition, Position)>, EngineError> {
        let plan = Arc::clone(&self.plan);
        let memory = self.memory.clone();
        let subject = Arc::clone(&self.subject);
        self.on_blocking_thread(move |cluster| {
            let found = cluster.partitions(&plan.topics, PATIENCE)?;
            let fresh: Vec<_> = found.into_iter().filter(|p| !memory.knows(p)).collect();
            resolve(cluster, &plan, &subject, !memory.started, fresh)
        })
        .await?
    }
}

fn resolve(
    cluster: &Cluster,
    plan: &Plan,
    subject: &Subject,
    first_round: bool,
    fresh: Vec<Partition>,
) -> Result<Vec<(Partition, Position)>, EngineError> {
    if fresh.is_empty() {
        return Ok(Vec::new());
    }
    let group_wanted = first_round
        && match plan.startup {
            Startup::Group(_) => true,
            Startup::Specific(_) => plan.named_group,
            Startup::Earliest | Startup::Latest | Startup::Timestamp(_) => false,
        };
    let group = if group_wanted { cluster.committed(&fresh, PATIENCE)? } else { BTreeMap::new() };
    let start_times = match plan.startup {
        Startup::Timestamp(ms) if first_round => cluster.at_time(&fresh, ms, PATIENCE)?,
        _ => BTreeMap::new(),
    };
    let end_times = match plan.bound {
        Bound::Timestamp(ms) => cluster.at_time(&fresh, ms, PATIENCE)?,
        _ => BTreeMap::new(),
    };
    let mut found = Vec::with_capacity(fresh.len());
    for partition in fresh {
        let facts = Facts {
            range: cluster.range(&partition, PATIENCE)?,
            group: group.get(&partition).copied().flatten(),
            start_time: start_times.get(&partition).copied().flatten(),
            end_time: end_times.get(&partition).copied().flatten(),
        };
        let refused = |why| EngineError::user(format!("table '{}': {why}", subject.table));
        let start = decide_start(&plan.startup, first_round, &partition, facts).map_err(refused)?;
        let end = decide_end(&plan.bound, &partition, facts).map_err(refused)?;
        let position = Position::new(&partition.0, partition.1, start, end);
        found.push((partition, position));
    }
    Ok(found)
}

#[async_trait]
impl SplitEnumerator for Enumerator {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        if self.memory.started && self.plan.bound != Bound::Unbounded {
            // A bounded table has the partitions that existed at its start, after a restore too.
            return Ok(Vec::new());
        }
        let found = match self.look().await {
            Ok(found) => found,
            // Readers go on with what they have, and wait for the brokers by themselves.
            Err(error) if self.memory.started => {
                tracing::warn!(
                    target: "weir::kafka",
                    table = self.subject.table,
                    "looking for new partitions failed and is tried again later: {error}"
                );
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        if found.is_empty() && !self.memory.started {
            let Topics::Pattern(pattern) = &self.plan.topics else {
                return Ok(Vec::new());
            };
            let message = format!(
                "table '{}': no topic at '{}' matches 'topic-pattern' = '{pattern}'",
                self.subject.table, self.subject.servers
            );
            if self.plan.interval.is_none() {
                return Err(EngineError::user(format!(
                    "{message}; correct the pattern, which has to match whole names, or set 'scan.topic-partition-discovery.interval' to wait for one"
                )));
            }
            tracing::warn!(target: "weir::kafka", "{message} yet; looking again later");
        }
        self.memory.started = true;
        Ok(found
            .into_iter()
            .map(|(partition, position)| {
                self.memory.learn(partition);
                Split {
                    id: position.split_id(),
                    position: position.encode(),
                    watermark: None,
                    lower_bound: None,
                    size: position.remaining(),
                }
            })
            .collect())
    }

    fn interval(&self) -> Option<Duration> {
        self.plan.interval
    }

    fn snapshot(&self) -> Bytes {
        // A struct of strings and numbers has no way to fail.
        serde_json::to_vec(&self.memory).unwrap_or_default().into()
    }

    async fn on_published(&mut self, splits: &[Split]) {
        if !self.plan.commit {
            return;
        }
        let positions: Vec<(Partition, i64)> = splits
            .iter()
            .filter_map(|split| Position::decode(&split.id, &split.position).ok())
            .map(|position| ((position.topic, position.partition), position.offset))
            .collect();
        if positions.is_empty() {
            return;
        }
        // While brokers are away an earlier call may still wait; the next one shows newer
        // positions anyway.
        if self.committing.swap(true, Ordering::AcqRel) {
            return;
        }
        let committing = Arc::clone(&self.committing);
        let answer = self.on_blocking_thread(move |cluster| {
            let answer = cluster.commit(&positions);
            committing.store(false, Ordering::Release);
            answer
        });
        let failed = match tokio::time::timeout(SHOW, answer).await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {SHOW:?}"),
        };
        tracing::warn!(
            target: "weir::kafka",
            table = self.subject.table,
            "positions could not be shown as the consumer group's; the job does not need them: {}",
            self.subject.redact(&failed)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        ("t".to_owned(), 1)
    }

    const FACTS: Facts = Facts { range: (10, 90), group: None, start_time: None, end_time: None };

    #[test]
    fn every_startup_mode_becomes_a_number() {
        let specific = Startup::Specific(BTreeMap::from([(1, 50)]));
        let other = Startup::Specific(BTreeMap::from([(0, 50)]));
        for (startup, facts, expected) in [
            (Startup::Earliest, FACTS, 10),
            (Startup::Latest, FACTS, 90),
            (Startup::Timestamp(5), Facts { start_time: Some(30), ..FACTS }, 30),
            (Startup::Timestamp(5), FACTS, 90),
            (Startup::Group(GroupReset::None), Facts { group: Some(40), ..FACTS }, 40),
            (Startup::Group(GroupReset::Earliest), FACTS, 10),
            (Startup::Group(GroupReset::Latest), FACTS, 90),
            (specific, FACTS, 50),
            (other.clone(), FACTS, 10),
            (other, Facts { group: Some(40), ..FACTS }, 40),
        ] {
            assert_eq!(
                decide_start(&startup, true, &partition(), facts),
                Ok(expected),
                "{startup:?}"
            );
            assert_eq!(decide_start(&startup, false, &partition(), facts), Ok(10), "found later");
        }
    }

    #[test]
    fn a_group_without_a_position_is_refused_unless_told_otherwise() {
        let error =
            decide_start(&Startup::Group(GroupReset::None), true, &partition(), FACTS).unwrap_err();
        assert!(error.starts_with("the consumer group has no position in 't/1'; set"), "{error}");
    }

    #[test]
    fn every_bound_becomes_a_number() {
        let within = Bound::Specific(BTreeMap::from([(1, 50)]));
        for (bound, facts, expected) in [
            (Bound::Unbounded, FACTS, None),
            (Bound::Latest, FACTS, Some(90)),
            (Bound::Timestamp(5), Facts { end_time: Some(30), ..FACTS }, Some(30)),
            (Bound::Timestamp(5), FACTS, Some(90)),
            (within, FACTS, Some(50)),
        ] {
            assert_eq!(decide_end(&bound, &partition(), facts), Ok(expected), "{bound:?}");
        }
    }

    #[test]
    fn a_bound_that_would_never_be_reached_is_refused() {
        let far = Bound::Specific(BTreeMap::from([(1, 91)]));
        assert!(decide_end(&far, &partition(), FACTS).unwrap_err().contains("give at most 90"));
        let other = Bound::Specific(BTreeMap::from([(0, 1)]));
        assert!(
            decide_end(&other, &partition(), FACTS).unwrap_err().contains("name every partition")
        );
    }

    #[test]
    fn a_memory_survives_its_encoding() {
        let mut memory = Memory { started: true, ..Memory::default() };
        memory.learn(("a".into(), 3));
        memory.learn(("a".into(), 0));
        let stored = serde_json::to_string(&memory).unwrap();
        assert_eq!(stored, r#"{"v":1,"started":true,"partitions":{"a":[0,3]}}"#);
        assert_eq!(Memory::decode(stored.as_bytes()).unwrap(), memory);
        assert!(Memory::decode(b"{}").unwrap_err().message.contains("is damaged"));
    }
}
