//! What a job's resource says of how it does: one word, and the sentence that explains it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_crds::kube::{JobState, StreamJobStatus};
use weir_operator::clock::age;

use crate::ask::{name_of, namespace_of, status_of};

/// How a job does, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// A person has to act.
    Stalled,
    /// It does not do what it is for, and is being looked after.
    Degraded,
    /// It runs, and is not saved.
    Unsaved,
    /// Something is under way.
    Changing,
    /// It does what it is for.
    Well,
    /// It is stopped, as its spec asks, or has finished.
    AtRest,
}

impl Verdict {
    /// For people and programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Degraded => "degraded",
            Self::Unsaved => "unsaved",
            Self::Changing => "changing",
            Self::Well => "well",
            Self::AtRest => "at rest",
        }
    }

    /// Of a terminal.
    pub(crate) fn colour(self) -> u8 {
        match self {
            Self::Stalled | Self::Degraded => 31,
            Self::Unsaved | Self::Changing => 33,
            Self::Well => 32,
            Self::AtRest => 0,
        }
    }
}

/// A job as a list shows it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// Why it is no better.
    pub(crate) reason: String,
    /// Subtasks that are wanted of each operator.
    pub(crate) desired: u32,
    pub(crate) created: Option<Timestamp>,
    pub(crate) status: StreamJobStatus,
}

impl Job {
    /// Reads a resource. What is missing in it is not known.
    pub(crate) fn of(job: &Value) -> Self {
        let status = status_of(job);
        let (verdict, reason) = verdict(job, &status);
        let desired = job["spec"]["parallelism"].as_u64().and_then(|n| u32::try_from(n).ok());
        let created = job["metadata"]["creationTimestamp"].as_str();
        Self {
            namespace: namespace_of(job).to_owned(),
            name: name_of(job).to_owned(),
            verdict,
            reason,
            desired: desired.unwrap_or(1),
            created: created.and_then(|text| text.parse().ok()),
            status,
        }
    }

    /// The pod that has its page: the one that coordinates it, while it does not rest.
    pub(crate) fn page_pod(&self) -> Option<&str> {
        let coordinator = self.status.coordinator.as_ref().map(|it| it.pod.as_str());
        coordinator.filter(|pod| !pod.is_empty() && self.verdict != Verdict::AtRest)
    }

    /// The word of its state.
    pub(crate) fn state(&self) -> String {
        self.status.state.map_or_else(|| "–".to_owned(), |state| format!("{state:?}"))
    }

    /// `2`, or `2 → 4` while it is not what is wanted.
    pub(crate) fn parallelism(&self) -> String {
        match &self.status.parallelism {
            Some(now) if now.actual != self.desired && self.verdict != Verdict::AtRest => {
                format!("{} → {}", now.actual, self.desired)
            }
            _ => self.desired.to_string(),
        }
    }

    /// Seconds since the newest checkpoint.
    pub(crate) fn checkpoint_age(&self, now: Timestamp) -> Option<f64> {
        let Time(at) = self.status.last_checkpoint.as_ref()?.time.as_ref()?;
        Some(age(now, *at).as_secs_f64())
    }

    /// Seconds since it was created.
    pub(crate) fn age(&self, now: Timestamp) -> Option<f64> {
        self.created.map(|at| age(now, at).as_secs_f64())
    }

    /// For programs.
    pub(crate) fn json(&self, now: Timestamp) -> Value {
        let status = &self.status;
        json!({
            "namespace": self.namespace,
            "name": self.name,
            "verdict": self.verdict.word(),
            "reason": self.reason,
            "state": status.state,
            "parallelism": {
                "desired": self.desired,
                "actual": status.parallelism.as_ref().map(|now| now.actual),
            },
            "restarts": status.restarts,
            "checkpoint": status.last_checkpoint.as_ref().map(|checkpoint| json!({
                "epoch": checkpoint.epoch,
                "bytes": checkpoint.bytes,
                "ageSeconds": self.checkpoint_age(now).map(f64::round),
            })),
            "savepoint": status.last_savepoint,
            "revision": status.revisions.as_ref().and_then(|it| it.current.clone()),
        })
    }
}

/// The worst first; of equals by name.
pub(crate) fn sort(jobs: &mut [Job]) {
    jobs.sort_by(|a, b| {
        let key = |job: &Job| (job.verdict, job.namespace.clone(), job.name.clone());
        key(a).cmp(&key(b))
    });
}

/// A condition of this type that stands.
pub(crate) fn condition<'a>(status: &'a StreamJobStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

/// The condition, where it has this status.
fn stands<'a>(status: &'a StreamJobStatus, type_: &str, is: &str) -> Option<&'a Condition> {
    condition(status, type_).filter(|condition| condition.status == is)
}

