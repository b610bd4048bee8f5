//! Connectors by name.

use crate::options::did_you_mean;
use crate::table::{Place, Problem, SinkParts, SourceParts, Table};
use crate::{blackhole, datagen, filesystem, kafka, print};

type MakeSource = fn(&Table, &[usize], &Place) -> Result<SourceParts, Vec<Problem>>;
type MakeSink = fn(&Table, &Place) -> Result<SinkParts, Vec<Problem>>;

struct Connector {
    name: &'static str,
    source: Option<MakeSource>,
    sink: Option<MakeSink>,
}

/// Every connector, by name.
const CONNECTORS: &[Connector] = &[
    Connector { name: "blackhole", source: None, sink: Some(|table, _| blackhole::sink(table)) },
    Connector {
        name: "datagen",
        source: Some(|table, projection, _| datagen::source(table, projection)),
        sink: None,
    },
    Connector {
        name: "filesystem",
        source: Some(filesystem::source),
        sink: Some(filesystem::sink),
    },
    Connector { name: "kafka", source: Some(kafka::source), sink: Some(kafka::sink) },
    Connector { name: "print", source: None, sink: Some(|table, _| print::sink(table)) },
];

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
        Some(make) => make(table, projection, place),
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
        Some(make) => make(table, place),
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
    let name = option.value.trim();
    CONNECTORS.iter().find(|connector| connector.name == name).ok_or_else(|| {
        let meant = did_you_mean(name, CONNECTORS.iter().map(|connector| connector.name));
        match meant {
            Some(meant) => {
                let message = format!("connector '{name}' is unknown; did you mean '{meant}'?");
                vec![Problem { at: Some(option.at), message }]
            }
            None => refuse(table, format!("connector '{name}' is unknown"), fits),
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
    use super::*;
    use crate::table::Position;
    use crate::testing::table;

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
