//! `bowline conformance`: plays the conformance kit against a server, and says what came of it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bowline::tcp::{TcpConnector, TcpListener};
use bowline::transport::memory::{MemoryConnector, MemoryListener};
use bowline::transport::{AddressKind, Connector, Fault, TransportError};
use bowline::unix::{UnixConnector, UnixListener};
use bowline::{Address, Limits, Server, tcp};
use bowline_bench::demo;
use bowline_conformance::{Options, Report, Target, Verdict, cases};

use crate::arguments::Conformance;
use crate::failure::Failure;
use crate::json_file::JsonFile;
use crate::output;
use crate::signals::Signals;

/// What an impatient peer's timeouts are.
const IMPATIENCE: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: Conformance) -> Result<(), Failure> {
    if args.list {
        return list(&args.only);
    }
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::operation(format_args!("cannot make a folder: {error}")))?;
    let targets = match &args.address {
        Some(address) => {
            let target = target(address, &args)?;
            // Whoever is not there is no peer that fails.
            target.connector.connect().await?;
            vec![target]
        }
        None => own(folder.path()).await?,
    };
    let options = Options {
        only: args.only.clone(),
        level: args.level,
        parallel: args.parallel,
        ..Options::default()
    };
    let mut signals = Signals::new()?;
    let mut progress = Progress { shown: io::stderr().is_terminal(), played: 0 };
    let report = tokio::select! {
        report = bowline_conformance::run(cases(), &targets, &options, |_, total| progress.show(total)) => report,
        signal = signals.next() => return Err(Failure::interrupted(signal)),
    };
    progress.clear();
    print(&report, args.trace)?;
    if let Some(json) = json {
        json.write(&report)?;
    }
    verdict(&report)
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
    impatient.handshake_timeout = IMPATIENCE;
    impatient.frame_timeout = IMPATIENCE;
    impatient.stall_timeout = IMPATIENCE;
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
        if row.reason.is_empty() || row.verdict == Verdict::Unsupported {
            continue;
        }
        let (verdict, id) = (row.verdict.name(), &row.id);
        let (transport, size) = (&row.transport, &row.size);
        output::line(format_args!(
            "{verdict}  {id}  {transport}, writes of {size}: {}",
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
    match report.failures().count() {
        _ if report.cases.is_empty() => Err(no_case()),
        0 => Ok(()),
        failed => Err(Failure::operation(format_args!(
            "the server does not conform: {failed} of {} runs; see what went over a connection with \
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
