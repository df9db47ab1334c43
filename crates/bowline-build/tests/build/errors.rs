//! What a user reads when something is wrong.

use std::error;

use bowline_build::{Config, Error};

use crate::{directory, generate};

/// What cargo shows when a build script returns this.
fn report(result: Result<impl Sized, Error>) -> String {
    let error = result.err().expect("an error");
    let text = format!("{error:?}");
    assert_eq!(text, error.to_string());
    text.replace(env!("CARGO_MANIFEST_DIR"), "CRATE")
}

fn compile(proto: &str) -> String {
    report(generate(Config::new(), "tests/proto/errors", &[proto]))
}

#[test]
fn in_a_file() {
    insta::assert_snapshot!("syntax", compile("syntax.proto"));
    insta::assert_snapshot!("import", compile("import.proto"));
    insta::assert_snapshot!("types", compile("types.proto"));
    insta::assert_snapshot!("twice", compile("twice.proto"));
    insta::assert_snapshot!("circle", compile("circle_a.proto"));
}

#[test]
fn files_and_directories_that_are_missing() {
    let none: [&str; 0] = [];
    let names = directory("tests/proto/names");
    let errors = directory("tests/proto/errors");
    let missing = directory("tests/proto/missing");
    let compile = |protos: &[&str], includes: &[_]| report(Config::new().compile(protos, includes));

    insta::assert_snapshot!(report(Config::new().compile(&none, &[&names])), @"no .proto files to compile");
    insta::assert_snapshot!(compile(&["no_package.proto"], &[&missing]), @"include path 'CRATE/tests/proto/missing' is not a directory");
    insta::assert_snapshot!(compile(&["nothing.proto"], &[&names, &errors]), @"'nothing.proto' is not in any include directory (CRATE/tests/proto/names, CRATE/tests/proto/errors)");
    insta::assert_snapshot!(compile(&["nothing.proto"], &[]), @"'nothing.proto' is not in any include directory (none was given)");
}

#[test]
fn output_that_cannot_be_written() {
    let protos = ["no_package.proto"];
    let includes = [directory("tests/proto/names")];
    let missing = directory("tests/proto/missing");

    let error = Config::new().out_dir(&missing).compile(&protos, &includes);
    insta::assert_snapshot!(report(error), @"output path 'CRATE/tests/proto/missing' is not a directory");
    let descriptors = missing.join("descriptors.bin");
    let error = Config::new().file_descriptor_set_path(descriptors).compile(&protos, &includes);
    insta::assert_snapshot!(report(error), @"cannot write 'CRATE/tests/proto/missing/descriptors.bin': No such file or directory (os error 2)");
}

#[test]
fn attributes_and_paths_that_are_not_rust() {
    let attribute = Config::new().prost(|prost| prost.type_attribute(".", "#[derive(Eq]"));
    insta::assert_snapshot!(
        report(generate(attribute, "tests/proto/names", &["no_package.proto"])), @"the generated code is not valid Rust: cannot parse string into token stream at `#[derive(Eq]`");
    let field = Config::new().prost(|prost| prost.field_attribute(".", "what is this"));
    insta::assert_snapshot!(
        report(generate(field, "tests/proto/names", &["keywords.proto"])), @"the generated code is not valid Rust: expected `:` at `what is this`");
    let path = Config::new().prost(|prost| prost.extern_path(".Ping", "::a b::Ping"));
    insta::assert_snapshot!(
        report(generate(path, "tests/proto/names", &["no_package.proto"])), @"the generated code is not valid Rust: unexpected token at `::a b::Ping`");
    let path = Config::new().prost(|prost| prost.extern_path("Ping", "::Ping"));
    insta::assert_snapshot!(
        report(generate(path, "tests/proto/names", &["no_package.proto"])), @"cannot generate code: Protobuf paths must be fully qualified (begin with a leading '.'): Ping");
}

#[test]
fn errors_are_errors() {
    fn is_error<T: error::Error + Send + Sync + 'static>() {}
    is_error::<Error>();
}
