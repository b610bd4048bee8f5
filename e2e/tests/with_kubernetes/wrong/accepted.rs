//! What the API server takes, and what goes wrong then: programs, references, images, stores.

use serde_json::{Value, json};

use super::{Accepted, GOOD};

/// The operator refuses the spec.
const SPEC: (&str, &str) = ("Stalled", "SpecRefused");
/// Its pods cannot work.
const PODS: (&str, &str) = ("Degraded", "PodsNotRunning");

/// One that has to be alone: its namespace takes no pod.
pub(super) fn quota() -> Accepted {
    let words = ["exceeded quota: small", "ResourceQuota", "spec.workers.resources"];
    case("crowded", json!({"sql": GOOD}), PODS, &words)
}

/// All others. `namespace` is where they run.
pub(super) fn cases(namespace: &str) -> Vec<Accepted> {
    let mut cases = programs();
    cases.extend(specs(namespace));
    cases.extend(pods(namespace));
    cases.extend(worlds());
    cases
}

fn case(
    name: &'static str,
    spec: Value,
    condition: (&'static str, &'static str),
    words: &[&str],
) -> Accepted {
    let event = if condition == SPEC { "SpecRefused" } else { condition.1 };
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Accepted { name, spec, condition, event, words }
}

/// Programs that do not plan; the place is line and column of the program.
fn programs() -> Vec<Accepted> {
    let table = |options: &str| {
        format!("CREATE TABLE t (a BIGINT, b STRING) WITH ({options});\n")
            + "CREATE TABLE n (a BIGINT) WITH ('connector' = 'blackhole');\n"
            + "INSERT INTO n SELECT a FROM t;"
    };
    let select = |query: &str| {
        "CREATE TABLE t (a BIGINT, b STRING) WITH ('connector' = 'datagen');\n".to_owned()
            + "CREATE TABLE n (a BIGINT) WITH ('connector' = 'blackhole');\n"
            + query
    };
    let wrong = |name, sql: String, words: &[&str]| case(name, json!({"sql": sql}), SPEC, words);
    vec![
        wrong(
            "syntax",
            select("INSERT INTO n SELEKT a FROM t;"),
            &["sql:3:15", "expected SELECT", "SELEKT"],
        ),
        wrong(
            "no-table",
            select("INSERT INTO n SELECT a FROM flights;"),
            &["sql:3:29", "\"flights\" not found", "declares \"n\", \"t\""],
        ),
        wrong(
            "no-column",
            select("INSERT INTO n SELECT aa FROM t;"),
            &["sql:3:22", "\"aa\" not found", "it has a, b"],
        ),
        wrong(
            "no-function",
            select("INSERT INTO n SELECT ABSS(a) FROM t;"),
            &["sql:3:22", "\"ABSS\" is unknown", "did you mean \"ABS\""],
        ),
        wrong(
            "types",
            select("INSERT INTO n SELECT a, b FROM t;"),
            &["sql:3:15", "takes 1 column", "gives 2"],
        ),
        wrong(
            "connector",
            table("'connector' = 'kafkaa'"),
            &["sql:1:43", "'kafkaa' is unknown", "did you mean 'kafka'"],
        ),
        wrong(
            "option",
            table("'connector' = 'datagen', 'rows-per-sekond' = '1'"),
            &["sql:1:68", "'rows-per-sekond' is unknown", "did you mean 'rows-per-second'"],
        ),
        wrong(
            "no-option",
            table("'connector' = 'kafka', 'format' = 'json'"),
            &["sql:1:14", "'topic' is missing", "name a topic"],
        ),
        wrong(
            "java-trust",
            table(
                "'connector' = 'kafka', 'topic' = 'x', 'scan.startup.mode' = 'latest-offset',
  'properties.bootstrap.servers' = 'kafka:9092', 'format' = 'json',
  'properties.ssl.truststore.location' = '/tls/trust.jks'",
            ),
            &["sql:3:", "keytool", "'properties.ssl.ca.location'"],
        ),
        wrong(
            "no-variable",
            table("'connector' = 'kafka', 'topic' = '${env:TOPIC}', 'format' = 'json'"),
            &["sql:1:", "TOPIC is not set", "spec.workers.env"],
        ),
        wrong(
            "updates",
            select(
                "CREATE TABLE f (n BIGINT) WITH ('connector' = 'filesystem',
  'path' = 's3://weir/out', 'format' = 'json');
INSERT INTO f SELECT COUNT(*) FROM t;",
            ),
            &["sql:5:13", "takes rows that only come", "GROUP BY without a window at 5:15"],
        ),
    ]
}

/// Specs that the operator refuses itself.
fn specs(namespace: &str) -> Vec<Accepted> {
    let from =
        |name: &str, key: &str| json!({"sqlFrom": {"configMapKeyRef": {"name": name, "key": key}}});
    let template = |template: Value| json!({"sql": GOOD, "workers": {"podTemplate": template}});
    vec![
        case(
            "no-configmap",
            from("nowhere", "job.sql"),
            SPEC,
            &[
                "spec.sqlFrom",
                "nowhere",
                &format!("kubectl create configmap nowhere -n {namespace}"),
            ],
        ),
        case(
            "no-key",
            from("program", "other.sql"),
            SPEC,
            &["spec.sqlFrom", "other.sql", "add it"],
        ),
        case(
            "host-network",
            template(json!({"spec": {"hostNetwork": true}})),
            SPEC,
            &["spec.workers.podTemplate.spec.hostNetwork", "without access", "remove it"],
        ),
        case(
            "local-state",
            json!({"sql": GOOD, "state": {"root": "/var/weir"}}),
            SPEC,
            &["spec.state.root", "/var/weir", "s3://bucket/prefix"],
        ),
    ]
}

