//! Generates what the systems need of `bench.proto`, each with its own generator.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;

const INCLUDE: &str = "../../../proto";
const PROTO: &str = "../../../proto/bowline/bench/v1/bench.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    println!("cargo:rerun-if-changed=schema");
    tonic()?;
    ttrpc()?;
    capnp()?;
    connectrpc()?;
    Ok(())
}

/// Gives each generator a directory of its own: they choose the same names.
fn directory(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let directory = PathBuf::from(env::var("OUT_DIR")?).join(name);
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

fn tonic() -> Result<(), Box<dyn Error>> {
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(directory("tonic")?)
        .compile_fds(protox::compile([PROTO], [INCLUDE])?)?;
    Ok(())
}

fn ttrpc() -> Result<(), Box<dyn Error>> {
    let directory = directory("ttrpc")?;
    ttrpc_codegen::Codegen::new()
        .out_dir(&directory)
        .include(INCLUDE)
        .input(PROTO)
        .rust_protobuf()
        .rust_protobuf_customize(ttrpc_codegen::ProtobufCustomize::default().tokio_bytes(true))
        .customize(ttrpc_codegen::Customize { async_all: true, ..Default::default() })
        .run()?;
    includable(&directory.join("bench.rs"))?;
    includable(&directory.join("bench_ttrpc.rs"))
}

fn connectrpc() -> Result<(), Box<dyn Error>> {
    let directory = directory("connectrpc")?;
    let descriptors = directory.join("bench.binpb");
    fs::write(&descriptors, protox::compile([PROTO], [INCLUDE])?.encode_to_vec())?;
    let mut messages = connectrpc_build::CodeGenConfig::default();
    messages.generate_json = false;
    messages.bytes_fields = vec![(".".to_owned(), buffa_codegen::BytesRepr::Bytes)];
    connectrpc_build::Config::new()
        .buffa_config(messages)
        .descriptor_set(descriptors)
        .files(&["bowline/bench/v1/bench.proto"])
        .out_dir(directory)
        .include_file("mod.rs")
        .compile()?;
    Ok(())
}

/// Needs the compiler of Cap'n Proto, see `install`.
fn capnp() -> Result<(), Box<dyn Error>> {
    capnpc::CompilerCommand::new()
        .src_prefix("schema")
        .file("schema/bench.capnp")
        .default_parent_module(vec!["generated".to_owned()])
        .run()?;
    Ok(())
}

/// Removes the attributes and the documentation of the whole file, with which `include!` cannot do.
fn includable(file: &Path) -> Result<(), Box<dyn Error>> {
    let is_inner = |line: &&str| line.starts_with("#![") || line.starts_with("//!");
    let text = fs::read_to_string(file)?;
    let lines: Vec<_> = text.lines().filter(|line| !is_inner(line)).collect();
    Ok(fs::write(file, lines.join("\n"))?)
}
