//! Requests: which are taken, tried again or refused.

use super::event::{Action, Reply, Request, RequestId};
use super::machine::JobMaster;
use super::state::{Ask, Rescale, Saving};

/// Requests that may wait at a time.
const MAX_ASKS: usize = 16;

impl JobMaster {
    pub(super) fn on_request(&mut self, id: RequestId, request: Request) {
        let refused = match &request {
            _ if self.asks.len() >= MAX_ASKS => {
                Some(format!("{MAX_ASKS} requests wait already; try again later"))
            }
            Request::Rescale { parallelism }
                if *parallelism == 0 || *parallelism > self.plan.max_parallelism =>
            {
                Some(format!(
                    "parallelism {parallelism} is not possible; it can be 1 to {} for this job \
                     (maxParallelism)",
                    self.plan.max_parallelism
                ))
            }
            _ => None,
        };
        if let Some(why) = refused {
            self.out.push(Action::Reply { id, reply: Reply::Refused(why) });
            return;
        }
        let ask = match request {
            Request::Savepoint { name, stop } => {
                let saving = Saving { name, request: id, tries: 0 };
                if stop { Ask::Stop(saving) } else { Ask::Save(saving) }
            }
            Request::Drain { name } => Ask::Drain(Saving { name, request: id, tries: 0 }),
            Request::Rescale { parallelism } => {
                // The newest wish counts.
                let superseded = |ask: &Ask| matches!(ask, Ask::Rescale(_));
                for ask in self.asks.iter().filter(|a| superseded(a)).cloned().collect::<Vec<_>>() {
                    self.refuse(&ask, &format!("superseded by a rescale to {parallelism}"));
                }
                self.asks.retain(|ask| !superseded(ask));
                Ask::Rescale(Rescale::new(Some(id), self.parallelism, parallelism, self.now))
            }
        };
        self.asks.push_back(ask);
    }

    /// Puts a request back in front, unless it has been tried often enough: false then.
    pub(super) fn ask_again(&mut self, mut ask: Ask, why: &str) -> bool {
        let tries = match &mut ask {
            Ask::Save(saving) | Ask::Stop(saving) | Ask::Drain(saving) => &mut saving.tries,
            Ask::Rescale(rescale) => &mut rescale.tries,
        };
        *tries += 1;
        if *tries >= 3 {
            self.refuse(&ask, why);
            return false;
        }
        if ask.request().is_some() {
            self.asks.push_front(ask);
        } else {
            self.rebalance_after_ms = self.now + 30_000;
        }
        true
    }

    pub(super) fn refuse(&mut self, ask: &Ask, why: &str) {
        match ask.request() {
            Some(id) => self.out.push(Action::Reply { id, reply: Reply::Refused(why.to_owned()) }),
            None => self.rebalance_after_ms = self.now + 30_000,
        }
    }
}
