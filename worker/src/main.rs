//! The `weir` program.

/// Many short-lived buffers of similar sizes: measured faster here than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    weir::main()
}
