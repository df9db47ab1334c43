//! Every system has the methods that it says it has.

use bowline_bench::check;
use bowline_bench::compare::Transport;

macro_rules! systems {
    ($($name:ident: $system:ident),*) => {$(
        mod $name {
            use bowline_bench::system::BoxError;

            use super::{Transport, check};
            use crate::$name::$system;

            #[test]
            fn has_its_methods_over_unix() -> Result<(), BoxError> {
                check::methods::<$system>(Transport::Unix)
            }

            #[test]
            fn has_its_methods_over_tcp() -> Result<(), BoxError> {
                check::methods::<$system>(Transport::Tcp)
            }
        }
    )*};
}

systems!(
    tonic: Tonic,
    ttrpc: Ttrpc,
    tarpc: Tarpc,
    capnp: Capnp,
    vox: Vox,
    connectrpc: Connectrpc
);
