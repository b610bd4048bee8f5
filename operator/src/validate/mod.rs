//! From what a user wrote to what can be run, or to the reason why not. Pure.
//!
//! The API server has already checked types, ranges and unions. What is left here needs more than
//! the object itself: the installation's defaults, a ConfigMap, the pod template as a whole.

mod pods;

use std::collections::BTreeMap;

use serde_json::json;
use weir_crds::kube::{Pods, StreamJob};
use weir_crds::{Checkpoint, SqlFrom, StreamJobSpec, Workers, limits};

use self::pods::{is_lost_with_pod, read_pods};
use crate::config::Defaults;
use crate::names;
use crate::observe::Observed;

/// A spec that can be run, and everything that its pods are made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Hash over what needs a restart.
    pub revision: String,
    /// The manifest that workers read, with its program and its place of state filled in.
    pub manifest: String,
    /// The same as a worker of another revision is asked about it, which has other variables.
    pub asked: String,
    /// The worker image.
    pub image: String,
    /// What is not in the spec.
    pub resolved: Defaults,
    /// Place of all jobs' state.
    pub state_root: String,
    /// UID of the deleted job whose state is taken over.
    pub adopt: Option<String>,
    /// What the user says about pods.
    pub pods: Pods,
}

/// Why a spec is not carried out. The message names place, cause and fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word for machines.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A refusal for `reason`.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Where the program was found, or why it was not.
pub type Program = Result<String, Refusal>;

/// The program that `spec.sqlFrom` names, from what its ConfigMap holds, if there is one.
///
/// # Errors
/// It is not there, or is too long.
pub fn read_program(
    from: &SqlFrom,
    namespace: &str,
    map: Option<BTreeMap<String, String>>,
) -> Program {
    let (name, key) = (&from.config_map_key_ref.name, &from.config_map_key_ref.key);
    let place = "spec.sqlFrom.configMapKeyRef";
    let Some(mut map) = map else {
        return Err(Refusal::new(
            "ProgramMissing",
            format!(
                "{place}: ConfigMap {name} does not exist in namespace {namespace}: kubectl create \
                 configmap {name} -n {namespace} --from-file={key}=job.sql"
            ),
        ));
    };
    match map.remove(key) {
        Some(sql) if sql.len() > limits::SQL_BYTES => Err(Refusal::new(
            "ProgramTooLong",
            format!(
                "{place}: key {key} of ConfigMap {name} holds {} bytes; at most {}",
                sql.len(),
                limits::SQL_BYTES
            ),
        )),
        Some(sql) => Ok(sql),
        None => Err(Refusal::new(
            "ProgramMissing",
            format!("{place}: ConfigMap {name} has no key {key}; add it or name another"),
        )),
    }
}

/// Decides whether the job that was read can be run.
///
/// # Errors
/// See [`validate`].
pub fn validate_observed(observed: &Observed) -> Result<Accepted, Refusal> {
    let published = observed.published_root.as_deref();
    validate(&observed.job, observed.program.as_ref(), &observed.defaults, published)
}

