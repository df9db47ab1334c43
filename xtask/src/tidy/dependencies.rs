//! Which crate may depend on which. The direction is what keeps the protocol free of sockets and
//! the sockets free of a runtime, so a new edge is a decision, not an accident.

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata};

use super::{Report, Workspace};

/// What a member may depend on among the members.
struct Rule {
    member: &'static str,
    /// Normal and build dependencies.
    may: May,
    /// Besides those, in tests, examples and benches.
    dev: &'static [&'static str],
}

enum May {
    Only(&'static [&'static str]),
    Anything,
}

const RULES: &[Rule] = &[
    Rule { member: "bowline-protocol", may: May::Only(&[]), dev: &[] },
    Rule { member: "bowline-transport", may: May::Only(&[]), dev: &[] },
    Rule { member: "bowline-unix", may: May::Only(&["bowline-transport"]), dev: &[] },
    Rule { member: "bowline-tcp", may: May::Only(&["bowline-transport"]), dev: &[] },
    Rule {
        member: "bowline",
        may: May::Only(&["bowline-protocol", "bowline-transport", "bowline-unix", "bowline-tcp"]),
        dev: &["bowline-build"],
    },
    // What it generates depends on `bowline`; its tests may compile that.
    Rule { member: "bowline-build", may: May::Only(&[]), dev: &["bowline"] },
    Rule { member: "bowline-bench", may: May::Only(&["bowline"]), dev: &[] },
    Rule {
        member: "bowline-conformance",
        may: May::Only(&["bowline-protocol", "bowline-transport", "bowline"]),
        dev: &[],
    },
    Rule {
        member: "bowline-cli",
        may: May::Only(&[
            "bowline-protocol",
            "bowline-transport",
            "bowline",
            "bowline-bench",
            "bowline-conformance",
        ]),
        dev: &[],
    },
    Rule { member: "bowline-tests", may: May::Anything, dev: &[] },
    Rule { member: "xtask", may: May::Only(&["bowline-build"]), dev: &[] },
];

/// Edges that must be optional, with the feature that brings each.
const OPTIONAL: &[(&str, &str, &str)] =
    &[("bowline", "bowline-unix", "unix"), ("bowline", "bowline-tcp", "tcp")];

/// Members whose normal dependencies from outside are limited to these.
const OUTSIDE: &[(&str, &[&str])] =
    &[("bowline-protocol", &["bytes", "prost", "prost-types", "thiserror"])];

/// One dependency of a member.
struct Edge {
    from: String,
    to: String,
    to_member: bool,
    dev: bool,
    optional: bool,
    /// Features of `from` that switch it on directly.
    features: Vec<String>,
}

pub(super) fn check(workspace: &Workspace, report: &mut Report) -> Result<()> {
    for package in workspace.metadata.workspace_packages() {
        if !RULES.iter().any(|rule| rule.member == package.name.as_str()) {
            let what = "is a new member: add its rule to xtask/src/tidy/dependencies.rs";
            report.problem(&package.name, what);
        }
    }
    for edge in edges(&workspace.metadata) {
        if let Some(what) = verdict(&edge) {
            report.problem(format!("{} → {}", edge.from, edge.to), what);
        }
    }
    Ok(())
}

fn edges(metadata: &Metadata) -> Vec<Edge> {
    let members = metadata.workspace_packages();
    let mut edges = Vec::new();
    for package in &members {
        for dependency in &package.dependencies {
            let key = dependency.rename.as_ref().unwrap_or(&dependency.name);
            let switch = [format!("dep:{key}"), key.clone()];
            let switches = |on: &&String| package.features[*on].iter().any(|f| switch.contains(f));
            edges.push(Edge {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                to_member: members.iter().any(|member| member.name.as_str() == dependency.name),
                dev: dependency.kind == DependencyKind::Development,
                optional: dependency.optional,
                features: package.features.keys().filter(switches).cloned().collect(),
            });
        }
    }
    edges
}

/// What is wrong with a dependency, if anything is.
fn verdict(edge: &Edge) -> Option<String> {
    if !edge.to_member {
        let (_, allowed) = OUTSIDE.iter().find(|(from, _)| *from == edge.from)?;
        return (!edge.dev && !allowed.contains(&edge.to.as_str())).then(|| {
            format!("depends on nothing from outside but {}: drop it", allowed.join(", "))
        });
    }
    let rule = RULES.iter().find(|rule| rule.member == edge.from)?;
    let May::Only(allowed) = rule.may else { return None };
    let to = edge.to.as_str();
    let in_tests = edge.dev && (rule.dev.contains(&to) || edge.from == edge.to);
    if !allowed.contains(&to) && !in_tests {
        let kind = if edge.dev { "in its tests " } else { "" };
        let list = if allowed.is_empty() { "no member".to_owned() } else { allowed.join(", ") };
        return Some(format!(
            "wrong direction: {kind}may depend on {list}; see docs/architecture.md, and \
             xtask/src/tidy/dependencies.rs if the architecture itself changes"
        ));
    }
    let (_, _, feature) = OPTIONAL.iter().find(|(f, t, _)| *f == edge.from && *t == edge.to)?;
    let behind = edge.optional && edge.features.iter().any(|name| name == feature);
    (!behind && !edge.dev)
        .then(|| format!("must be `optional = true` and switched on by the feature `{feature}`"))
}

#[cfg(test)]
mod tests;
