//! Talking to a cluster: connecting, asking for partitions and offsets, explaining what fails.
//!
//! Everything here blocks and belongs on a blocking thread. Every wait has an end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use weir_engine::EngineError;
use weir_engine::env::instant;
use weir_engine::veil::Veil;

use super::properties::FILES;

/// How long a cluster may be out of reach when a job starts.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// One request's part of it; between requests the reasons for failures are looked at.
const REQUEST: Duration = Duration::from_millis(1500);

/// What error messages name, and what they must never show.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    /// The table.
    pub(super) table: String,
    /// `bootstrap.servers`, as it is written.
    pub(super) servers: String,
    /// Passwords and keys of the options, and all that comes from the environment.
    pub(super) veil: Veil,
}

impl Subject {
    /// Takes every secret out of a text that comes from elsewhere.
    pub(super) fn redact(&self, text: &str) -> String {
        self.veil.hide(text).into_owned()
    }
}

/// Receives librdkafka's log lines and global errors, and keeps the last reason why a broker
/// could not be talked to: the calls themselves only ever say "timed out".
#[derive(Clone, Default)]
pub(super) struct Events {
    subject: Arc<Subject>,
    last: Arc<Mutex<Option<(RDKafkaErrorCode, String)>>>,
}

/// How OpenSSL names what a broker says that wants a certificate of its client, or another one.
/// With TLS 1.3 it says so after the handshake, which looks like a connection that broke.
const CERTIFICATE_WANTED: &[&str] = &[
    "alert certificate required",
    "alert bad certificate",
    "alert certificate unknown",
    "alert certificate expired",
    "alert unknown ca",
];

fn wants_certificate(reason: &str) -> bool {
    CERTIFICATE_WANTED.iter().any(|alert| reason.contains(alert))
}

/// The code of a global error, whose reason may tell it better.
pub(super) fn code_of(error: &KafkaError, reason: &str) -> Option<RDKafkaErrorCode> {
    let code = error.rdkafka_error_code()?;
    Some(if wants_certificate(reason) { RDKafkaErrorCode::SSL } else { code })
}

impl Events {
    /// For a table.
    pub(super) fn new(subject: Arc<Subject>) -> Self {
        Self { subject, last: Arc::default() }
    }

    /// What went wrong last.
    pub(super) fn last(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.subject.redact(message);
        let table = &self.subject.table;
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "weir::kafka", table, facility, "{message}");
            }
            _ => tracing::debug!(target: "weir::kafka", table, facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.subject.redact(reason);
        tracing::debug!(target: "weir::kafka", table = self.subject.table, %error, "{reason}");
        let Some(code) = code_of(&error, &reason) else { return };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // "All brokers are down" says less than the reason that came before it.
        if code != RDKafkaErrorCode::AllBrokersDown || last.is_none() {
            *last = Some((code, reason));
        }
    }
}

impl ConsumerContext for Events {}

/// What an error of the client means for the job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// A broker is away or a leader is moving: goes by itself.
    Passing,
    /// Credentials are refused.
    Credentials,
    /// One side does not trust the other's certificate, or does not speak TLS.
    Tls,
    /// The credentials do not allow it.
    Forbidden,
    /// No such topic or partition.
    Missing,
    /// The position is outside of what the broker keeps.
    LostPosition,
    /// The end of the partition: not an error.
    End,
    /// Anything else.
    Other,
}

impl Meaning {
    /// Whether the other side, or this one, said no before anything was asked.
    pub(super) fn is_refusal(self) -> bool {
        matches!(self, Self::Credentials | Self::Tls)
    }
}

/// Sorts an error code.
pub(super) fn meaning(code: RDKafkaErrorCode) -> Meaning {
    use RDKafkaErrorCode as Code;
    match code {
        Code::PartitionEOF => Meaning::End,
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
            Meaning::LostPosition
        }
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => Meaning::Credentials,
        Code::SSL => Meaning::Tls,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed => Meaning::Forbidden,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            Meaning::Missing
        }
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::MessageTimedOut
        | Code::TimedOutQueue
        | Code::RequestTimedOut
        | Code::WaitingForCoordinator
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::PreferredLeaderNotAvailable
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::OffsetNotAvailable
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NetworkException
        | Code::NodeUpdate
        | Code::WaitCache
        | Code::Retry
        | Code::PollExceeded
        | Code::UnstableOffsetCommit
        | Code::KafkaStorageError
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::ThrottlingQuotaExceeded => Meaning::Passing,
        _ => Meaning::Other,
    }
}

