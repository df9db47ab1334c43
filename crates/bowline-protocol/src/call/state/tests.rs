//! The tables against docs/protocol.md, and as pictures.

use std::fmt::Write as _;

use super::{
    CallerEvent, CallerState, HandlerEvent, HandlerState, RequestEvent, RequestState,
    ResponseEvent, ResponseState,
};
use crate::tests::page::{PAGE, table_after};

/// A table of this module, by names.
struct Table {
    states: Vec<&'static str>,
    events: Vec<&'static str>,
    /// For each state and each event the next state.
    next: Vec<Vec<Option<&'static str>>>,
}

macro_rules! by_names {
    ($state:ident, $event:ident) => {
        Table {
            states: $state::ALL.iter().map(|state| state.name()).collect(),
            events: $event::ALL.iter().map(|event| event.name()).collect(),
            next: $state::ALL
                .iter()
                .map(|state| {
                    $event::ALL.iter().map(|event| state.on(*event).map($state::name)).collect()
                })
                .collect(),
        }
    };
}

impl Table {
    fn next(&self, state: &str, event: &str) -> Option<&'static str> {
        let row = self.states.iter().position(|name| *name == state).expect("a state's name");
        let column = self.events.iter().position(|name| *name == event).expect("an event's name");
        self.next[row][column]
    }

    fn matrix(&self) -> String {
        let wide = |names: &[&str]| names.iter().map(|name| name.len()).max().unwrap_or(0);
        let (first, cell) = (wide(&self.states), wide(&self.states));
        let mut text = String::new();
        for (i, event) in self.events.iter().enumerate() {
            let _ = writeln!(text, "{:>first$}  {} = {event}", "", i + 1);
        }
        let columns: Vec<String> = (1..=self.events.len()).map(|i| format!("{i:<cell$}")).collect();
        let _ = writeln!(text, "{:>first$}  {}", "", columns.join(" ").trim_end());
        for (state, row) in self.states.iter().zip(&self.next) {
            let cells: Vec<String> =
                row.iter().map(|next| format!("{:<cell$}", next.unwrap_or("-"))).collect();
            let _ = writeln!(text, "{state:>first$}  {}", cells.join(" ").trim_end());
        }
        text
    }

    fn graph(&self) -> String {
        let mut text = "digraph {\n".to_owned();
        for (state, row) in self.states.iter().zip(&self.next) {
            for to in &self.states {
                let events: Vec<&str> = row
                    .iter()
                    .zip(&self.events)
                    .filter(|(next, _)| **next == Some(to))
                    .map(|(_, event)| *event)
                    .collect();
                if !events.is_empty() {
                    let label = events.join("\\n");
                    let _ = writeln!(text, "  \"{state}\" -> \"{to}\" [label=\"{label}\"];");
                }
            }
        }
        text + "}\n"
    }

    fn picture(&self) -> String {
        format!("{}\n{}", self.matrix(), self.graph())
    }

    /// Compares with the table of the page, whose columns are these events.
    fn assert_page(&self, heading: &str, columns: &[(&str, &str)]) {
        let page = table_after(heading);
        let heads: Vec<&str> = page[0][1..].iter().map(String::as_str).collect();
        assert_eq!(heads, columns.iter().map(|(head, _)| *head).collect::<Vec<_>>());
        for row in &page[1..] {
            for (cell, (head, event)) in row[1..].iter().zip(columns) {
                // What follows the state's name says what else happens.
                let name = cell.split([',', ':']).next().unwrap_or_default();
                let expected = match name {
                    "CALL_STATE" | "skip" | "cannot be" => None,
                    name => Some(name),
                };
                let next = self.next(&row[0], event);
                assert_eq!(next, expected, "{heading}, {} × {head}: {cell}", row[0]);
            }
        }
        let rows: Vec<&str> = page[1..].iter().map(|row| &*row[0]).collect();
        for state in &self.states {
            // Where the page leaves out the last state, nothing can be there.
            let dead = self.events.iter().all(|event| self.next(state, event).is_none());
            assert!(rows.contains(state) || dead, "{heading} lacks {state}");
        }
    }

    /// The sentence of the page about CREDIT names these states, and no others.
    fn assert_credit(&self, sentence: &str) {
        assert!(PAGE.contains(sentence), "{sentence}");
        let (_, legal) = sentence.split_once("legal in ").expect("says where it is legal");
        let legal = legal.split("and CALL_STATE").next().unwrap_or(legal);
        for state in &self.states {
            let expected = legal.contains(state).then_some(*state);
            assert_eq!(self.next(state, "CREDIT"), expected, "CREDIT in {state}");
        }
    }
}

fn request() -> Table {
    by_names!(RequestState, RequestEvent)
}

fn response() -> Table {
    by_names!(ResponseState, ResponseEvent)
}

fn handler() -> Table {
    by_names!(HandlerState, HandlerEvent)
}

fn caller() -> Table {
    by_names!(CallerState, CallerEvent)
}

#[test] // [MSG-006] [CAN-001]
fn the_request_direction_is_as_on_the_page() {
    let columns = ["DATA", "DATA MORE", "DATA END", "FINISH", "CANCEL", "terminal frame"];
    let columns = columns.map(|name| (name, name));
    request().assert_page("**Request direction of a call**", &columns);
    request().assert_credit(
        "CREDIT from the caller is legal in Open, Message and Done, and CALL_STATE in Cancelled.",
    );
}

#[test] // [CAL-005] [CAL-006] [STA-001]
fn the_response_direction_is_as_on_the_page() {
    let columns = [
        ("RESPONSE", "RESPONSE"),
        ("DATA", "DATA"),
        ("DATA MORE", "DATA MORE"),
        ("DATA END", "DATA END"),
        ("STATUS OK", "STATUS OK"),
        ("STATUS, other", "STATUS"),
    ];
    response().assert_page("**Response direction of a call**", &columns);
    response().assert_credit("CREDIT from the responder is legal in Silent, Open and Message.");
}

#[test] // [CAL-007] [CAN-002]
fn the_handler_is_as_on_the_page() {
    let columns = [
        ("the handler ends", "the handler ends"),
        ("Stop", "Stop"),
        ("the terminal frame moves into the output", "the terminal frame moves"),
    ];
    handler().assert_page("**A call at its responder.**", &columns);
}

#[test] // [SLT-001] [GOA-002]
fn the_caller_is_as_on_the_page() {
    let columns = [
        ("REQUEST moves into the output", "REQUEST moves"),
        ("terminal frame", "terminal frame"),
        ("application gives up, deadline", "given up"),
        ("GOAWAY below its id", "GOAWAY below its id"),
        ("connection lost", "connection lost"),
    ];
    caller().assert_page("**A call at its caller.**", &columns);
}

#[test]
fn pictures() {
    insta::assert_snapshot!("request_direction", request().picture());
    insta::assert_snapshot!("response_direction", response().picture());
    insta::assert_snapshot!("handler", handler().picture());
    insta::assert_snapshot!("caller", caller().picture());
}
