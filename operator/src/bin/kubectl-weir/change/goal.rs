//! What a change of a job is for, and how far the operator has come with it. Pure.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_crds::kube::{JobState, SavepointStatus, StreamJobStatus};
use weir_protocol::view::took;

use crate::ask::status_of;
use crate::jobs::condition;

/// What a job is to come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Stopped behind a savepoint.
    Suspend,
    /// Stopped behind its last result.
    Drain,
    /// Running.
    Resume,
    /// Stopped behind a savepoint and begun again from it; the token is another for each restart.
    Restart(String),
    /// At this parallelism.
    Scale(u32),
    /// Made anew, from the state of the deleted job of this UID.
    Adopt(String),
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// What it waits for.
    Waits(String),
    /// It is there; what came of it, as the end of a sentence.
    Reached(String),
    /// It does not get there by itself.
    Failed(String),
}

impl Goal {
    /// The field that a user would edit, and its value.
    pub(crate) fn field(&self) -> (&'static [&'static str], Value) {
        match self {
            Self::Suspend => (&["spec", "desiredState"], json!("Suspended")),
            Self::Drain => (&["spec", "desiredState"], json!("Drained")),
            Self::Resume => (&["spec", "desiredState"], json!("Running")),
            Self::Restart(token) => (&["spec", "restartToken"], json!(token)),
            Self::Scale(parallelism) => (&["spec", "parallelism"], json!(parallelism)),
            Self::Adopt(uid) => (&["spec", "state", "adopt"], json!(uid)),
        }
    }

    /// A merge patch that sets the field.
    pub(crate) fn patch(&self) -> Value {
        let (path, value) = self.field();
        path.iter().rev().fold(value, |value, key| json!({*key: value}))
    }

    /// `spec.desiredState: Running → Suspended`; none where it is so already.
    pub(crate) fn change(&self, job: &Value) -> Option<String> {
        let (path, value) = self.field();
        let was = path.iter().fold(job, |value, key| &value[*key]);
        let word = |value: &Value| match value {
            Value::Null if matches!(self, Self::Suspend | Self::Drain | Self::Resume) => {
                "Running".to_owned()
            }
            Value::Null => "none".to_owned(),
            value => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        let (was, now) = (word(was), word(&value));
        (was != now).then(|| format!("{}: {was} → {now}", path.join(".")))
    }

    /// How far `job` is, which was `before` and is to be what generation `wanted` of it says.
    pub(crate) fn progress(&self, before: &StreamJobStatus, job: &Value, wanted: i64) -> Progress {
        let status = status_of(job);
        let (name, namespace) = (crate::ask::name_of(job), crate::ask::namespace_of(job));
        if !job["metadata"]["deletionTimestamp"].is_null() {
            return Progress::Failed("it is being deleted".to_owned());
        }
        if status.observed_generation < Some(wanted) {
            let word = "the operator has not looked at it yet";
            return Progress::Waits(word.to_owned());
        }
        let stands = |type_: &str, is: &str| {
            let about = |generation: &i64| *generation >= wanted;
            condition(&status, type_)
                .filter(|it| it.status == is && it.observed_generation.as_ref().is_none_or(about))
        };
        if let Some(reached) = self.reached(before, &status, job, stands("Ready", "True").is_some())
        {
            let again = match self {
                Self::Suspend | Self::Drain => {
                    format!("; `kubectl weir -n {namespace} resume {name}` goes on from there")
                }
                _ => String::new(),
            };
            return Progress::Reached(reached + &again);
        }
        if let Some(stalled) = stands("Stalled", "True") {
            return Progress::Failed(stalled.message.clone());
        }
        let state = status.state.map_or_else(String::new, |state| format!("{state:?}"));
        Progress::Waits(match &status.operation {
            Some(operation) => {
                let step = operation.step.clone().unwrap_or_default();
                let message = operation.message.clone().unwrap_or_default();
                format!("{state}, {}: {message}", step.to_lowercase())
            }
            None => state,
        })
    }

    fn reached(
        &self,
        before: &StreamJobStatus,
        status: &StreamJobStatus,
        job: &Value,
        is_ready: bool,
    ) -> Option<String> {
        let rests = status.operation.is_none();
        let finished = status.state == Some(JobState::Finished) && rests;
        let saved = |otherwise: &str| match new_savepoint(before, status) {
            Some(savepoint) => format!("saved as {}", place(savepoint)),
            None => otherwise.to_owned(),
        };
        let epoch = status.last_checkpoint.as_ref().map(|it| it.epoch);
        let kept = format!("its newest checkpoint is kept (epoch {})", epoch.unwrap_or(0));
        let asleep = job["spec"]["desiredState"].as_str().unwrap_or("Running") != "Running";
        match self {
            _ if finished => Some("it has finished: every result is written".to_owned()),
            Self::Suspend => {
                (status.state == Some(JobState::Suspended) && rests).then(|| saved(&kept))
            }
            Self::Drain => (status.state == Some(JobState::Drained) && rests)
                .then(|| format!("every result is written, {}", saved(&kept))),
            Self::Resume | Self::Adopt(_) => is_ready.then(|| {
                let from = status.restored_from.as_ref().map(|from| from.epoch);
                from.map_or("it runs".to_owned(), |epoch| format!("it runs, from epoch {epoch}"))
            }),
            Self::Restart(_) | Self::Scale(_) if asleep => {
                Some("it does not run; it will be so when it is resumed".to_owned())
            }
            Self::Restart(_) => {
                let of = |status: &StreamJobStatus| status.revisions.clone().unwrap_or_default();
                let (was, is) = (of(before), of(status));
                let is_new = is.current.is_some() && is.current == is.target;
                let is_other = is.target != was.target || was.current != was.target;
                (is_ready && is_new && is_other).then(|| format!("{}, it runs again", saved(&kept)))
            }
            Self::Scale(wanted) => {
                let actual = status.parallelism.as_ref().map(|it| it.actual);
                let runs = status.state == Some(JobState::Running) && rests;
                (runs && actual == Some(*wanted)).then(|| pause(before, status))
            }
        }
    }
}

