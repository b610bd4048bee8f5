//! One of several operators is active: whoever holds a Lease. It spares work and doubled events;
//! correctness never rests on it, since two active operators decide the same and a stale one's
//! writes fail.
//!
//! A holder that has not renewed for [`EXPIRES`] by the watcher's own monotonic clock has lost it;
//! the times written in the Lease are for people. A holder that could not renew for [`GIVE_UP`]
//! stops by itself before another takes over.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;

use crate::clock::Clock;

/// Silence after which another operator takes the Lease.
pub const EXPIRES: Duration = Duration::from_secs(10);
/// Silence towards the API server after which the holder stops by itself.
pub const GIVE_UP: Duration = Duration::from_secs(7);
/// Time between two looks at the Lease.
pub const RENEW: Duration = Duration::from_secs(2);

/// What was last seen of a Lease: its version, and when that was new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    version: String,
    at: Duration,
}

/// What to do with a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is ours: renew it.
    Renew,
    /// It is nobody's, or its holder is silent: take it.
    Take,
    /// Somebody else holds it.
    Follow,
}

/// Decides what to do with a Lease that `me` reads `now`.
#[must_use]
pub fn decide_turn(me: &str, holder: &str, version: &str, seen: &mut Seen, now: Duration) -> Turn {
    if seen.version != version {
        *seen = Seen { version: version.to_owned(), at: now };
    }
    if holder == me {
        Turn::Renew
    } else if holder.is_empty() || now.saturating_sub(seen.at) >= EXPIRES {
        Turn::Take
    } else {
        Turn::Follow
    }
}

/// Takes part in the election of the active operator.
pub struct Election {
    leases: Api<Lease>,
    name: String,
    me: String,
    clock: Clock,
    seen: Seen,
    renewed: Option<Duration>,
}

impl Election {
    /// A part in the election by the Lease `namespace`/`name`, as `me`.
    #[must_use]
    pub fn new(client: Client, clock: Clock, namespace: &str, name: &str, me: &str) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            me: me.to_owned(),
            clock,
            seen: Seen::default(),
            renewed: None,
        }
    }

    /// Looks, and takes or renews the Lease when that is its turn. True while this operator is
    /// the active one.
    pub async fn turn(&mut self) -> bool {
        match self.try_turn().await {
            Ok(true) => self.renewed = Some(self.clock.elapsed()),
            Ok(false) => self.renewed = None,
            Err(error) => tracing::warn!(%error, lease = %self.name, "the Lease was not renewed"),
        }
        let now = self.clock.elapsed();
        self.renewed.is_some_and(|at| now.saturating_sub(at) < GIVE_UP)
    }

    async fn try_turn(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.leases.get_opt(&self.name).await? else {
            let lease = self.held(None, Some(&self.me.clone()), 0);
            return match self.leases.create(&PostParams::default(), &lease).await {
                Ok(_) => Ok(true),
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                Err(error) => Err(error),
            };
        };
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        let changes = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let now = self.clock.elapsed();
        let me = self.me.clone();
        match decide_turn(&me, &holder, &version, &mut self.seen, now) {
            Turn::Follow => Ok(false),
            turn => {
                let changes = changes + i32::from(turn == Turn::Take);
                let lease = self.held(Some(version), Some(&me), changes);
                match self.leases.replace(&self.name, &PostParams::default(), &lease).await {
                    Ok(_) => Ok(true),
                    // Somebody was faster.
                    Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Gives the Lease back, so that another operator need not wait for it to expire.
    pub async fn release(&mut self) {
        if self.renewed.take().is_none() {
            return;
        }
        let Ok(Some(lease)) = self.leases.get_opt(&self.name).await else { return };
        let spec = lease.spec.unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(self.me.as_str()) {
            return;
        }
        let changes = spec.lease_transitions.unwrap_or(0);
        let free = self.held(lease.metadata.resource_version, None, changes);
        if let Err(error) = self.leases.replace(&self.name, &PostParams::default(), &free).await {
            tracing::info!(%error, "the Lease was not given back");
        }
    }

    fn held(&self, version: Option<String>, holder: Option<&str>, changes: i32) -> Lease {
        let now = MicroTime(self.clock.now());
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: version,
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.unwrap_or_default().to_owned()),
                lease_duration_seconds: i32::try_from(EXPIRES.as_secs()).ok(),
                lease_transitions: Some(changes),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Takes part until `stop`, telling `leads` whether this operator is the active one; then
    /// gives the Lease back.
    pub async fn run(mut self, leads: watch::Sender<bool>, mut stop: watch::Receiver<bool>) {
        loop {
            let active = self.turn().await;
            leads.send_if_modified(|was| std::mem::replace(was, active) != active);
            tokio::select! {
                () = tokio::time::sleep(RENEW) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        leads.send_replace(false);
        self.release().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_only_when_nobody_holds_it_or_its_version_stands_still() {
        let secs = Duration::from_secs;
        let mut seen = Seen::default();
        assert_eq!(decide_turn("a", "", "1", &mut seen, secs(0)), Turn::Take);
        assert_eq!(decide_turn("a", "b", "2", &mut seen, secs(100)), Turn::Follow);
        assert_eq!(decide_turn("a", "b", "2", &mut seen, secs(109)), Turn::Follow);
        assert_eq!(decide_turn("a", "b", "3", &mut seen, secs(111)), Turn::Follow);
        assert_eq!(decide_turn("a", "b", "3", &mut seen, secs(121)), Turn::Take);
        assert_eq!(decide_turn("a", "a", "4", &mut seen, secs(122)), Turn::Renew);
    }

    #[test]
    fn a_holder_stops_before_another_may_take_over() {
        assert!(GIVE_UP + RENEW < EXPIRES);
    }
}
