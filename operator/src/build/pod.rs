//! Worker pods, their set, and the one-shot pods: the one that plans a program in its own image,
//! and the one that deletes a job's state.

use k8s_openapi::DeepMerge;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource,
    EnvFromSource, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector, Pod,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretEnvSource, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::merge::merge;
use super::network::matching;
use super::{Begin, Owner, labels, set_annotations};
use crate::names::{self, CONTROL_PORT, EXCHANGE_PORT, HTTP_PORT};
use crate::validate::Accepted;

/// The user and group of the image.
const USER: i64 = 65532;
/// A worker that is told to end has little to finish: its state is in the store already.
const GRACE_SECONDS: i64 = 5;

/// The set of a revision's pods.
#[must_use]
pub fn build_set(
    owner: &Owner,
    accepted: &Accepted,
    replicas: u32,
    begin: &Begin<'_>,
) -> StatefulSet {
    let name = names::revisioned(&owner.name, &accepted.revision);
    let selector = labels([
        (names::JOB, owner.name.as_str()),
        (names::REVISION, accepted.revision.as_str()),
        (names::COMPONENT, "worker"),
    ]);
    StatefulSet {
        metadata: ObjectMeta {
            annotations: Some(set_annotations(accepted, begin)),
            ..owner.metadata(&name, Some(&accepted.revision))
        },
        spec: Some(StatefulSetSpec {
            replicas: Some(i32::try_from(replicas).unwrap_or(i32::MAX)),
            service_name: Some(names::workers(&owner.name)),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            revision_history_limit: Some(5),
            selector: matching(selector),
            template: template(owner, accepted, replicas, begin),
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn template(
    owner: &Owner,
    accepted: &Accepted,
    replicas: u32,
    begin: &Begin<'_>,
) -> PodTemplateSpec {
    let mut pod_labels = names::labels(&owner.name);
    pod_labels.insert(names::REVISION.to_owned(), accepted.revision.clone());
    pod_labels.insert(names::COMPONENT.to_owned(), "worker".to_owned());
    let annotations = [
        ("kubectl.kubernetes.io/default-container", "worker".to_owned()),
        (names::SUPERSEDES, begin.supersedes.join(",")),
        (names::MUST_EXIST, begin.must_exist.to_string()),
    ];
    let mut spec = pod_spec(accepted, "Always", worker(owner, accepted, replicas));
    with_program(&mut spec, owner, accepted);
    let theirs = &accepted.pods.template;
    let spreads = |spec: &PodSpec| spec.topology_spread_constraints.is_some();
    if !theirs.spec.as_ref().is_some_and(spreads) {
        // Spread softly: a small cluster must still be able to run the job.
        let selector = [(names::JOB, owner.name.as_str()), (names::COMPONENT, "worker")];
        spec.topology_spread_constraints = Some(vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(matching(labels(selector))),
            ..TopologySpreadConstraint::default()
        }]);
    }
    let ours = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels),
            annotations: Some(annotations.map(|(key, value)| (key.to_owned(), value)).into()),
            ..ObjectMeta::default()
        }),
        spec: Some(spec),
    };
    merge(theirs.clone(), ours)
}

/// What worker pods and one-shot pods have in common.
fn pod_spec(accepted: &Accepted, restart_policy: &str, container: Container) -> PodSpec {
    let pods = &accepted.pods;
    let account = pods.service_account_name.as_deref();
    let account = account.unwrap_or(&accepted.resolved.service_account);
    let scratch = |name: &str| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let mut spec = PodSpec { volumes: Some(pods.volumes.clone()), ..PodSpec::default() };
    spec.merge_from(PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        volumes: Some(vec![scratch("tmp"), scratch("local")]),
        service_account_name: Some(account.to_owned()).filter(|account| !account.is_empty()),
        node_selector: Some(pods.node_selector.clone()).filter(|it| !it.is_empty()),
        tolerations: Some(pods.tolerations.clone()).filter(|it| !it.is_empty()),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        restart_policy: Some(restart_policy.to_owned()),
        containers: vec![container],
        ..PodSpec::default()
    });
    spec
}

