//! weir-coordinator