/// Decides whether a job can be run. `defaults` are those fixed at the job's acceptance, or the
/// installation's before it; `program` is the text that `spec.sqlFrom` refers to; `published` is
/// the root where the job has published its checkpoints so far.
///
/// # Errors
/// The first reason why not.
pub fn validate(
    job: &StreamJob,
    program: Option<&Program>,
    defaults: &Defaults,
    published: Option<&str>,
) -> Result<Accepted, Refusal> {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    if name.chars().count() > limits::NAME_LEN {
        return Err(Refusal::new(
            "NameTooLong",
            format!(
                "metadata.name: '{name}' has {} characters; at most {}, since pods are named \
                 after it: create the job under a shorter name",
                name.chars().count(),
                limits::NAME_LEN
            ),
        ));
    }
    let spec = &job.spec;
    let sql = match (program, spec.sql.trim().is_empty()) {
        (Some(program), _) => program.clone()?,
        (None, false) => spec.sql.clone(),
        (None, true) => {
            return Err(Refusal::new(
                "NoProgram",
                "spec.sql: the job has no program; write its statements under sql, or name a \
                 ConfigMap in sqlFrom",
            ));
        }
    };
    if spec.parallelism == 0 || spec.parallelism > spec.max_parallelism {
        return Err(Refusal::new(
            "OutOfRange",
            format!(
                "spec.parallelism: {} is not within 1 to maxParallelism {}; set desiredState: \
                 Suspended to pause a job",
                spec.parallelism, spec.max_parallelism
            ),
        ));
    }
    let root = spec.state.root.as_deref().or(published);
    let state_root = match root.unwrap_or(&defaults.state_root) {
        "" => {
            return Err(Refusal::new(
                "NoStateRoot",
                "spec.state.root: there is no place for state, and the operator was installed \
                 without a default; set state.root: s3://bucket/prefix, or install the chart \
                 with --set state.root=s3://bucket/prefix",
            ));
        }
        root => root.trim_end_matches('/').to_owned(),
    };
    if let Some(published) = published.filter(|published| *published != state_root) {
        return Err(Refusal::new(
            "StateElsewhere",
            format!(
                "spec.state.root: the job's state is in {published}, and with {state_root} it \
                 would stay behind; set state.root: {published}, or create a job under another \
                 name to start over"
            ),
        ));
    }
    let pods = read_pods(&spec.workers)?;
    if !state_root.starts_with("s3://")
        && let Some(why) = is_lost_with_pod(&state_root, &pods)
    {
        return Err(Refusal::new(
            "LocalState",
            format!(
                "spec.state.root: {state_root} {why}, which other pods do not see and which is \
                 lost with it; use s3://bucket/prefix, or mount a shared volume there by \
                 workers.volumes and workers.volumeMounts"
            ),
        ));
    }
    let image = match spec.image.as_deref().unwrap_or(&defaults.image) {
        "" => {
            return Err(Refusal::new(
                "NoImage",
                "spec.image: there is no worker image, and the operator was installed without a \
                 default; set spec.image, or install the chart with --set worker.image=…",
            ));
        }
        image => image.to_owned(),
    };
    // The operator's own business, and so no reason for a restart.
    let mut worker = job.clone();
    worker.spec.state.checkpoint.unhealthy_after = Checkpoint::default().unhealthy_after;
    let unreadable =
        |error| Refusal::new("Unreadable", format!("spec cannot be given to workers: {error}"));
    let manifest = worker.worker_manifest(&sql, &state_root).map_err(unreadable)?;
    let asked = worker.plan_manifest(&sql, &state_root, &pods).map_err(unreadable)?;
    let template = template_key(spec, defaults);
    let token = spec.restart_token.as_deref().unwrap_or_default();
    let revision = names::short_hash(&[&manifest, &image, &template, token]);
    Ok(Accepted {
        revision,
        manifest,
        asked,
        image,
        resolved: defaults.clone(),
        state_root,
        adopt: spec.state.adopt.clone(),
        pods,
    })
}