/// How a job does, and why it is no better.
fn verdict(job: &Value, status: &StreamJobStatus) -> (Verdict, String) {
    let words = |condition: &Condition| match condition.message.as_str() {
        "" => condition.reason.clone(),
        message => message.to_owned(),
    };
    if let Some(stalled) = stands(status, "Stalled", "True") {
        return (Verdict::Stalled, words(stalled));
    }
    if let Some(degraded) = stands(status, "Degraded", "True") {
        return (Verdict::Degraded, words(degraded));
    }
    let generation = job["metadata"]["generation"].as_i64();
    if status.observed_generation < generation {
        let word = "the operator has not looked at this spec yet";
        return (Verdict::Changing, word.to_owned());
    }
    let is_finished = status.state == Some(JobState::Finished);
    let rests = [JobState::Suspended, JobState::Drained].map(Some).contains(&status.state);
    if let Some(operation) = &status.operation {
        let message = operation.message.clone().unwrap_or_default();
        return (Verdict::Changing, format!("{}: {message}", operation.type_));
    }
    if is_finished || rests {
        let told = stands(status, "Complete", "True").map(words);
        let saved = status.last_savepoint.as_ref().map(|it| format!("saved as {}", it.name));
        return (Verdict::AtRest, told.or(saved).unwrap_or_default());
    }
    if let Some(unsaved) = stands(status, "CheckpointHealthy", "False") {
        return (Verdict::Unsaved, words(unsaved));
    }
    if let Some(changing) = stands(status, "Reconciling", "True") {
        return (Verdict::Changing, words(changing));
    }
    match stands(status, "Ready", "True") {
        Some(_) => (Verdict::Well, String::new()),
        None => (Verdict::Changing, condition(status, "Ready").map(words).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, state: &str, conditions: &[(&str, &str, &str)]) -> Value {
        let condition = |(type_, status, message): &(&str, &str, &str)| {
            json!({
                "type": type_, "status": status, "reason": "Why", "message": message,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let conditions: Vec<Value> = conditions.iter().map(condition).collect();
        json!({
            "metadata": {"name": name, "namespace": "shop", "generation": 3},
            "spec": {"parallelism": 2},
            "status": {"observedGeneration": 3, "state": state, "conditions": conditions},
        })
    }

    #[test]
    fn what_a_person_has_to_look_at_stands_first() {
        let mut unseen = job("unseen", "Running", &[("Ready", "True", "")]);
        unseen["metadata"]["generation"] = json!(4);
        let mut jobs: Vec<Job> = [
            job("asleep", "Suspended", &[("Complete", "False", "")]),
            job("good", "Running", &[("Ready", "True", "")]),
            unseen,
            job(
                "late",
                "Running",
                &[("Ready", "True", ""), ("CheckpointHealthy", "False", "no s3")],
            ),
            job("refused", "Running", &[("Ready", "False", ""), ("Stalled", "True", "no column")]),
            job("pods", "Starting", &[("Degraded", "True", "no image"), ("Stalled", "False", "")]),
            job("new word", "Pondering", &[("Reconciling", "True", "")]),
        ]
        .iter()
        .map(Job::of)
        .collect();
        sort(&mut jobs);
        let said: Vec<String> = jobs
            .iter()
            .map(|job| format!("{} {}: {}", job.name, job.verdict.word(), job.reason))
            .collect();
        let expected = [
            "refused stalled: no column",
            "pods degraded: no image",
            "late unsaved: no s3",
            "new word changing: Why",
            "unseen changing: the operator has not looked at this spec yet",
            "good well: ",
            "asleep at rest: ",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_job_that_nobody_has_looked_at_is_listed() {
        let job = Job::of(&json!({"metadata": {"name": "a", "generation": 1}, "spec": {}}));
        assert_eq!((job.verdict, job.state().as_str()), (Verdict::Changing, "–"));
        assert_eq!(job.parallelism(), "1");
    }

    #[test]
    fn fields_for_programs_are_only_ever_added_to() {
        let mut job = job("delays", "Running", &[("Ready", "True", "")]);
        job["status"]["restarts"] = json!(1);
        job["status"]["parallelism"] = json!({"actual": 2});
        job["status"]["revisions"] = json!({"current": "0123abcd"});
        job["status"]["lastCheckpoint"] =
            json!({"epoch": 12, "bytes": 340, "time": "2026-01-01T00:00:00Z"});
        job["status"]["lastSavepoint"] = json!({"name": "op-1", "path": "s3://b/op-1"});
        let now = "2026-01-01T00:00:21Z".parse().unwrap();
        let text = serde_json::to_string_pretty(&Job::of(&job).json(now)).unwrap();
        expect_test::expect![[r#"
            {
              "checkpoint": {
                "ageSeconds": 21.0,
                "bytes": 340,
                "epoch": 12
              },
              "name": "delays",
              "namespace": "shop",
              "parallelism": {
                "actual": 2,
                "desired": 2
              },
              "reason": "",
              "restarts": 1,
              "revision": "0123abcd",
              "savepoint": {
                "name": "op-1",
                "path": "s3://b/op-1"
              },
              "state": "Running",
              "verdict": "well"
            }"#]]
        .assert_eq(&text);
    }
}
