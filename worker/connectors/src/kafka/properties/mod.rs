//! `properties.*`: settings for Kafka's Java client, translated for librdkafka.
//!
//! Only names in the lists below are taken. librdkafka has settings that run commands, load
//! libraries or undo what exactness rests on; those are refused, and so are names of the Java client
//! that decide which rows are read, where they go or who may read them, each with what to do
//! instead. Names that neither client nor anybody here knows are passed over, as the Java client does,
//! unless they look like a slip of the pen; the plan lists them. Values are checked by librdkafka
//! itself.

mod names;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use super::jaas;
use crate::options::{Options, did_you_mean};
use crate::table::{OptionValue, Position, Problem};
pub(super) use names::FILES;
use names::{GUARDS, PASSED, REFUSED, RENAMED, SAME, SECRET, SPECIAL};

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
#[derive(Clone, Default)]
pub(super) struct Properties {
    /// Settings in librdkafka's names.
    pub(super) config: BTreeMap<String, String>,
    /// Values that must not be shown, whether or not they come from the environment.
    pub(super) secrets: Vec<String>,
    /// `bootstrap.servers` as it is written.
    pub(super) servers: String,
    /// `auto.offset.reset`, which only decides what `group-offsets` does without a position.
    pub(super) auto_offset_reset: Option<String>,
    /// `commit.offsets.on.checkpoint`; on unless it says otherwise.
    pub(super) commit_offsets: bool,
    /// Settings that are given and have no meaning here.
    pub(super) passed: Vec<String>,
    /// `buffer.memory`: bytes that a sink may hold back.
    pub(super) buffer_bytes: Option<u64>,
}

impl std::fmt::Debug for Properties {
    /// Names only: values may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.config.keys()).finish()
    }
}

impl Properties {
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

    /// What a plan says of settings that have no meaning here.
    pub(super) fn passed_over(&self) -> Option<(String, String)> {
        let names = || self.passed.iter().map(|name| format!("{PREFIX}{name}"));
        let listed = || names().collect::<Vec<_>>().join(", ");
        (!self.passed.is_empty()).then(|| ("settings without effect".to_owned(), listed()))
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

/// Translates every `properties.*` among a table's options; what is wrong with them goes to the
/// options' problems.
pub(super) fn translate(role: Role, options: &mut Options<'_>) -> Properties {
    let mut translator = Translator {
        role,
        done: Properties { commit_offsets: true, ..Properties::default() },
        problems: Vec::new(),
        stores: BTreeMap::new(),
        shown: BTreeMap::new(),
        undecided: false,
    };
    for (option, value) in options.prefixed(PREFIX) {
        if let Some(name) = option.strip_prefix(PREFIX) {
            translator.take(name, value);
        }
    }
    if translator.undecided {
        options.leave_undecided();
    }
    let (properties, problems) = translator.finish();
    options.extend(problems);
    properties
}

/// Whether librdkafka has a setting of this name.
fn is_native(name: &str) -> bool {
    // Whether the value fits does not matter here.
    let answer = ClientConfig::new().set(name, "?").create_native_config();
    let unknown = rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
    !matches!(answer, Err(KafkaError::ClientConfig(result, ..)) if result == unknown)
}

struct Translator<'a> {
    role: Role,
    done: Properties,
    problems: Vec<Problem>,
    /// Java's key and trust stores, which only make sense together.
    stores: BTreeMap<&'a str, &'a OptionValue>,
    /// How settings are shown whose values are the environment's, by librdkafka's name.
    shown: BTreeMap<String, String>,
    /// A withheld value decides what others mean.
    undecided: bool,
}

impl<'a> Translator<'a> {
    fn take(&mut self, name: &'a str, value: &'a OptionValue) {
        if let (true, Some(secret)) = (SECRET.contains(&name), value.value.reveal()) {
            self.done.secrets.push(secret.to_owned());
        }
        if name == "bootstrap.servers" {
            value.value.shown().trim().clone_into(&mut self.done.servers);
        }
        // Any word is taken for one of the two by the client, and others depend on which it is.
        let decides = ["sasl.mechanism", "security.protocol"].contains(&name);
        self.undecided |= decides && value.value.is_withheld();
        if SPECIAL.contains(&name) {
            self.special(name, value);
        } else if SAME.contains(&name) {
            self.set(name, value, name);
        } else if let Some((_, native)) = RENAMED.iter().find(|(java, _)| *java == name) {
            self.set(native, value, name);
        } else if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            self.refuse(value.at, format!("'properties.{name}' is not taken: {why}"));
        } else if PASSED.contains(&name) {
            self.done.passed.push(name.to_owned());
        } else {
            let names = SAME.iter().chain(SPECIAL).chain(RENAMED.iter().map(|(java, _)| java));
            let hint = match did_you_mean(name, names.copied()) {
                Some(nearest) => format!("did you mean 'properties.{nearest}'?"),
                // Who may read and who is spoken to is decided by nothing that is passed over.
                None if is_native(name) || GUARDS.iter().any(|of| name.starts_with(of)) => {
                    "remove it".to_owned()
                }
                None => return self.done.passed.push(name.to_owned()),
            };
            self.refuse(
                value.at,
                format!(
                    "'properties.{name}' is not a setting that Weir's Kafka client takes; {hint}"
                ),
            );
        }
    }

