//! What is told to users once: events beside the job. Best effort: an event that cannot be
//! written never holds up anything. A namespace that is being deleted takes none: what is to be told
//! there is told about the namespace, in the namespace `default`, as Kubernetes does with what
//! concerns a whole namespace.
//!
//! An event's name is a function of what it says, so that a second operator, or this one after a
//! crash, does not say it twice.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use weir_crds::kube::StreamJob;

use crate::clock::Clock;
use crate::decide::Event;
use crate::names;

/// Longest note that the API takes.
const LONGEST: usize = 1000;
/// Events that this process remembers having written; more are asked of the API server again.
const MOST: usize = 50_000;

/// Writes events.
#[derive(Debug)]
pub struct Events {
    instance: String,
    written: Mutex<HashSet<String>>,
}

impl Events {
    /// Events of the operator's pod `instance`.
    #[must_use]
    pub fn new(instance: &str) -> Self {
        Self { instance: instance.to_owned(), written: Mutex::default() }
    }

    /// Tells what was not told before.
    pub async fn publish(&self, client: &Client, clock: &Clock, job: &StreamJob, events: &[Event]) {
        for event in events {
            let uid = job.uid().unwrap_or_default();
            let hash = names::operation_id(&[&uid, event.reason, &event.key, &event.message]);
            let hash = hash.trim_start_matches("op-");
            let name = format!("{}.{hash}", job.name_any());
            if self.written.lock().contains(&name) {
                continue;
            }
            match self.write(client, clock, job, event, &name).await {
                Ok(()) => self.remember(name),
                // The namespace is on its way out, or gone with the job.
                Err(kube::Error::Api(status))
                    if status.code == 404 || status.message.contains("being terminated") =>
                {
                    let told = self.write_beside(client, clock, job, event, &name).await;
                    if let Err(error) = told {
                        tracing::warn!(%error, message = event.message, "an event was not written");
                    }
                    self.remember(name);
                }
                Err(kube::Error::Api(status)) if matches!(status.code, 403 | 409) => {
                    self.remember(name);
                }
                Err(error) => tracing::warn!(%error, name, "an event was not written"),
            }
        }
    }

    fn remember(&self, name: String) {
        let mut written = self.written.lock();
        if written.len() >= MOST {
            written.clear();
        }
        written.insert(name);
    }

    async fn write(
        &self,
        client: &Client,
        clock: &Clock,
        job: &StreamJob,
        event: &Event,
        name: &str,
    ) -> Result<(), kube::Error> {
        let regarding = ObjectReference {
            api_version: Some(weir_crds::API_VERSION.to_owned()),
            kind: Some("StreamJob".to_owned()),
            name: job.metadata.name.clone(),
            namespace: job.namespace(),
            uid: job.metadata.uid.clone(),
            ..ObjectReference::default()
        };
        let namespace = job.namespace().unwrap_or_default();
        self.create(client, clock, &namespace, name, regarding, event, &event.message).await
    }

    /// An event that outlives the job's namespace.
    async fn write_beside(
        &self,
        client: &Client,
        clock: &Clock,
        job: &StreamJob,
        event: &Event,
        name: &str,
    ) -> Result<(), kube::Error> {
        let namespace = job.namespace().unwrap_or_default();
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Namespace".to_owned()),
            name: Some(namespace.clone()),
            ..ObjectReference::default()
        };
        let message = format!("StreamJob {namespace}/{}: {}", job.name_any(), event.message);
        let name = format!("{namespace}.{name}");
        let written =
            self.create(client, clock, "default", &name, regarding, event, &message).await;
        match written {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            other => other,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an event has as many parts")]
    async fn create(
        &self,
        client: &Client,
        clock: &Clock,
        namespace: &str,
        name: &str,
        regarding: ObjectReference,
        event: &Event,
        message: &str,
    ) -> Result<(), kube::Error> {
        let written = api::Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(clock.now())),
            reporting_controller: Some("weir.dev/operator".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            action: Some("Reconcile".to_owned()),
            reason: Some(event.reason.to_owned()),
            type_: Some(if event.warning { "Warning" } else { "Normal" }.to_owned()),
            note: Some(message.chars().take(LONGEST).collect()),
            regarding: Some(regarding),
            ..api::Event::default()
        };
        let events: Api<api::Event> = Api::namespaced(client.clone(), namespace);
        events.create(&PostParams::default(), &written).await.map(drop)
    }
}