/// How long the rescale held up results, where the status says so.
fn pause(before: &StreamJobStatus, status: &StreamJobStatus) -> String {
    let last = status.last_operation.as_ref().filter(|it| it.type_ == "Rescale");
    let from = before.parallelism.as_ref().map_or(0, |it| it.actual);
    let to = status.parallelism.as_ref().map_or(0, |it| it.actual);
    let pause = last.filter(|_| status.last_operation != before.last_operation);
    let pause = pause.and_then(|it| it.downtime_ms);
    let pause = pause.map_or_else(String::new, |ms| format!(" (output paused {})", took(ms)));
    format!("{from} → {to}{pause}")
}

/// The savepoint that came since.
fn new_savepoint<'a>(
    before: &StreamJobStatus,
    status: &'a StreamJobStatus,
) -> Option<&'a SavepointStatus> {
    status.last_savepoint.as_ref().filter(|_| status.last_savepoint != before.last_savepoint)
}

/// `op-1 at s3://…`.
pub(crate) fn place(savepoint: &SavepointStatus) -> String {
    let path = savepoint.path.as_deref().map(|path| format!(" at {path}"));
    format!("{}{}", savepoint.name, path.unwrap_or_default())
}

/// A token that no restart before had.
pub(crate) fn token(now: Timestamp) -> String {
    format!("kubectl-weir {}", now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(generation: i64, state: &str, more: Value) -> Value {
        let mut job = json!({
            "metadata": {"name": "delays", "namespace": "shop", "generation": generation},
            "spec": {"parallelism": 2},
            "status": {"observedGeneration": generation, "state": state},
        });
        for (key, value) in more.as_object().unwrap() {
            job["status"][key] = value.clone();
        }
        job
    }

    fn ready(generation: i64) -> Value {
        json!([{
            "type": "Ready", "status": "True", "reason": "Running", "message": "",
            "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
        }])
    }

    #[test]
    fn a_field_is_set_and_its_change_is_told() {
        let running = job(1, "Running", json!({}));
        assert_eq!(Goal::Suspend.patch(), json!({"spec": {"desiredState": "Suspended"}}));
        let told = Goal::Suspend.change(&running);
        assert_eq!(told.as_deref(), Some("spec.desiredState: Running → Suspended"));
        assert_eq!(Goal::Resume.change(&running), None, "it is to run already");
        let told = Goal::Scale(4).change(&running);
        assert_eq!(told.as_deref(), Some("spec.parallelism: 2 → 4"));
        let told = Goal::Adopt("4be0".into()).change(&running);
        assert_eq!(told.as_deref(), Some("spec.state.adopt: none → 4be0"));
        let at = "2026-01-01T00:00:00.25Z".parse().unwrap();
        assert_eq!(token(at), "kubectl-weir 2026-01-01T00:00:00.250Z");
    }

    #[test]
    fn a_job_is_suspended_once_its_pods_are_gone_and_the_operator_has_seen_the_change() {
        let before = StreamJobStatus::default();
        let goal = Goal::Suspend;
        let early = job(2, "Suspended", json!({}));
        assert!(matches!(goal.progress(&before, &early, 3), Progress::Waits(_)));
        let operation =
            json!({"id": "op-1", "type": "Suspend", "step": "Stop", "message": "pods go"});
        let pods = job(3, "Suspended", json!({"operation": operation}));
        let waits = Progress::Waits("Suspended, stop: pods go".to_owned());
        assert_eq!(goal.progress(&before, &pods, 3), waits);
        let saved = json!({"lastSavepoint": {"name": "op-1", "path": "s3://b/op-1"}});
        let done = goal.progress(&before, &job(3, "Suspended", saved.clone()), 3);
        let says =
            "saved as op-1 at s3://b/op-1; `kubectl weir -n shop resume delays` goes on from there";
        assert_eq!(done, Progress::Reached(says.to_owned()));
        // The savepoint of an earlier time is not this one's.
        let was = status_of(&job(1, "Running", saved.clone()));
        let Progress::Reached(says) = goal.progress(&was, &job(3, "Suspended", saved), 3) else {
            panic!("it is suspended")
        };
        assert!(says.starts_with("its newest checkpoint is kept"), "{says}");
    }

    #[test]
    fn a_restart_is_over_when_another_revision_is_ready() {
        let revisions = |current: &str, target: &str| json!({"current": current, "target": target});
        let was = json!({"revisions": revisions("a", "a"), "conditions": ready(1)});
        let before = status_of(&job(1, "Running", was.clone()));
        let goal = Goal::Restart("1".into());
        assert!(matches!(goal.progress(&before, &job(2, "Running", was), 2), Progress::Waits(_)));
        let now = json!({
            "revisions": revisions("b", "b"), "conditions": ready(2),
            "lastSavepoint": {"name": "op-2"},
        });
        let done = goal.progress(&before, &job(2, "Running", now), 2);
        assert_eq!(done, Progress::Reached("saved as op-2, it runs again".to_owned()));
    }

    #[test]
    fn a_rescale_says_what_it_cost_and_a_refusal_ends_the_wait() {
        let before = status_of(&job(1, "Running", json!({"parallelism": {"actual": 2}})));
        let goal = Goal::Scale(4);
        let done = json!({
            "parallelism": {"actual": 4},
            "lastOperation": {"type": "Rescale", "result": "Succeeded", "downtimeMs": 640},
        });
        let reached = goal.progress(&before, &job(2, "Running", done), 2);
        assert_eq!(reached, Progress::Reached("2 → 4 (output paused 640 ms)".to_owned()));
        let mut stalled = ready(2);
        stalled[0]["type"] = json!("Stalled");
        stalled[0]["message"] = json!("no column");
        let refused = goal.progress(&before, &job(2, "Running", json!({"conditions": stalled})), 2);
        assert_eq!(refused, Progress::Failed("no column".to_owned()));
        let mut asleep = job(2, "Suspended", json!({}));
        asleep["spec"]["desiredState"] = json!("Suspended");
        let Progress::Reached(says) = goal.progress(&before, &asleep, 2) else { panic!("at once") };
        assert_eq!(says, "it does not run; it will be so when it is resumed");
    }
}
