//! `kubectl weir` beside a kubectl that is a script and pods that are threads of this test.

mod changing;
mod fake;
mod looking;
mod pages;
mod planning;
mod reporting;
mod rights;
