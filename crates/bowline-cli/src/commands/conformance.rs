//! `bowline conformance`: plays the conformance kit against a server, and says what came of it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bowline::tcp::{TcpConnector, TcpListener};
use bowline::transport::memory::{MemoryConnector, MemoryListener};
use bowline::transport::{AddressKind, Connector, Fault, TransportError};
use bowline::unix::{UnixConnector, UnixListener};
use bowline::{Address, Limits, Server, tcp};
use bowline_bench::demo;
use bowline_conformance::adapter::Adapter;
use bowline_conformance::{Client, Known, Medium, Options, Peer, Report, Target, Verdict, cases};
use tokio::process::{Child, Command};

use crate::arguments::Conformance;
use crate::failure::Failure;
use crate::json_file::JsonFile;
use crate::signals::Signals;
use crate::{limits, output};

/// What an impatient peer's timeouts are.
const IMPATIENCE: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: Conformance) -> Result<(), Failure> {
    if args.list {
        return list(&args.only);
    }
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    let known = args.known.as_deref().map(known).transpose()?.unwrap_or_default();
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::operation(format_args!("cannot make a folder: {error}")))?;
    let (peer, _adapter) = peer(&args, folder.path()).await?;
    let options = Options {
        only: args.only.clone(),
        level: args.level,
        parallel: args.parallel,
        ..Options::default()
    };
    let mut signals = Signals::new()?;
    let mut progress = Progress { shown: io::stderr().is_terminal(), played: 0 };
    let playing = play(&args, &peer, &options, &known, &mut progress);
    let report = tokio::select! {
        report = playing => report,
        signal = signals.next() => return Err(Failure::interrupted(signal)),
    };
    progress.clear();
    print(&report, args.trace)?;
    if let Some(json) = json {
        json.write(&report)?;
    }
    if let Some(path) = &args.junit {
        write(path, bowline_conformance::junit(&report))?;
    }
    if let Some(path) = &args.html {
        write(path, bowline_conformance::html(&report))?;
    }
    verdict(&report)
}

/// Plays as often as was asked for: the last time, with what was unexpected before.
async fn play(
    args: &Conformance,
    peer: &Peer,
    options: &Options,
    known: &Known,
    progress: &mut Progress,
) -> Report {
    let mut all: Option<Report> = None;
    for _ in 0..args.repeat {
        let show = |_: &_, total| progress.show(total);
        let mut report = bowline_conformance::run(cases(), peer, options, show).await;
        known.mark(&mut report);
        if let Some(earlier) = all.take() {
            report.add(earlier);
        }
        all = Some(report);
        progress.played = 0;
    }
    all.expect("it is played at least once")
}

fn known(path: &Path) -> Result<Known, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::operation(format_args!("cannot read {} (--known): {error}", path.display()))
    })?;
    Known::parse(&text)
        .map_err(|error| Failure::usage(format_args!("{} (--known): {error}", path.display())))
}

fn write(path: &Path, text: Result<String, impl std::fmt::Display>) -> Result<(), Failure> {
    let text = text.map_err(|error| {
        Failure::operation(format_args!("cannot make {}: {error}", path.display()))
    })?;
    std::fs::write(path, text).map_err(|error| {
        Failure::operation(format_args!("cannot write {}: {error}", path.display()))
    })
}

fn list(only: &[String]) -> Result<(), Failure> {
    let chosen = |id: &str| only.is_empty() || only.iter().any(|begin| id.starts_with(begin));
    let cases: Vec<_> = cases().into_iter().filter(|case| chosen(&case.id)).collect();
    for case in &cases {
        output::line(format_args!("{}  level {}  {}", case.id, case.level, case.why))?;
    }
    if cases.is_empty() { Err(no_case()) } else { Ok(()) }
}

fn no_case() -> Failure {
    Failure::usage("no case has an id that begins so: see `bowline conformance --list`")
}

/// Whom to play against, and the adapter's process, which ends when it is dropped.
async fn peer(args: &Conformance, folder: &Path) -> Result<(Peer, Option<Child>), Failure> {
    if args.own {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (input, output) = tokio::io::split(theirs);
        tokio::spawn(crate::adapter::serve(input, output));
        let (input, output) = tokio::io::split(ours);
        let media = vec![Medium::Unix, Medium::Tcp, Medium::Memory];
        let client = Some(Client { adapter: Adapter::new(input, output), media });
        return Ok((Peer { servers: own(folder).await?, client }, None));
    }
    let mut peer = Peer::default();
    if let Some(address) = &args.address {
        let target = target(address, args)?;
        // Whoever is not there is no peer that fails.
        target.connector.connect().await?;
        peer.servers.push(target);
    }
    let mut process = None;
    if let Some(command) = &args.adapter {
        let (child, adapter) = start(command)?;
        process = Some(child);
        peer.client = Some(Client { adapter, media: vec![Medium::Unix, Medium::Tcp] });
    }
    Ok((peer, process))
}

/// Starts an adapter.
fn start(command: &str) -> Result<(Child, Adapter), Failure> {
    let failure = |error| Failure::operation(format_args!("cannot start `{command}`: {error}"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command}")]).kill_on_drop(true);
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failure)?;
    match (child.stdout.take(), child.stdin.take()) {
        (Some(input), Some(output)) => Ok((child, Adapter::new(input, output))),
        _ => Err(failure(io::ErrorKind::BrokenPipe.into())),
    }
}

