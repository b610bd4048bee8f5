//! `weir-crd`: prints the `CustomResourceDefinition` of `StreamJob` as YAML.

use std::process::ExitCode;

fn main() -> ExitCode {
    match weir_crds::kube::definition_yaml() {
        Ok(yaml) => {
            print!("{yaml}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("weir-crd: {error}");
            ExitCode::FAILURE
        }
    }
}
