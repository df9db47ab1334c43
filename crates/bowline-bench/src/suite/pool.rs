//! Workers, started when they are first needed: a server and a client for each contestant.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::SuiteError;
use super::plan::{Contestant, Plan, Setting};
use super::process::Process;
use crate::compare::Transport;
use crate::load::{Handler, Load};
use crate::system::Address;
use crate::worker::control::{Answer, Measured, Order};

/// A server, and where it is.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) address: Address,
}

/// A server and its client.
pub(super) struct Pair<'a> {
    pub(super) server: &'a mut Server,
    pub(super) client: &'a mut Process,
}

impl Pair<'_> {
    /// Connects the client, and runs the load for some time.
    pub(super) fn prepare(&mut self, load: &Load, warm_up: Duration) -> Result<(), SuiteError> {
        let address = self.server.address.clone();
        let warm_up_ms = milliseconds(warm_up);
        self.order(&Order::Prepare { load: *load, address, warm_up_ms })
    }

    /// Runs what was prepared.
    pub(super) fn measure(&mut self, duration: Duration) -> Result<Measured, SuiteError> {
        match self.client.ask(&Order::Measure { duration_ms: milliseconds(duration) })? {
            Answer::Measured(measured) => Ok(measured),
            other => Err(self.client.unexpected(&other)),
        }
    }

    /// Closes the client's connections.
    pub(super) fn release(&mut self) -> Result<(), SuiteError> {
        self.order(&Order::Release)
    }

    fn order(&mut self, order: &Order) -> Result<(), SuiteError> {
        match self.client.ask(order)? {
            Answer::Done => Ok(()),
            other => Err(self.client.unexpected(&other)),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Workers of one setting.
pub(super) struct Pool<'a> {
    plan: &'a Plan,
    setting: Setting,
    /// Holds the socket files. Its path is short, as those of sockets have to be.
    directory: TempDir,
    servers: HashMap<(String, Handler), Server>,
    clients: HashMap<String, Process>,
    started: u32,
}

impl<'a> Pool<'a> {
    pub(super) fn new(plan: &'a Plan, setting: Setting) -> Result<Self, SuiteError> {
        let directory = tempfile::Builder::new().prefix("bowline-").tempdir();
        let directory =
            directory.map_err(SuiteError::io("cannot make a directory for sockets; set TMPDIR"))?;
        let (servers, clients) = (HashMap::new(), HashMap::new());
        Ok(Self { plan, setting, directory, servers, clients, started: 0 })
    }

    /// The workers of a contestant; those that do not run yet are started.
    pub(super) fn pair(
        &mut self,
        contestant: &Contestant,
        handler: Handler,
    ) -> Result<Pair<'_>, SuiteError> {
        let name = contestant.name();
        let key = (name.clone(), handler);
        if !self.servers.contains_key(&key) {
            let server = self.serve(contestant, handler)?;
            self.servers.insert(key.clone(), server);
        }
        if !self.clients.contains_key(&name) {
            let command = &mut self.command(contestant, "load");
            let client = Process::start(format!("the client of {name}"), command)?;
            self.clients.insert(name.clone(), client);
        }
        let server = self.servers.get_mut(&key).expect("it was started above");
        let client = self.clients.get_mut(&name).expect("it was started above");
        Ok(Pair { server, client })
    }

    /// Ends all workers of a contestant.
    pub(super) fn end(&mut self, contestant: &Contestant) {
        let name = contestant.name();
        self.clients.remove(&name);
        self.servers.retain(|(server, _), _| *server != name);
    }

    fn serve(&mut self, contestant: &Contestant, handler: Handler) -> Result<Server, SuiteError> {
        let address = match contestant.transport {
            Transport::Tcp => "tcp:127.0.0.1:0".to_owned(),
            Transport::Unix | Transport::Memory => {
                self.started += 1;
                format!("unix:{}/{}.sock", self.directory.path().display(), self.started)
            }
        };
        let mut command = self.command(contestant, "serve");
        command.args(["--address", &address, "--handler", handler.name()]);
        let name = format!("the server of {}", contestant.name());
        let mut process = Process::start(name, &mut command)?;
        match process.first_answer()? {
            Answer::Listening { address } => Ok(Server { process, address }),
            other => Err(process.unexpected(&other)),
        }
    }

    fn command(&self, contestant: &Contestant, role: &str) -> Command {
        let mut command = Command::new(&contestant.listed.program);
        command.args([role, "--system", &contestant.listed.system.name]);
        command.args(["--runtime", self.setting.runtime().name()]);
        if self.setting.is_pinned() {
            command.args(["--cpu", &self.plan.cpu.to_string()]);
        }
        if let Some(busy_poll) = &self.plan.busy_poll {
            command.args(["--busy-poll", busy_poll]);
        }
        command
    }
}
