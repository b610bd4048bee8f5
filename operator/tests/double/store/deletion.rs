//! Deletion: preconditions, grace periods, finalizers.

use serde_json::{Value, json};

use super::{Happened, Key, Store};
use crate::double::refuse::Refusal;
use crate::double::rules;

impl Store {
    /// Deletes as the options say (`DeleteOptions`, or null). The object where it stays for now
    /// (finalizers, grace period), `None` where it is gone.
    pub(in crate::double) fn delete(
        &mut self,
        key: &Key,
        options: &Value,
        dry: bool,
    ) -> Result<Option<Value>, Refusal> {
        let Some(live) = self.get(key) else {
            return Err(Refusal::not_found(key));
        };
        let (mut value, metadata) = (live.clone(), &live["metadata"]);
        let stated = &options["preconditions"];
        if let Some(uid) = stated["uid"].as_str()
            && metadata["uid"] != uid
        {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                metadata["uid"].as_str().unwrap_or_default()
            );
            return Err(Refusal::conflict(key, &why));
        }
        if let Some(version) = stated["resourceVersion"].as_str()
            && metadata["resourceVersion"] != version
        {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
                metadata["resourceVersion"].as_str().unwrap_or_default()
            );
            return Err(Refusal::conflict(key, &why));
        }
        if dry {
            return Ok(Some(value));
        }
        let grace = rules::grace_period(key, &value, options);
        match metadata["deletionTimestamp"].is_null() {
            true => {
                let deletion = self.now();
                let metadata = &mut value["metadata"];
                metadata["deletionTimestamp"] = deletion.into();
                metadata["deletionGracePeriodSeconds"] = grace.into();
                if let Some(generation) = metadata["generation"].as_i64() {
                    metadata["generation"] = (generation + 1).into();
                }
                let finalizer = match options["propagationPolicy"].as_str() {
                    Some("Foreground") => Some("foregroundDeletion"),
                    Some("Orphan") => Some("orphan"),
                    _ => None,
                };
                if let Some(finalizer) = finalizer {
                    match metadata["finalizers"].as_array_mut() {
                        Some(finalizers) => finalizers.push(finalizer.into()),
                        None => metadata["finalizers"] = json!([finalizer]),
                    }
                }
            }
            // A second deletion can only shorten the grace period.
            false if metadata["deletionGracePeriodSeconds"].as_i64() > Some(grace) => {
                value["metadata"]["deletionGracePeriodSeconds"] = grace.into();
            }
            false => return Ok(Some(value)),
        }
        let gone = rules::is_to_vanish(&value);
        let owners = self.objects.get(key).map(|object| object.owners.clone()).unwrap_or_default();
        if gone {
            self.commit(key.clone(), None, Happened::Deleted);
            return Ok(None);
        }
        Ok(Some(self.commit(key.clone(), Some((value, owners)), Happened::Modified)))
    }

    /// Removes an object whose deletion nothing holds up any longer.
    pub(super) fn finish_deletion(&mut self, key: &Key) {
        if self.get(key).is_some_and(rules::is_to_vanish) {
            self.commit(key.clone(), None, Happened::Deleted);
        }
    }
}
