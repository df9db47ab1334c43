//! The life of a call as pure transition tables, one for each table of docs/protocol.md.
//!
//! Knows neither frames nor queues. The snapshots beside the tests show each table as a matrix and
//! as a graph.

/// Makes a state machine from its table: what is not listed is not allowed.
macro_rules! table {
    (
        $(#[$meta:meta])* $state:ident { $($(#[$smeta:meta])* $s:ident = $sname:literal,)* }
        $(#[$emeta:meta])* $event:ident { $($e:ident = $ename:literal,)* }
        $($from:ident { $($on:ident => $to:ident,)* })*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum $state { $($(#[$smeta])* $s,)* }

        $(#[$emeta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum $event { $($e,)* }

        impl $state {
            /// The state after this event, if it is allowed in this one.
            pub(crate) const fn on(self, event: $event) -> Option<Self> {
                match (self, event) {
                    $($((Self::$from, $event::$on) => Some(Self::$to),)*)*
                    #[allow(unreachable_patterns, reason = "a table may be total")]
                    _ => None,
                }
            }

            /// The name that the specification uses.
            #[allow(dead_code, reason = "not every table's states show in errors")]
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$s => $sname,)* }
            }
        }

        impl $event {
            /// The name that the specification uses.
            #[allow(dead_code, reason = "not every table's events show in errors")]
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$e => $ename,)* }
            }
        }

        #[cfg(test)]
        impl $state { pub(crate) const ALL: &'static [Self] = &[$(Self::$s,)*]; }
        #[cfg(test)]
        impl $event { pub(crate) const ALL: &'static [Self] = &[$(Self::$e,)*]; }
    };
}

// [MSG-006]
table! {
    /// The request direction: what the caller has sent after REQUEST.
    RequestState {
        Open = "Open",
        /// Inside a cut message.
        Message = "Message",
        /// END or FINISH has been sent.
        Done = "Done",
        Cancelled = "Cancelled",
        Ended = "Ended",
    }
    /// Frames of the caller, and the end by the responder.
    RequestEvent {
        Data = "DATA",
        DataMore = "DATA MORE",
        DataEnd = "DATA END",
        Finish = "FINISH",
        Credit = "CREDIT",
        Cancel = "CANCEL",
        Terminal = "terminal frame",
    }
    Open {
        Data => Open, DataMore => Message, DataEnd => Done, Finish => Done,
        Credit => Open, Cancel => Cancelled, Terminal => Ended,
    }
    Message {
        Data => Open, DataMore => Message, DataEnd => Done,
        Credit => Message, Cancel => Cancelled, Terminal => Ended,
    }
    Done { Credit => Done, Cancel => Cancelled, Terminal => Ended, }
    Cancelled { Terminal => Ended, }
}

// [CAL-005] [CAL-006] [STA-001]
table! {
    /// The response direction: what the responder has sent.
    ResponseState {
        /// Nothing yet.
        Silent = "Silent",
        Open = "Open",
        /// Inside a cut message.
        Message = "Message",
        Ended = "Ended",
    }
    /// Frames of the responder.
    ResponseEvent {
        Response = "RESPONSE",
        Data = "DATA",
        DataMore = "DATA MORE",
        DataEnd = "DATA END",
        Credit = "CREDIT",
        StatusOk = "STATUS OK",
        StatusOther = "STATUS",
    }
    Silent {
        Response => Open, Data => Open, DataMore => Message, DataEnd => Ended,
        Credit => Silent, StatusOk => Ended, StatusOther => Ended,
    }
    Open {
        Data => Open, DataMore => Message, DataEnd => Ended,
        Credit => Open, StatusOk => Ended, StatusOther => Ended,
    }
    Message {
        Data => Open, DataMore => Message, DataEnd => Ended,
        Credit => Message, StatusOther => Ended,
    }
}

// [CAL-007] [CAN-002]
table! {
    /// A call at its responder.
    HandlerState {
        Running = "Running",
        /// The call must end; the handler has not ended yet.
        Stopping = "Stopping",
        /// The handler has ended; the terminal frame has not moved yet.
        Ending = "Ending",
        Ended = "Ended",
    }
    /// What happens to a call at its responder.
    HandlerEvent {
        HandlerEnds = "the handler ends",
        Stop = "Stop",
        TerminalMoves = "the terminal frame moves",
    }
    Running { HandlerEnds => Ending, Stop => Stopping, }
    Stopping { HandlerEnds => Ending, Stop => Stopping, }
    Ending { Stop => Ending, TerminalMoves => Ended, }
}

// [SLT-001] [CAN-001]
table! {
    /// A call at its caller.
    CallerState {
        /// REQUEST has not moved into the output.
        Waiting = "Waiting",
        Live = "Live",
        /// Given up; the terminal frame has not arrived.
        Cancelled = "Cancelled",
        Ended = "Ended",
    }
    /// What happens to a call at its caller.
    CallerEvent {
        RequestMoves = "REQUEST moves",
        Terminal = "terminal frame",
        GiveUp = "given up",
        Refused = "GOAWAY below its id",
        Lost = "connection lost",
    }
    Waiting { RequestMoves => Live, GiveUp => Ended, Refused => Ended, Lost => Ended, }
    Live { Terminal => Ended, GiveUp => Cancelled, Refused => Ended, Lost => Ended, }
    Cancelled { Terminal => Ended, GiveUp => Cancelled, Refused => Ended, Lost => Ended, }
}

#[cfg(test)]
mod tests;
