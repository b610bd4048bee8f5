//! The database of the names that say none: what `USE` said last.
//!
//! Like the time zone ([`crate::zone`]), it is what holds on the thread while a program is bound.

use std::cell::RefCell;

use crate::parse::DATABASE;

thread_local! {
    static CURRENT: RefCell<String> = RefCell::new(DATABASE.to_owned());
}

/// The database that holds now.
pub(crate) fn current() -> String {
    CURRENT.with_borrow(Clone::clone)
}

/// Names that are bound from here on are of this database; answers which it was.
pub(crate) fn set(name: &str) -> String {
    CURRENT.replace(name.to_owned())
}
