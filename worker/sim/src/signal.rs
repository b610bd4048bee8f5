//! A value that many wait for.
//!
//! Whoever waits is woken in the order in which all came: tokio's own channel chooses the order at
//! random, and here the seed decides everything.

use std::pin::pin;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The value, and who waits for it to change.
#[derive(Debug)]
pub(crate) struct Signal<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Signal<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    pub(crate) fn get(&self) -> T {
        *self.value.lock()
    }

    /// Sets the value and wakes everybody.
    pub(crate) fn set(&self, value: T) {
        *self.value.lock() = value;
        self.changed.notify_waiters();
    }

    /// Waits for it to be set the next time, counted from the first time that this is polled.
    pub(crate) async fn changed(self: Arc<Self>) {
        self.changed.notified().await;
    }

    /// Waits until the value is as wanted.
    pub(crate) async fn wait_for(&self, wanted: impl Fn(T) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if wanted(self.get()) {
                return;
            }
            changed.await;
        }
    }
}
