//! Credentials and certificates, under the names and in the notation of Kafka's Java client.
//!
//! `WEIR_KAFKA_SASL=host:port` takes SASL PLAIN in the clear, `WEIR_KAFKA_TLS=host:port` PLAIN and
//! SCRAM over TLS, both for user `weir` with password `weir-secret`; `WEIR_KAFKA_MUTUAL=host:port`
//! clients with a certificate such as that of `WEIR_KAFKA_CLIENT`. The brokers' certificate is signed
//! by `WEIR_KAFKA_CA`, a PEM file, and not by `WEIR_KAFKA_OTHER_CA`.

use super::*;

const PASSWORD: &str = "weir-secret";
const WRONG: &str = "not-this-one";

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// Options of a table that logs in as Flink's users write it.
fn login(protocol: &str, mechanism: &str, password: &str) -> Vec<(String, String)> {
    let module = if mechanism == "PLAIN" { "plain.Plain" } else { "scram.Scram" };
    let jaas = format!(
        "org.apache.kafka.common.security.{module}LoginModule required username=\"weir\" password=\"{password}\";"
    );
    [("security.protocol", protocol), ("sasl.mechanism", mechanism), ("sasl.jaas.config", &jaas)]
        .map(|(name, value)| (format!("properties.{name}"), value.to_owned()))
        .into()
}

fn trust(mut options: Vec<(String, String)>, ca: &str) -> Vec<(String, String)> {
    options.push(("properties.ssl.truststore.type".into(), "PEM".into()));
    options.push(("properties.ssl.truststore.location".into(), ca.into()));
    options
}

/// TLS alone; `certificate` is what the client shows of itself.
fn mutual(certificate: Option<&str>) -> Vec<(String, String)> {
    let mut options = vec![("properties.security.protocol".to_owned(), "SSL".to_owned())];
    if let Some(certificate) = certificate {
        options.push(("properties.ssl.keystore.type".into(), "PEM".into()));
        options.push(("properties.ssl.keystore.location".into(), certificate.into()));
    }
    trust(options, &setting("WEIR_KAFKA_CA"))
}

