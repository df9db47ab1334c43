"""A client of the Bowline protocol, version 1: blocking calls, no threads, standard library alone.

From top to bottom: names and errors, protobuf, metadata, frames, messages and credit, `Call`, and
`Connection`. Ids such as [CRD-003] are those of protocol.md. There is no background thread: the
connection is read, and PING answered, whenever a method waits for something.
"""
from __future__ import annotations

import os
import re
import select
import socket
import struct
import time
from collections import deque
from enum import IntEnum
from typing import Any, Iterator

PREFACE, HEADER = b"BOWLINE\x01", struct.Struct("<IBBBBQ")  # length type flags fds reserved call
BIG = 1 << 53  # ids, lengths and credit stay below it
MESSAGE_COST = 16  # what a message costs beside its bytes [CRD-001]
PIECE_MAX, OUTPUT_MAX = 65_536, 262_144  # [OUT-003] [OUT-002]
HANDSHAKE_TIMEOUT, STALL_TIMEOUT, DISCARD_TIMEOUT = 10.0, 30.0, 1.0
ACK, MORE, END = 1, 1, 2  # flags: ACK of PING, MORE and END of DATA
HELLO, PING, GOAWAY = 1, 2, 3  # types of frames, and from here on those of calls
REQUEST, RESPONSE, DATA, FINISH, STATUS, CANCEL, CREDIT = range(0x10, 0x17)
LIMITS = {"calls_max": 1, "window": 2, "frame_max": 3, "metadata_max": 4, "message_max": 5}
INITIAL = dict(zip(LIMITS, (64, 65_536, 16_384, 16_384, 65_536)))  # and least [HEL-002] [HEL-003]
OWN = dict(zip(LIMITS, (0, 131_072, 131_072, 16_384, 4_194_304)))
Metadata = list[tuple[str, bytes]]
Code = IntEnum("Code", "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND "
               "ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED "
               "OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED", start=0)
Error = IntEnum("Error", "NONE FRAME_SIZE FRAME_TYPE FRAME_FLAGS CALL_ID DECODE HELLO FEATURE "
                "CALLS_EXCEEDED CREDIT MESSAGE CALL_STATE METHOD METADATA DESCRIPTORS GOAWAY "
                "TIMED_OUT STALLED TOKEN SHUTDOWN BUSY INTERNAL", start=0)


class ProtocolError(Exception):
    """The peer broke a rule; it was told so by GOAWAY with `code`, and the connection is over."""

    def __init__(self, code: Error, text: str) -> None:
        super().__init__(f"{code.name}: {text}")
        self.code = code


class CallError(Exception):
    """A call ended with another status than OK, or could not be made."""

    def __init__(self, code: Code, text: str, not_started: bool = False,
                 metadata: Metadata | None = None, details: list[bytes] | None = None) -> None:
        super().__init__(f"{code.name}: {text}")
        self.code, self.text, self.not_started = code, text, not_started
        self.metadata, self.details = metadata or [], details or []


def require(condition: object, code: Error, text: str) -> None:
    """A rule of the protocol for the peer."""
    if not condition:
        raise ProtocolError(code, text)


# ---- protobuf, as much as control messages need

def encode_varint(number: int) -> bytes:
    """Seven bits per byte, the lowest first; the top bit says that more follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that starts at `at`, and where the next thing starts."""
    number = 0
    for index in range(10):
        require(at + index < len(data), Error.DECODE, "a varint is cut short")
        number |= (data[at + index] & 0x7F) << 7 * index
        if data[at + index] < 0x80:
            return number % (1 << 64), at + index + 1
    raise ProtocolError(Error.DECODE, "a varint of more than ten bytes")


