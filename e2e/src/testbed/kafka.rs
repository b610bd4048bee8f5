//! A real Kafka broker: one process, broker and controller at once, over a temporary folder.
//!
//! What tests write and read goes through Kafka's own Java client, which shares no code with
//! Weir's.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::cache;
use crate::process::{Process, free_port, wait_for};
use crate::testbed::{Place, tls};

const VERSION: &str = "4.1.0";
const TOOL: &str = include_str!("../../kafka/KafkaTool.java");
/// Formatting asks for one; any will do for a cluster of one.
const CLUSTER_ID: &str = "d2Vpci10ZXN0LWNsdXN0ZQ";

/// A message as the Java client sees it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Record {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
    /// The key; empty when absent.
    pub key: String,
    /// The value; empty when absent.
    pub value: String,
}

/// A running broker that creates topics only when asked.
#[derive(Debug)]
pub struct Kafka {
    server: Option<Process>,
    folder: TempDir,
    libraries: PathBuf,
    place: Place,
    ports: Ports,
}

/// Where the broker listens.
#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    /// SASL PLAIN in the clear.
    sasl: u16,
    /// SASL PLAIN and SCRAM over TLS.
    tls: u16,
    /// TLS with certificates of both sides.
    mutual: u16,
    controller: u16,
}

impl Kafka {
    /// User of the SASL listeners.
    pub const USER: &str = "weir";
    /// Password of the SASL listeners.
    pub const PASSWORD: &str = "weir-secret";

    /// Starts a broker on free ports of loopback, downloaded first if need be.
    ///
    /// # Errors
    /// When it cannot be downloaded or does not answer.
    pub fn start() -> Result<Self> {
        Self::start_at(Place::loopback())
    }

    /// Starts a broker at a place.
    ///
    /// # Errors
    /// When it cannot be downloaded or does not answer.
    pub fn start_at(place: Place) -> Result<Self> {
        let libraries = ensure_installed()?;
        let folder = TempDir::with_prefix("weir-kafka-")?;
        let ports = Ports {
            plain: free_port()?,
            sasl: free_port()?,
            tls: free_port()?,
            mutual: free_port()?,
            controller: free_port()?,
        };
        tls::certify(folder.path(), &place.address)?;
        compile(folder.path(), &libraries)?;
        let settings = settings(folder.path(), &place.address, ports);
        fs::write(folder.path().join("server.properties"), settings)?;
        let mut broker = Self { server: None, folder, libraries, place, ports };
        let mut format = broker.java();
        format
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
            .arg(broker.folder.path().join("server.properties"))
            .args(["SCRAM-SHA-256", "SCRAM-SHA-512"].into_iter().flat_map(scram));
        cache::run(&mut format)?;
        broker.restart()?;
        Ok(broker)
    }

    /// Starts the broker again over what it has stored, on the same ports; ends it first when
    /// it still runs.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        let log =
            fs::File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let mut command = self.place.command("java");
        command
            .arg("-cp")
            .arg(self.libraries.join("*"))
            .args(["-Xmx512m", "kafka.Kafka"])
            .arg(self.folder.path().join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut server = Process::start("the Kafka broker", &mut command)?;
        let (address, ports) = (self.place.address.as_str(), self.ports);
        let answers = |port| TcpStream::connect((address, port)).is_ok();
        wait_for("the Kafka broker", Duration::from_secs(180), || {
            if let Some(status) = server.poll()? {
                let log = fs::read_to_string(self.folder.path().join("log"))?;
                anyhow::bail!("it ended with {status}:\n{}", cache::tail(&log));
            }
            let all = [ports.plain, ports.sasl, ports.tls, ports.mutual];
            Ok(all.into_iter().all(answers))
        })?;
        self.server = Some(server);
        Ok(())
    }

    /// Kills the broker, as a failing machine does; what it has acknowledged stays.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// `bootstrap.servers` of the listener without credentials.
    #[must_use]
    pub fn servers(&self) -> String {
        format!("{}:{}", self.place.address, self.ports.plain)
    }

    /// `bootstrap.servers` of the listener that takes SASL PLAIN.
    #[must_use]
    pub fn sasl_servers(&self) -> String {
        format!("{}:{}", self.place.address, self.ports.sasl)
    }

    /// `bootstrap.servers` of the listener that takes SASL PLAIN and SCRAM over TLS.
    #[must_use]
    pub fn tls_servers(&self) -> String {
        format!("{}:{}", self.place.address, self.ports.tls)
    }

    /// `bootstrap.servers` of the listener that takes clients with a certificate, over TLS.
    #[must_use]
    pub fn mutual_servers(&self) -> String {
        format!("{}:{}", self.place.address, self.ports.mutual)
    }

    /// A client's key and certificate that the broker trusts, as a PEM file.
    #[must_use]
    pub fn client_certificate(&self) -> PathBuf {
        self.folder.path().join(tls::CLIENT)
    }

