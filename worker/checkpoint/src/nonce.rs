//! Random names: the one place of this crate where randomness comes from.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 128 random bits that tell one writer's manifest from every other's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Nonce(pub u128);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Where nonces come from: the system's randomness, or a seed so that a simulation repeats.
#[derive(Clone)]
pub struct Nonces(Option<Arc<Mutex<StdRng>>>);

impl Nonces {
    /// From the system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(None)
    }

    /// The same sequence for the same seed. For simulations only: two processes with one seed
    /// could not be told apart.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// The next one.
    #[must_use]
    pub fn draw(&self) -> Nonce {
        let mut bytes = [0; 16];
        match &self.0 {
            None => rand::rng().fill_bytes(&mut bytes),
            Some(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes),
        }
        Nonce(u128::from_le_bytes(bytes))
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Nonces(seeded)" } else { "Nonces(random)" })
    }
}
