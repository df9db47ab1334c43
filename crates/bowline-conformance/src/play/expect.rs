//! What must come from the peer, and whether it does.

use bowline_protocol::ErrorCode;
use bowline_protocol::wire::{self, Code};
use bytes::Bytes;

use super::{Failure, Player, Result, Verdict, fail, text};
use crate::frames;
use crate::messages::adapter::Result as Outcome;
use crate::observer::CallEvent;
use crate::script::{Expect, OfCall};

impl Player {
    pub(super) async fn expect(&mut self, expect: Expect) -> Result<()> {
        match expect {
            Expect::Error(codes) => self.expect_error(&codes).await,
            Expect::Preface(version) => self.preface(version).await,
            Expect::Hello => self.hello().await,
            Expect::Gone => {
                while self.take().await? {}
                Ok(())
            }
            Expect::EndOfStream => self.expect_end().await,
            Expect::Nothing => match self.link.preface().await {
                None if self.link.is_ended() => self.expect_end().await,
                None => Err(self.missing("it ended the connection")),
                Some(bytes) => fail(format!("the peer sent {bytes:02x?}")),
            },
            Expect::Pong(number) => {
                let pong = self.wait(|player| player.seen.pongs.pop_front()).await?;
                if pong == number { Ok(()) } else { fail(format!("the answer says {pong}")) }
            }
            Expect::Goaway { last } => self.expect_goaway(last).await,
            Expect::Request { method } => self.expect_request(method).await,
            Expect::Result { call, code, not_started, messages } => {
                let outcome = self.outcome(call).await?;
                check_outcome(&outcome, code, not_started, messages.as_deref())
            }
            Expect::Quiet { call } => match self.seen.first(call) {
                None => Ok(()),
                Some(event) => other(event),
            },
            Expect::Credit { call, bytes } => {
                let granted =
                    |player: &mut Self| (player.seen.granted(call) >= bytes).then_some(());
                self.wait(granted).await
            }
            Expect::Call(call, expect) => self.expect_of_call(call, expect).await,
        }
    }

    /// What the next event of a call must be.
    async fn expect_of_call(&mut self, call: u64, expect: OfCall) -> Result<()> {
        loop {
            let event = self.event(call).await?;
            match (&expect, &event) {
                (OfCall::Response, CallEvent::Response(_))
                | (OfCall::Finished, CallEvent::Finished)
                | (OfCall::Cancelled, CallEvent::Cancelled)
                | (OfCall::Message(None), CallEvent::Message(_)) => return Ok(()),
                (OfCall::Message(Some(wanted)), CallEvent::Message(got)) => {
                    if got == wanted {
                        return Ok(());
                    }
                    let (got, wanted) = (got.len(), wanted.len());
                    return fail(format!("another message: {got} bytes, not {wanted}"));
                }
                (OfCall::End { code, not_started, .. }, CallEvent::End(status))
                    if is(*code, status) =>
                {
                    let told = !not_started || status.not_started;
                    return if told { Ok(()) } else { fail("STATUS does not say not_started") };
                }
                // RESPONSE may come or not, and some wait for what stands behind messages.
                (OfCall::Message(_) | OfCall::End { .. }, CallEvent::Response(_))
                | (OfCall::End { drained: true, .. }, CallEvent::Message(_))
                | (OfCall::Cancelled, CallEvent::Message(_) | CallEvent::Finished) => {}
                _ => return other(&event),
            }
        }
    }

    async fn expect_goaway(&mut self, last: Option<u64>) -> Result<()> {
        let goaway = self.wait(|player| player.seen.goaways.pop_front()).await?;
        match last {
            _ if goaway.code != 0 => fail(format!("GOAWAY has code {}", goaway.code)),
            Some(last) if last != goaway.last => {
                fail(format!("GOAWAY says last = {}", goaway.last))
            }
            _ => Ok(()),
        }
    }

    async fn expect_request(&mut self, method: Option<String>) -> Result<()> {
        let (id, request) = self.wait(|player| player.seen.next_call()).await?;
        self.names.calls.push(id);
        match method {
            Some(method) if method != request.method => {
                fail(format!("the peer calls {}", request.method))
            }
            _ => Ok(()),
        }
    }

    /// The next event of a call.
    async fn event(&mut self, call: u64) -> Result<CallEvent> {
        self.wait(|player| player.seen.next(call)).await
    }

    /// What the application of the peer's client is told of a call, and what comes until then.
    async fn outcome(&mut self, call: usize) -> Result<Outcome> {
        let calls = self.driven.iter_mut().flat_map(|driven| driven.calls.iter_mut());
        let Some(receiver) = calls.into_iter().nth(call.wrapping_sub(1)) else {
            return fail("the case is wrong: there is no such `call`");
        };
        // Out of reach of the borrow checker while frames are taken.
        let mut receiver = std::mem::replace(receiver, tokio::sync::oneshot::channel().1);
        let patience = tokio::time::sleep(self.patience);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                outcome = &mut receiver => {
                    return outcome.or_else(|_| fail("the adapter has gone, or has no such call"));
                }
                input = self.link.next(), if !self.ended => {
                    self.took(input).await?;
                }
                () = &mut patience => {
                    let reason = "the application is not told how the call ended".into();
                    return Err(Failure { verdict: Verdict::Hang, reason });
                }
            }
        }
    }

    // [ERR-001]
    async fn expect_error(&mut self, codes: &[ErrorCode]) -> Result<()> {
        let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
        let wanted = names.join(" or ");
        while self.take().await? {
            let error = self.seen.goaways.iter().find(|goaway| goaway.code != 0).cloned();
            let Some(goaway) = error else { continue };
            if !codes.iter().any(|code| *code as u32 == goaway.code) {
                let (code, text) = (goaway.code, &goaway.text);
                return fail(format!("error {code} ({text:?}), not {wanted}"));
            }
            // [GOA-004]
            if self.take().await? {
                return fail("a frame came after GOAWAY with an error");
            }
            return Ok(());
        }
        let reason = format!("the peer ended the connection without GOAWAY {wanted}");
        Err(Failure { verdict: Verdict::UncleanClose, reason })
    }

    /// The end of the stream, and no frame before it.
    async fn expect_end(&mut self) -> Result<()> {
        if self.take().await? { fail("a frame came before the end of the stream") } else { Ok(()) }
    }
}

/// Something else has come.
fn other(event: &CallEvent) -> Result<()> {
    fail(format!("the peer sent {}", text(event)))
}

fn check_outcome(
    outcome: &Outcome,
    code: Option<Code>,
    not_started: bool,
    messages: Option<&[Bytes]>,
) -> Result<()> {
    let got = frames::code_text(outcome.code);
    if code.is_some_and(|code| code as u32 != outcome.code) {
        return fail(format!("the application is told {got}: {:?}", outcome.text));
    }
    if not_started && !outcome.not_started {
        return fail(format!("the application is not told that the call has not started ({got})"));
    }
    if messages.is_some_and(|messages| outcome.messages != messages) {
        let lengths: Vec<usize> = outcome.messages.iter().map(Bytes::len).collect();
        return fail(format!("the application got other messages, of {lengths:?} bytes"));
    }
    Ok(())
}

fn is(code: Option<Code>, status: &wire::Status) -> bool {
    code.is_none_or(|code| code as u32 == status.code)
}
