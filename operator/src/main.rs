//! `weir-operator`: the operator's process.

fn main() {}
