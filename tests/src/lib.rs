//! End-to-end suites, each run over every transport.
//!
//! The suites stand in `tests/`; here is what they share: a [`net::Net`] with a fresh address for
//! each test, a service whose handlers each test writes itself ([`script::Script`]), and a peer that
//! sends and reads bytes as it is told ([`raw::Raw`]); [`blocking`] has the same for threads.
#![forbid(unsafe_code)]

pub mod blocking;
pub mod net;
pub mod pipes;
pub mod raw;
pub mod script;
pub mod wait;

/// The service of the tests, generated from `proto/test/v1/test.proto`.
pub mod test {
    include!("generated/test.v1.rs");
}

/// Makes a test of each of these functions for each transport, on one thread and on two.
#[macro_export]
macro_rules! over_every_transport {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            $crate::over_every_transport!(@ $name unix Unix One);
            $crate::over_every_transport!(@ $name unix_threads Unix Two);
            $crate::over_every_transport!(@ $name tcp Tcp One);
            $crate::over_every_transport!(@ $name tcp_threads Tcp Two);
            $crate::over_every_transport!(@ $name memory Memory One);
            $crate::over_every_transport!(@ $name memory_threads Memory Two);
        })*
    };
    // For what only some transports can show.
    ($name:ident: $($test:ident $transport:ident $threads:ident),* $(,)?) => {
        mod $name {
            $($crate::over_every_transport!(@ $name $test $transport $threads);)*
        }
    };
    (@ $name:ident $test:ident $transport:ident $threads:ident) => {
        #[test]
        fn $test() {
            $crate::net::run(
                $crate::net::Transport::$transport,
                $crate::net::Threads::$threads,
                super::$name,
            );
        }
    };
}
