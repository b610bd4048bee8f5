//! A real Kafka broker: it keeps what it takes, and the connector's own tests pass against it.

use std::process::Command;

use anyhow::{Result, ensure};
use weir_e2e::programs;
use weir_e2e::testbed::kafka::Kafka;

#[test]
fn a_killed_broker_comes_back_with_what_it_took() -> Result<()> {
    let mut kafka = Kafka::start()?;
    kafka.create_topic("lines", 2, &["retention.ms=-1"])?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), "one\ntwo\nthree\n")?;
    kafka.produce("lines", file.path())?;
    kafka.kill();
    kafka.restart()?;
    kafka.produce("lines", file.path())?;
    let found: Vec<_> = kafka
        .read_committed("lines")?
        .into_iter()
        .map(|record| (record.partition, record.offset, record.value))
        .collect();
    let expected = [
        (0, 0, "one"),
        (0, 1, "three"),
        (0, 2, "one"),
        (0, 3, "three"),
        (1, 0, "two"),
        (1, 1, "two"),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(partition, offset, value)| (partition, offset, value.to_owned()))
        .collect();
    ensure!(found == expected, "{found:?}");
    ensure!(kafka.group_positions("lines", "nobody")?.is_empty());
    Ok(())
}

#[test]
fn the_connectors_tests_pass_against_a_real_broker() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut tests = Command::new(env!("CARGO"));
    programs::forget_package(&mut tests);
    let status = tests
        // Of the whole workspace, so that what `cargo test --workspace` built is used again.
        .args(["test", "--workspace", "--test", "kafka_real", "--", "--include-ignored"])
        .env("WEIR_KAFKA", kafka.servers())
        .env("WEIR_KAFKA_SASL", kafka.sasl_servers())
        .env("WEIR_KAFKA_TLS", kafka.tls_servers())
        .env("WEIR_KAFKA_MUTUAL", kafka.mutual_servers())
        .env("WEIR_KAFKA_CLIENT", kafka.client_certificate())
        .env("WEIR_KAFKA_CA", kafka.authority())
        .env("WEIR_KAFKA_OTHER_CA", kafka.other_authority())
        .status()?;
    ensure!(status.success(), "they ended with {status}");
    Ok(())
}
