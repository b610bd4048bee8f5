//! Connectors by name.

use crate::options::did_you_mean;
use crate::table::{Place, Problem, SinkParts, SourceParts, Table};
use crate::{blackhole, datagen, filesystem, formats, kafka, print, withheld};

type MakeSource = fn(&Table, &[usize], &Place) -> Result<SourceParts, Vec<Problem>>;
type MakeSink = fn(&Table, &Place) -> Result<SinkParts, Vec<Problem>>;

struct Connector {
    name: &'static str,
    source: Option<MakeSource>,
    sink: Option<MakeSink>,
    identity: Identity,
    changes: Changes,
}

/// What rows a table that is written takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changes {
    /// Rows that stay as they are: `+I`.
    Appended,
    /// All kinds: `+I`, `-U`, `+U`, `-D`.
    All,
    /// All, if the format has kinds of rows.
    OfFormat,
    /// All, told apart by the table's primary key: a row takes the place of the one of its key.
    /// Read are rows that come, and keys of rows that go.
    ByKey,
}

/// Which options say what data a table stands for: state is kept for a table under them. They never
/// change for a connector, or every job's state would be another table's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// These, where they are given, and the connector.
    Options(&'static [&'static str]),
    /// All: its rows follow from every one of them.
    All,
}

impl Identity {
    /// Whether an option is part of it.
    #[must_use]
    pub fn has(self, option: &str) -> bool {
        match self {
            Self::Options(names) => option == "connector" || names.contains(&option),
            Self::All => true,
        }
    }
}

/// What says which data a table of this connector stands for.
#[must_use]
pub fn identity(connector: &str) -> Identity {
    let found = CONNECTORS.iter().find(|known| known.name == connector);
    found.map_or(Identity::Options(&[]), |known| known.identity)
}

/// What rows a table of this connector takes that has this `format` (`value.format`), if any.
#[must_use]
pub fn changes(connector: &str, format: Option<&str>) -> Changes {
    let found = CONNECTORS.iter().find(|known| known.name == connector);
    match found.map(|known| known.changes) {
        Some(Changes::OfFormat) if format.is_some_and(formats::has_kinds) => Changes::All,
        Some(own @ (Changes::All | Changes::ByKey)) => own,
        _ => Changes::Appended,
    }
}

/// Whether a table that is read with this `format` (`value.format`) says of rows that they were
/// changed: its source then gives their kinds as a column behind those that were asked for
/// ([`formats::changes::kinds_of`]).
#[must_use]
pub fn gives_changes(connector: &str, format: Option<&str>) -> bool {
    let found = CONNECTORS.iter().find(|known| known.name == connector);
    found.is_some_and(|known| match known.changes {
        Changes::OfFormat => format.is_some_and(formats::has_kinds),
        Changes::ByKey => true,
        Changes::Appended | Changes::All => false,
    })
}

/// Whether `INSERT OVERWRITE` can replace what a table of this connector holds.
#[must_use]
pub fn overwrites(connector: &str) -> bool {
    connector == "filesystem"
}

/// Whether the folder of one option `path` is within that of another, relative to `base` where they
/// are; false where one of them names no folder.
#[must_use]
pub fn is_path_within(path: &str, other: &str, base: &std::path::Path) -> bool {
    filesystem::is_path_within(path, other, base)
}

/// Every connector, by name.
const CONNECTORS: &[Connector] = &[
    Connector {
        name: "blackhole",
        source: None,
        sink: Some(|table, _| blackhole::sink(table)),
        identity: Identity::Options(&[]),
        changes: Changes::All,
    },
    Connector {
        name: "datagen",
        source: Some(|table, projection, _| datagen::source(table, projection)),
        sink: None,
        identity: Identity::All,
        changes: Changes::Appended,
    },
    Connector {
        name: "filesystem",
        source: Some(filesystem::source),
        sink: Some(filesystem::sink),
        identity: Identity::Options(&["path", "format"]),
        changes: Changes::OfFormat,
    },
    Connector {
        name: "kafka",
        source: Some(kafka::source),
        sink: Some(kafka::sink),
        identity: Identity::Options(&["topic", "topic-pattern", "format"]),
        changes: Changes::OfFormat,
    },
    Connector {
        name: "print",
        source: None,
        sink: Some(|table, _| print::sink(table)),
        identity: Identity::Options(&[]),
        changes: Changes::All,
    },
    Connector {
        name: "upsert-kafka",
        source: Some(kafka::upserts),
        sink: Some(kafka::upsert_sink),
        identity: Identity::Options(&["topic", "topic-pattern", "key.format", "value.format"]),
        changes: Changes::ByKey,
    },
];

