//! A Kafka table's own options, read into settings; those of keys and formats are read elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Rows;
use super::client::Topics;
use super::offsets::{Bound, GroupReset, Startup, parse_specific};
use super::properties::{Properties, Role, translate};
use crate::options::Options;

/// Options of a source, without those of its formats.
#[derive(Clone, Debug)]
pub(super) struct SourceSettings {
    pub(super) topics: Topics,
    pub(super) startup: Startup,
    pub(super) bound: Bound,
    pub(super) interval: Option<Duration>,
    pub(super) skip_lost: bool,
    pub(super) properties: Properties,
}

/// Options of a sink, without those of its formats.
#[derive(Clone, Debug)]
pub(super) struct SinkSettings {
    pub(super) topic: String,
    pub(super) partitioner: Partitioner,
    /// Wait for all messages at a barrier.
    pub(super) flush: bool,
    pub(super) properties: Properties,
}

/// How a row finds its partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Partitioner {
    /// By the key's murmur2 hash, as Kafka's Java client; rows without a key go anywhere.
    Default,
    /// All rows of a subtask to one partition.
    Fixed,
    /// Row by row in turn.
    RoundRobin,
}

/// One table may be read and written, so each side lets the other's options stand.
const SOURCE: &[&str] = &[
    "scan.bounded.mode",
    "scan.bounded.specific-offsets",
    "scan.bounded.timestamp-millis",
    "scan.on-lost-position",
    "scan.startup.mode",
    "scan.startup.specific-offsets",
    "scan.startup.timestamp-millis",
    "scan.topic-partition-discovery.interval",
];
const SINK: &[&str] = &[
    "sink.delivery-guarantee",
    "sink.partitioner",
    "sink.transaction-naming-strategy",
    "sink.transactional-id-prefix",
];
/// Rows of a batch are folded by key and sent as they come, so that there is no buffer to set.
const UPSERT_SINK: &[&str] = &[
    "sink.buffer-flush.interval",
    "sink.buffer-flush.max-rows",
    "sink.delivery-guarantee",
    "sink.transaction-naming-strategy",
    "sink.transactional-id-prefix",
];
/// Partitions are looked for this often unless the options say otherwise, as in Flink.
const DISCOVERY: Duration = Duration::from_secs(300);

/// Reads the options of one table.
struct Reader<'o, 'a>(&'o mut Options<'a>);

