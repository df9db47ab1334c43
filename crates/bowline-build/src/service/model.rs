//! A service with its names as they are in Rust.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use prost_build::{Comments, Module};
use quote::{format_ident, quote};
use syn::{Ident, Type};

/// A service.
pub(super) struct Service {
    /// `package.Service`
    pub(super) path: String,
    pub(super) docs: TokenStream,
    pub(super) trait_name: Ident,
    pub(super) client: Ident,
    pub(super) server: Ident,
    pub(super) methods_module: Ident,
    /// What the names of its modules begin with.
    snake: String,
    /// In the order of the `.proto` file.
    pub(super) methods: Vec<Method>,
}

/// A method of a service.
pub(super) struct Method {
    /// `package.Service/Method`
    pub(super) path: String,
    /// With the attribute `#[deprecated]`, if it is.
    pub(super) docs: TokenStream,
    pub(super) function: Ident,
    pub(super) constant: Ident,
    pub(super) kind: Kind,
    /// Types as seen from a module beside the messages.
    pub(super) request: Type,
    pub(super) reply: Type,
}

/// How its code waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// As futures.
    Async,
    /// In its thread.
    Blocking,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Unary,
    ServerStreaming,
    ClientStreaming,
    BidiStreaming,
}

impl Service {
    pub(super) fn new(service: &prost_build::Service) -> Result<Self, String> {
        let path = match service.package.as_str() {
            "" => service.proto_name.clone(),
            package => format!("{package}.{}", service.proto_name),
        };
        // A client has these already.
        let mut functions = BTreeSet::from(["new".to_owned(), "clone".to_owned()]);
        let mut constants = BTreeSet::new();
        let methods = service.methods.iter().map(|method| {
            let path = format!("{path}/{}", method.proto_name);
            let function = unique(&mut functions, method.name.clone());
            let constant = unique(&mut constants, bare(&method.name).to_uppercase());
            Method::new(method, path, function, constant)
        });
        let methods = methods.collect::<Result<_, _>>()?;

        // The words of the name, without what makes it an identifier by itself.
        let camel = bare(&service.name);
        let module = Module::from_protobuf_package_name(&service.proto_name).to_string();
        let snake = bare(&module);
        Ok(Self {
            docs: docs(&service.comments, &format!("The service `{path}`.")),
            path,
            trait_name: format_ident!("{}", service.name),
            client: format_ident!("{camel}Client"),
            server: format_ident!("{camel}Server"),
            methods_module: format_ident!("{snake}_methods"),
            snake: snake.to_owned(),
            methods,
        })
    }

    pub(super) fn client_module(&self, face: Face) -> Ident {
        match face {
            Face::Async => format_ident!("{}_client", self.snake),
            Face::Blocking => format_ident!("{}_blocking_client", self.snake),
        }
    }

    pub(super) fn server_module(&self, face: Face) -> Ident {
        match face {
            Face::Async => format_ident!("{}_server", self.snake),
            Face::Blocking => format_ident!("{}_blocking_server", self.snake),
        }
    }
}

impl Face {
    /// Where the types of this face are.
    pub(super) fn path(self) -> TokenStream {
        match self {
            Self::Async => quote!(::bowline),
            Self::Blocking => quote!(::bowline::blocking),
        }
    }
}

impl Method {
    fn new(
        method: &prost_build::Method,
        path: String,
        function: String,
        constant: String,
    ) -> Result<Self, String> {
        let mut docs = docs(&method.comments, &format!("The method `{path}`."));
        if method.options.deprecated() {
            docs.extend(quote!(#[deprecated]));
        }
        Ok(Self {
            path,
            docs,
            function: format_ident!("{function}"),
            constant: format_ident!("{constant}"),
            kind: match (method.client_streaming, method.server_streaming) {
                (false, false) => Kind::Unary,
                (false, true) => Kind::ServerStreaming,
                (true, false) => Kind::ClientStreaming,
                (true, true) => Kind::BidiStreaming,
            },
            request: type_from_module(&method.input_type)?,
            reply: type_from_module(&method.output_type)?,
        })
    }
}

impl Kind {
    /// The variant of `bowline::MethodKind`.
    pub(super) fn variant(self) -> Ident {
        format_ident!(
            "{}",
            match self {
                Self::Unary => "Unary",
                Self::ServerStreaming => "ServerStreaming",
                Self::ClientStreaming => "ClientStreaming",
                Self::BidiStreaming => "BidiStreaming",
            }
        )
    }

    /// The functions of `Channel` and `ServerCall`.
    pub(super) fn function(self) -> Ident {
        format_ident!(
            "{}",
            match self {
                Self::Unary => "unary",
                Self::ServerStreaming => "server_streaming",
                Self::ClientStreaming => "client_streaming",
                Self::BidiStreaming => "bidi_streaming",
            }
        )
    }
}

/// Comments as documentation, or a default.
fn docs(comments: &Comments, default: &str) -> TokenStream {
    let mut text = String::new();
    comments.append_with_indent(0, &mut text);
    match text.parse::<TokenStream>() {
        Ok(docs) if !docs.is_empty() => docs,
        _ => {
            let default = format!(" {default}");
            quote!(#[doc = #default])
        }
    }
}

/// The name with as many underscores as it takes to be the only one.
fn unique(taken: &mut BTreeSet<String>, mut name: String) -> String {
    while !taken.insert(name.clone()) {
        name.push('_');
    }
    name
}

/// An identifier without what keeps it from being a keyword.
fn bare(identifier: &str) -> &str {
    identifier.trim_start_matches("r#").trim_end_matches('_')
}

/// prost names a type as seen from beside the messages; the code of services is one module deeper.
fn type_from_module(path: &str) -> Result<Type, String> {
    let is_local = |path: &str| {
        let is_builtin =
            !path.contains("::") && path.starts_with(|c: char| !c.is_ascii_uppercase());
        !is_builtin && !path.starts_with("::") && !path.starts_with("crate::")
    };
    let text = if is_local(path) { format!("super::{path}") } else { path.to_owned() };
    syn::parse_str(&text).map_err(|error| format!("{error} at `{path}`"))
}