/// The program of the revision, where its container looks for it.
fn with_program(spec: &mut PodSpec, owner: &Owner, accepted: &Accepted) {
    let program = ConfigMapVolumeSource {
        name: names::revisioned(&owner.name, &accepted.revision),
        ..ConfigMapVolumeSource::default()
    };
    let seen = VolumeMount { read_only: Some(true), ..mount("job", "/etc/weir") };
    let container = spec.containers.first().map(|container| container.name.clone());
    spec.merge_from(PodSpec {
        volumes: Some(vec![Volume {
            name: "job".to_owned(),
            config_map: Some(program),
            ..Volume::default()
        }]),
        containers: vec![Container {
            name: container.unwrap_or_default(),
            volume_mounts: Some(vec![seen]),
            ..Container::default()
        }],
        ..PodSpec::default()
    });
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn variable(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// A container of the worker image: rights, environment, places to write.
fn container(accepted: &Accepted, command: &[&str]) -> Container {
    let (pods, resolved) = (&accepted.pods, &accepted.resolved);
    let mut env = vec![variable("WEIR_LOCAL_DIR", "/var/lib/weir"), variable("TMPDIR", "/tmp")];
    // What the user sets wins: the job's store may be another than the installation's.
    for (name, value) in [
        ("AWS_ENDPOINT_URL", resolved.endpoint.as_str()),
        ("AWS_REGION", resolved.region.as_str()),
        ("WEIR_LOG", "info"),
        ("WEIR_LOG_FORMAT", "json"),
        // What the allocator gets back goes back to the system at once: a second later, as it does
        // otherwise, the container may have been killed for it.
        ("MIMALLOC_PURGE_DELAY", "0"),
    ] {
        let theirs = pods.env.iter().any(|entry| entry.name == name);
        if !value.is_empty() && !theirs {
            env.push(variable(name, value));
        }
    }
    let mut env_from = pods.env_from.clone();
    if env_from.is_empty() && !resolved.credentials_secret.is_empty() {
        let name = resolved.credentials_secret.clone();
        let secret_ref = Some(SecretEnvSource { name, optional: None });
        env_from.push(EnvFromSource { secret_ref, ..EnvFromSource::default() });
    }
    let pull_policy = Some(resolved.image_pull_policy.clone());
    let mut container = Container {
        env: Some(pods.env.clone()),
        volume_mounts: Some(pods.volume_mounts.clone()),
        ..Container::default()
    };
    container.merge_from(Container {
        name: "worker".to_owned(),
        image: Some(accepted.image.clone()),
        command: Some(command.iter().map(|part| (*part).to_owned()).collect()),
        env: Some(env),
        env_from: Some(env_from).filter(|it| !it.is_empty()),
        volume_mounts: Some(vec![mount("tmp", "/tmp"), mount("local", "/var/lib/weir")]),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        image_pull_policy: pull_policy.filter(|policy| !policy.is_empty()),
        ..Container::default()
    });
    container
}

fn worker(owner: &Owner, accepted: &Accepted, replicas: u32) -> Container {
    let coordinator = names::coordinator(&owner.name);
    let coordinator = format!("{coordinator}.{}.svc:{CONTROL_PORT}", owner.namespace);
    let from_pod = |name: &str, path: &str| EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), api_version: None }),
            ..EnvVarSource::default()
        }),
    };
    let supersedes = format!("metadata.annotations['{}']", names::SUPERSEDES);
    let must_exist = format!("metadata.annotations['{}']", names::MUST_EXIST);
    let mut env = vec![
        variable("WEIR_MANIFEST", weir_crds::MOUNTED_MANIFEST),
        from_pod("WEIR_POD_NAME", "metadata.name"),
        from_pod("WEIR_POD_UID", "metadata.uid"),
        from_pod("WEIR_POD_IP", "status.podIP"),
        variable("WEIR_REVISION", accepted.revision.as_str()),
        from_pod("WEIR_SUPERSEDES", &supersedes),
        from_pod("WEIR_MUST_EXIST", &must_exist),
        variable("WEIR_JOB_UID", owner.uid.as_str()),
        variable("WEIR_COORDINATOR", coordinator),
        variable("WEIR_PARALLELISM", replicas.to_string()),
    ];
    let mut container = container(accepted, &["/usr/local/bin/weir", "pod"]);
    // What a ConfigMap or Secret holds by this name, also that of the credentials, is not what the
    // manifest says.
    let may_be_given = container.env_from.is_some();
    let show_rows = accepted.pods.show_rows;
    env.extend(
        (show_rows || may_be_given).then(|| variable("WEIR_SHOW_ROWS", show_rows.to_string())),
    );
    env.extend(accepted.adopt.as_ref().map(|adopt| variable("WEIR_ADOPT_UID", adopt.as_str())));
    let port = |name: &str, port: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: port.into(),
        ..ContainerPort::default()
    };
    let probe = |path: &str, period: i32, failures: i32| Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("http".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    };
    let theirs = accepted.pods.resources.clone();
    container.merge_from(Container {
        name: "worker".to_owned(),
        env: Some(env),
        ports: Some(vec![
            port("control", CONTROL_PORT),
            port("exchange", EXCHANGE_PORT),
            port("http", HTTP_PORT),
        ]),
        // The supervisor restarts a crashed worker by itself, so liveness has only to notice a
        // process that no longer answers at all.
        liveness_probe: Some(probe("/livez", 10, 6)),
        readiness_probe: Some(probe("/readyz", 1, 3)),
        resources: Some(theirs.unwrap_or_else(|| resources("500m", "1Gi", "1Gi"))),
        ..Container::default()
    });
    container
}

