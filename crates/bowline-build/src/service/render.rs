//! The code of a service: its methods, its client, its server.
//!
//! Everything is named by its full path, so that no name in a `.proto` file can come between.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::service::model::{Face, Kind, Method, Service};

/// The module of the methods, which client and server share.
pub(super) fn methods(service: &Service) -> TokenStream {
    let Service { methods_module, .. } = service;
    let docs = format!(" The methods of `{}`.", service.path);
    let constants = service.methods.iter().map(|method| {
        let Method { path, constant, .. } = method;
        let docs = format!(" `{path}`");
        let kind = method.kind.variant();
        quote! {
            #[doc = #docs]
            pub const #constant: ::bowline::Method =
                ::bowline::Method::new(#path, ::bowline::MethodKind::#kind);
        }
    });
    quote! {
        #[doc = #docs]
        pub mod #methods_module {
            #(#constants)*
        }
    }
}

/// The module of the client.
pub(super) fn client(service: &Service, face: Face) -> TokenStream {
    let Service { docs, client, .. } = service;
    let client_module = service.client_module(face);
    let module_docs = match face {
        Face::Async => format!(" The client of `{}`.", service.path),
        Face::Blocking => format!(" The blocking client of `{}`.", service.path),
    };
    let bowline = face.path();
    let functions = service.methods.iter().map(|method| client_function(service, method, face));
    quote! {
        #[doc = #module_docs]
        pub mod #client_module {
            #docs
            #[derive(Debug, Clone)]
            pub struct #client {
                channel: #bowline::Channel,
            }

            impl #client {
                /// A client that calls over `channel`.
                pub fn new(channel: #bowline::Channel) -> Self {
                    Self { channel }
                }

                #(#functions)*
            }
        }
    }
}

fn client_function(service: &Service, method: &Method, face: Face) -> TokenStream {
    let Method { docs, function, constant, request, reply, .. } = method;
    let methods = &service.methods_module;
    let open = method.kind.function();
    let bowline = face.path();
    let (asynchronous, wait) = match face {
        Face::Async => (Some(quote!(async)), Some(quote!(.await))),
        Face::Blocking => (None, None),
    };
    let (opening, result) = match method.kind {
        Kind::Unary => (quote!(#request), quote!(::bowline::Response<#reply>)),
        Kind::ServerStreaming => (quote!(#request), quote!(#bowline::Streaming<#reply>)),
        Kind::ClientStreaming => {
            (quote!(()), quote!((#bowline::Sender<#request>, #bowline::Reply<#reply>)))
        }
        Kind::BidiStreaming => {
            (quote!(()), quote!((#bowline::Sender<#request>, #bowline::Streaming<#reply>)))
        }
    };
    quote! {
        #docs
        pub #asynchronous fn #function(
            &self,
            request: impl ::bowline::IntoRequest<#opening>,
        ) -> ::std::result::Result<#result, ::bowline::Status> {
            let request = ::bowline::IntoRequest::into_request(request);
            self.channel.#open(&super::#methods::#constant, request)#wait
        }
    }
}

/// The module of the trait and the server.
pub(super) fn server(service: &Service, face: Face) -> TokenStream {
    let Service { path, docs, trait_name, server, .. } = service;
    let server_module = service.server_module(face);
    let (module_docs, how) = match face {
        Face::Async => (
            format!(" The server side of `{path}`."),
            " Implement the methods as plain `async fn`s.",
        ),
        Face::Blocking => (
            format!(" The blocking server side of `{path}`."),
            " Implement the methods as plain functions.",
        ),
    };
    let server_docs = format!(" Serves an implementation of [`{trait_name}`].");
    let functions = service.methods.iter().map(|method| trait_function(method, face));
    let service_impl = service_impl(service, face);
    quote! {
        #[doc = #module_docs]
        pub mod #server_module {
            #docs
            ///
            #[doc = #how]
            pub trait #trait_name: ::std::marker::Send + ::std::marker::Sync + 'static {
                #(#functions)*
            }

            #[doc = #server_docs]
            #[derive(Debug)]
            pub struct #server<T> {
                inner: ::std::sync::Arc<T>,
            }

            impl<T> #server<T> {
                /// Serves `inner`.
                pub fn new(inner: T) -> Self {
                    Self::from_arc(::std::sync::Arc::new(inner))
                }

                /// Serves `inner`, which others may hold, too.
                pub fn from_arc(inner: ::std::sync::Arc<T>) -> Self {
                    Self { inner }
                }
            }

            impl<T> ::std::clone::Clone for #server<T> {
                fn clone(&self) -> Self {
                    Self::from_arc(::std::sync::Arc::clone(&self.inner))
                }
            }

            #service_impl
        }
    }
}

fn trait_function(method: &Method, face: Face) -> TokenStream {
    let Method { docs, function, request, reply, .. } = method;
    let bowline = face.path();
    let request = match method.kind {
        Kind::Unary | Kind::ServerStreaming => quote!(#request),
        Kind::ClientStreaming | Kind::BidiStreaming => quote!(#bowline::Streaming<#request>),
    };
    let (replies, result) = match method.kind {
        Kind::Unary | Kind::ClientStreaming => (None, quote!(::bowline::Response<#reply>)),
        Kind::ServerStreaming | Kind::BidiStreaming => {
            (Some(quote!(replies: #bowline::Sender<#reply>,)), quote!(()))
        }
    };
    let result = quote!(::std::result::Result<#result, ::bowline::Status>);
    let output = match face {
        Face::Async => {
            quote!(impl ::std::future::Future<Output = #result> + ::std::marker::Send)
        }
        Face::Blocking => result,
    };
    quote! {
        #docs
        fn #function(
            &self,
            request: ::bowline::Request<#request>,
            #replies
        ) -> #output;
    }
}

fn service_impl(service: &Service, face: Face) -> TokenStream {
    let Service { trait_name, server, methods_module, .. } = service;
    let constants = service.methods.iter().map(|method| &method.constant);
    let arms = service.methods.iter().enumerate().map(|(index, method)| {
        let Method { function, .. } = method;
        let index = Literal::usize_unsuffixed(index);
        let answer = method.kind.function();
        let replies = match method.kind {
            Kind::Unary | Kind::ClientStreaming => None,
            Kind::ServerStreaming | Kind::BidiStreaming => Some(quote!(replies)),
        };
        match face {
            Face::Async => quote! {
                #index => call.#answer(move |request, #replies| async move {
                    <T as #trait_name>::#function(&inner, request, #replies).await
                }),
            },
            Face::Blocking => quote! {
                #index => call.#answer(|request, #replies| {
                    <T as #trait_name>::#function(&self.inner, request, #replies)
                }),
            },
        }
    });
    let bowline = face.path();
    let (inner, result) = match face {
        Face::Async => {
            (Some(quote!(let inner = ::std::sync::Arc::clone(&self.inner);)), quote!(Handler))
        }
        Face::Blocking => (None, quote!(Answer)),
    };
    quote! {
        impl<T: #trait_name> #bowline::Service for #server<T> {
            fn methods(&self) -> &'static [::bowline::Method] {
                &[#(super::#methods_module::#constants),*]
            }

            fn call(&self, index: usize, call: #bowline::ServerCall) -> #bowline::#result {
                #inner
                match index {
                    #(#arms)*
                    _ => call.unimplemented(),
                }
            }
        }
    }
}
