//! Idle connections: what they hold, and how often they wake anybody.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::SuiteError;
use super::plan::{Contestant, Plan, Setting};
use super::pool::{Pair, Pool};
use super::report::{Idle, IdleStep, Report};
use crate::load::{Handler, Load, Work};

/// From the last call to the look, and between two looks.
const REST: Duration = Duration::from_secs(1);
/// Connections of the two looks whose difference is the memory of a connection.
const FEW: u32 = 1;
const MANY: u32 = 1_001;

/// Measures so many idle connections at each system, each with workers that have done nothing else.
/// It is the same in all settings, and done in one.
pub(super) fn measure(plan: &Plan, load: &Load, report: &mut Report) -> Result<(), SuiteError> {
    let Work::Idle { connections } = load.work else { return Ok(()) };
    for contestant in plan.contestants(load) {
        let mut pool = Pool::new(plan, Setting::OneCore)?;
        match one(&mut pool, &contestant, connections) {
            Ok(idle) => report.idle.push(idle),
            Err(error) => report.fail(Setting::OneCore, load, &contestant, &error),
        }
    }
    Ok(())
}

fn one(pool: &mut Pool<'_>, contestant: &Contestant, connections: u32) -> Result<Idle, SuiteError> {
    let mut pair = pool.pair(contestant, Handler::AtOnce)?;
    let mut steps = Vec::new();
    for connections in [FEW, MANY, connections.max(MANY)] {
        let load = Load::new(Work::Idle { connections });
        pair.prepare(&load, Duration::ZERO)?;
        sleep(REST);
        steps.push(step(&mut pair, connections)?);
    }
    let (before, start) = (step(&mut pair, connections)?, Instant::now());
    sleep(REST);
    let (after, elapsed) = (step(&mut pair, connections)?, start.elapsed().as_secs_f64());
    Ok(Idle {
        system: contestant.listed.system.name.clone(),
        transport: contestant.transport,
        client_wakeups_per_second: (after.client.wakeups - before.client.wakeups) as f64 / elapsed,
        server_wakeups_per_second: (after.server.wakeups - before.server.wakeups) as f64 / elapsed,
        steps,
    })
}

fn step(pair: &mut Pair<'_>, connections: u32) -> Result<IdleStep, SuiteError> {
    let (client, server) = (pair.client.sample()?, pair.server.process.sample()?);
    Ok(IdleStep { connections, client, server })
}