/// Puts an error into words: place, cause, fix.
pub(super) fn explain(
    subject: &Subject,
    doing: &str,
    code: Option<RDKafkaErrorCode>,
    reason: &str,
) -> EngineError {
    let Subject { table, servers, .. } = subject;
    let reason = subject.redact(reason);
    // Topics are named in it.
    let place = format!("table '{table}': {}", subject.redact(doing));
    match code.map_or(Meaning::Other, meaning) {
        Meaning::Passing => EngineError::external(format!(
            "{place}: Kafka at '{servers}' cannot be reached: {reason}; check 'properties.bootstrap.servers', that the brokers run, and that their advertised addresses can be reached from here"
        )),
        Meaning::Credentials => EngineError::user(format!(
            "{place}: Kafka at '{servers}' refused the login: {reason}; check 'properties.sasl.jaas.config' (or 'properties.sasl.username' and 'properties.sasl.password') and 'properties.sasl.mechanism'"
        )),
        Meaning::Tls if wants_certificate(&reason) => EngineError::user(format!(
            "{place}: Kafka at '{servers}' does not take the client's certificate, or misses one: {reason}; name a file with the key and a certificate that the brokers trust in 'properties.ssl.keystore.location' (with 'properties.ssl.keystore.type' = 'PEM' or 'PKCS12')"
        )),
        Meaning::Tls => EngineError::user(format!(
            "{place}: no TLS connection to Kafka at '{servers}': {reason}; name the authority that signed the brokers' certificates in 'properties.ssl.truststore.location' (with 'properties.ssl.truststore.type' = 'PEM'), or correct 'properties.security.protocol'"
        )),
        Meaning::Forbidden => EngineError::user(format!(
            "{place}: Kafka at '{servers}' does not allow it: {reason}; give the user an ACL for this topic (and group), or use other credentials"
        )),
        Meaning::Missing => {
            EngineError::user(format!("{place}: {reason}; create the topic, or correct 'topic'"))
        }
        Meaning::LostPosition | Meaning::End | Meaning::Other => {
            EngineError::external(format!("{place}: {reason}"))
        }
    }
}

/// Explains why a client cannot even be made: settings that do not fit together, or a file of
/// certificates that is not there, which librdkafka reports without its name.
pub(super) fn explain_set_up(
    subject: &Subject,
    what: &str,
    config: &ClientConfig,
    error: &KafkaError,
) -> EngineError {
    let place = format!("table '{}': setting up a Kafka {what}", subject.table);
    let unreadable = FILES.iter().find_map(|name| {
        let file = config.get(name).filter(|file| *file != "probe")?;
        std::fs::File::open(file).err().map(|why| (*name, file, why))
    });
    let Some((name, file, why)) = unreadable else {
        return EngineError::user(format!("{place}: {}", subject.redact(&error.to_string())));
    };
    let java = match name {
        "ssl.ca.location" => "'properties.ssl.truststore.location' or ",
        "ssl.crl.location" => "",
        _ => "'properties.ssl.keystore.location' or ",
    };
    let file = subject.redact(file);
    EngineError::user(format!(
        "{place}: '{file}' cannot be read: {why}; correct {java}'properties.{name}', or mount the file there"
    ))
}

/// A connection for questions: partitions, offsets, group positions.
pub(super) struct Cluster {
    consumer: BaseConsumer<Events>,
    events: Events,
    subject: Arc<Subject>,
}

/// A partition by topic and number.
pub(super) type Partition = (String, i32);

/// Which topics a table names.
#[derive(Clone, Debug)]
pub(super) enum Topics {
    /// By name.
    List(Vec<String>),
    /// Those whose whole name matches.
    Pattern(regex::Regex),
}

impl Cluster {
    /// Prepares a connection; nothing is sent yet.
    pub(super) fn new(config: &ClientConfig, subject: Arc<Subject>) -> Result<Self, EngineError> {
        let events = Events::new(Arc::clone(&subject));
        let consumer = config
            .create_with_context(events.clone())
            .map_err(|error| explain_set_up(&subject, "client", config, &error))?;
        Ok(Self { consumer, events, subject })
    }