def encode(*fields: tuple[int, int | bytes | None]) -> bytes:
    """A message of integers and strings of bytes; a field that is None is left out."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += encode_varint(number << 3) + encode_varint(value)
        elif value is not None:
            out += encode_varint(number << 3 | 2) + encode_varint(len(value)) + value
    return out


def decode(data: bytes, *expected: tuple[int, Any]) -> list[Any]:
    """The values of the fields in `expected`, pairs of a number and a default, whose type is the
    field's: int, bytes, str; or list, for all the values of a repeated field of messages."""
    values, groups, at = {number: default for number, default in expected}, [], 0
    while at < len(data):
        tag, at = decode_varint(data, at)
        number, wire, value = tag >> 3, tag & 7, b""
        kind = type(values[number]) if number in values and not groups else None
        require(0 < number and wire < 6 and (kind is None or wire == (0 if kind is int else 2)),
                Error.DECODE, f"field {number} with wire type {wire}")
        if wire == 0:
            value, at = decode_varint(data, at)
        elif wire == 3:  # a group, long out of use: only as an unknown field
            groups.append(number)
        elif wire == 4:
            require(groups and groups.pop() == number, Error.DECODE, "the end of no group")
        else:
            length, at = decode_varint(data, at) if wire == 2 else (8 if wire == 1 else 4, at)
            value, at = data[at:at + length], at + length
        require(at <= len(data) and len(groups) <= 100, Error.DECODE, "a field is cut short")
        if kind is str:
            try:
                value = value.decode()
            except UnicodeDecodeError:
                raise ProtocolError(Error.DECODE, f"field {number} is not UTF-8") from None
        if kind:  # of a repeated scalar the last counts
            values[number] = values[number] + [value] if kind is list else value
    require(not groups, Error.DECODE, "a group is cut short")
    return [values[number] for number, _ in expected]


def decode_metadata(entries: list[bytes]) -> Metadata:
    """The metadata of a frame, checked."""
    metadata = [tuple(decode(entry, (1, ""), (2, b""))) for entry in entries]
    return check_metadata(metadata, OWN["metadata_max"])


def check_metadata(metadata: Metadata, limit: int) -> Metadata:
    """Raises METADATA unless keys, values and their sum are as they must be."""
    for key, value in metadata:  # [MET-001] [MET-002] [MET-003]
        require(re.fullmatch(r"[0-9a-z_.-]{1,256}", key), Error.METADATA, f"key {key!r}")
        require(key.endswith("-bin") or re.fullmatch(rb"[ -~]*", value),
                Error.METADATA, f"value of {key!r}")
    require(sum(32 + len(k) + len(v) for k, v in metadata) <= limit, Error.METADATA, "too much")
    return metadata


# ---- frames

def frame(kind: int, body: bytes = b"", call: int = 0, flags: int = 0) -> bytes:
    """A whole frame."""
    return HEADER.pack(len(body), kind, flags, 0, 0, call) + body


def check_header(length: int, kind: int, flags: int, fds: int, _reserved: int, call: int) -> None:
    """The checks of [FRM-001] to [FRM-006] in their order, as the connecting side makes them."""
    known = HELLO <= kind <= GOAWAY or REQUEST <= kind <= CREDIT
    limit = OWN["metadata_max" if known and kind != DATA else "frame_max"]
    require(length <= limit, Error.FRAME_SIZE, f"{length} bytes in type {kind:#x}")
    require(known or kind >= 0x80, Error.FRAME_TYPE, f"type {kind:#x}")
    if known:
        allowed = ACK if kind == PING else MORE | END if kind == DATA else 0
        require(not flags & 0x0F & ~allowed and (kind != DATA or flags & 3 != MORE | END),
                Error.FRAME_FLAGS, f"flags {flags:#x} on type {kind:#x}")
        require(call < BIG and (call != 0) == (kind >= REQUEST), Error.CALL_ID, f"call {call}")
        require(kind != REQUEST or call % 2 == 0, Error.CALL_ID, "REQUEST with an id of ours")
        require(not (kind in (FINISH, CANCEL) and call % 2) and
                not (kind in (RESPONSE, STATUS) and call % 2 == 0),
                Error.CALL_STATE, f"type {kind:#x} from the wrong side")
        require(kind != PING or length == 8, Error.FRAME_SIZE, "PING has 8 bytes")
    require(fds == 0, Error.DESCRIPTORS, "descriptors are not in use")


# ---- messages and credit

def next_piece(message: bytes, at: int, credit: int, frame_max: int) -> tuple[bytes, int] | None:
    """The body of the next DATA of `message`, of which `at` bytes are sent, and how many bytes of
    it that carries; None without credit. MORE goes with it if bytes are left."""
    left, room = len(message) - at, min(frame_max, PIECE_MAX)
    if at == 0:
        credit -= MESSAGE_COST
        if left <= min(room, credit):
            return message, left  # whole [MSG-001]
        room -= 8  # the first piece opens with the length [MSG-002]
    size = min(left, room, credit)
    if size <= 0:
        return None
    return (b"" if at else struct.pack("<Q", left)) + message[at:at + size], size


