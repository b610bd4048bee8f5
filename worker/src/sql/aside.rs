//! Jobs of a script that go on while its next statements are answered: those that have no end by
//! themselves would otherwise be its last. As in Flink, where a client hands jobs to a cluster, but
//! the process is the cluster, and ends with the last of them.

use std::time::Instant;

use futures::future::join_all;

use super::client::{told, took};
use super::engine::{Ended, REDRAW, Running};
use crate::exit;
use crate::run::screen::Screen;
use crate::run::stdout;

/// A job that goes on.
struct Aside {
    /// Which of the script's statements it is.
    number: usize,
    began: Instant,
    running: Running,
}

/// All that go on.
#[derive(Default)]
pub(super) struct Asides {
    jobs: Vec<Aside>,
    started: usize,
}

impl Asides {
    /// Lets a job go on; says so.
    pub(super) fn add(&mut self, running: Running, began: Instant, screen: &mut Screen) {
        self.started += 1;
        let number = self.started;
        self.jobs.push(Aside { number, began, running });
        screen.say(&format!(
            "job {number} has no end and goes on beside the next statements; Ctrl-C ends it, and SET 'table.dml-sync' = 'true' waits for it"
        ));
    }

    /// Waits until all have ended, or Ctrl-C ends them; `code` is that of the script so far. One that
    /// was broken off ends them at once.
    pub(super) async fn finished(&mut self, mut code: u8, screen: &mut Screen) -> u8 {
        let mut redraw = tokio::time::interval(REDRAW);
        if code != exit::DONE {
            self.stopped(screen).await;
        }
        while let Some(first) = self.jobs.first_mut() {
            first.running.draw(screen, None);
            tokio::select! {
                _ = redraw.tick() => {}
                _ = tokio::signal::ctrl_c() => {
                    self.stopped(screen).await;
                    return exit::INTERRUPTED;
                }
                () = stdout::closed() => {
                    self.stopped(screen).await;
                    return exit::INTERRUPTED;
                }
            }
            let mut going_on = Vec::new();
            for job in std::mem::take(&mut self.jobs) {
                match job.running.ended().await {
                    None => going_on.push(job),
                    Some(ending) => {
                        let ended = job.running.over(ending).await;
                        let (what, own) = told(ended, &took(job.began));
                        screen.clear();
                        screen.say(&format!("job {}: {what}", job.number));
                        code = code.max(own);
                    }
                }
            }
            self.jobs = going_on;
        }
        screen.clear();
        code
    }

    /// Ends all, each behind a savepoint of its own.
    pub(super) async fn stopped(&mut self, screen: &mut Screen) {
        screen.clear();
        let jobs = std::mem::take(&mut self.jobs);
        let ends = jobs.into_iter().map(|job| async move {
            let ended: Ended = job.running.stopped().await;
            (job.number, told(ended, &took(job.began)).0)
        });
        for (number, what) in join_all(ends).await {
            screen.say(&format!("job {number}: {what}"));
        }
    }
}