/// The names of all connectors.
pub fn connectors() -> impl Iterator<Item = &'static str> {
    CONNECTORS.iter().map(|connector| connector.name)
}

/// The parts of a table that is read; `projection` are the columns that anybody wants, as
/// indices in the table's schema.
///
/// # Errors
/// Every problem with the table's options, in the order of their places.
pub fn source(
    table: &Table,
    projection: &[usize],
    place: &Place,
) -> Result<SourceParts, Vec<Problem>> {
    let connector = find(table, |connector| connector.source.is_some())?;
    match connector.source {
        Some(make) => match make(table, projection, place) {
            Err(problems) if problems.is_empty() => withheld::source(table, projection),
            made => made,
        },
        None => Err(refuse(
            table,
            format!("connector '{}' cannot be read, only written", connector.name),
            |c| c.source.is_some(),
        )),
    }
}

/// The parts of a table that is written.
///
/// # Errors
/// Every problem with the table's options, in the order of their places.
pub fn sink(table: &Table, place: &Place) -> Result<SinkParts, Vec<Problem>> {
    let connector = find(table, |connector| connector.sink.is_some())?;
    match connector.sink {
        Some(make) => match make(table, place) {
            Err(problems) if problems.is_empty() => Ok(withheld::sink()),
            made => made,
        },
        None => Err(refuse(
            table,
            format!("connector '{}' cannot be written, only read", connector.name),
            |c| c.sink.is_some(),
        )),
    }
}

fn find(table: &Table, fits: fn(&Connector) -> bool) -> Result<&'static Connector, Vec<Problem>> {
    let Some(option) = table.options.get("connector") else {
        return Err(refuse(table, "'connector' is missing".to_owned(), fits));
    };
    let name = option.value.stand_in().trim();
    CONNECTORS.iter().find(|connector| connector.name == name).ok_or_else(|| {
        // Only of what is written: what is near to a value tells of it.
        let written = option.value.shown().trim();
        let meant = did_you_mean(written, CONNECTORS.iter().map(|connector| connector.name));
        match meant {
            Some(meant) => {
                let message = format!("connector '{written}' is unknown; did you mean '{meant}'?");
                vec![Problem { at: Some(option.at), message }]
            }
            None => refuse(table, format!("connector '{written}' is unknown"), fits),
        }
    })
}