class Assembler:
    """Puts the pieces of one direction's messages together [MSG-001] to [MSG-003]."""

    def __init__(self) -> None:
        self.length: int | None = None  # of the cut message in progress
        self.received = 0
        self.keep = True  # False: count, and throw the bytes away
        self._bytes = bytearray()

    def feed(self, body: bytes, more: bool) -> tuple[int, bytes | None]:
        """Takes the body of a DATA: what it costs, and the message if it completes one."""
        cost = 0 if self.length is not None else MESSAGE_COST
        if cost and not more:
            return cost + len(body), body
        if cost:
            require(len(body) > 8, Error.MESSAGE, "a first piece without a byte of the message")
            self.length, self.received, body = struct.unpack("<Q", body[:8])[0], 0, body[8:]
            require(0 < self.length < BIG, Error.MESSAGE, f"a cut message of {self.length} bytes")
        cost += len(body)
        self.received += len(body)
        require(body and self.received <= self.length and more == (self.received < self.length),
                Error.MESSAGE, "the pieces do not add up to the length")
        self._bytes += body if self.keep else b""
        if more:
            return cost, None
        message, self._bytes, self.length = bytes(self._bytes), bytearray(), None
        return cost, message


class Credit:
    """The credit of one direction of a call, as either end counts it."""

    def __init__(self, window: int) -> None:
        self.window, self.granted = window, window  # granted in all
        self.spent = 0  # by DATA, in all
        self.taken = 0  # cost of the messages that the application took: the receiver's end only

    def left(self) -> int:
        """What may still be sent."""
        return self.granted - self.spent

    def grant(self, amount: int) -> None:
        """More credit [CRD-002]."""
        require(amount and self.granted + amount < BIG, Error.CREDIT, f"a grant of {amount}")
        self.granted += amount

    def spend(self, cost: int) -> None:
        """DATA went by [CRD-002]."""
        require(cost <= self.left(), Error.CREDIT, f"{cost} spent, {self.left()} left")
        self.spent += cost

    def owed(self, in_progress: int = 0) -> int:
        """What to grant when the application waits and nothing is complete: the window again
        [CRD-003], or all that the message in progress, of that cost, still needs [CRD-004]."""
        return max(0, self.taken + max(self.window, in_progress) - self.granted)


# ---- calls

