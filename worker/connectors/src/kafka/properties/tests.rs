use super::*;
use crate::testing::table;

fn translated(role: Role, pairs: &[(&str, &str)]) -> (Properties, Vec<String>) {
    let names: Vec<_> = pairs.iter().map(|(key, _)| format!("properties.{key}")).collect();
    let pairs: Vec<_> =
        names.iter().zip(pairs).map(|(name, (_, value))| (name.as_str(), *value)).collect();
    let table = table(&pairs, &[]);
    let mut options = Options::new(&table);
    let properties = translate(role, &mut options);
    (properties, options.finish().into_iter().map(|p| p.message).collect())
}

fn problems(role: Role, pairs: &[(&str, &str)]) -> Vec<String> {
    let mut pairs = pairs.to_vec();
    pairs.push(("bootstrap.servers", "b:9092"));
    translated(role, &pairs).1
}

#[test]
fn every_name_that_is_passed_on_is_known_to_the_client() {
    for name in SAME.iter().chain(RENAMED.iter().map(|(_, native)| native)) {
        // Whether the value fits does not matter here.
        let answer = ClientConfig::new().set(*name, "?").create_native_config();
        if let Err(KafkaError::ClientConfig(result, ..)) = answer {
            let unknown = rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
            assert_ne!(result, unknown, "{name}");
        }
    }
}

#[test]
fn a_setting_has_one_name_so_that_a_users_value_wins_over_a_default() {
    let (done, problems) = translated(
        Role::Producer,
        &[("bootstrap.servers", "b:9092"), ("delivery.timeout.ms", "1500")],
    );
    assert_eq!(problems, [""; 0]);
    let config = done.client(&[("message.timeout.ms", "120000")], &[]);
    assert_eq!(config.get("message.timeout.ms"), Some("1500"));
    assert_eq!(config.get("delivery.timeout.ms"), None);
    let twice = [("delivery.timeout.ms", "1500"), ("message.timeout.ms", "1501")];
    let problems = self::problems(Role::Producer, &twice);
    assert!(problems[0].contains("another name of the same setting"));
}

#[test]
fn a_java_login_becomes_a_user_and_a_password() {
    let (done, problems) = translated(
        Role::Consumer,
        &[
            ("bootstrap.servers", "b:9092"),
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            (
                "sasl.jaas.config",
                r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="p\"w";"#,
            ),
        ],
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!(done.config["sasl.username"], "u");
    assert_eq!(done.config["sasl.password"], "p\"w");
    assert!(done.secrets.contains(&"p\"w".to_owned()));
}

#[test]
fn java_names_are_translated() {
    let (done, problems) = translated(
        Role::Consumer,
        &[
            ("bootstrap.servers", "b:9092"),
            ("fetch.max.wait.ms", "100"),
            ("request.timeout.ms", "3000"),
            ("ssl.endpoint.identification.algorithm", ""),
            ("ssl.truststore.location", "/certs/ca.pem"),
            ("ssl.truststore.type", "PEM"),
        ],
    );
    assert_eq!(problems, [""; 0]);
    let config: Vec<_> = done.config.iter().map(|(k, v)| format!("{k}={v}")).collect();
    expect_test::expect![[r#"
        bootstrap.servers=b:9092
        fetch.wait.max.ms=100
        socket.timeout.ms=3000
        ssl.ca.location=/certs/ca.pem
        ssl.endpoint.identification.algorithm=none
    "#]]
    .assert_eq(&(config.join("\n") + "\n"));
}

#[test]
fn files_are_looked_for_beside_the_manifest() {
    let (mut done, _) = translated(
        Role::Consumer,
        &[("ssl.ca.location", "ca.pem"), ("ssl.key.location", "/k.pem")],
    );
    done.resolve_files(Path::new("/jobs"));
    assert_eq!(done.config["ssl.ca.location"], "/jobs/ca.pem");
    assert_eq!(done.config["ssl.key.location"], "/k.pem");
}

#[test]
fn what_cannot_be_taken_is_refused_by_name() {
    for (pairs, expected) in [
        (
            &[("debug", "all")][..],
            "'properties.debug' is not a setting that Weir's Kafka client takes; remove it",
        ),
        (
            &[("fetch.min.byte", "1")][..],
            "'properties.fetch.min.byte' is not a setting that Weir's Kafka client takes; did you mean 'properties.fetch.min.bytes'?",
        ),
        (
            &[("interceptor.classes", "x")][..],
            "'properties.interceptor.classes' is not taken: Java classes cannot be loaded; remove it",
        ),
        (
            &[("fetch.min.bytes", "many")][..],
            "'properties.fetch.min.bytes': 'many' cannot be used: Invalid value for configuration property \"fetch.min.bytes\"",
        ),
        (
            &[("sasl.username", "u"), ("sasl.mechanism", "PLAIN")][..],
            "SASL credentials are given, but 'properties.security.protocol' is 'PLAINTEXT', which does not use them; set it to 'SASL_SSL'",
        ),
        (
            &[("security.protocol", "SASL_SSL")][..],
            "'properties.sasl.mechanism' is missing; give PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        ),
        (
            &[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "GSSAPI")][..],
            "'properties.sasl.mechanism' = 'GSSAPI' is not built in; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        ),
        (
            &[("plugin.library.paths", "/tmp/x.so")][..],
            "'properties.plugin.library.paths' is not taken: libraries cannot be loaded; remove it",
        ),
        (
            &[("ssl.keystore.location", "/k.jks")][..],
            "'properties.ssl.keystore.location': a Java key store cannot be read; convert it (keytool -importkeystore -deststoretype PKCS12) and set 'properties.ssl.keystore.type' = 'PKCS12'",
        ),
    ] {
        assert_eq!(problems(Role::Consumer, pairs), [expected]);
    }
}

#[test]
fn a_missing_cluster_is_a_problem() {
    let (_, problems) = translated(Role::Producer, &[]);
    assert_eq!(problems[0], "'properties.bootstrap.servers' is missing; give it as 'host:9092,…'");
}

#[test]
fn a_wrong_login_is_refused_without_its_password() {
    let messages = problems(
        Role::Consumer,
        &[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.jaas.config", "PlainLoginModule required username=\"u\" password=\"secret"),
        ],
    );
    assert_eq!(messages.len(), 1);
    assert!(!messages[0].contains("secret"), "{}", messages[0]);
}

#[test]
fn what_has_no_say_in_the_rows_is_passed_over_and_told() {
    let (done, problems) = translated(
        Role::Consumer,
        &[
            ("bootstrap.servers", "b:9092"),
            ("client.id", "mine"),
            ("client.id.prefix", "job"),
            ("enable.auto.commit", "true"),
            ("max.poll.records", "500"),
            ("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer"),
            ("zookeeper.connect", "z:2181"),
        ],
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!(done.config["client.id"], "job");
    assert_eq!(
        done.passed_over().map(|(_, names)| names).as_deref(),
        Some(
            "properties.enable.auto.commit, properties.max.poll.records, properties.value.deserializer, properties.zookeeper.connect"
        )
    );
}
