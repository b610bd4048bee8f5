//! The resource types that the double serves, and how the real server treats each.

/// A resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
    /// Has a status subresource: the main endpoint leaves the status alone.
    pub(super) status: bool,
    /// Has a scale subresource: the path of its replicas in the spec.
    pub(super) scale: Option<&'static str>,
    /// Counts changes of its spec in `metadata.generation`.
    pub(super) generation: bool,
}

const fn plain(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
) -> Kind {
    Kind {
        group,
        version,
        plural,
        kind,
        namespaced: true,
        status: false,
        scale: None,
        generation: false,
    }
}

const fn with_status(kind: Kind) -> Kind {
    Kind { status: true, generation: true, ..kind }
}

/// Every type, in no particular order.
pub(super) const KINDS: [Kind; 18] = [
    with_status(plain("", "v1", "pods", "Pod")),
    Kind { generation: false, ..with_status(plain("", "v1", "services", "Service")) },
    plain("", "v1", "configmaps", "ConfigMap"),
    plain("", "v1", "secrets", "Secret"),
    plain("", "v1", "serviceaccounts", "ServiceAccount"),
    plain("", "v1", "events", "Event"),
    plain("events.k8s.io", "v1", "events", "Event"),
    Kind {
        namespaced: false,
        generation: false,
        ..with_status(plain("", "v1", "namespaces", "Namespace"))
    },
    Kind { namespaced: false, generation: false, ..with_status(plain("", "v1", "nodes", "Node")) },
    Kind {
        scale: Some("replicas"),
        ..with_status(plain("apps", "v1", "statefulsets", "StatefulSet"))
    },
    Kind {
        scale: Some("replicas"),
        ..with_status(plain("apps", "v1", "deployments", "Deployment"))
    },
    plain("apps", "v1", "controllerrevisions", "ControllerRevision"),
    with_status(plain("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")),
    Kind {
        generation: true,
        ..plain("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
    },
    plain("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind {
        namespaced: false,
        ..plain("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole")
    },
    Kind {
        namespaced: false,
        ..with_status(plain(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
        ))
    },
    Kind {
        scale: Some("parallelism"),
        ..with_status(plain("weir.dev", "v1alpha1", "streamjobs", "StreamJob"))
    },
];

/// The type of that name in that group.
pub(super) fn find(group: &str, plural: &str) -> Option<Kind> {
    KINDS.into_iter().find(|kind| kind.group == group && kind.plural == plural)
}

impl Kind {
    /// `v1`, or `apps/v1`.
    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `pods`, or `statefulsets.apps`: how error messages call it.
    pub(super) fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `Pod`, or `StatefulSet.apps`: how messages about invalid objects call it.
    pub(super) fn qualified_kind(&self) -> String {
        match self.group {
            "" => self.kind.to_owned(),
            group => format!("{}.{group}", self.kind),
        }
    }
}
