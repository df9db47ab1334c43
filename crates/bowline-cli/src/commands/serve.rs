//! `bowline serve`: a server with the Echo service.

use std::process;

use bowline::tcp::TcpListener;
use bowline::transport::{AddressKind, Fault, Listener, TransportError};
use bowline::unix::UnixListener;
use bowline::{Error, Limits, Server, ServerBuilder, tcp, unix};
use bowline_bench::demo;
use tokio::io::AsyncReadExt as _;

use crate::arguments::Serve;
use crate::failure::Failure;
use crate::signals::Signals;
use crate::{limits, output};

pub(crate) async fn run(args: Serve) -> Result<(), Failure> {
    // From before the first client on, a signal is a request to end in order.
    let mut signals = Signals::new()?;
    let server = listen(&args).await?;
    for address in server.addresses() {
        output::line(format_args!("listening on {address}"))?;
    }
    let stdin = args.until_stdin_closes;
    let stop = async {
        tokio::select! {
            _ = signals.next() => output::note("stopping; a second signal ends at once"),
            () = stdin_closed(), if stdin => {}
        }
        tokio::spawn(async move {
            let number = signals.next().await;
            process::exit(128 + i32::from(number));
        });
    };
    server.serve_until(stop).await;
    Ok(())
}

async fn listen(args: &Serve) -> Result<Server, Failure> {
    let mut unix = unix::BindOptions::new();
    if let Some(mode) = args.mode {
        unix = unix.mode(mode);
    }
    let tcp = tcp::BindOptions::new().allow_non_loopback(args.allow_non_loopback);
    let mut limits = limits::with_message_max(Limits::accepting(), args.max_message);
    if let Some(timeouts) = args.timeouts {
        limits::set_timeouts(&mut limits, timeouts);
    }
    let builder = Server::builder()
        .add_service(demo::service())
        .limits(limits)
        .drain_timeout(args.drain_timeout);
    let mut server = None;
    for address in &args.listen {
        let builder = builder.clone();
        server = Some(match address.kind() {
            AddressKind::Unix(_) | AddressKind::UnixAbstract(_) => {
                listen_on(builder, server, UnixListener::bind_with(address, &unix)?)?
            }
            AddressKind::Tcp { .. } => {
                listen_on(builder, server, TcpListener::bind_with(address, &tcp).await?)?
            }
            _ => return Err(TransportError::listen(address, Fault::unsupported(address)).into()),
        });
    }
    server.ok_or_else(|| Failure::operation("no address to listen at"))
}

fn listen_on(
    builder: ServerBuilder,
    server: Option<Server>,
    listener: impl Listener,
) -> Result<Server, Error> {
    match server {
        None => builder.listen_on(listener),
        Some(server) => Ok(server.also_listen_on(listener)),
    }
}

async fn stdin_closed() {
    let mut bytes = [0; 64];
    let mut stdin = tokio::io::stdin();
    while stdin.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
}