fn resources(cpu: &str, memory: &str, limit: &str) -> ResourceRequirements {
    let quantity = |name: &str, amount: &str| (name.to_owned(), Quantity(amount.to_owned()));
    ResourceRequirements {
        requests: Some([quantity("cpu", cpu), quantity("memory", memory)].into()),
        limits: Some([quantity("memory", limit)].into()),
        ..ResourceRequirements::default()
    }
}

/// The pod that plans a revision's program in the revision's own image, against the state of the
/// running job. The kubelet starts it again, ever more rarely, until the program fits.
#[must_use]
pub fn build_plan_pod(owner: &Owner, accepted: &Accepted) -> Pod {
    let place = format!("{}/{}/{}", accepted.state_root, owner.namespace, owner.name);
    let manifest = weir_crds::MOUNTED_MANIFEST;
    let command = ["/usr/local/bin/weir", "plan", manifest, "--against", place.as_str()];
    let name = names::plan_pod(&owner.name, &accepted.revision);
    let metadata = owner.metadata(&name, Some(&accepted.revision));
    let mut pod = one_shot(accepted, metadata, "plan", &command);
    if let Some(spec) = &mut pod.spec {
        with_program(spec, owner, accepted);
    }
    pod
}

/// The pod that deletes the state of a job that is being deleted.
#[must_use]
pub fn build_state_pod(owner: &Owner, accepted: &Accepted) -> Pod {
    let place = format!("{}/{}/{}", accepted.state_root, owner.namespace, owner.name);
    let command =
        ["/usr/local/bin/weir", "state", "delete", place.as_str(), "--uid", owner.uid.as_str()];
    let metadata = owner.metadata(&names::state_pod(&owner.name, &owner.uid), None);
    one_shot(accepted, metadata, "state", &command)
}

/// A pod that runs one command where the job's workers could run, with what they need to get their
/// image.
fn one_shot(
    accepted: &Accepted,
    mut metadata: ObjectMeta,
    component: &str,
    command: &[&str],
) -> Pod {
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(names::COMPONENT.to_owned(), component.to_owned());
    let mut container = container(accepted, command);
    container.resources = Some(resources("100m", "128Mi", "512Mi"));
    let mut spec = pod_spec(accepted, "OnFailure", container);
    if let Some(theirs) = &accepted.pods.template.spec {
        spec.image_pull_secrets.clone_from(&theirs.image_pull_secrets);
        spec.host_aliases.clone_from(&theirs.host_aliases);
        spec.dns_config.clone_from(&theirs.dns_config);
        spec.dns_policy.clone_from(&theirs.dns_policy);
    }
    Pod { metadata, spec: Some(spec), status: None }
}
