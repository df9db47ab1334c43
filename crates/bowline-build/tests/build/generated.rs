//! The code.

use bowline_build::Config;

use crate::{directory, file, generate, names};

#[test]
fn echo() {
    let out = generate(Config::new(), "../../proto", &["bowline/demo/v1/echo.proto"]).unwrap();
    assert_eq!(names(&out), ["bowline.demo.v1.rs"]);
    insta::assert_snapshot!(file(&out, "bowline.demo.v1.rs"));
}

/// A method of each kind, without `async`.
#[test]
fn blocking_alone() {
    let config = Config::new().asynchronous(false).blocking(true);
    let out = generate(config, "../../proto", &["test/v1/test.proto"]).unwrap();
    assert_eq!(names(&out), ["test.v1.rs"]);
    insta::assert_snapshot!(file(&out, "test.v1.rs"));
}

#[test]
fn keywords_and_collisions() {
    let out = generate(Config::new(), "tests/proto/names", &["keywords.proto"]).unwrap();
    assert_eq!(names(&out), ["r#type.v1.rs"]);
    insta::assert_snapshot!(file(&out, "r#type.v1.rs"));
}

#[test]
fn two_services_without_a_package() {
    let out = generate(Config::new(), "tests/proto/names", &["no_package.proto"]).unwrap();
    assert_eq!(names(&out), ["_.rs"]);
    insta::assert_snapshot!(file(&out, "_.rs"));
}

#[test]
fn packages_that_use_each_other() {
    let out = generate(
        Config::new().include_file("protos.rs"),
        "tests/proto/shapes",
        &["a/v1/service.proto"],
    )
    .unwrap();
    assert_eq!(names(&out), ["a.v1.rs", "b.v1.rs", "protos.rs"]);
    insta::assert_snapshot!("shapes_a", file(&out, "a.v1.rs"));
    insta::assert_snapshot!("shapes_b", file(&out, "b.v1.rs"));
    let include = file(&out, "protos.rs").replace(out.path().to_str().unwrap(), "OUT");
    insta::assert_snapshot!("shapes_include", include);
}

#[test]
fn comments() {
    let out = generate(Config::new(), "tests/proto", &["comments.proto"]).unwrap();
    insta::assert_snapshot!(file(&out, "comments.v1.rs"));
}

#[test]
fn one_side_only() {
    let has = |config, modules: [&str; 3]| {
        let out = generate(config, "../../proto", &["bowline/demo/v1/echo.proto"]).unwrap();
        let code = file(&out, "bowline.demo.v1.rs");
        modules.map(|module| code.contains(&format!("pub mod echo_{module} ")))
    };
    let modules = ["methods", "client", "server"];
    assert_eq!(has(Config::new(), modules), [true, true, true]);
    assert_eq!(has(Config::new().build_server(false), modules), [true, true, false]);
    assert_eq!(has(Config::new().build_client(false), modules), [true, false, true]);
    let neither = Config::new().build_client(false).build_server(false);
    assert_eq!(has(neither, modules), [false, false, false]);

    let modules = ["client", "blocking_client", "blocking_server"];
    assert_eq!(has(Config::new(), modules), [true, false, false]);
    assert_eq!(has(Config::new().blocking(true), modules), [true, true, true]);
    let client = Config::new().blocking(true).asynchronous(false).build_server(false);
    assert_eq!(has(client, modules), [false, true, false]);
}

#[test]
fn whatever_prost_can() {
    let config = Config::new().prost(|prost| {
        prost
            .bytes(["."])
            .btree_map(["."])
            .type_attribute(".a.v1.All", "#[derive(::serde::Serialize)]")
            .extern_path(".b.v1", "::elsewhere::b")
            .extern_path(".a.v1.Base", "crate::base::Base")
    });
    let out = generate(config, "tests/proto/shapes", &["a/v1/service.proto"]).unwrap();
    assert_eq!(names(&out), ["a.v1.rs"]);
    insta::assert_snapshot!(file(&out, "a.v1.rs"));
}

/// Users depend on `bowline` alone.
#[test]
fn no_path_leads_to_another_crate() {
    for (include, proto) in [
        ("../../proto", "bowline/demo/v1/echo.proto"),
        ("tests/proto/names", "keywords.proto"),
        ("tests/proto/names", "no_package.proto"),
        ("tests/proto/shapes", "a/v1/service.proto"),
        ("tests/proto", "comments.proto"),
    ] {
        let out = generate(Config::new().blocking(true), include, &[proto]).unwrap();
        for name in names(&out) {
            let roots = roots(&file(&out, &name));
            let known = ["bowline", "core", "std"];
            let others: Vec<_> = roots.iter().filter(|r| !known.contains(&r.as_str())).collect();
            assert!(others.is_empty(), "{name}: {others:?}");
            assert!(roots.contains(&"bowline".to_owned()), "{name}");
        }
    }
}

/// What follows each `::` that begins a path, also in the text of attributes.
fn roots(code: &str) -> Vec<String> {
    let begins = |at: usize| {
        !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '>' | ':'))
    };
    let name = |at: usize| -> String {
        code[at + 2..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    code.match_indices("::").filter(|(at, _)| begins(*at)).map(|(at, _)| name(at)).collect()
}

#[test]
fn descriptors_of_all_files() {
    use prost::Message;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("descriptors.bin");
    let config = Config::new().file_descriptor_set_path(&path);
    generate(config, "tests/proto/names", &["no_package.proto"]).unwrap();

    let set = prost_types::FileDescriptorSet::decode(&*std::fs::read(&path).unwrap()).unwrap();
    let files: Vec<_> = set.file.iter().map(|file| file.name()).collect();
    assert_eq!(files, ["google/protobuf/empty.proto", "no_package.proto"]);
    assert!(set.file[1].source_code_info.is_some());
}

#[test]
fn paths_that_include_the_directory() {
    let out = tempfile::tempdir().unwrap();
    let include = directory("tests/proto/names");
    Config::new()
        .out_dir(out.path())
        .compile(&[include.join("no_package.proto")], &[&include])
        .unwrap();
    assert_eq!(names(&out), ["_.rs"]);
}
