//! Compiles the contract: messages, services, and the descriptor set for
//! reflection, without a `protoc` on the machine.

use std::{env, fs, path::PathBuf};

use prost::Message;

const PROTO_ROOT: &str = "proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    println!("cargo:rerun-if-changed=migrations");
    let contract: Vec<PathBuf> = fs::read_dir(format!("{PROTO_ROOT}/holdfast/v1"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);

    // protox' own encoding keeps the custom options for reflection; prost would
    // drop them.
    let mut compiler = protox::Compiler::new([PROTO_ROOT])?;
    compiler.include_imports(true).include_source_info(true).open_files(&contract)?;
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out_dir.join("holdfast.bin"), &descriptors)?;

    tonic_prost_build::configure()
        .codec_path("crate::grpc::codec::Codec")
        .compile_fds(prost_types::FileDescriptorSet::decode(descriptors.as_slice())?)?;
    Ok(())
}
