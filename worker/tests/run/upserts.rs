//! Tables of upserts: topics in which a message takes the place of the one before of its key.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use super::program::Program;

type Mock = MockCluster<'static, DefaultProducerContext>;

fn cluster(topics: &[&str]) -> Mock {
    let mock = MockCluster::new(1).expect("a cluster can be made");
    topics.iter().for_each(|topic| mock.create_topic(topic, 2, 1).expect("made"));
    mock
}

/// Writes messages; equal keys go to one partition.
fn write(mock: &Mock, topic: &str, records: &[(&str, Option<&str>)]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .create()
        .expect("a producer can be made");
    for (key, value) in records {
        let mut record = BaseRecord::<str, str>::to(topic).key(key);
        record.payload = *value;
        producer.send(record).map_err(|(error, _)| error).expect("it is queued");
    }
    producer.flush(Duration::from_secs(10)).expect("it arrives");
}

fn tables(mock: &Mock) -> String {
    let table = |name: &str, columns: &str, key: &str, options: &str| {
        format!(
            "CREATE TABLE {name} ({columns}, PRIMARY KEY ({key}) NOT ENFORCED) WITH ('connector' = 'upsert-kafka',
'topic' = '{name}', 'properties.bootstrap.servers' = '{}', 'key.format' = 'json', 'value.format' = 'json',
'scan.bounded.mode' = 'latest-offset'{options});\n",
            mock.bootstrap_servers()
        )
    };
    table("people", "id BIGINT, city STRING, name STRING NOT NULL", "id", "")
        + &table(
            "cities",
            "city STRING, people BIGINT",
            "city",
            ", 'value.fields-include' = 'EXCEPT_KEY'",
        )
        + &table("names", "city STRING, name STRING", "city", "")
        + &table("seats", "taken BOOLEAN, hall STRING, seat INT", "hall, seat", "")
}

#[test]
fn what_is_written_by_key_is_read_by_key() {
    for parallelism in [1, 3] {
        let mock = cluster(&["people", "cities", "names"]);
        let program = Program::new(&[]);
        let sql = tables(&mock);
        let row = |id: i64, city: &str, name: &str| {
            format!(r#"{{"id":{id},"city":"{city}","name":"{name}"}}"#)
        };
        let key = |id: i64| format!(r#"{{"id":{id}}}"#);
        let said = [
            (key(1), Some(row(1, "Bonn", "Ada"))),
            (key(2), Some(row(2, "Bonn", "Bea"))),
            (key(3), Some(row(3, "Kiel", "Cem"))),
            (key(4), Some(row(4, "Ulm", "Dora"))),
            (key(1), Some(row(1, "Kiel", "Ada"))),
            (key(3), None),
            (key(4), None),
            (key(5), None),
        ];
        let said: Vec<(&str, Option<&str>)> =
            said.iter().map(|(key, row)| (key.as_str(), row.as_deref())).collect();
        write(&mock, "people", &said);
        let people = program.rows(parallelism, &format!("{sql}SELECT * FROM people;"));
        assert_eq!(people, ["1, Kiel, Ada", "2, Bonn, Bea"], "with parallelism {parallelism}");

        let counts = "INSERT INTO cities SELECT city, COUNT(*) FROM people GROUP BY city;";
        program.rows(parallelism, &format!("{sql}{counts}"));
        // Its key is not the query's: of each city one person.
        let names = "INSERT INTO names SELECT city, name FROM people;";
        program.rows(parallelism, &format!("{sql}{names}"));
        let cities = program.rows(parallelism, &format!("{sql}SELECT * FROM cities;"));
        assert_eq!(cities, ["Bonn, 1", "Kiel, 1"], "with parallelism {parallelism}");
        let names = program.rows(parallelism, &format!("{sql}SELECT * FROM names;"));
        assert_eq!(names, ["Bonn, Bea", "Kiel, Ada"], "with parallelism {parallelism}");
    }
}

#[test]
fn keys_that_nobody_reads_tell_rows_apart_all_the_same() {
    let mock = cluster(&["seats"]);
    let program = Program::new(&[]);
    let sql = tables(&mock);
    let said: Vec<(String, Option<String>)> = (0..20)
        .map(|n| {
            let (hall, seat) = (if n % 2 == 0 { "a" } else { "b" }, n / 4);
            let key = format!(r#"{{"hall":"{hall}","seat":{seat}}}"#);
            let value =
                format!(r#"{{"taken":{},"hall":"{hall}","seat":{seat}}}"#, (n / 2) % 2 == 0);
            (key, (n < 18).then_some(value))
        })
        .collect();
    let said: Vec<_> = said.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
    write(&mock, "seats", &said);
    for parallelism in [1, 2] {
        let count = program.rows(parallelism, &format!("{sql}SELECT COUNT(*) FROM seats;"));
        assert_eq!(count, ["8"], "with parallelism {parallelism}");
        let taken = "SELECT taken, COUNT(*) FROM seats GROUP BY taken;";
        let taken = program.rows(parallelism, &format!("{sql}{taken}"));
        assert_eq!(taken, ["false, 8"], "with parallelism {parallelism}");
    }
}

#[test]
fn rows_that_only_come_are_written_under_their_keys() {
    let mock = cluster(&["people", "cities", "names"]);
    let program = Program::new(&[]);
    let sql = tables(&mock);
    let insert = "INSERT INTO cities SELECT * FROM (VALUES ('Bonn', 1), ('Kiel', 2), ('Bonn', 3)) AS t (c, n);";
    program.rows(1, &format!("{sql}{insert}"));
    let cities = program.rows(2, &format!("{sql}SELECT * FROM cities;"));
    assert_eq!(cities, ["Bonn, 3", "Kiel, 2"]);
}