impl<'a> Reader<'_, 'a> {
    /// The value of an option, for whoever acts on it.
    fn get(&mut self, name: &str) -> Option<&'a str> {
        Some(self.0.reveal(name)?.trim())
    }

    /// Refuses an option that is given, or else the table.
    fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.0.refuse(name, message);
    }

    /// An option that a mode needs, and that is refused with any other mode.
    fn only_with(&mut self, name: &str, mode: &str, chosen: &str, wanted: &str) -> Option<&'a str> {
        if chosen != wanted {
            self.0.only_with(name, &format!("'{mode}' = '{wanted}'"));
            return None;
        }
        let given = self.get(name);
        if given.is_none() {
            self.refuse(mode, format!("'{mode}' = '{wanted}' needs '{name}'"));
        }
        given
    }

    fn millis(&mut self, name: &str, value: &str) -> i64 {
        match value.parse() {
            Ok(ms) if ms >= 0 => ms,
            _ => {
                self.refuse(
                    name,
                    format!(
                        "'{name}' is {}; give milliseconds since 1970, such as '1735689600000'",
                        self.0.quoted(name)
                    ),
                );
                0
            }
        }
    }

    fn specific(&mut self, name: &str, value: &str) -> BTreeMap<i32, i64> {
        parse_specific(value).unwrap_or_else(|why| {
            let why = self.0.detail(name, why);
            self.refuse(name, format!("'{name}': {why}"));
            BTreeMap::new()
        })
    }

    fn topics(&mut self) -> Topics {
        match (self.get("topic"), self.get("topic-pattern")) {
            (Some(list), None) => {
                let names: Vec<String> = list
                    .split(';')
                    .map(|name| name.trim().to_owned())
                    .filter(|name| !name.is_empty())
                    .collect();
                if names.is_empty() {
                    self.refuse(
                        "topic",
                        "'topic' is empty; name a topic, or several separated by ';'",
                    );
                }
                for name in &names {
                    if !is_topic(name) {
                        let name = self.0.detail("topic", name);
                        self.refuse("topic", format!("'{name}' is not a topic's name: up to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-' are allowed"));
                    }
                }
                Topics::List(names)
            }
            (None, Some(pattern)) => match regex::Regex::new(&format!("^(?:{pattern})$")) {
                Ok(pattern) => Topics::Pattern(pattern),
                Err(error) => {
                    // The error repeats the pattern.
                    let why = self.0.detail("topic-pattern", error);
                    self.refuse(
                        "topic-pattern",
                        format!("'topic-pattern' is not a regular expression: {why}"),
                    );
                    Topics::List(Vec::new())
                }
            },
            (Some(_), Some(_)) => {
                self.refuse("topic", "'topic' and 'topic-pattern' exclude each other; remove one");
                Topics::List(Vec::new())
            }
            (None, None) => {
                self.refuse("topic", "'topic' is missing; name a topic, or several separated by ';', or give 'topic-pattern'");
                Topics::List(Vec::new())
            }
        }
    }

    fn startup(&mut self, topics: &Topics, properties: &Properties) -> Startup {
        const MODE: &str = "scan.startup.mode";
        const TIMESTAMP: &str = "scan.startup.timestamp-millis";
        const SPECIFIC: &str = "scan.startup.specific-offsets";
        const RESET: &str = "properties.auto.offset.reset";
        let modes =
            ["earliest-offset", "latest-offset", "group-offsets", "timestamp", "specific-offsets"];
        // Flink's default.
        let default = if self.0.is_given(MODE) { "" } else { "group-offsets" };
        let chosen = self.0.choice(MODE, default, &modes.map(|mode| (mode, mode)));
        if chosen.is_empty() {
            // Unknown, and refused; what belongs to it cannot be judged.
            [TIMESTAMP, SPECIFIC].iter().for_each(|name| self.0.allow(name));
            return Startup::Earliest;
        }
        let timestamp = self.only_with(TIMESTAMP, MODE, chosen, "timestamp");
        let specific = self.only_with(SPECIFIC, MODE, chosen, "specific-offsets");
        match chosen {
            "earliest-offset" => Startup::Earliest,
            "latest-offset" => Startup::Latest,
            "timestamp" => Startup::Timestamp(timestamp.map_or(0, |t| self.millis(TIMESTAMP, t))),
            "specific-offsets" => {
                let offsets = specific.map_or_else(BTreeMap::new, |s| self.specific(SPECIFIC, s));
                self.one_topic(SPECIFIC, topics);
                Startup::Specific(offsets)
            }
            _ => {
                if !properties.config.contains_key("group.id") {
                    let default =
                        if self.0.is_given(MODE) { "" } else { ", which is the default," };
                    self.refuse(MODE, format!("'{MODE}' = 'group-offsets'{default} needs 'properties.group.id'; give it, or choose 'earliest-offset' or 'latest-offset'"));
                }
                Startup::Group(match &properties.auto_offset_reset {
                    None => GroupReset::None,
                    Some(reset) => match reset.as_str() {
                        "earliest" => GroupReset::Earliest,
                        "latest" => GroupReset::Latest,
                        "none" => GroupReset::None,
                        _ => {
                            self.refuse(RESET, format!("'properties.auto.offset.reset' = {} is not known; give one of: earliest, latest, none", self.0.quoted(RESET)));
                            GroupReset::None
                        }
                    },
                })
            }
        }
    }

    fn bound(&mut self, topics: &Topics) -> Bound {
        const MODE: &str = "scan.bounded.mode";
        const TIMESTAMP: &str = "scan.bounded.timestamp-millis";
        const SPECIFIC: &str = "scan.bounded.specific-offsets";
        let modes = ["unbounded", "latest-offset", "timestamp", "specific-offsets"];
        let chosen = self.0.choice(MODE, "unbounded", &modes.map(|mode| (mode, mode)));
        let timestamp = self.only_with(TIMESTAMP, MODE, chosen, "timestamp");
        let specific = self.only_with(SPECIFIC, MODE, chosen, "specific-offsets");
        match chosen {
            "latest-offset" => Bound::Latest,
            "timestamp" => Bound::Timestamp(timestamp.map_or(0, |t| self.millis(TIMESTAMP, t))),
            "specific-offsets" => {
                let offsets = specific.map_or_else(BTreeMap::new, |s| self.specific(SPECIFIC, s));
                self.one_topic(SPECIFIC, topics);
                Bound::Specific(offsets)
            }
            _ => Bound::Unbounded,
        }
    }

    fn one_topic(&mut self, name: &str, topics: &Topics) {
        if !matches!(topics, Topics::List(names) if names.len() <= 1) {
            self.refuse(
                name,
                format!("'{name}' names partitions of one topic; give a single 'topic'"),
            );
        }
    }

    fn interval(&mut self, bound: &Bound) -> Option<Duration> {
        const NAME: &str = "scan.topic-partition-discovery.interval";
        let default = if *bound == Bound::Unbounded { Some(DISCOVERY) } else { None };
        if !self.0.is_given(NAME) {
            self.0.allow(NAME);
            return default;
        }
        match self.0.duration(NAME)? {
            Duration::ZERO => None,
            // A bounded table is what its topics held when the job started.
            _ if *bound != Bound::Unbounded => {
                self.refuse(NAME, format!("'{NAME}' cannot be used with 'scan.bounded.mode': a bounded table has the partitions that exist at its start; remove it"));
                None
            }
            interval => Some(interval.max(Duration::from_millis(100))),
        }
    }
}