class Call:
    """One call; `Connection.call` makes it. `metadata` and `trailers` are the responder's."""

    def __init__(self, connection: Connection, number: int, deadline: float | None) -> None:
        self.id, self.deadline = number, deadline
        self.metadata: Metadata = []
        self.trailers: Metadata = []
        self.error: CallError | None = None
        self.over = False  # for the application; the slot may be taken still [SLT-001]
        self.outgoing, self.incoming = Credit(connection.peer["window"]), Credit(OWN["window"])
        self._connection, self._assembler = connection, Assembler()
        self._silent, self._finished = True, False  # the responder; the caller
        self._inbox: deque[bytes] = deque()

    def send(self, message: bytes, end: bool = False) -> bool:
        """Sends a message, in pieces as credit comes. False if the call has ended with OK."""
        connection, at, complete = self._connection, 0, False
        if self._finished:
            raise ValueError("a message after the last")
        while len(message) > INITIAL["message_max"] and not connection.greeted and not self.over:
            self._step()  # the peer's message_max is not known yet
        if len(message) > connection.peer["message_max"]:
            self.end(CallError(Code.RESOURCE_EXHAUSTED, "longer than the peer takes"), cancel=True)
        while not self.over and not complete:
            piece = next_piece(message, at, self.outgoing.left(), connection.peer["frame_max"])
            if piece is None or not connection.has_room():
                self._step()  # reads, too [OUT-001]
                continue
            self.outgoing.spend(piece[1] + (0 if at else MESSAGE_COST))
            at += piece[1]
            complete = at == len(message)
            flags = MORE if not complete else END if end else 0
            connection.output += frame(DATA, piece[0], self.id, flags)
        self._finished = complete and end
        self._flush()
        if self.error:
            raise self.error
        return not self.over or complete

    def finish(self) -> None:
        """Ends the caller's messages where the last one did not say so [MSG-005]."""
        if not self._finished and not self.over:
            self._finished = True
            self._connection.output += frame(FINISH, b"", self.id)
            self._flush()

    def receive(self) -> bytes | None:
        """The next message; None after the last; raises the status if it is not OK."""
        while not self._inbox and not self.over:
            self._grant()
            self._step()
        if self._inbox:
            self.incoming.taken += MESSAGE_COST + len(self._inbox[0])
            return self._inbox.popleft()
        if self.error:
            self._flush()  # a CANCEL, perhaps
            raise self.error
        return None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.receive, None)

    def cancel(self) -> None:
        """Gives the call up. Its slot is free once the responder has answered [CAN-001]."""
        self.end(CallError(Code.CANCELLED, "cancelled here"), cancel=True)
        self._flush()

    def end(self, error: CallError | None, cancel: bool = False) -> None:
        """Ends the call for the application, once. With `cancel` CANCEL is owed, and what still
        arrives is checked and thrown away."""
        if not self.over:
            self.over, self.error = True, error
            if cancel:
                self._assembler.keep = False
                self._inbox.clear()
                self._connection.owed[self.id] = frame(CANCEL, b"", self.id)

    def on_frame(self, kind: int, flags: int, body: bytes) -> bool:
        """Takes a frame of the responder's; True if it is the terminal frame [CAL-005]."""
        if kind == CREDIT:
            self.outgoing.grant(*decode(body, (1, 0)))
        elif kind == RESPONSE:
            (entries,) = decode(body, (1, []))
            require(self._silent, Error.CALL_STATE, "RESPONSE comes too late")  # [CAL-006]
            self.metadata, self._silent = decode_metadata(entries), False
        elif kind == DATA:
            self._silent = False
            self._on_data(*self._assembler.feed(body, bool(flags & MORE)))
            if flags & END:
                self.end(None)
        else:
            number, text, details, entries, not_started = decode(
                body, (1, 0), (2, ""), (3, []), (4, []), (5, 0))
            for detail in details:
                decode(detail, (1, ""), (2, b""))  # google.protobuf.Any
            self.trailers = decode_metadata(entries)
            code = Code(number) if number <= max(Code) else Code.UNKNOWN
            require(code or self._assembler.length is None, Error.CALL_STATE,
                    "STATUS OK inside a message")  # [STA-001]
            self.end(CallError(code, text, bool(not_started), self.trailers, details)
                     if code else None)
        return kind == STATUS or kind == DATA and bool(flags & END)

    def _on_data(self, cost: int, message: bytes | None) -> None:
        self.incoming.spend(cost)
        length = self._assembler.length or len(message or b"")
        if length > OWN["message_max"]:  # [MSG-007]
            self.end(CallError(Code.RESOURCE_EXHAUSTED, "longer than message_max"), cancel=True)
        if message is not None and not self.over:
            self._inbox.append(message)

    def _grant(self) -> None:
        """Returns credit, now that the application waits. Here it waits for one call at a time, so
        that no large_max is needed: [CRD-008] allows to grant what [CRD-004] would hold back."""
        amount = self.incoming.owed((self._assembler.length or 0) + MESSAGE_COST)
        if amount and self._connection.has_room():
            self.incoming.grant(amount)
            self._connection.output += frame(CREDIT, encode((1, amount)), self.id)

    def _step(self) -> None:
        """Waits for something to happen; cancels when the deadline has passed [DLN-003]."""
        if self.deadline is not None and time.monotonic() >= self.deadline:
            self.end(CallError(Code.DEADLINE_EXCEEDED, "the deadline passed"), cancel=True)
        self._connection.step(0 if self.over else self.deadline)

    def _flush(self) -> None:
        """Waits until all output is written."""
        while (self._connection.output or self._connection.owed) and not self._connection.closed:
            self._connection.step(None) if self.over else self._step()


# ---- connections

