//! `kubectl weir` beside a kubectl that is a script and pods that are threads of this test.

mod changing;
mod fake;
mod looking;