/// Pods that cannot be made, placed or started.
fn pods(namespace: &str) -> Vec<Accepted> {
    let workers = |workers: Value| json!({"sql": GOOD, "workers": workers});
    let container = |context: Value| {
        let container = json!({"name": "worker", "securityContext": context});
        workers(json!({"podTemplate": {"spec": {"containers": [container]}}}))
    };
    let create = format!("kubectl create secret generic nowhere -n {namespace}");
    vec![
        case(
            "no-image",
            json!({"sql": GOOD, "image": "weir.test/nowhere:1"}),
            PODS,
            &["weir.test/nowhere:1", "ErrImageNeverPull", "spec.image"],
        ),
        case(
            "no-secret",
            workers(json!({"envFrom": [{"secretRef": {"name": "nowhere"}}]})),
            PODS,
            &["secret \"nowhere\" is missing", "workers.envFrom", &create],
        ),
        case(
            "no-configs",
            workers(json!({"envFrom": [{"configMapRef": {"name": "nowhere"}}]})),
            PODS,
            &["configmap \"nowhere\" not found", "envFrom", "spec.workers"],
        ),
        case(
            "no-certificate",
            workers(json!({"volumes": [{"name": "tls", "secret": {"secretName": "nowhere"}}],
                "volumeMounts": [{"name": "tls", "mountPath": "/tls"}]})),
            PODS,
            &["secret \"nowhere\" not found", "create what is missing", "spec.workers.volumes"],
        ),
        case(
            "no-claim",
            workers(json!({"volumes": [{"name": "data",
                "persistentVolumeClaim": {"claimName": "nowhere"}}]})),
            PODS,
            &["persistentvolumeclaim \"nowhere\" not found", "create that claim"],
        ),
        case(
            "no-node",
            workers(json!({"nodeSelector": {"disk": "none"}})),
            PODS,
            &["finds no node", "node affinity/selector", "nodeSelector"],
        ),
        case(
            "no-room",
            workers(json!({"resources": {"requests": {"memory": "900Gi"}}})),
            PODS,
            &["Insufficient memory", "spec.workers.resources"],
        ),
        case(
            "limits",
            workers(json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}})),
            SPEC,
            &["spec.workers", "less than or equal to cpu limit", "correct that field"],
        ),
        case(
            "no-account",
            workers(json!({"serviceAccountName": "nobody"})),
            PODS,
            &["serviceaccount \"nobody\" not found", "spec.workers.serviceAccountName"],
        ),
        case(
            "privileged",
            container(json!({"privileged": true})),
            SPEC,
            &["spec.workers", "securityContext", "privileged", "workers.podTemplate"],
        ),
        case(
            "capabilities",
            container(json!({"capabilities": {"add": ["NET_ADMIN"]}})),
            PODS,
            &["violates PodSecurity", "NET_ADMIN", "remove from spec.workers.podTemplate"],
        ),
    ]
}

/// Stores, brokers and files that are not as the job needs them.
fn worlds() -> Vec<Accepted> {
    let closed = "127.0.0.1:9";
    let kafka = format!(
        "CREATE TABLE t (a BIGINT) WITH ('connector' = 'kafka', 'topic' = 'flights',
  'properties.bootstrap.servers' = '{closed}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
CREATE TABLE n (a BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO n SELECT a FROM t;"
    );
    let sink = "CREATE TABLE t (a BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
CREATE TABLE n (a BIGINT) WITH ('connector' = 'filesystem', 'path' = 's3://no-such-bucket/out',
  'format' = 'json');
INSERT INTO n SELECT a FROM t;";
    let files = |path: &str| {
        format!(
            "CREATE TABLE t (a BIGINT) WITH ('connector' = 'filesystem', 'path' = '{path}',
  'format' = 'json');
CREATE TABLE n (a BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO n SELECT a FROM t;"
        )
    };
    let env = |name: &str, value: &str| json!({"sql": GOOD, "workers": {"env": [{"name": name, "value": value}]}});
    vec![
        case(
            "wrong-bucket",
            json!({"sql": GOOD, "state": {"root": "s3://no-such-bucket/weir"}}),
            PODS,
            &["no-such-bucket", "bucket does not exist", "spec.state.root"],
        ),
        case(
            "wrong-key",
            env("AWS_SECRET_ACCESS_KEY", "wrong"),
            PODS,
            &["credentials are wrong", "AWS_SECRET_ACCESS_KEY"],
        ),
        case(
            "no-store",
            env("AWS_ENDPOINT_URL", &format!("http://{closed}")),
            PODS,
            &["does not answer", "AWS_ENDPOINT_URL"],
        ),
        case(
            "no-kafka",
            json!({"sql": kafka}),
            ("Degraded", "SourceUnreachable"),
            &["table 't'", closed, "check 'properties.bootstrap.servers'"],
        ),
        case(
            "wrong-source",
            json!({"sql": files("s3://no-such-bucket/in")}),
            ("Degraded", "SourceUnreachable"),
            &["s3://no-such-bucket/in", "the bucket does not exist", "'path'"],
        ),
        case(
            "no-file",
            json!({"sql": files("/data/in")}),
            ("Degraded", "JobNotRunning"),
            &["/data/in", "no such file or directory", "check 'path'"],
        ),
        case(
            "wrong-sink",
            json!({"sql": sink}),
            ("Degraded", "JobNotRunning"),
            &["s3://no-such-bucket/out", "the bucket does not exist", "'path'"],
        ),
    ]
}
