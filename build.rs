//! Compiles the contract: messages, services, and the descriptor set for
//! reflection, without a `protoc` on the machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};

const PROTO_ROOT: &str = "proto";
/// What the page is built to: it need not be there.
const PAGE: &str = "src/http/page/dist";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed={}", nearest(PAGE).display());
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

    let descriptors = prost_types::FileDescriptorSet::decode(descriptors.as_slice())?;
    fs::write(out_dir.join("ids.rs"), ids(&descriptors))?;
    tonic_prost_build::configure()
        .codec_path("crate::grpc::codec::Codec")
        .compile_fds(descriptors)?;
    Ok(())
}

/// Of a path what there is: what is not there would be taken as changed by every build.
fn nearest(path: &str) -> &Path {
    Path::new(path).ancestors().find(|path| path.exists()).unwrap_or(Path::new("."))
}

/// How each message names the things that a call is about.
fn ids(descriptors: &prost_types::FileDescriptorSet) -> String {
    let ours = descriptors.file.iter().filter(|file| file.package() == "holdfast.v1");
    let implement = |message: &prost_types::DescriptorProto| {
        let named = ["event_id", "hold_id", "order_id"].map(|name| {
            let field = message.field.iter().find(|field| field.name() == name);
            let is_text = |field: &&prost_types::FieldDescriptorProto| {
                let is_plain = field.oneof_index.is_none();
                is_plain && field.r#type() == Type::String && field.label() != Label::Repeated
            };
            field.filter(is_text).map_or("\"\"".to_owned(), |_| format!("&self.{name}"))
        });
        let name = message.name();
        format!(
            "impl Ids for {name} {{ fn ids(&self) -> [&str; 3] {{ [{}] }} }}\n",
            named.join(", ")
        )
    };
    ours.flat_map(|file| &file.message_type).map(implement).collect()
}
