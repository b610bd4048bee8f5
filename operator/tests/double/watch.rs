//! Watches: the history as a stream of events.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;

use super::connection::{Connection, Cut};
use super::http_api::{Call, render};
use super::refuse::Refusal;
use super::selector::{fields_fit, labels_fit};
use super::store::{Change, Happened};

struct Watch {
    connection: Connection,
    call: Call,
    /// Entries of the history that were looked at.
    seen: usize,
    cuts: u64,
    ready: VecDeque<Value>,
    ended: bool,
    changed: Receiver<u64>,
}

/// A watch from the version that the call names; without one, or from 0, it begins with what
/// there is.
pub(super) fn open(
    connection: &Connection,
    call: Call,
    cuts: u64,
) -> impl Stream<Item = Result<Frame<Bytes>, Cut>> + Send + use<> {
    let store = connection.store.lock();
    let from: u64 = call.param("resourceVersion").parse().unwrap_or(0);
    let initial = call.param("sendInitialEvents") == "true";
    let mut watch = Watch {
        connection: connection.clone(),
        seen: store.log.len(),
        cuts,
        ready: VecDeque::new(),
        ended: false,
        changed: store.subscribe(),
        call,
    };
    if initial || from == 0 {
        for (_, value) in store.of_kind(&watch.call.kind, watch.call.namespace()) {
            if watch.fits(value) {
                watch.ready.push_back(watch.event("ADDED", value));
            }
        }
        if initial {
            let annotations = json!({"k8s.io/initial-events-end": "true"});
            watch.ready.push_back(watch.bookmark(store.version, annotations));
        }
    } else if from < store.compacted {
        let status = Refusal::expired(from, store.compacted).body();
        watch.ready.push_back(json!({"type": "ERROR", "object": status}));
        watch.ended = true;
    } else {
        watch.seen = store.log.partition_point(|change| change.version <= from);
    }
    drop(store);
    stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        let mut line = event.map(|event| event.to_string().into_bytes());
        if let Ok(line) = &mut line {
            line.push(b'\n');
        }
        Some((line.map(|line| Frame::data(Bytes::from(line))), watch))
    })
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Value, Cut>> {
        loop {
            self.changed.mark_unchanged();
            let (held, cut, dead) = self.connection.watch_faults();
            if dead {
                return None;
            }
            if cut != self.cuts {
                return None;
            }
            if !held {
                self.gather();
                if let Some(event) = self.ready.pop_front() {
                    return Some(Ok(event));
                }
                if self.ended {
                    return None;
                }
            }
            self.changed.changed().await.ok()?;
        }
    }

    fn gather(&mut self) {
        let store = self.connection.store.clone();
        let store = store.lock();
        for change in &store.log[self.seen..] {
            self.gather_one(change);
        }
        self.seen = store.log.len();
    }

    fn gather_one(&mut self, change: &Change) {
        if change.happened == Happened::Bookmark {
            if self.call.param("allowWatchBookmarks") == "true" {
                let bookmark = self.bookmark(change.version, json!({}));
                self.ready.push_back(bookmark);
            }
            return;
        }
        let namespace = self.call.namespace();
        if change.key.kind != self.call.kind
            || !(namespace.is_empty() || change.key.namespace == namespace)
            || self.call.name.as_ref().is_some_and(|name| *name != change.key.name)
        {
            return;
        }
        // An object that enters or leaves the selection is added or deleted for this watch.
        let was = change.before.as_ref().is_some_and(|before| self.fits(before));
        let is = change.happened != Happened::Deleted && self.fits(&change.value);
        let kind = match (was, is) {
            (false, false) => return,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        let event = self.event(kind, &change.value);
        self.ready.push_back(event);
    }

    fn fits(&self, value: &Value) -> bool {
        labels_fit(value, self.call.param("labelSelector"))
            && fields_fit(value, self.call.param("fieldSelector"))
    }

    fn event(&self, kind: &str, value: &Value) -> Value {
        json!({"type": kind, "object": render(value, self.call.partial)})
    }

    fn bookmark(&self, version: u64, annotations: Value) -> Value {
        let metadata = json!({
            "resourceVersion": version.to_string(),
            "creationTimestamp": null,
            "annotations": annotations,
        });
        let object = json!({
            "apiVersion": self.call.kind.api_version(),
            "kind": self.call.kind.kind,
            "metadata": metadata,
            "spec": {"template": {"spec": {"containers": []}}, "selector": {}},
        });
        json!({"type": "BOOKMARK", "object": render(&object, self.call.partial)})
    }
}