    /// Repeats a request until it succeeds, fails for good, or patience ends.
    fn ask<T>(
        &self,
        doing: &str,
        patience: Duration,
        mut request: impl FnMut(Duration) -> KafkaResult<T>,
    ) -> Result<T, EngineError> {
        let start = instant();
        let mut pause = Duration::from_millis(50);
        loop {
            let error = match request(REQUEST) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Serves log lines and errors, which is how the reason gets here. A served line looks
            // like an empty queue, so that the first of them is no reason to stop.
            for _ in 0..64 {
                drop(self.consumer.poll(Duration::ZERO));
            }
            let code = error.rdkafka_error_code();
            let background = self.events.last();
            let refused = background.as_ref().is_some_and(|(code, _)| meaning(*code).is_refusal());
            let passing = code.is_none_or(|code| meaning(code) == Meaning::Passing);
            if refused || !passing || start.elapsed() >= patience {
                return Err(match background {
                    Some((code, reason)) if passing => {
                        explain(&self.subject, doing, Some(code), &reason)
                    }
                    _ => explain(&self.subject, doing, code, &error.to_string()),
                });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// All partitions of the topics. A named topic that does not exist is an error; one that a
    /// pattern no longer finds is not.
    pub(super) fn partitions(
        &self,
        topics: &Topics,
        patience: Duration,
    ) -> Result<BTreeSet<Partition>, EngineError> {
        match topics {
            Topics::List(names) => {
                let mut found = BTreeSet::new();
                for name in names {
                    for partition in self.partitions_of(name, patience)? {
                        found.insert((name.clone(), partition));
                    }
                }
                Ok(found)
            }
            Topics::Pattern(pattern) => {
                let metadata = self.ask("listing topics", patience, |wait| {
                    self.consumer.fetch_metadata(None, wait)
                })?;
                Ok(metadata
                    .topics()
                    .iter()
                    .filter(|topic| pattern.is_match(topic.name()) && topic.error().is_none())
                    .flat_map(|topic| {
                        topic.partitions().iter().map(|p| (topic.name().to_owned(), p.id()))
                    })
                    .collect())
            }
        }
    }

    fn partitions_of(&self, name: &str, patience: Duration) -> Result<Vec<i32>, EngineError> {
        let doing = format!("looking for topic '{name}'");
        self.ask(&doing, patience, |wait| {
            let metadata = self.consumer.fetch_metadata(Some(name), wait)?;
            let topic = metadata.topics().iter().find(|topic| topic.name() == name);
            match topic {
                Some(topic) => match topic.error() {
                    Some(error) => Err(KafkaError::MetadataFetch(error.into())),
                    None if topic.partitions().is_empty() => {
                        Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable))
                    }
                    None => Ok(topic.partitions().iter().map(|p| p.id()).collect()),
                },
                None => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopic)),
            }
        })
    }

    /// The first offset and the end of a partition; the end of what is visible, when only
    /// committed rows are read.
    pub(super) fn range(
        &self,
        of: &Partition,
        patience: Duration,
    ) -> Result<(i64, i64), EngineError> {
        let (topic, partition) = of;
        let doing = format!("asking for the offsets of '{topic}/{partition}'");
        self.ask(&doing, patience, |wait| self.consumer.fetch_watermarks(topic, *partition, wait))
    }

    /// By partition, the first offset whose timestamp is not smaller; `None` where there is
    /// none.
    pub(super) fn at_time(
        &self,
        of: &[Partition],
        timestamp_ms: i64,
        patience: Duration,
    ) -> Result<BTreeMap<Partition, Option<i64>>, EngineError> {
        self.ask("asking for offsets by timestamp", patience, |wait| {
            let list = listed(of, Offset::Offset(timestamp_ms))?;
            numbers(&self.consumer.offsets_for_times(list, wait)?)
        })
    }

    /// By partition, the position of the consumer group; `None` where it has none.
    pub(super) fn committed(
        &self,
        of: &[Partition],
        patience: Duration,
    ) -> Result<BTreeMap<Partition, Option<i64>>, EngineError> {
        self.ask("asking for the positions of the consumer group", patience, |wait| {
            let list = listed(of, Offset::Invalid)?;
            numbers(&self.consumer.committed_offsets(list, wait)?)
        })
    }

    /// Shows positions to others as the group's.
    pub(super) fn commit(&self, positions: &[(Partition, i64)]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for ((topic, partition), offset) in positions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        let answer = self.consumer.commit(&list, CommitMode::Sync);
        for _ in 0..64 {
            if self.consumer.poll(Duration::ZERO).is_none() {
                break;
            }
        }
        answer
    }
}

fn listed(of: &[Partition], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(of.len());
    for (topic, partition) in of {
        list.add_partition_offset(topic, *partition, offset)?;
    }
    Ok(list)
}

fn numbers(list: &TopicPartitionList) -> KafkaResult<BTreeMap<Partition, Option<i64>>> {
    list.elements()
        .iter()
        .map(|element| {
            element.error()?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            Ok(((element.topic().to_owned(), element.partition()), offset))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_appears_in_an_error() {
        let mut veil = Veil::default();
        veil.cover_as("hunter2", "******");
        veil.cover_as("", "******");
        let subject = Subject { table: "bids".into(), servers: "b:9092".into(), veil };
        let error = explain(
            &subject,
            "connecting",
            Some(RDKafkaErrorCode::Authentication),
            "SASL said: user=u password=hunter2 is wrong",
        );
        assert_eq!(
            error.message,
            "table 'bids': connecting: Kafka at 'b:9092' refused the login: SASL said: user=u password=****** is wrong; check 'properties.sasl.jaas.config' (or 'properties.sasl.username' and 'properties.sasl.password') and 'properties.sasl.mechanism'"
        );
    }
}
