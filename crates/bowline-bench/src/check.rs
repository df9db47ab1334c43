//! Whether a system does what it says: for the tests of whoever writes one.

use std::fmt::Debug;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use tokio::task::{LocalSet, spawn_local};

use crate::compare::Transport;
use crate::load::{Direction, Handler, Load, Work};
use crate::system::{Address, BoxError, Client as _, Endpoint, Ready, System, Transferred};

/// Calls all methods of a system over a transport, with messages of many lengths, and sees whether
/// they bring what they should, or are refused where the system says so.
///
/// The server runs on a thread of its own from then on.
///
/// # Errors
/// Says what went wrong.
pub fn methods<S: System>(transport: Transport) -> Result<(), BoxError> {
    let directory = tempfile::tempdir()?;
    let address = match transport {
        Transport::Tcp => Address::Tcp(([127, 0, 0, 1], 0).into()),
        Transport::Unix | Transport::Memory => Address::Unix(directory.path().join("socket")),
    };
    let endpoint = Endpoint { address: serve::<S>(address)?, busy_poll: None };
    on_runtime(async {
        let client = S::connect(&endpoint).await?;
        calls::<S>(&client, transport).await?;
        for direction in [Direction::Download, Direction::Upload, Direction::Chat] {
            for (count, size) in [(3, 0), (2000, 64), (1000, 1 << 10), (64, 64 << 10), (4, 1 << 20)]
            {
                stream::<S>(&client, transport, direction, (count, size)).await?;
            }
        }
        S::connect(&endpoint).await?.close().await?;
        same(client.unary(payload(1)).await?, 1, "after another connection was closed")
    })?
}

/// Starts a server, and gives its address.
fn serve<S: System>(address: Address) -> Result<Address, BoxError> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let ready_tell = tell.clone();
        let ready = Ready::new(move |address| {
            // Nobody may wait any more.
            let _ = ready_tell.send(Ok(address));
        });
        let endpoint = Endpoint { address, busy_poll: None };
        let ended = on_runtime(S::serve(endpoint, Handler::AtOnce, ready));
        let Err(error) = ended.and_then(|result| result);
        let _ = tell.send(Err(error));
    });
    told.recv()?
}

fn on_runtime<T>(future: impl Future<Output = T>) -> Result<T, BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(LocalSet::new().run_until(future)))
}

async fn calls<S: System>(client: &S::Client, transport: Transport) -> Result<(), BoxError> {
    for size in [0, 64, 64 << 10, 1 << 20] {
        same(client.unary(payload(size)).await?, size, "a call")?;
    }
    for (in_flight, size) in [(512, 64), (512, 64 << 10), (8, 1 << 20)] {
        let load = Load::unary(u32::try_from(size)?, in_flight);
        if S::unsupported(&load, transport).is_some() {
            continue;
        }
        let call = |_| {
            let client = client.clone();
            spawn_local(async move { client.unary(payload(size)).await })
        };
        let calls: Vec<_> = (0..in_flight).map(call).collect();
        for call in calls {
            same(call.await??, size, "one of many calls")?;
        }
    }
    Ok(())
}

async fn stream<S: System>(
    client: &S::Client,
    transport: Transport,
    direction: Direction,
    (count, size): (u64, u32),
) -> Result<(), BoxError> {
    let content = payload(size as usize);
    let result = match direction {
        Direction::Download => client.download(count, size).await,
        Direction::Upload => client.upload(count, content).await,
        Direction::Chat => client.chat(count, content).await,
    };
    let load = Load::new(Work::Stream { direction, size });
    if S::unsupported(&load, transport).is_some() {
        return match result {
            Ok(_) => Err(format!("{load} works, and is said not to").into()),
            Err(_) => Ok(()),
        };
    }
    let expected = Transferred { messages: count, bytes: count * u64::from(size) };
    same(result?, expected, &load.to_string())
}

fn same<T: PartialEq + Debug>(brought: T, expected: T, what: &str) -> Result<(), BoxError> {
    if brought == expected {
        return Ok(());
    }
    Err(format!("{what}: {brought:?} instead of {expected:?}").into())
}

fn payload(size: usize) -> Bytes {
    Bytes::from(vec![0x5a; size])
}
