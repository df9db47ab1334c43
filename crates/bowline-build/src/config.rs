//! The builder: what to generate, and where.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use protox::Compiler;

use crate::comments;
use crate::error::Error;
use crate::service::{ALLOW, Generator};

/// What to generate, and where.
///
/// # Examples
///
/// ```no_run
/// fn main() -> Result<(), bowline_build::Error> {
///     bowline_build::Config::new()
///         .build_server(false)
///         .prost(|prost| prost.btree_map(["."]).bytes([".greet.v1.Picture"]))
///         .include_file("protos.rs")
///         .compile(&["proto/greet/v1/greeter.proto"], &["proto"])
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is generated until `compile` is called"]
pub struct Config {
    client: bool,
    server: bool,
    asynchronous: bool,
    blocking: bool,
    out_dir: Option<PathBuf>,
    include_file: Option<PathBuf>,
    file_descriptor_set_path: Option<PathBuf>,
    prost: prost_build::Config,
}

impl Config {
    /// Clients and servers, into the `OUT_DIR` of a build script.
    pub fn new() -> Self {
        let mut prost = prost_build::Config::new();
        prost
            .prost_path("::bowline::codegen::prost")
            .prost_types_path("::bowline::codegen::prost_types");
        Self {
            client: true,
            server: true,
            asynchronous: true,
            blocking: false,
            out_dir: None,
            include_file: None,
            file_descriptor_set_path: None,
            prost,
        }
    }

    /// Writes to this directory, which must exist, instead of `OUT_DIR`.
    pub fn out_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(path.into());
        self
    }

    /// Whether to generate clients. By default they are.
    pub fn build_client(mut self, yes: bool) -> Self {
        self.client = yes;
        self
    }

    /// Whether to generate servers, with the traits that they serve. By default they are.
    pub fn build_server(mut self, yes: bool) -> Self {
        self.server = yes;
        self
    }

    /// Whether to generate clients and servers that block their threads, for `bowline::blocking`
    /// (feature `blocking` of the crate `bowline`). By default they are not.
    pub fn blocking(mut self, yes: bool) -> Self {
        self.blocking = yes;
        self
    }

    /// Whether to generate clients and servers for `async` code (feature `tokio` of the crate
    /// `bowline`, on by default there). By default they are.
    pub fn asynchronous(mut self, yes: bool) -> Self {
        self.asynchronous = yes;
        self
    }

    /// Everything that prost can: other types for maps and bytes, attributes, external paths and
    /// more.
    ///
    /// The Rust path of an external type must begin with `::` or `crate::`. The service generator is
    /// this crate's own, whatever is set.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = bowline_build::Config::new().prost(|prost| {
    ///     prost
    ///         .bytes([".greet.v1.Picture.pixels"])
    ///         .type_attribute(".greet.v1", "#[derive(::serde::Serialize)]")
    ///         .extern_path(".acme.v1", "::acme_protos::v1")
    /// });
    /// ```
    pub fn prost(
        mut self,
        configure: impl FnOnce(&mut prost_build::Config) -> &mut prost_build::Config,
    ) -> Self {
        configure(&mut self.prost);
        self
    }

    /// Writes one more file, which includes all packages, each in the module of its name.
    ///
    /// In `OUT_DIR` it is included like a package: as `bowline::include_proto!("protos")` if its name
    /// is `protos.rs`.
    pub fn include_file(mut self, name: impl Into<PathBuf>) -> Self {
        self.include_file = Some(name.into());
        self
    }

    /// Writes the descriptors of all files and their imports, with comments, to this path, as
    /// `protoc --descriptor_set_out` would: for reflection, or other tools.
    pub fn file_descriptor_set_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.file_descriptor_set_path = Some(path.into());
        self
    }

    /// Generates Rust for `.proto` files, their imports included.
    ///
    /// Imports, and the files themselves, are looked up in `includes`. Google's well-known types are
    /// always there. In a build script this tells cargo to run it again when any of the files
    /// changes.
    ///
    /// # Errors
    ///
    /// If a file cannot be found or is not valid, or the output cannot be written. See [`Error`].
    pub fn compile(
        mut self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<(), Error> {
        let compiler = read(protos, includes)?;
        if env::var_os("OUT_DIR").is_some() {
            rerun_if_changed(&compiler);
        }
        if let Some(path) = &self.file_descriptor_set_path {
            fs::write(path, compiler.encode_file_descriptor_set())
                .map_err(|source| Error::Write { path: path.clone(), source })?;
        }
        self.generate(&compiler)?;
        self.complete_include_file()
    }

    /// Generates a file for each package.
    fn generate(&mut self, compiler: &Compiler) -> Result<(), Error> {
        let mut descriptors = compiler.file_descriptor_set();
        descriptors.file.iter_mut().for_each(comments::sanitize);

        let problem = Rc::new(RefCell::new(None));
        let generator = Generator {
            client: self.client,
            server: self.server,
            asynchronous: self.asynchronous,
            blocking: self.blocking,
            problem: Rc::clone(&problem),
        };
        self.prost.service_generator(Box::new(generator));
        if let Some(path) = &self.out_dir {
            if !path.is_dir() {
                return Err(Error::OutDir { path: path.clone() });
            }
            self.prost.out_dir(path);
        }
        if let Some(name) = &self.include_file {
            self.prost.include_file(name);
        }
        let written = self.prost.compile_fds(descriptors);
        if let Some(problem) = problem.take() {
            return Err(problem);
        }
        written.map_err(|source| Error::Generate { source })
    }

    /// Keeps the user's lints away from the modules of the include file, too.
    fn complete_include_file(&self) -> Result<(), Error> {
        let out_dir = self.out_dir.clone().or_else(|| env::var_os("OUT_DIR").map(PathBuf::from));
        let (Some(out_dir), Some(name)) = (out_dir, &self.include_file) else { return Ok(()) };
        let path = out_dir.join(name);
        let allow = format!("\n{ALLOW}\npub mod ");
        fs::read_to_string(&path)
            .and_then(|text| fs::write(&path, text.replace("\npub mod ", &allow)))
            .map_err(|source| Error::Write { path, source })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads and checks files and all that they import.
fn read(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<Compiler, Error> {
    if protos.is_empty() {
        return Err(Error::NoFiles);
    }
    let includes: Vec<_> = includes.iter().map(|path| path.as_ref().to_owned()).collect();
    if let Some(path) = includes.iter().find(|path| !path.is_dir()) {
        return Err(Error::Include { path: path.clone() });
    }
    let mut compiler = Compiler::new(&includes)?;
    compiler.include_imports(true).include_source_info(true);
    for proto in protos {
        let path = proto.as_ref();
        compiler.open_file(path).map_err(|error| {
            // The file itself, rather than one that it imports.
            if error.is_file_not_found() && error.file().is_none() {
                Error::NotIncluded { path: path.to_owned(), includes: includes.clone() }
            } else {
                error.into()
            }
        })?;
    }
    Ok(compiler)
}

/// Tells cargo every file that was read.
#[expect(clippy::print_stdout, reason = "cargo listens to what a build script prints")]
fn rerun_if_changed(compiler: &Compiler) {
    for path in compiler.files().filter_map(|file| file.path()) {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}
