//! Reports for other programs and for people: JUnit, and a page that stands by itself.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use crate::case::Side;
use crate::play::Verdict;
use crate::suite::{Report, Row};

impl Side {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// The report as JUnit's XML, a test for each run.
///
/// # Errors
/// It cannot be written as XML.
pub fn junit(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut suites: Vec<TestSuite> = Vec::new();
    for row in &report.cases {
        let name = format!("{}, {}", row.side.name(), row.transport);
        let at = suites.iter().position(|suite| suite.name.as_str() == name);
        let at = at.unwrap_or_else(|| {
            suites.push(TestSuite::new(name.as_str()));
            suites.len() - 1
        });
        suites[at].add_test_case(test_case(row));
    }
    let mut all = quick_junit::Report::new("bowline conformance");
    all.add_test_suites(suites);
    all.to_string()
}

fn test_case(row: &Row) -> TestCase {
    let mut status = if row.verdict == Verdict::Unsupported {
        TestCaseStatus::skipped()
    } else if row.is_unexpected() {
        TestCaseStatus::non_success(NonSuccessKind::Failure)
    } else {
        TestCaseStatus::success()
    };
    if row.is_unexpected() {
        let reason =
            if row.reason.is_empty() { "passes, but is known to fail" } else { &row.reason };
        status.set_message(reason);
        status.set_type(row.verdict.name());
        status.set_description(row.trace.lines().join("\n"));
    }
    let mut case = TestCase::new(format!("{}, writes of {}", row.id, row.size), status);
    case.set_classname(row.requirement.as_str());
    case
}

/// A row of the page, with what went over the connection.
#[derive(Serialize)]
struct PageRow<'a> {
    #[serde(flatten)]
    row: &'a Row,
    unexpected: bool,
    trace: Vec<String>,
}

impl<'a> PageRow<'a> {
    fn new(row: &'a Row) -> Self {
        Self { row, unexpected: row.is_unexpected(), trace: row.trace.lines() }
    }
}

/// The report as one HTML page that needs nothing else: the matrix of cases and ways, and for each
/// run the frames that went over its connection, with their bytes.
///
/// # Errors
/// It cannot be written as JSON, which stands in the page.
pub fn html(report: &Report) -> Result<String, serde_json::Error> {
    let rows: Vec<PageRow<'_>> = report.cases.iter().map(PageRow::new).collect();
    // What a peer has sent must not end the script.
    let data = serde_json::to_string(&rows)?.replace('<', "\\u003c");
    Ok(include_str!("report.html").replace("/*DATA*/", &data))
}

#[cfg(test)]
mod tests;