    /// The certificate of the authority that signed the broker's, as a PEM file.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join(tls::AUTHORITY)
    }

    /// The certificate of an authority that signed nothing, as a PEM file.
    #[must_use]
    pub fn other_authority(&self) -> PathBuf {
        self.folder.path().join(tls::OTHER_AUTHORITY)
    }

    /// Creates a topic; `settings` are Kafka's for topics, such as `retention.ms=1000`.
    ///
    /// # Errors
    /// When it exists already or the broker is away.
    pub fn create_topic(&self, topic: &str, partitions: u32, settings: &[&str]) -> Result<()> {
        let mut command = self.tool("create", topic);
        command.arg(partitions.to_string()).args(settings);
        cache::run(&mut command)?;
        Ok(())
    }

    /// Writes every line of a file as a message, to the partitions in turn.
    ///
    /// # Errors
    /// When one does not arrive.
    pub fn produce(&self, topic: &str, lines: &Path) -> Result<()> {
        cache::run(self.tool("produce", topic).arg(lines))?;
        Ok(())
    }

    /// Writes every line of a file as a message, `rate` of them a second, in a process that ends
    /// with success when all have arrived. From the first byte of its input on it writes as fast
    /// as it can.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn produce_steadily(&self, topic: &str, lines: &Path, rate: u32) -> Result<Process> {
        let mut command = self.tool("produce", topic);
        command.arg(lines).arg(rate.to_string()).stdin(Stdio::piped());
        Process::start("the producer", &mut command)
    }

    /// Reads what is committed now, partition by partition in order.
    ///
    /// # Errors
    /// When the broker is away.
    pub fn read_committed(&self, topic: &str) -> Result<Vec<Record>> {
        let file = self.folder.path().join(format!("read-{topic}"));
        cache::run(self.tool("read", topic).arg(&file))?;
        let text = fs::read_to_string(&file)?;
        fs::remove_file(&file)?;
        let mut records = text.lines().map(record).collect::<Result<Vec<_>>>()?;
        records.sort();
        Ok(records)
    }

    /// The positions of a consumer group in a topic, by partition; those that it has.
    ///
    /// # Errors
    /// When the broker is away.
    pub fn group_positions(&self, topic: &str, group: &str) -> Result<Vec<(i32, i64)>> {
        let text = cache::run(self.tool("group", topic).arg(group))?;
        let mut positions = text
            .lines()
            .map(|line| {
                let (partition, offset) = line.split_once('\t').context("no tab")?;
                Ok((partition.parse()?, offset.parse()?))
            })
            .collect::<Result<Vec<_>>>()?;
        positions.sort_unstable();
        Ok(positions)
    }

    fn java(&self) -> Command {
        let mut command = Command::new("java");
        command.arg("-cp").arg(self.libraries.join("*"));
        command
    }

    fn tool(&self, what: &str, topic: &str) -> Command {
        let mut command = Command::new("java");
        let tool = self.folder.path().display();
        command.arg("-cp").arg(format!("{}/*:{tool}", self.libraries.display()));
        command.args(["KafkaTool", what, &self.servers(), topic]);
        command
    }
}

/// Compiles the client once: `java KafkaTool.java` would at every call.
fn compile(folder: &Path, libraries: &Path) -> Result<()> {
    let source = folder.join("KafkaTool.java");
    fs::write(&source, TOOL)?;
    let mut compile = Command::new("javac");
    compile.arg("-cp").arg(libraries.join("*")).arg("-d").arg(folder).arg(&source);
    cache::run(&mut compile).map(drop)
}

fn record(line: &str) -> Result<Record> {
    let mut fields = line.splitn(4, '\t');
    let mut next = || fields.next().with_context(|| format!("'{line}' has too few fields"));
    Ok(Record {
        partition: next()?.parse()?,
        offset: next()?.parse()?,
        key: next()?.to_owned(),
        value: next()?.to_owned(),
    })
}

/// The folder with Kafka's libraries, fetched from Maven's central repository if need be.
///
/// # Errors
/// When Maven is missing or cannot fetch them.
pub fn ensure_installed() -> Result<PathBuf> {
    let folder = cache::folder(&format!("kafka-{VERSION}"), |folder| {
        let dependency = |name: &str| {
            format!(
                "<dependency><groupId>org.apache.kafka</groupId><artifactId>{name}</artifactId><version>{VERSION}</version></dependency>"
            )
        };
        let project = format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion><groupId>weir</groupId><artifactId>kafka-testbed</artifactId><version>1</version><packaging>pom</packaging><dependencies>{}{}</dependencies></project>",
            dependency("kafka_2.13"),
            dependency("kafka-tools"),
        );
        fs::write(folder.join("pom.xml"), project)?;
        cache::run(
            Command::new("mvn")
                .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"])
                .current_dir(folder),
        )?;
        Ok(())
    })?;
    Ok(folder.join("lib"))
}

/// The option of Kafka's formatter that lets the user in by a mechanism.
fn scram(mechanism: &str) -> [String; 2] {
    let user = format!("{mechanism}=[name={},password={}]", Kafka::USER, Kafka::PASSWORD);
    ["--add-scram".to_owned(), user]
}

fn settings(folder: &Path, address: &str, ports: Ports) -> String {
    let (user, password) = (Kafka::USER, Kafka::PASSWORD);
    let Ports { plain, sasl, tls, mutual, controller } = ports;
    let [data, key, authority] = ["data", tls::BROKER, tls::AUTHORITY].map(|it| folder.join(it));
    let (data, key, authority) = (data.display(), key.display(), authority.display());
    let listeners = format!(
        "PLAINTEXT://{address}:{plain},SASL_PLAINTEXT://{address}:{sasl},SASL_SSL://{address}:{tls},SSL://{address}:{mutual}"
    );
    let login = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}=\"{password}\";"
    );
    format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:PLAINTEXT
listener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={login}
listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={login}
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.ssl.keystore.type=PEM
listener.name.sasl_ssl.ssl.keystore.location={key}
listener.name.ssl.ssl.keystore.type=PEM
listener.name.ssl.ssl.keystore.location={key}
listener.name.ssl.ssl.truststore.type=PEM
listener.name.ssl.ssl.truststore.location={authority}
listener.name.ssl.ssl.client.auth=required
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
"
    )
}