/// Kafka's own rule for names.
fn is_topic(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.len() <= 249 && name != "." && name != ".." && name.chars().all(legal)
}

/// Reads a source's settings.
pub(super) fn source(rows: Rows, options: &mut Options<'_>) -> SourceSettings {
    let others = if rows == Rows::Upserts { UPSERT_SINK } else { SINK };
    others.iter().for_each(|name| options.allow(name));
    let properties = translate(Role::Consumer, options);
    let mut reader = Reader(options);
    let topics = reader.topics();
    let startup = match rows {
        Rows::Told => reader.startup(&topics, &properties),
        // What a table of upserts holds is known from its first message on.
        Rows::Upserts => Startup::Earliest,
    };
    let bound = reader.bound(&topics);
    let interval = reader.interval(&bound);
    let skip_lost =
        options.choice("scan.on-lost-position", false, &[("fail", false), ("skip", true)]);
    SourceSettings { topics, startup, bound, interval, skip_lost, properties }
}

/// Reads a sink's settings.
pub(super) fn sink(rows: Rows, options: &mut Options<'_>) -> SinkSettings {
    let own = if rows == Rows::Upserts { UPSERT_SINK } else { SINK };
    let starts = |name: &str| name.starts_with("scan.startup.");
    let others = SOURCE.iter().filter(|name| rows == Rows::Told || !starts(name));
    others.chain(own).for_each(|name| options.allow(name));
    let properties = translate(Role::Producer, options);
    let mut reader = Reader(options);
    let topic = match reader.topics() {
        Topics::List(mut names) if names.len() <= 1 => names.pop().unwrap_or_default(),
        Topics::List(_) | Topics::Pattern(_) => {
            let given = if reader.0.is_given("topic") { "topic" } else { "topic-pattern" };
            reader.refuse(given, "a sink writes to one topic; give a single name in 'topic'");
            String::new()
        }
    };
    const GUARANTEE: &str = "sink.delivery-guarantee";
    let flush = match reader.get(GUARANTEE) {
        Some("exactly-once") => {
            reader.refuse(GUARANTEE, "'sink.delivery-guarantee' = 'exactly-once' is not built for Kafka yet; use 'at-least-once' and let readers drop repeated rows by a key, or write exactly once to 'filesystem'");
            true
        }
        _ => reader.0.choice(GUARANTEE, true, &[("at-least-once", true), ("none", false)]),
    };
    const PARTITIONER: &str = "sink.partitioner";
    let partitioner = match reader.get(PARTITIONER).filter(|_| rows == Rows::Told) {
        Some(class) if class.contains('.') => {
            let class = reader.0.quoted(PARTITIONER);
            reader.refuse(PARTITIONER, format!("'sink.partitioner' = {class}: Java classes cannot be loaded; give one of: default, fixed, round-robin"));
            Partitioner::Default
        }
        // Messages of a key stay in order in one partition.
        _ if rows == Rows::Upserts => Partitioner::Default,
        _ => reader.0.choice(
            PARTITIONER,
            Partitioner::Default,
            &[
                ("default", Partitioner::Default),
                ("fixed", Partitioner::Fixed),
                ("round-robin", Partitioner::RoundRobin),
            ],
        ),
    };
    const ACKS: &str = "properties.acks";
    if let (true, Some(acks)) = (flush, reader.get(ACKS))
        && !matches!(acks, "all" | "-1")
    {
        let acks = reader.0.quoted(ACKS);
        reader.refuse(
            ACKS,
            format!("'properties.acks' = {acks} loses rows when a broker fails, so they would not arrive at least once; remove it, or set 'sink.delivery-guarantee' = 'none'"),
        );
    }
    SinkSettings { topic, partitioner, flush, properties }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::table;

    fn read<T>(
        pairs: &[(&str, &str)],
        read: impl FnOnce(&mut Options<'_>) -> T,
    ) -> (T, Vec<String>) {
        let mut pairs = pairs.to_vec();
        pairs.push(("properties.bootstrap.servers", "b:9092"));
        let table = table(&pairs, &[]);
        let mut options = Options::new(&table);
        let settings = read(&mut options);
        (settings, options.finish().into_iter().map(|p| p.message).collect())
    }

    #[test]
    fn topics_are_named_or_matched_whole() {
        let (settings, problems) =
            read(&[("topic", "a; b"), ("scan.startup.mode", "earliest-offset")], |o| {
                source(Rows::Told, o)
            });
        assert_eq!(problems, [""; 0]);
        assert!(matches!(settings.topics, Topics::List(names) if names == ["a", "b"]));
        let (settings, problems) =
            read(&[("topic-pattern", "bids-.|x"), ("scan.startup.mode", "latest-offset")], |o| {
                source(Rows::Told, o)
            });
        assert_eq!(problems, [""; 0]);
        let Topics::Pattern(pattern) = settings.topics else { panic!("not a pattern") };
        assert!(pattern.is_match("bids-1") && pattern.is_match("x"));
        assert!(!pattern.is_match("bids-11") && !pattern.is_match("xy"));
    }

    #[test]
    fn modes_are_read_with_what_they_need() {
        let (settings, problems) = read(
            &[
                ("topic", "a"),
                ("scan.startup.mode", "timestamp"),
                ("scan.startup.timestamp-millis", "5"),
                ("scan.bounded.mode", "specific-offsets"),
                ("scan.bounded.specific-offsets", "partition:0,offset:9"),
            ],
            |o| source(Rows::Told, o),
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(settings.startup, Startup::Timestamp(5));
        assert_eq!(settings.bound, Bound::Specific(BTreeMap::from([(0, 9)])));
        assert_eq!(settings.interval, None);
        let (settings, problems) = read(
            &[
                ("topic", "a"),
                ("properties.group.id", "g"),
                ("properties.auto.offset.reset", "latest"),
            ],
            |o| source(Rows::Told, o),
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(settings.startup, Startup::Group(GroupReset::Latest));
        assert_eq!(settings.interval, Some(Duration::from_secs(300)));
    }

    #[test]
    fn what_decides_without_a_position_of_the_group_has_no_say_in_another_mode() {
        let pairs = [
            ("topic", "a"),
            ("scan.startup.mode", "latest-offset"),
            ("properties.auto.offset.reset", "earliest"),
        ];
        let (settings, problems) = read(&pairs, |o| source(Rows::Told, o));
        assert_eq!(problems, [""; 0]);
        assert_eq!(settings.startup, Startup::Latest);
    }

    #[test]
    fn wrong_source_options_are_refused_with_the_fix() {
        let earliest = ("scan.startup.mode", "earliest-offset");
        for (pairs, expected) in [
            (
                &[earliest][..],
                "'topic' is missing; name a topic, or several separated by ';', or give 'topic-pattern'",
            ),
            (
                &[earliest, ("topic", "a"), ("topic-pattern", "b")],
                "'topic' and 'topic-pattern' exclude each other; remove one",
            ),
            (
                &[earliest, ("topic", "a b")],
                "'a b' is not a topic's name: up to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-' are allowed",
            ),
            (
                &[("topic", "a")],
                "'scan.startup.mode' = 'group-offsets', which is the default, needs 'properties.group.id'; give it, or choose 'earliest-offset' or 'latest-offset'",
            ),
            (
                &[("topic", "a"), ("scan.startup.mode", "earliest")],
                "'scan.startup.mode' = 'earliest' is not known; did you mean 'earliest-offset'?",
            ),
            (
                &[("topic", "a"), ("scan.startup.mode", "timestamp")],
                "'scan.startup.mode' = 'timestamp' needs 'scan.startup.timestamp-millis'",
            ),
            (
                &[("topic", "a"), earliest, ("scan.startup.timestamp-millis", "1")],
                "'scan.startup.timestamp-millis' is only used with 'scan.startup.mode' = 'timestamp'; remove it, or set that",
            ),
            (
                &[
                    ("topic", "a"),
                    ("scan.startup.mode", "timestamp"),
                    ("scan.startup.timestamp-millis", "now"),
                ],
                "'scan.startup.timestamp-millis' is 'now'; give milliseconds since 1970, such as '1735689600000'",
            ),
            (
                &[
                    ("topic", "a;b"),
                    ("scan.startup.mode", "specific-offsets"),
                    ("scan.startup.specific-offsets", "partition:0,offset:1"),
                ],
                "'scan.startup.specific-offsets' names partitions of one topic; give a single 'topic'",
            ),
            (
                &[("topic", "a"), earliest, ("scan.topic-partition-discovery.interval", "soon")],
                "'scan.topic-partition-discovery.interval' is 'soon'; give a duration such as '10 s', '30 min' or '500 ms'",
            ),
        ] {
            let found = read(pairs, |o| source(Rows::Told, o)).1;
            assert!(found.iter().any(|m| m == expected), "{pairs:?}: {found:#?}");
        }
    }

    #[test]
    fn wrong_sink_options_are_refused_with_the_fix() {
        for (pairs, expected) in [
            (&[("topic", "a;b")][..], "a sink writes to one topic; give a single name in 'topic'"),
            (
                &[("topic", "a"), ("sink.delivery-guarantee", "exactly-once")],
                "'sink.delivery-guarantee' = 'exactly-once' is not built for Kafka yet; use 'at-least-once' and let readers drop repeated rows by a key, or write exactly once to 'filesystem'",
            ),
            (
                &[("topic", "a"), ("sink.delivery-guarantee", "twice")],
                "'sink.delivery-guarantee' = 'twice' is not known; give one of: at-least-once, none",
            ),
            (
                &[("topic", "a"), ("properties.acks", "1")],
                "'properties.acks' = '1' loses rows when a broker fails, so they would not arrive at least once; remove it, or set 'sink.delivery-guarantee' = 'none'",
            ),
            (
                &[("topic", "a"), ("sink.partitioner", "org.x.P")],
                "'sink.partitioner' = 'org.x.P': Java classes cannot be loaded; give one of: default, fixed, round-robin",
            ),
        ] {
            assert_eq!(read(pairs, |o| sink(Rows::Told, o)).1, [expected]);
        }
    }
}
