//! Generates the control protocol's types from `proto/`, without needing `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/control.proto");
    if std::env::var_os("CARGO_FEATURE_RPC").is_some() {
        let descriptors = protox::compile(["proto/control.proto"], ["proto"])?;
        tonic_prost_build::configure().compile_fds(descriptors)?;
    }
    Ok(())
}
