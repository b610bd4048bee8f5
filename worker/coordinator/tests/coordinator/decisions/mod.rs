//! The core alone: scripted events, and what it wants done.

mod checkpoints;
mod endings;
mod recovery;
mod rescale;
mod start;
