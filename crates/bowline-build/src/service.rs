//! Adds services to what prost generates, and keeps the user's lints away from all of it.

use std::cell::RefCell;
use std::rc::Rc;

use prost_build::ServiceGenerator;
use quote::ToTokens;
use syn::parse::Parser;
use syn::{Attribute, Item};

use crate::error::Error;
use crate::service::model::{Face, Service};

mod model;
mod render;

/// On every item of the output, whose file cannot have attributes of its own: a user's lints are for
/// what the user writes. `warnings` is not all of them, since it leaves out what the user denies.
pub(crate) const ALLOW: &str = "#[allow(warnings, missing_docs, unreachable_pub, unnameable_types, \
    unused, unused_qualifications, deprecated, rustdoc::all, clippy::all, clippy::pedantic, \
    clippy::nursery, clippy::restriction, reason = \"generated\")]";

/// Stands behind what is complete in a package that more files may add to. Being a comment, it is
/// gone when prost has formatted the package.
const COMPLETE: &str = "\n// complete\n";

/// What prost calls for each service, and at the end of each file.
pub(crate) struct Generator {
    pub(crate) client: bool,
    pub(crate) server: bool,
    pub(crate) asynchronous: bool,
    pub(crate) blocking: bool,
    /// What went wrong first; prost has no way to hear of it.
    pub(crate) problem: Rc<RefCell<Option<Error>>>,
}

impl ServiceGenerator for Generator {
    fn generate(&mut self, service: prost_build::Service, buf: &mut String) {
        let service = match Service::new(&service) {
            Ok(service) => service,
            Err(message) => return self.fail(message),
        };
        if self.client || self.server {
            buf.push_str(&render::methods(&service).to_string());
        }
        for face in self.faces() {
            if self.client {
                buf.push_str(&render::client(&service, face).to_string());
            }
            if self.server {
                buf.push_str(&render::server(&service, face).to_string());
            }
        }
    }

    fn finalize(&mut self, buf: &mut String) {
        let start = buf.rfind(COMPLETE).map_or(0, |at| at + COMPLETE.len());
        match allow_lints(&buf[start..]) {
            Ok(code) if code.is_empty() => {}
            Ok(code) => buf.replace_range(start.., &format!("{code}{COMPLETE}")),
            Err(message) => {
                self.fail(message);
                // prost would panic.
                buf.clear();
            }
        }
    }
}

impl Generator {
    fn faces(&self) -> impl Iterator<Item = Face> + use<> {
        let asynchronous = self.asynchronous.then_some(Face::Async);
        asynchronous.into_iter().chain(self.blocking.then_some(Face::Blocking))
    }

    fn fail(&self, message: String) {
        self.problem.borrow_mut().get_or_insert(Error::Rust { message });
    }
}

/// Puts [`ALLOW`] on all items, behind their documentation.
fn allow_lints(code: &str) -> Result<String, String> {
    let describe = |error: syn::Error| {
        let line = code.lines().nth(error.span().start().line.saturating_sub(1));
        format!("{error} at `{}`", line.unwrap_or_default().trim())
    };
    let mut file = syn::parse_file(code).map_err(describe)?;
    let allow = Attribute::parse_outer.parse_str(ALLOW).map_err(describe)?;
    for attributes in file.items.iter_mut().filter_map(attributes) {
        let docs = attributes.iter().take_while(|a| a.path().is_ident("doc")).count();
        attributes.splice(docs..docs, allow.iter().cloned());
    }
    Ok(file.into_token_stream().to_string())
}

/// The attributes of an item of the kinds that are generated.
fn attributes(item: &mut Item) -> Option<&mut Vec<Attribute>> {
    match item {
        Item::Enum(item) => Some(&mut item.attrs),
        Item::Impl(item) => Some(&mut item.attrs),
        Item::Mod(item) => Some(&mut item.attrs),
        Item::Struct(item) => Some(&mut item.attrs),
        _ => None,
    }
}
