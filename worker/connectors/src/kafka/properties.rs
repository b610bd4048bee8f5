//! `properties.*`: settings for Kafka's Java client, translated for librdkafka.
//!
//! Only names in the lists below are taken. librdkafka has settings that run commands, load
//! libraries or undo what exactness rests on; those are refused, and so are names that only the
//! Java client knows, each with what to do instead. Values are checked by librdkafka itself.

use std::collections::BTreeMap;
use std::path::Path;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use super::jaas;
use crate::options::{Options, did_you_mean};
use crate::table::{OptionValue, Position, Problem};

/// The option prefix.
const PREFIX: &str = "properties.";

/// Which client the properties are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// A source's.
    Consumer,
    /// A sink's.
    Producer,
}

/// Translated properties.
#[derive(Clone, Debug, Default)]
pub(super) struct Properties {
    /// Settings in librdkafka's names.
    pub(super) config: BTreeMap<String, String>,
    /// Values that must not be shown.
    pub(super) secrets: Vec<String>,
    /// `auto.offset.reset`, which only decides what `group-offsets` does without a position.
    pub(super) auto_offset_reset: Option<String>,
    /// `commit.offsets.on.checkpoint`; on unless it says otherwise.
    pub(super) commit_offsets: bool,
    /// `buffer.memory`: bytes that a sink may hold back.
    pub(super) buffer_bytes: Option<u64>,
}

impl Properties {
    /// `bootstrap.servers`.
    pub(super) fn servers(&self) -> &str {
        self.config.get("bootstrap.servers").map_or("", String::as_str)
    }

    /// Finds files whose names are relative in the folder of the manifest.
    pub(super) fn resolve_files(&mut self, base: &Path) {
        for name in FILES {
            if let Some(file) = self.config.get_mut(*name)
                && Path::new(&file).is_relative()
                && !(*name == "ssl.ca.location" && file == "probe")
            {
                *file = base.join(&file).to_string_lossy().into_owned();
            }
        }
    }

    /// A client's configuration: Weir's defaults, then the user's settings, then what must be.
    pub(super) fn client(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.config {
            config.set(key, value);
        }
        for (key, value) in fixed {
            config.set(*key, *value);
        }
        config
    }
}

/// Settings that name a file.
pub(super) const FILES: &[&str] = &[
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// Same name and meaning in librdkafka.
const SAME: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "batch.num.messages",
    "batch.size",
    "bootstrap.servers",
    "broker.address.family",
    "broker.address.ttl",
    "check.crcs",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "enable.idempotence",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.id",
    "isolation.level",
    "linger.ms",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.max.age.ms",
    "metadata.recovery.strategy",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.mechanism",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.sigalgs.list",
    "sticky.partitioning.linger.ms",
    "topic.metadata.refresh.interval.ms",
];

