//! The definition of `StreamJob` as an API server gets it.
