//! The rounds: in each of them every system has its turn with a load.

use super::plan::{Contestant, Plan, Setting};
use super::pool::{Pair, Pool};
use super::report::{Outcome, Report, Round};
use super::{SuiteError, counts, idle};
use crate::load::Load;

/// Measures what the plan says. `progress` is told what comes next.
pub(crate) fn run(
    plan: &Plan,
    report: &mut Report,
    mut progress: impl FnMut(&str, &Load),
) -> Result<(), SuiteError> {
    let (idle, loads): (Vec<&Load>, Vec<&Load>) =
        plan.loads.iter().partition(|load| load.is_idle());
    for setting in &plan.settings {
        let mut pool = Pool::new(plan, *setting)?;
        for load in &loads {
            progress(setting.title(), load);
            measure(plan, *setting, load, &mut pool, report);
        }
    }
    for load in idle {
        progress("alone", load);
        idle::measure(plan, load, report)?;
    }
    if plan.counts {
        counts::measure(plan, report, |load| progress("counting", load))?;
    }
    Ok(())
}

/// A contestant, and what came of it so far.
struct Turn {
    contestant: Contestant,
    rounds: Vec<Round>,
    failed: Option<SuiteError>,
}

/// Runs a load, in turns. A contestant that fails is left out from then on.
fn measure(plan: &Plan, setting: Setting, load: &Load, pool: &mut Pool<'_>, report: &mut Report) {
    let contestants = plan.contestants(load).into_iter();
    let mut turns: Vec<_> = contestants
        .map(|contestant| Turn { contestant, rounds: Vec::new(), failed: None })
        .collect();
    for turn in &mut turns {
        turn.attempt(load, pool, |mut pair, _| pair.prepare(load, plan.warm_up));
    }
    for round in 0..plan.rounds as usize {
        for index in 0..turns.len() {
            // Another one begins in each round.
            let which = (index + round) % turns.len();
            turns[which].attempt(load, pool, |mut pair, rounds| {
                rounds.push(one_round(&mut pair, plan)?);
                Ok(())
            });
        }
    }
    for mut turn in turns {
        turn.attempt(load, pool, |mut pair, _| pair.release());
        turn.conclude(setting, load, report);
    }
}

impl Turn {
    fn attempt(
        &mut self,
        load: &Load,
        pool: &mut Pool<'_>,
        action: impl FnOnce(Pair<'_>, &mut Vec<Round>) -> Result<(), SuiteError>,
    ) {
        if self.failed.is_some() {
            return;
        }
        let pair = pool.pair(&self.contestant, load.handler);
        if let Err(error) = pair.and_then(|pair| action(pair, &mut self.rounds)) {
            self.failed = Some(error);
            pool.end(&self.contestant);
        }
    }

    fn conclude(self, setting: Setting, load: &Load, report: &mut Report) {
        if let Some(error) = &self.failed {
            return report.fail(setting, load, &self.contestant, error);
        }
        report.results.push(Outcome {
            setting,
            name: load.name(),
            load: *load,
            system: self.contestant.listed.system.name,
            transport: self.contestant.transport,
            rounds: self.rounds,
        });
    }
}

fn one_round(pair: &mut Pair<'_>, plan: &Plan) -> Result<Round, SuiteError> {
    let before = pair.server.process.sample()?;
    let measured = pair.measure(plan.duration)?;
    let after = pair.server.process.sample()?;
    Ok(Round {
        parts: measured.parts,
        client_cpu_ns: measured.cpu_ns,
        server_cpu_ns: after.cpu_ns - before.cpu_ns,
    })
}
