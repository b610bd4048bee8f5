//! What a kubelet may make of a pod.

/// What becomes of a pod: the kubelet writes a status to this effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodOutcome {
    /// It runs and is ready.
    Ready,
    /// It runs, its readiness probe fails.
    NotReady,
    /// No node has room: `PodScheduled` is `False` with this message.
    Unschedulable(String),
    /// Its image cannot be pulled, with this message.
    ImagePullBackOff(String),
    /// A container does not start for a reason such as `CreateContainerConfigError`.
    Waiting {
        /// The reason.
        reason: String,
        /// The message.
        message: String,
    },
    /// Its process ends again and again.
    CrashLoopBackOff {
        /// Exit code of the last run.
        exit_code: i32,
        /// The termination message of the last run.
        message: String,
        /// How often it was started again.
        restarts: i32,
    },
    /// Its process ended for good (only for pods that do not restart): `Succeeded` with exit
    /// code 0, else `Failed`.
    Ended {
        /// Exit code.
        exit_code: i32,
        /// The termination message.
        message: String,
    },
    /// Its status stays as it is.
    Unchanged,
}