/// Another name in librdkafka, same values.
const RENAMED: &[(&str, &str)] = &[
    ("compression.codec", "compression.type"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("max.request.size", "message.max.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("sasl.mechanisms", "sasl.mechanism"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("socket.connection.setup.timeout.max.ms", "socket.connection.setup.timeout.ms"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("ssl.keystore.key", "ssl.key.pem"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
];

/// Handled one by one in `Translator::special`.
const SPECIAL: &[&str] = &[
    "auto.offset.reset",
    "buffer.memory",
    "commit.offsets.on.checkpoint",
    "enable.auto.commit",
    "request.timeout.ms",
    "sasl.jaas.config",
    "ssl.endpoint.identification.algorithm",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// Known, and refused with what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("auto.commit.interval.ms", "positions are committed with every checkpoint; remove it"),
    ("default.api.timeout.ms", "only Kafka's Java client knows it; remove it"),
    ("enable.partition.eof", "Weir sets it itself; remove it"),
    (
        "exclude.internal.topics",
        "only Kafka's Java client knows it; name topics so that the pattern does not match internal ones",
    ),
    ("group.instance.id", "Weir assigns partitions itself and joins no group; remove it"),
    ("heartbeat.interval.ms", "Weir assigns partitions itself and joins no group; remove it"),
    ("interceptor.classes", "Java classes cannot be loaded; remove it"),
    ("interceptors", "libraries cannot be loaded; remove it"),
    ("key.deserializer", "'key.format' decides how keys are read; remove it"),
    ("key.serializer", "'key.format' decides how keys are written; remove it"),
    (
        "max.block.ms",
        "only Kafka's Java client knows it; a full buffer holds the job back instead; remove it",
    ),
    ("max.poll.interval.ms", "Weir assigns partitions itself and joins no group; remove it"),
    (
        "max.poll.records",
        "only Kafka's Java client knows it; batches are bounded by Weir; remove it",
    ),
    ("metric.reporters", "Java classes cannot be loaded; remove it"),
    (
        "partition.assignment.strategy",
        "Weir assigns partitions itself and joins no group; remove it",
    ),
    ("partition.discovery.interval.ms", "use 'scan.topic-partition-discovery.interval'"),
    ("partitioner", "use 'sink.partitioner'"),
    ("partitioner.class", "Java classes cannot be loaded; use 'sink.partitioner'"),
    ("plugin.library.paths", "libraries cannot be loaded; remove it"),
    ("register.consumer.metrics", "it concerns Flink's own metrics; remove it"),
    ("sasl.client.callback.handler.class", "Java classes cannot be loaded; remove it"),
    (
        "sasl.kerberos.service.name",
        "Kerberos (GSSAPI) is not built in; use SASL PLAIN or SCRAM over SSL",
    ),
    ("sasl.login.callback.handler.class", "Java classes cannot be loaded; remove it"),
    (
        "sasl.oauthbearer.token.endpoint.url",
        "OAUTHBEARER is not built in; use SASL PLAIN or SCRAM over SSL",
    ),
    ("session.timeout.ms", "Weir assigns partitions itself and joins no group; remove it"),
    (
        "ssl.enabled.protocols",
        "OpenSSL negotiates the best version that both sides have; remove it",
    ),
    ("ssl.protocol", "OpenSSL negotiates the best version that both sides have; remove it"),
    ("ssl.provider", "only Kafka's Java client knows it; remove it"),
    ("transaction.timeout.ms", "the sink writes without transactions; remove it"),
    ("transactional.id", "the sink writes without transactions; remove it"),
    ("value.deserializer", "'format' decides how values are read; remove it"),
    ("value.serializer", "'format' decides how values are written; remove it"),
];

/// Values that are never shown.
const SECRET: &[&str] = &[
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "ssl.truststore.password",
    "sasl.jaas.config",
];

/// Translates every `properties.*` among a table's options; what is wrong with them goes to the
/// options' problems.
pub(super) fn translate(role: Role, options: &mut Options<'_>) -> Properties {
    let mut translator = Translator {
        role,
        done: Properties { commit_offsets: true, ..Properties::default() },
        problems: Vec::new(),
        stores: BTreeMap::new(),
    };
    for (option, value) in options.prefixed(PREFIX) {
        if let Some(name) = option.strip_prefix(PREFIX) {
            translator.take(name, value);
        }
    }
    let (properties, problems) = translator.finish();
    options.extend(problems);
    properties
}

struct Translator<'a> {
    role: Role,
    done: Properties,
    problems: Vec<Problem>,
    /// Java's key and trust stores, which only make sense together.
    stores: BTreeMap<&'a str, &'a OptionValue>,
}

impl<'a> Translator<'a> {
    fn take(&mut self, name: &'a str, value: &'a OptionValue) {
        if SECRET.contains(&name) {
            self.done.secrets.push(value.value.clone());
        }
        if SPECIAL.contains(&name) {
            self.special(name, value);
        } else if SAME.contains(&name) {
            self.set(name, value.value.trim(), name, value.at);
        } else if let Some((_, native)) = RENAMED.iter().find(|(java, _)| *java == name) {
            self.set(native, value.value.trim(), name, value.at);
        } else if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            self.refuse(value.at, format!("'properties.{name}' is not taken: {why}"));
        } else {
            let names = SAME.iter().chain(SPECIAL).chain(RENAMED.iter().map(|(java, _)| java));
            let hint = did_you_mean(name, names.copied()).map_or_else(
                || "remove it".to_owned(),
                |nearest| format!("did you mean 'properties.{nearest}'?"),
            );
            self.refuse(
                value.at,
                format!(
                    "'properties.{name}' is not a setting that Weir's Kafka client knows; {hint}"
                ),
            );
        }
    }

    fn special(&mut self, name: &'a str, option: &'a OptionValue) {
        let value = option.value.trim();
        match name {
            "auto.offset.reset" => {
                self.done.auto_offset_reset = Some(value.to_owned());
            }
            "buffer.memory" => match value.parse() {
                Ok(bytes) => self.done.buffer_bytes = Some(bytes),
                Err(_) => self.refuse(
                    option.at,
                    format!("'properties.buffer.memory' is '{value}'; give a number of bytes"),
                ),
            },
            "commit.offsets.on.checkpoint" => match value {
                "true" => self.done.commit_offsets = true,
                "false" => self.done.commit_offsets = false,
                _ => self.refuse(
                    option.at,
                    format!("'properties.{name}' is '{value}'; give 'true' or 'false'"),
                ),
            },
            "enable.auto.commit" if value != "false" => self.refuse(
                option.at,
                "'properties.enable.auto.commit' is not taken: positions are committed to the group with every checkpoint; remove it".to_owned(),
            ),
            "enable.auto.commit" => {}
            "request.timeout.ms" => {
                let native = match self.role {
                    Role::Consumer => "socket.timeout.ms",
                    Role::Producer => "request.timeout.ms",
                };
                self.set(native, value, name, option.at);
            }
            "sasl.jaas.config" => match jaas::parse(value) {
                Ok(login) => {
                    self.done.secrets.push(login.password.clone());
                    self.done.config.insert("sasl.username".into(), login.username);
                    self.done.config.insert("sasl.password".into(), login.password);
                }
                Err(why) => self.refuse(option.at, format!("'properties.sasl.jaas.config': {why}")),
            },
            "ssl.endpoint.identification.algorithm" => {
                let value = if value.is_empty() { "none" } else { value };
                self.set(name, value, name, option.at);
            }
            _ => {
                self.stores.insert(name, option);
            }
        }
    }

    fn set(&mut self, native: &str, value: &str, name: &str, at: Position) {
        let mut check = ClientConfig::new();
        check.set(native, value);
        match check.create_native_config() {
            Ok(_) => {
                let earlier = self.done.config.insert(native.to_owned(), value.to_owned());
                if earlier.is_some_and(|earlier| earlier != value) {
                    self.refuse(at, format!("'properties.{name}' and another name of the same setting are given with different values; remove one"));
                }
            }
            Err(error) => {
                let shown = if SECRET.contains(&name) || SECRET.contains(&native) {
                    "its value".to_owned()
                } else {
                    format!("'{value}'")
                };
                let why = match error {
                    KafkaError::ClientConfig(_, why, _, _) if !SECRET.contains(&name) => why,
                    _ => "the client refuses it".to_owned(),
                };
                self.refuse(at, format!("'properties.{name}': {shown} cannot be used: {why}"));
            }
        }
    }

    fn refuse(&mut self, at: Position, message: String) {
        self.problems.push(Problem { at: Some(at), message });
    }

    /// Java's stores: PEM and PKCS#12 key stores can be used, JKS cannot.
    fn stores(&mut self) {
        let get = |name: &str| self.stores.get(name).map(|option| option.value.trim().to_owned());
        let kind = |name: &str| get(name).unwrap_or_else(|| "JKS".to_owned()).to_ascii_uppercase();
        let mut set = Vec::new();
        let mut refused = Vec::new();
        if let Some(location) = get("ssl.truststore.location") {
            if kind("ssl.truststore.type") == "PEM" {
                set.push(("ssl.ca.location", location));
            } else {
                refused.push(("ssl.truststore.location", "only PEM files can be read; export the certificates (keytool -exportcert -rfc) and name the file in 'properties.ssl.ca.location'"));
            }
        }
        if let Some(location) = get("ssl.keystore.location") {
            match kind("ssl.keystore.type").as_str() {
                "PKCS12" => {
                    set.push(("ssl.keystore.location", location));
                    set.extend(get("ssl.keystore.password").map(|p| ("ssl.keystore.password", p)));
                }
                "PEM" => {
                    set.push(("ssl.certificate.location", location.clone()));
                    set.push(("ssl.key.location", location));
                }
                _ => refused.push(("ssl.keystore.location", "a Java key store cannot be read; convert it (keytool -importkeystore -deststoretype PKCS12) and set 'properties.ssl.keystore.type' = 'PKCS12'")),
            }
        }
        for (name, why) in refused {
            let at = self.stores.get(name).map(|option| option.at);
            self.problems.push(Problem { at, message: format!("'properties.{name}': {why}") });
        }
        for (native, value) in set {
            self.done.config.insert(native.to_owned(), value);
        }
    }

    /// What only shows when everything is known.
    fn finish(mut self) -> (Properties, Vec<Problem>) {
        self.stores();
        let config = &self.done.config;
        if config.get("bootstrap.servers").is_none_or(|servers| servers.is_empty()) {
            self.problems.push(Problem {
                at: None,
                message: "'properties.bootstrap.servers' is missing; give it as 'host:9092,…'"
                    .into(),
            });
        }
        let protocol = config.get("security.protocol").map(|p| p.to_ascii_uppercase());
        let sasl = protocol.as_deref().is_some_and(|p| p.starts_with("SASL_"));
        let credentials =
            config.contains_key("sasl.username") || config.contains_key("sasl.mechanism");
        let mechanism = config.get("sasl.mechanism").map(|m| m.to_ascii_uppercase());
        if credentials && !sasl {
            self.problems.push(Problem {
                at: None,
                message: format!(
                    "SASL credentials are given, but 'properties.security.protocol' is '{}', which does not use them; set it to 'SASL_SSL'",
                    protocol.as_deref().unwrap_or("PLAINTEXT")
                ),
            });
        }
        match mechanism.as_deref() {
            Some("PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512") => {}
            Some(other) => self.problems.push(Problem {
                at: None,
                message: format!(
                    "'properties.sasl.mechanism' = '{other}' is not built in; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
                ),
            }),
            None if sasl => self.problems.push(Problem {
                at: None,
                message: "'properties.sasl.mechanism' is missing; give PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512".into(),
            }),
            None => {}
        }
        (self.done, self.problems)
    }
}

#[cfg(test)]
mod tests {
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
                &[("max.pol.records", "1")][..],
                "'properties.max.pol.records' is not a setting that Weir's Kafka client knows; remove it",
            ),
            (
                &[("fetch.min.byte", "1")][..],
                "'properties.fetch.min.byte' is not a setting that Weir's Kafka client knows; did you mean 'properties.fetch.min.bytes'?",
            ),
            (
                &[("value.deserializer", "x")][..],
                "'properties.value.deserializer' is not taken: 'format' decides how values are read; remove it",
            ),
            (
                &[("enable.auto.commit", "true")][..],
                "'properties.enable.auto.commit' is not taken: positions are committed to the group with every checkpoint; remove it",
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
        assert_eq!(
            problems[0],
            "'properties.bootstrap.servers' is missing; give it as 'host:9092,…'"
        );
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
}