class Connection:
    """The connecting side of a connection, which takes no calls from the other side."""

    def __init__(self, sock: socket.socket, token: bytes | None = None) -> None:
        self.peer = dict(INITIAL)  # until its HELLO is read [HEL-003]
        self.greeted = self.closed = False
        self.owed: dict[int, bytes] = {}  # by call: its CANCEL; by 0: the answer to PING [OUT-002]
        self.output = bytearray(PREFACE)
        self._calls: dict[int, Call] = {}  # all that have a slot
        self._highest = -1
        self._pong, self._why = b"", ""
        self._peer_last: int | None = None  # of the last GOAWAY that was read
        self._input, self._prefaced, self._discarding, self._eof = bytearray(), False, False, False
        self._began = self._moved = time.monotonic()
        self._sock, self._writable = sock, True
        sock.setblocking(False)  # step() waits, for reading and writing at once
        stated = [(LIMITS[name], value) for name, value in OWN.items()]
        self.output += frame(HELLO, encode(*stated, (8, token)))

    @staticmethod
    def connect(address: str, token: bytes | None = None) -> Connection:
        """Connects to `unix:PATH` or `tcp:HOST:PORT`. Calls can be made at once [PRE-001]."""
        kind, _, rest = address.partition(":")
        if kind == "unix":
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(rest)
        elif kind == "tcp":
            host, _, port = rest.rpartition(":")
            sock = socket.create_connection((host.strip("[]"), int(port)))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            raise ValueError(f"not an address: {address}")
        return Connection(sock, token)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, metadata: Metadata | None = None,
             timeout: float | None = None) -> Call:
        """Opens a call; waits for a slot if all are taken [SLT-003]."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._peer_last is None and not (
                len(self._calls) < self.peer["calls_max"] and self.has_room()):
            if deadline is not None and time.monotonic() >= deadline:
                raise CallError(Code.DEADLINE_EXCEEDED, "all slots are taken", not_started=True)
            self.step(deadline)
        if self.closed or self._peer_last is not None:
            raise CallError(Code.UNAVAILABLE, self._why, not_started=True)
        left = None if deadline is None else max(0, round((deadline - time.monotonic()) * 1e6))
        entries = check_metadata(metadata or [], self.peer["metadata_max"])
        body = encode((1, method.encode()), (3, left),
                      *((4, encode((1, key.encode()), (2, value))) for key, value in entries))
        if not 1 <= len(method.encode()) <= 1024 or len(body) > self.peer["metadata_max"]:
            raise ValueError("the method's name or the metadata is too long")
        self._highest += 2
        call = self._calls[self._highest] = Call(self, self._highest, deadline)
        self.output += frame(REQUEST, body, call.id)
        return call

    def unary(self, method: str, request: bytes, metadata: Metadata | None = None,
              timeout: float | None = None) -> bytes:
        """One message there, one back."""
        call = self.call(method, metadata, timeout)
        call.send(request, end=True)
        replies = list(call)
        if len(replies) != 1:  # this is the layer above, which counts [CAL-004]
            raise CallError(Code.INTERNAL, f"{len(replies)} replies to a unary call")
        return replies[0]

    def ping(self, timeout: float = 10.0) -> float:
        """Sends a PING and returns the seconds until its answer."""
        content, start = os.urandom(8), time.monotonic()
        self.output += frame(PING, content)
        while self._pong != content:
            if time.monotonic() >= start + timeout:
                raise TimeoutError("no answer to PING")
            self.step(start + timeout)
        return time.monotonic() - start

    def close(self, timeout: float = 5.0) -> None:
        """Cancels what is open, waits for the answers, sends GOAWAY and closes [CLS-001]."""
        deadline = time.monotonic() + timeout
        for call in self._calls.values():
            call.end(CallError(Code.CANCELLED, "the connection is closing"), cancel=True)
        while self._calls and not self.closed and time.monotonic() < deadline:
            self.step(deadline)
        if not self.closed:
            self._leave(Error.SHUTDOWN if self._calls else Error.NONE, "closed here")

    def has_room(self) -> bool:
        """Whether a frame may move into the output [OUT-002]."""
        return len(self.output) < OUTPUT_MAX

    def step(self, deadline: float | None) -> None:
        """Writes and reads what can be; waits for either, until the deadline at most."""
        if self.closed:
            raise CallError(Code.UNAVAILABLE, self._why, not_started=True)
        try:
            self._exchange(deadline)
            require(self.greeted or time.monotonic() < self._began + HANDSHAKE_TIMEOUT,
                    Error.TIMED_OUT, "no HELLO in time")
        except ProtocolError as error:
            self._leave(error.code, str(error))
            raise
        if self._eof or self._peer_last is not None and not self._calls:
            self._leave(Error.NONE, self._why or "the other side closed")  # [CLS-002] [CLS-003]

    def _exchange(self, deadline: float | None) -> None:
        """One round of writing and reading."""
        while self.owed and self.has_room():
            self.output += self.owed.pop(min(self.owed))
        waiting = [self._sock] if self.output and self._writable else []
        alarms = [deadline] if deadline is not None else []
        alarms += [] if self.greeted else [self._began + HANDSHAKE_TIMEOUT]
        alarms += [self._moved + STALL_TIMEOUT] if waiting else []
        wait = max(0.0, min(alarms) - time.monotonic()) if alarms else None
        readable, writable, _ = select.select([self._sock], waiting, [], wait)
        now = time.monotonic()
        if writable or not waiting:
            self._moved = now
        require(now < self._moved + STALL_TIMEOUT, Error.STALLED, "the other side does not read")
        try:
            if writable:
                del self.output[:self._sock.send(self.output)]
        except OSError:  # reading goes on: a GOAWAY may say why [CLS-005]
            self._writable = False
            self.output.clear()
        if readable:
            try:
                data = self._sock.recv(262_144)
            except OSError:
                data = b""
            self._eof = not data
            if not self._discarding:
                self._input += data
                self._parse()

    def _parse(self) -> None:
        """Takes the frames that are complete."""
        if not self._prefaced:
            if not PREFACE.startswith(self._input[:8]):
                self._why, self._eof = "the other side does not speak Bowline 1", True  # [PRE-005]
            elif len(self._input) >= 8:
                self._prefaced = True
                del self._input[:8]
        while self._prefaced and len(self._input) >= HEADER.size:
            head = HEADER.unpack_from(self._input)
            check_header(*head)  # before the body has come [FRM-001]
            size = HEADER.size + head[0]
            if len(self._input) < size:
                return
            body = bytes(self._input[HEADER.size:size])
            del self._input[:size]
            if self._on_frame(head[1], head[2], head[5], body):
                return

    def _on_frame(self, kind: int, flags: int, number: int, body: bytes) -> bool:
        """Takes a frame; True if it is the peer's last."""
        require(self.greeted != (kind == HELLO) or not self.greeted and kind == GOAWAY,
                Error.HELLO, "HELLO is missing, or came twice")  # [HEL-001]
        if kind == HELLO:
            self._on_hello(body)
        elif kind == GOAWAY:
            return self._on_goaway(*decode(body, (1, 0), (2, 0), (3, "")))
        elif kind == PING and flags & ACK:
            self._pong = body
        elif kind == PING:
            self.owed[0] = frame(PING, body, flags=ACK)  # for those before, too [PNG-002]
        elif kind < 0x80:
            require(kind != REQUEST, Error.CALLS_EXCEEDED, "this side takes no calls")
            require(number % 2 and number <= self._highest, Error.CALL_ID,
                    f"call {number} was not opened")  # [CAL-002]
            if number in self._calls and self._calls[number].on_frame(kind, flags, body):
                self._drop(number)  # what comes for it from now on is skipped [CAL-003]
        return False

    def _on_hello(self, body: bytes) -> None:
        *limits, required = decode(body, *((number, 0) for number in LIMITS.values()), (7, 0))
        stated, gain = dict(zip(LIMITS, limits)), -self.peer["window"]
        for name, value in stated.items():  # [HEL-002]
            require(INITIAL[name] <= value < BIG, Error.HELLO, f"{name} is {value}")
        require(not required, Error.FEATURE, "this side offers no features")  # [HEL-006]
        self.peer, self.greeted = stated, True
        for call in self._calls.values():
            call.outgoing.granted += gain + stated["window"]  # [HEL-004]

    def _on_goaway(self, last: int, code: int, text: str) -> bool:
        require(self.greeted or code, Error.HELLO, "HELLO is missing")
        require(last < (BIG if self._peer_last is None else self._peer_last + 1),
                Error.GOAWAY, f"last is {last}")  # [GOA-003]
        self._peer_last = last
        self._why = f"GOAWAY with code {code}: {text}"
        for number in [n for n in self._calls if n > last or code]:  # [GOA-002] [GOA-004]
            self._drop(number).end(CallError(Code.UNAVAILABLE, self._why, number > last))
        return code != 0

    def _drop(self, number: int) -> Call:
        """Frees the slot of a call."""
        self.owed.pop(number, None)
        return self._calls.pop(number)

    def _leave(self, code: Error, text: str) -> None:
        """Fails what is open, sends GOAWAY, ends writing, and discards input for a second at most
        [ERR-001] [CLS-001] [CLS-004]. `last` is 0, as this side takes no calls."""
        unread = not self._prefaced and (self._why or self._sock.family == socket.AF_UNIX)
        for number in list(self._calls):  # [PRE-005] [PRE-006]
            self._drop(number).end(CallError(Code.UNAVAILABLE, text, bool(self._eof and unread)))
        self.closed = self._discarding = True
        self._why = self._why or text
        self.owed.clear()
        if self._prefaced:
            self.output += frame(GOAWAY, encode((1, 0), (2, code), (3, text.encode()[:1024])))
        until = time.monotonic() + DISCARD_TIMEOUT
        while self._prefaced and not self._eof and time.monotonic() < until:
            try:
                if not self.output:
                    self._sock.shutdown(socket.SHUT_WR)
                self._exchange(until)
            except (OSError, ProtocolError):
                break
        self._sock.close()