fn secured(topic: &Topic, servers: &str, options: &[(String, String)]) -> Table {
    let mut all = vec![("topic", topic.name.as_str()), ("format", "json"), EARLIEST, BOUNDED];
    all.extend(options.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    table(servers, &all, &[("n", DataType::Int64)])
}

/// A sink does not take what only a source reads.
fn written(mut table: Table) -> Table {
    table.options.retain(|key, _| !key.starts_with("scan."));
    table
}

/// What a source and a sink say; neither may wait for long, nor show the password.
fn refusals(topic: &Topic, table: &Table) -> [EngineError; 2] {
    let start = instant();
    let Err(reading) = discover(&topic.io, &source(table, &[0])) else { panic!("let in") };
    let mut cx = context(&topic.io);
    let writing = kafka::sink(&written(table.clone()), &Place::default())
        .unwrap()
        .factory
        .create(&cx)
        .and_then(|mut writer| {
            ready(&mut *writer, &mut cx);
            writer.on_tick(&mut cx, &mut Output::default()).map(|_| ())
        })
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    for error in [&reading, &writing] {
        assert_eq!(error.fault, Fault::User, "{error}");
        assert!(error.message.starts_with("table 't': "), "the place: {error}");
        assert!(!error.message.contains(WRONG), "{error}");
    }
    [reading, writing]
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn java_credentials_open_the_door_to_both_directions() {
    let ca = setting("WEIR_KAFKA_CA");
    let (clear, tls) = (setting("WEIR_KAFKA_SASL"), setting("WEIR_KAFKA_TLS"));
    let (both, certificate) = (setting("WEIR_KAFKA_MUTUAL"), setting("WEIR_KAFKA_CLIENT"));
    for (servers, options) in [
        (&clear, login("SASL_PLAINTEXT", "PLAIN", PASSWORD)),
        (&tls, trust(login("SASL_SSL", "PLAIN", PASSWORD), &ca)),
        (&tls, trust(login("SASL_SSL", "SCRAM-SHA-256", PASSWORD), &ca)),
        (&tls, trust(login("SASL_SSL", "SCRAM-SHA-512", PASSWORD), &ca)),
        (&both, mutual(Some(&certificate))),
    ] {
        let topic = Topic::new("secured", 1);
        let table = secured(&topic, servers, &options);
        let mut cx = context(&topic.io);
        let sink = kafka::sink(&written(table.clone()), &Place::default()).unwrap();
        let mut writer = sink.factory.create(&cx).unwrap();
        ready(&mut *writer, &mut cx);
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        let batch = RecordBatch::try_new(table.schema.clone(), vec![column]).unwrap();
        let _ = writer.on_batch(&mut cx, 0, Batch::new(batch), &mut Output::default()).unwrap();
        let request = SnapshotRequest { attempt: Attempt(1), full: false, last: true };
        let snapshot = writer.on_barrier(&mut cx, request).unwrap();
        topic.io.block_on(snapshot.pre_commit.unwrap()).unwrap();
        assert_eq!(read_all(&topic.io, &table), (0..1000).collect::<Vec<_>>(), "{options:?}");
    }
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn a_wrong_password_is_refused_in_time_and_never_shown() {
    let topic = Topic::new("wrong-password", 1);
    let ca = setting("WEIR_KAFKA_CA");
    let (clear, tls) = (setting("WEIR_KAFKA_SASL"), setting("WEIR_KAFKA_TLS"));
    for (servers, options) in [
        (&clear, login("SASL_PLAINTEXT", "PLAIN", WRONG)),
        (&tls, trust(login("SASL_SSL", "PLAIN", WRONG), &ca)),
        (&tls, trust(login("SASL_SSL", "SCRAM-SHA-256", WRONG), &ca)),
        (&tls, trust(login("SASL_SSL", "SCRAM-SHA-512", WRONG), &ca)),
    ] {
        for error in refusals(&topic, &secured(&topic, servers, &options)) {
            let message = &error.message;
            assert!(
                message.contains(&format!("Kafka at '{servers}' refused the login: ")),
                "{error}"
            );
            assert!(message.contains("check 'properties.sasl.jaas.config'"), "{error}");
        }
    }
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn a_certificate_that_nobody_vouches_for_is_refused_with_the_option_that_names_who_does() {
    let topic = Topic::new("wrong-authority", 1);
    let tls = setting("WEIR_KAFKA_TLS");
    let options =
        trust(login("SASL_SSL", "SCRAM-SHA-512", PASSWORD), &setting("WEIR_KAFKA_OTHER_CA"));
    for error in refusals(&topic, &secured(&topic, &tls, &options)) {
        let message = &error.message;
        assert!(message.contains(&format!("no TLS connection to Kafka at '{tls}': ")), "{error}");
        assert!(message.contains("certificate verify failed"), "{error}");
        assert!(message.contains("'properties.ssl.truststore.location'"), "{error}");
    }
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn a_client_without_the_certificate_that_is_asked_for_is_told_which_option_names_it() {
    let topic = Topic::new("no-certificate", 1);
    for error in refusals(&topic, &secured(&topic, &setting("WEIR_KAFKA_MUTUAL"), &mutual(None))) {
        assert!(error.message.contains("does not take the client's certificate"), "{error}");
        assert!(error.message.contains("'properties.ssl.keystore.location'"), "{error}");
    }
}

#[test]
#[ignore = "needs the broker that WEIR_KAFKA names; weir-e2e brings one"]
fn a_missing_file_of_authorities_is_named() {
    let topic = Topic::new("no-authority", 1);
    let options = trust(login("SASL_SSL", "PLAIN", PASSWORD), "/no/such/ca.pem");
    for error in refusals(&topic, &secured(&topic, &setting("WEIR_KAFKA_TLS"), &options)) {
        assert!(error.message.contains("/no/such/ca.pem"), "{error}");
        assert!(error.message.contains("'properties.ssl.truststore.location'"), "{error}");
    }
}