fn refuse(table: &Table, what: String, fits: fn(&Connector) -> bool) -> Vec<Problem> {
    let names: Vec<_> = CONNECTORS.iter().filter(|c| fits(c)).map(|c| c.name).collect();
    let at = table.options.get("connector").map(|option| option.at);
    vec![Problem { at, message: format!("{what}; give one of: {}", names.join(", ")) }]
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, TimeUnit};

    use super::*;
    use crate::reference::Variable;
    use crate::table::Position;
    use crate::testing::{table, table_in};

    const COLUMNS: &[(&str, DataType)] = &[
        ("n", DataType::Int64),
        ("x", DataType::Float64),
        ("s", DataType::Utf8),
        ("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
    ];

    /// Tables that are right, with as many options as go together.
    const RIGHT: &[&[(&str, &str)]] = &[
        &[
            ("connector", "datagen"),
            ("rows-per-second", "5"),
            ("number-of-rows", "9"),
            ("seed", "1"),
            ("scan.splits", "2"),
            ("scan.parallelism", "2"),
            ("scan.watermark.idle-timeout", "5 s"),
            ("fields.n.kind", "sequence"),
            ("fields.n.start", "1"),
            ("fields.n.end", "7"),
            ("fields.x.min", "0.5"),
            ("fields.x.max", "1.5"),
            ("fields.x.null-rate", "0.1"),
            ("fields.s.length", "3"),
            ("fields.s.var-len", "true"),
            ("fields.at.start", "2024-01-01"),
            ("fields.at.max-past", "1 s"),
        ],
        &[
            ("connector", "filesystem"),
            ("path", "s3://bucket/folder"),
            ("format", "csv"),
            ("csv.field-delimiter", "|"),
            ("csv.ignore-parse-errors", "true"),
            ("csv.null-literal", "-"),
            ("source.monitor-interval", "5 s"),
            ("source.path.regex-pattern", "x.*"),
            ("partition.default-name", "none"),
            ("sink.rolling-policy.file-size", "1 MB"),
            ("sink.rolling-policy.check-interval", "1 s"),
            ("scan.parallelism", "2"),
            ("sink.parallelism", "2"),
            ("auto-compaction", "true"),
            ("compaction.file-size", "1 MB"),
        ],
        &[
            ("connector", "filesystem"),
            ("path", "/folder"),
            ("format", "parquet"),
            ("parquet.compression", "ZSTD"),
            ("parquet.block.size", "65536"),
        ],
        &[
            ("connector", "filesystem"),
            ("path", "/folder"),
            ("format", "avro"),
            ("avro.codec", "zstandard"),
            ("avro.encoding", "binary"),
            ("avro.timestamp_mapping.legacy", "false"),
            ("avro.open.fastread", "true"),
        ],
        &[
            ("connector", "kafka"),
            ("topic", "t"),
            ("properties.bootstrap.servers", "b:9092"),
            ("properties.group.id", "g"),
            ("properties.auto.offset.reset", "latest"),
            ("properties.security.protocol", "SASL_SSL"),
            ("properties.sasl.mechanism", "PLAIN"),
            (
                "properties.sasl.jaas.config",
                "PlainLoginModule required username=\"u\" password=\"p\";",
            ),
            ("properties.retries", "3"),
            ("properties.acks", "all"),
            ("properties.buffer.memory", "100000"),
            ("properties.request.timeout.ms", "1000"),
            ("properties.commit.offsets.on.checkpoint", "true"),
            ("properties.ssl.truststore.location", "ca.pem"),
            ("properties.ssl.truststore.type", "PEM"),
            ("scan.startup.mode", "group-offsets"),
            ("scan.bounded.mode", "unbounded"),
            ("scan.topic-partition-discovery.interval", "5 s"),
            ("scan.on-lost-position", "fail"),
            ("sink.delivery-guarantee", "at-least-once"),
            ("sink.partitioner", "fixed"),
            ("key.format", "json"),
            ("key.fields", "n"),
            ("value.fields-include", "ALL"),
            ("format", "json"),
            ("json.timestamp-format.standard", "SQL"),
        ],
        &[
            ("connector", "kafka"),
            ("topic-pattern", "t.*"),
            ("properties.bootstrap.servers", "b:9092"),
            ("scan.startup.mode", "timestamp"),
            ("scan.startup.timestamp-millis", "5"),
            ("scan.bounded.mode", "timestamp"),
            ("scan.bounded.timestamp-millis", "9"),
            ("format", "csv"),
        ],
        &[
            ("connector", "kafka"),
            ("topic", "t"),
            ("properties.bootstrap.servers", "b:9092"),
            ("scan.startup.mode", "specific-offsets"),
            ("scan.startup.specific-offsets", "partition:0,offset:5"),
            ("format", "csv"),
        ],
        &[
            ("connector", "print"),
            ("print-identifier", "p"),
            ("standard-error", "true"),
            ("sink.parallelism", "2"),
        ],
        &[("connector", "blackhole"), ("sink.parallelism", "2")],
    ];

    /// All that becomes of a table, in words: problems and what plans show.
    fn said(table: &Table) -> Vec<String> {
        let place = Place { base: "/jobs".into(), ..Place::default() };
        let projection: Vec<usize> = (0..COLUMNS.len()).collect();
        let mut said = vec![format!("{table:?}")];
        match source(table, &projection, &place) {
            Ok(parts) => said.push(format!("{:?}", parts.details)),
            Err(problems) => said.extend(problems.into_iter().map(|p| p.message)),
        }
        match sink(table, &place) {
            Ok(parts) => said.push(format!("{:?}", parts.details)),
            Err(problems) => said.extend(problems.into_iter().map(|p| p.message)),
        }
        said
    }

    /// Each right table with one option after the other from the environment.
    fn each_option_from_the_environment(check: impl Fn(&[(&str, &str)], &str)) {
        for right in RIGHT {
            for (given, (key, _)) in right.iter().enumerate() {
                let mut options = right.to_vec();
                options[given].1 = "${env:PLANTED}";
                check(&options, key);
            }
        }
    }

    #[test]
    fn a_value_of_the_environment_stands_in_no_message_and_no_plan() {
        // Words, numbers and what cannot be parsed as anything.
        for planted in [
            "planted",
            "-918273",
            "918273645",
            "91.8273e-3",
            "((plan[ted",
            "s3://planted",
            "file://planted/",
            "planted 918273",
        ] {
            each_option_from_the_environment(|options, key| {
                let environment = |_: &str| Some(Variable::Value(planted.to_owned()));
                for said in said(&table_in(&environment, options, COLUMNS)) {
                    let shown = said.replace("PLANTED", "");
                    for part in [planted, "planted", "918273", "91.8273", "plan[ted"] {
                        assert!(!shown.contains(part), "{key} = {planted}: {said}");
                    }
                }
            });
        }
    }

    #[test]
    fn what_only_a_withheld_value_could_tell_is_not_refused() {
        each_option_from_the_environment(|options, key| {
            if key == "connector" {
                return;
            }
            let withheld = table_in(&|_| Some(Variable::Withheld), options, COLUMNS);
            let literal = options.iter().find(|(name, _)| *name == "connector").map(|(_, c)| *c);
            let place = Place { base: "/jobs".into(), ..Place::default() };
            if matches!(literal, Some("datagen" | "filesystem" | "kafka")) {
                let made = source(&withheld, &[0], &place);
                assert_eq!(made.err(), None, "{key}");
            }
            if matches!(literal, Some("print" | "filesystem")) {
                assert_eq!(sink(&withheld, &place).err(), None, "{key}");
            }
        });
    }

    #[test]
    fn a_wrong_option_beside_a_withheld_value_is_refused_all_the_same() {
        let options = [
            ("connector", "datagen"),
            ("rows-per-second", "${env:RATE}"),
            ("number-of-row", "5"),
            ("fields.n.min", "many"),
        ];
        let withheld = table_in(&|_| Some(Variable::Withheld), &options, COLUMNS);
        let problems = source(&withheld, &[0], &Place::default()).err().expect("refused");
        let messages: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "option 'number-of-row' is unknown for connector 'datagen'; did you mean 'number-of-rows'?",
                "'fields.n.min' is 'many'; give a value such as '0'",
            ]
        );
    }

    fn problem(options: &[(&str, &str)], write: bool) -> (Option<Position>, String) {
        let table = table(options, &[]);
        let place = Place::default();
        let problems =
            if write { sink(&table, &place).err() } else { source(&table, &[], &place).err() };
        let mut problems = problems.unwrap();
        assert_eq!(problems.len(), 1);
        let Problem { at, message } = problems.remove(0);
        (at, message)
    }

    #[test]
    fn a_wrong_connector_is_refused_with_those_that_fit() {
        let at = Some(Position { line: 1, column: 3 });
        for (name, write, expected) in [
            ("filesytem", false, "connector 'filesytem' is unknown; did you mean 'filesystem'?"),
            ("print", false, "connector 'print' cannot be read, only written; give one of: "),
            ("datagen", true, "connector 'datagen' cannot be written, only read; give one of: "),
            ("jdbc", true, "connector 'jdbc' is unknown; give one of: blackhole, filesystem, "),
        ] {
            let (place, message) = problem(&[("connector", name)], write);
            assert_eq!(place, at);
            assert!(message.starts_with(expected), "{message}");
        }
        let (place, message) = problem(&[], false);
        assert_eq!(place, None);
        assert!(
            message.starts_with("'connector' is missing; give one of: datagen, filesystem"),
            "{message}"
        );
    }
}