    fn special(&mut self, name: &'a str, option: &'a OptionValue) {
        let value = option.value.stand_in().trim();
        let given = option.value.quoted();
        match name {
            "auto.offset.reset" => {
                self.done.auto_offset_reset = Some(value.to_owned());
            }
            "buffer.memory" => match value.parse() {
                Ok(bytes) => self.done.buffer_bytes = Some(bytes),
                Err(_) => self.refuse(
                    option.at,
                    format!("'properties.buffer.memory' is {given}; give a number of bytes"),
                ),
            },
            "commit.offsets.on.checkpoint" => match value {
                "true" => self.done.commit_offsets = true,
                "false" => self.done.commit_offsets = false,
                _ => self.refuse(
                    option.at,
                    format!("'properties.{name}' is {given}; give 'true' or 'false'"),
                ),
            },
            // Flink numbers the clients of a job behind it; what stands in it is for people.
            "client.id.prefix" => {
                self.done.config.insert("client.id".to_owned(), value.to_owned());
            }
            "request.timeout.ms" => {
                let native = match self.role {
                    Role::Consumer => "socket.timeout.ms",
                    Role::Producer => "request.timeout.ms",
                };
                self.set(native, option, name);
            }
            "sasl.jaas.config" => match jaas::parse(value) {
                Ok(login) => {
                    self.done.secrets.push(login.password.clone());
                    self.done.config.insert("sasl.username".into(), login.username);
                    self.done.config.insert("sasl.password".into(), login.password);
                }
                Err(why) => {
                    let why = option.value.detail(why);
                    self.refuse(option.at, format!("'properties.sasl.jaas.config': {why}"));
                }
            },
            "ssl.endpoint.identification.algorithm" => {
                if value.is_empty() {
                    let none = OptionValue { value: "none".into(), at: option.at };
                    self.set(name, &none, name);
                } else {
                    self.set(name, option, name);
                }
            }
            _ => {
                self.undecided |= name.ends_with(".type") && option.value.is_withheld();
                self.stores.insert(name, option);
            }
        }
    }

    fn set(&mut self, native: &str, option: &OptionValue, name: &str) {
        let (value, at) = (option.value.stand_in().trim(), option.at);
        let mut check = ClientConfig::new();
        check.set(native, value);
        match check.create_native_config() {
            Ok(_) => {
                if !option.value.is_literal() {
                    self.shown.insert(native.to_owned(), option.value.shown().to_owned());
                }
                let earlier = self.done.config.insert(native.to_owned(), value.to_owned());
                if earlier.is_some_and(|earlier| earlier != value) {
                    self.refuse(at, format!("'properties.{name}' and another name of the same setting are given with different values; remove one"));
                }
            }
            // One of a list of words, or a number, and others may depend on which.
            Err(_) if option.value.is_withheld() => self.undecided = true,
            Err(error) => {
                let secret = SECRET.contains(&name) || SECRET.contains(&native);
                let shown = if secret { "its value".to_owned() } else { option.value.quoted() };
                // The client's words repeat the value.
                let why = match error {
                    KafkaError::ClientConfig(_, why, _, _)
                        if !secret && option.value.is_literal() =>
                    {
                        why
                    }
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
        let get = |name: &str| {
            self.stores.get(name).map(|option| option.value.stand_in().trim().to_owned())
        };
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
        let shown = |name: &str, value: &str| {
            self.shown.get(name).map_or_else(|| value.to_owned(), String::clone)
        };
        if credentials && !sasl {
            self.problems.push(Problem {
                at: None,
                message: format!(
                    "SASL credentials are given, but 'properties.security.protocol' is '{}', which does not use them; set it to 'SASL_SSL'",
                    shown("security.protocol", protocol.as_deref().unwrap_or("PLAINTEXT"))
                ),
            });
        }
        match mechanism.as_deref() {
            Some("PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512") => {}
            Some(other) => self.problems.push(Problem {
                at: None,
                message: format!(
                    "'properties.sasl.mechanism' = '{}' is not built in; use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
                    shown("sasl.mechanism", other)
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