/// Everything of the pods that a revision stands for, as text.
fn template_key(spec: &StreamJobSpec, defaults: &Defaults) -> String {
    // Destructured without `..`, so that a new field cannot be forgotten here.
    let Workers {
        resources,
        service_account_name,
        env,
        env_from,
        volumes,
        volume_mounts,
        node_selector,
        tolerations,
        pod_template,
        disruption_budget: _,
        show_rows,
    } = &spec.workers;
    let Defaults {
        image: _,
        image_pull_policy,
        state_root: _,
        endpoint,
        region,
        credentials_secret,
        service_account,
    } = defaults;
    let mut key = vec![json!([
        resources,
        service_account_name,
        env,
        env_from,
        volumes,
        volume_mounts,
        node_selector,
        tolerations,
        pod_template,
        image_pull_policy,
        endpoint,
        region,
        credentials_secret,
        service_account,
        spec.state.adopt,
    ])];
    // What was not there before must not make another revision of every job that does not have it.
    key.extend(show_rows.then(|| json!("showRows")));
    key.iter().map(|part| part.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use weir_crds::API_VERSION;

    use super::*;

    fn job(spec: Value) -> StreamJob {
        let object = json!({
            "apiVersion": API_VERSION, "kind": "StreamJob",
            "metadata": {"name": "flights", "namespace": "default"}, "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    fn defaults() -> Defaults {
        Defaults {
            image: "weir-worker:1".into(),
            state_root: "s3://bucket/weir".into(),
            ..Defaults::default()
        }
    }

    fn revision(spec: Value) -> String {
        validate(&job(spec), None, &defaults(), None).unwrap().revision
    }

    #[test]
    fn only_what_needs_a_restart_makes_a_new_revision() {
        let first = revision(json!({"sql": "SELECT 1"}));
        for same in [
            json!({"sql": "SELECT 1", "parallelism": 7}),
            json!({"sql": "SELECT 1", "desiredState": "Suspended"}),
            json!({"sql": "SELECT 1", "nodeLostTimeout": "9s"}),
            json!({"sql": "SELECT 1", "deletion": {"timeout": "1s"}}),
            json!({"sql": "SELECT 1", "workers": {"disruptionBudget": {"maxUnavailable": 2}}}),
            json!({"sql": "SELECT 1", "state": {"checkpoint": {"unhealthyAfter": "1m"}}}),
        ] {
            assert_eq!(first, revision(same.clone()), "{same}");
        }
        for other in [
            json!({"sql": "SELECT 2"}),
            json!({"sql": "SELECT 1", "image": "weir-worker:2"}),
            json!({"sql": "SELECT 1", "restartToken": "again"}),
            json!({"sql": "SELECT 1", "state": {"checkpoint": {"interval": "1s"}}}),
            json!({"sql": "SELECT 1", "workers": {"resources": {"limits": {"cpu": "1"}}}}),
            json!({"sql": "SELECT 1", "workers": {"showRows": true}}),
        ] {
            assert_ne!(first, revision(other.clone()), "{other}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_the_way_out() {
        let none = Defaults::default();
        let refusal = validate(&job(json!({"sql": "SELECT 1"})), None, &none, None).unwrap_err();
        assert_eq!(refusal.reason, "NoStateRoot");
        assert!(refusal.message.contains("spec.state.root") && refusal.message.contains("--set"));

        let rooted = json!({"sql": "SELECT 1", "state": {"root": "s3://bucket/x"}});
        assert_eq!(validate(&job(rooted), None, &none, None).unwrap_err().reason, "NoImage");

        let local = json!({"sql": "SELECT 1", "state": {"root": "/data"}});
        assert_eq!(
            validate(&job(local), None, &defaults(), None).unwrap_err().reason,
            "LocalState"
        );

        let roots = [
            ("/data", json!([{"name": "d", "emptyDir": {}}]), Some("emptyDir")),
            ("file:///data/weir", json!([{"name": "d", "emptyDir": {}}]), Some("emptyDir")),
            ("/elsewhere", json!([{"name": "d", "nfs": {"path": "/"}}]), Some("of one pod")),
            ("/data/weir", json!([{"name": "d", "nfs": {"path": "/"}}]), None),
        ];
        for (root, volumes, words) in roots {
            let mounts = json!([{"name": "d", "mountPath": "/data"}]);
            let workers = json!({"volumes": volumes, "volumeMounts": mounts});
            let spec = json!({"sql": "SELECT 1", "state": {"root": root}, "workers": workers});
            let refusal = validate(&job(spec), None, &defaults(), None).err();
            let message = refusal.map(|refusal| refusal.message);
            assert_eq!(message.is_some(), words.is_some(), "{root}: {message:?}");
            assert!(message.unwrap_or_default().contains(words.unwrap_or_default()), "{root}");
        }

        let host = json!({"sql": "x", "workers": {"podTemplate": {"spec": {"hostNetwork": true}}}});
        let refusal = validate(&job(host), None, &defaults(), None).unwrap_err();
        assert!(refusal.message.starts_with("spec.workers.podTemplate.spec.hostNetwork"));
    }

    #[test]
    fn what_no_pod_can_have_is_refused_with_its_place() {
        for (workers, place) in [
            (json!({"volumes": [{"name": "a", "emptyDir": 1}]}), "spec.workers.volumes[0]: "),
            (
                json!({"env": [{"name": "A"}, {"name": "B", "valueFrom": {"fieldRef": "x"}}]}),
                "spec.workers.env[1]: ",
            ),
            (json!({"resources": {"limits": 1}}), "spec.workers.resources: "),
            (
                json!({"podTemplate": {"spec": {"containers": {"name": "side"}}}}),
                "spec.workers.podTemplate: ",
            ),
        ] {
            let spec = json!({"sql": "SELECT 1", "workers": workers});
            let refusal = validate(&job(spec), None, &defaults(), None).unwrap_err();
            assert_eq!(refusal.reason, "InvalidTemplate");
            assert!(refusal.message.starts_with(place), "{refusal:?}");
            assert!(refusal.message.ends_with("as in a pod"), "{refusal:?}");
        }
    }

    #[test]
    fn a_job_stays_where_its_state_is() {
        let check = |spec, published| validate(&job(spec), None, &defaults(), Some(published));
        let accepted = check(json!({"sql": "SELECT 1"}), "s3://bucket/old").unwrap();
        assert_eq!(accepted.state_root, "s3://bucket/old", "whatever the chart says now");
        let moved = json!({"sql": "SELECT 1", "state": {"root": "s3://bucket/new"}});
        let refusal = check(moved, "s3://bucket/old").unwrap_err();
        assert_eq!(refusal.reason, "StateElsewhere");
        assert!(refusal.message.contains("set state.root: s3://bucket/old"), "{refusal:?}");
    }

    #[test]
    fn workers_read_the_manifest_that_they_are_given() {
        let spec = json!({
            "sql": "CREATE TABLE a (x INT);\nSELECT x\n  FROM a;\n", "parallelism": 3,
            "workers": {"env": [{"name": "A", "value": "b"}]},
        });
        let accepted = validate(&job(spec), None, &defaults(), None).unwrap();
        let read = weir_crds::StreamJob::from_yaml(&accepted.manifest, "job.yaml").unwrap();
        assert_eq!(read.metadata.name, "flights");
        assert_eq!(read.spec.sql, "CREATE TABLE a (x INT);\nSELECT x\n  FROM a;\n");
        assert_eq!(read.spec.state.root.as_deref(), Some("s3://bucket/weir"));
    }

    #[test]
    fn a_running_worker_is_told_which_variables_others_will_have_and_none_of_their_values() {
        let spec = json!({
            "sql": "SELECT 1",
            "workers": {
                "env": [
                    {"name": "A", "value": "its value"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "b"}}},
                ],
                "envFrom": [{"secretRef": {"name": "all-keys"}}],
                "podTemplate": {"spec": {"containers": [
                    {"name": "worker", "env": [
                        {"name": "C", "value": "another value"},
                        {"name": "A", "value": "given again"},
                        {"name": "WEIR_OF_THE_TEMPLATE", "value": "x"},
                    ]},
                    {"name": "beside", "env": [{"name": "D", "value": "x"}]},
                ]}},
            },
        });
        let accepted = validate(&job(spec), None, &defaults(), None).unwrap();
        let read = weir_crds::StreamJob::from_yaml(&accepted.asked, "job.yaml").unwrap();
        let names: Vec<&Value> = read.spec.workers.env.iter().map(|it| &it["name"]).collect();
        assert_eq!(names, ["A", "B", "C"]);
        assert_eq!(read.spec.workers.env_from.len(), 1);
        assert!(!accepted.asked.contains("value"), "{}", accepted.asked);
        assert!(!accepted.manifest.contains("workers"), "{}", accepted.manifest);
    }
}
