//! Which names are taken, and what librdkafka calls them.

/// Settings that name a file.
pub(in crate::kafka) const FILES: &[&str] = &[
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// Same name and meaning in librdkafka.
pub(super) const SAME: &[&str] = &[
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
pub(super) const RENAMED: &[(&str, &str)] = &[
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
pub(super) const SPECIAL: &[&str] = &[
    "auto.offset.reset",
    "buffer.memory",
    "client.id.prefix",
    "commit.offsets.on.checkpoint",
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
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("enable.partition.eof", "Weir sets it itself; remove it"),
    (
        "exclude.internal.topics",
        "only Kafka's Java client knows it; name topics so that the pattern does not match internal ones",
    ),
    ("interceptor.classes", "Java classes cannot be loaded; remove it"),
    ("interceptors", "libraries cannot be loaded; remove it"),
    ("partition.discovery.interval.ms", "use 'scan.topic-partition-discovery.interval'"),
    ("partitioner", "use 'sink.partitioner'"),
    ("partitioner.class", "Java classes cannot be loaded; use 'sink.partitioner'"),
    ("plugin.library.paths", "libraries cannot be loaded; remove it"),
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
    (
        "ssl.enabled.protocols",
        "OpenSSL negotiates the best version that both sides have; remove it",
    ),
    ("ssl.protocol", "OpenSSL negotiates the best version that both sides have; remove it"),
];

/// Of Kafka's Java client or of Flink alone, and without a say in which rows are read or written:
/// groups that are not joined, timeouts of calls that are not made, metrics. Passed over.
pub(super) const PASSED: &[&str] = &[
    "auto.commit.interval.ms",
    "default.api.timeout.ms",
    "enable.auto.commit",
    "group.instance.id",
    "heartbeat.interval.ms",
    "key.deserializer",
    "key.serializer",
    "max.block.ms",
    "max.poll.interval.ms",
    "max.poll.records",
    "metric.reporters",
    "partition.assignment.strategy",
    "register.consumer.metrics",
    "session.timeout.ms",
    "ssl.provider",
    "transaction.timeout.ms",
    "transactional.id",
    "value.deserializer",
    "value.serializer",
];

/// How settings begin that say who may read, and who is spoken to.
pub(super) const GUARDS: &[&str] = &["ssl.", "sasl.", "security."];

/// Values that are never shown.
pub(super) const SECRET: &[&str] = &[
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.key",
    "ssl.keystore.password",
    "ssl.truststore.password",
    "sasl.jaas.config",
];
