//! A store's bad days: a seeded choice of faults, each with its probability and its limit.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use crate::testbed::proxy::{Call, Fault, Moment, Step};

/// How fast input may be read: the `n`-th file (`…-0042.json`) not before `n` steps have
/// passed. It makes a bounded job last, without making it less determined.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: Instant,
    step: Duration,
}

impl Pace {
    /// Starts now.
    #[must_use]
    pub fn new(step: Duration) -> Self {
        Self { start: Instant::now(), step }
    }

    fn wait(self, path: &str) -> Option<Duration> {
        let due = self.start + self.step * number_of(path)?;
        due.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }
}

/// The number in a file's name.
fn number_of(path: &str) -> Option<u32> {
    let name = path.rsplit('/').next()?;
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Random faults of a store.
#[derive(Debug)]
pub struct Weather {
    rng: StdRng,
    pace: Option<Pace>,
    calm: bool,
    /// Files from this number on are held back, so that the job cannot end before its faults.
    gate: Option<u32>,
    /// How long a request that is applied late takes.
    late: Duration,
    /// Late applies still allowed.
    lates_left: u32,
    /// The next request of this step kills its sender.
    armed: Option<(Step, Moment)>,
}

impl Weather {
    /// Bad weather that a seed decides.
    #[must_use]
    pub fn new(seed: u64, pace: Option<Pace>) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self {
            rng,
            pace,
            calm: false,
            gate: None,
            late: Duration::from_secs(20),
            lates_left: 3,
            armed: None,
        }
    }

    /// Good weather: input comes at a pace, nothing fails.
    #[must_use]
    pub fn calm(pace: Pace) -> Self {
        Self { calm: true, ..Self::new(0, Some(pace)) }
    }

    /// Holds files back from this number on, until [`Weather::open_gate`].
    pub fn close_gate(&mut self, from: u32) {
        self.gate = Some(from);
    }

    /// Lets all files pass from now on; those that wait need a
    /// [`release`](crate::testbed::proxy::Proxy::release) too.
    pub fn open_gate(&mut self) {
        self.gate = None;
    }

    /// Kills whoever sends the next request of this step.
    pub fn arm(&mut self, step: Step, moment: Moment) {
        self.armed = Some((step, moment));
    }

    /// Decides about one request.
    pub fn decide(&mut self, call: &Call) -> Fault {
        if call.step == Step::SourceRead {
            let number = number_of(&call.path);
            if self.gate.zip(number).is_some_and(|(gate, number)| number >= gate) {
                return Fault::Hold;
            }
            return match self.pace.and_then(|pace| pace.wait(&call.path)) {
                Some(wait) => Fault::Delay(wait),
                None if !self.calm && self.rng.random_bool(0.01) => Fault::Refuse,
                None => Fault::None,
            };
        }
        if let Some((step, moment)) = self.armed
            && step == call.step
        {
            self.armed = None;
            return Fault::Kill(moment);
        }
        if self.calm {
            return Fault::None;
        }
        let dice: f64 = self.rng.random();
        if dice < 0.02 {
            Fault::Refuse
        } else if dice < 0.035 {
            Fault::Delay(Duration::from_millis(self.rng.random_range(100..2000)))
        } else if dice < 0.05 && call.step.writes() {
            Fault::LoseAnswer
        } else if dice < 0.06 && call.step.writes() && self.lates_left > 0 {
            self.lates_left -= 1;
            Fault::ApplyLater(self.late)
        } else {
            Fault::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_held_back_by_its_number() {
        let pace = Pace::new(Duration::from_secs(10));
        assert!(pace.wait("/b/in/flights-0000.json").is_none());
        let wait = pace.wait("/b/in/flights-0002.json").expect("not before 20 s");
        assert!(wait > Duration::from_secs(19) && wait <= Duration::from_secs(20), "{wait:?}");
    }

    #[test]
    fn one_seed_is_one_weather() {
        let run = |seed| {
            let mut weather = Weather::new(seed, None);
            (0..500)
                .map(|number| {
                    weather.decide(&Call { number, step: Step::DataWrite, path: String::new() })
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!(run(7).iter().any(|fault| matches!(fault, Fault::ApplyLater(_))));
    }
}