/// `bowline adapter`: this program's client, driven through stdin and stdout.
pub(crate) async fn adapter() -> Result<(), Failure> {
    let served = crate::adapter::serve(tokio::io::stdin(), tokio::io::stdout()).await;
    served.map_err(|error| Failure::operation(format_args!("cannot go on as an adapter: {error}")))
}

fn target(address: &Address, args: &Conformance) -> Result<Target, Failure> {
    let impatient = args.impatient.as_ref().map(|address| connector(address, args)).transpose()?;
    let transport = address.to_string();
    let transport = transport.split(':').next().unwrap_or_default().to_owned();
    Ok(Target { transport, connector: connector(address, args)?, impatient })
}

fn connector(address: &Address, args: &Conformance) -> Result<Arc<dyn Connector>, TransportError> {
    match address.kind() {
        AddressKind::Unix(_) | AddressKind::UnixAbstract(_) => {
            Ok(Arc::new(UnixConnector::new(address)?))
        }
        AddressKind::Tcp { .. } => {
            let options = tcp::ConnectOptions::new().allow_non_loopback(args.allow_non_loopback);
            Ok(Arc::new(TcpConnector::with_options(address, options)?))
        }
        _ => Err(TransportError::connect(address, Fault::unsupported(address))),
    }
}

/// Servers of this program's own, a patient and an impatient one for each transport.
async fn own(folder: &Path) -> Result<Vec<Target>, Failure> {
    let mut patient = Limits::accepting();
    // What a slow machine may make the kit pause inside a frame.
    patient.frame_timeout = Duration::from_secs(60);
    let mut impatient = Limits::accepting();
    limits::set_timeouts(&mut impatient, IMPATIENCE);
    let patient = serve(&folder.join("patient.sock"), "patient", patient).await?;
    let impatient = serve(&folder.join("impatient.sock"), "impatient", impatient).await?;
    let both = patient.into_iter().zip(impatient);
    let targets = both.map(|((transport, connector), (_, impatient))| Target {
        transport: transport.to_owned(),
        connector,
        impatient: Some(impatient),
    });
    Ok(targets.collect())
}

async fn serve(
    socket: &Path,
    name: &str,
    limits: Limits,
) -> Result<[(&'static str, Arc<dyn Connector>); 3], Failure> {
    let address = |text: String| -> Result<Address, Failure> {
        text.parse().map_err(|error| Failure::operation(format_args!("{text}: {error}")))
    };
    let unix = address(format!("unix:{}", socket.display()))?;
    let memory = address(format!("memory:conformance-{name}"))?;
    let tcp = TcpListener::bind(&address("tcp:127.0.0.1:0".into())?).await?;
    let reached = bowline::transport::Listener::address(&tcp).clone();
    let builder = Server::builder().add_service(demo::service()).limits(limits);
    let server = builder
        .listen_on(UnixListener::bind(&unix)?)?
        .also_listen_on(MemoryListener::bind(&memory)?)
        .also_listen_on(tcp);
    tokio::spawn(server.serve());
    Ok([
        ("unix", Arc::new(UnixConnector::new(&unix)?)),
        ("tcp", Arc::new(TcpConnector::new(&reached)?)),
        ("memory", Arc::new(MemoryConnector::new(&memory)?)),
    ])
}

fn print(report: &Report, trace: bool) -> Result<(), Failure> {
    for row in &report.cases {
        let (verdict, id) = (row.verdict.name(), &row.id);
        let side = row.side.name();
        if !row.is_unexpected() && row.verdict != Verdict::PassNonstrict {
            continue;
        }
        let (transport, size) = (&row.transport, &row.size);
        output::line(format_args!(
            "{verdict}  {id}  {side}, {transport}, writes of {size}: {}",
            row.reason
        ))?;
        if trace {
            for line in row.trace.lines() {
                output::line(format_args!("    {line}"))?;
            }
        }
    }
    let mut counts = Vec::new();
    for verdict in [
        Verdict::Pass,
        Verdict::PassNonstrict,
        Verdict::Unsupported,
        Verdict::Fail,
        Verdict::UncleanClose,
        Verdict::Hang,
    ] {
        match report.count(verdict) {
            0 => {}
            count => counts.push(format!("{count} {}", verdict.name())),
        }
    }
    let seconds = Duration::from_millis(report.duration_ms).as_secs_f64();
    output::line(format_args!(
        "{} runs in {seconds:.1} s: {}",
        report.cases.len(),
        counts.join(", ")
    ))
}

fn verdict(report: &Report) -> Result<(), Failure> {
    match report.unexpected().count() {
        _ if report.cases.is_empty() => Err(no_case()),
        0 => Ok(()),
        failed => Err(Failure::operation(format_args!(
            "the peer does not conform: {failed} of {} runs came out otherwise than they should; see what went over a connection with \
             --only ID --trace",
            report.cases.len()
        ))),
    }
}

/// How far the run is, for whoever watches a terminal.
struct Progress {
    shown: bool,
    played: usize,
}

impl Progress {
    fn show(&mut self, total: usize) {
        self.played += 1;
        if self.shown && self.played.is_multiple_of(10) {
            // Nobody is hurt if it does not show.
            let _ = write!(io::stderr(), "\r{} of {total}", self.played);
        }
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
