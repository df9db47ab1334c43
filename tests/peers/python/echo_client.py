"""Tries a server of bowline.demo.v1.Echo: `python3 echo_client.py unix:PATH | tcp:HOST:PORT`.

Prints `ok NAME` for each step that went well; exits with 1 and a reason at the first that did not.
"""
from __future__ import annotations

import sys
import time

from bowline_peer import Call, CallError, Code, Connection, decode, encode

ECHO = "bowline.demo.v1.Echo/"


def check(condition: bool, text: str) -> None:
    """Fails the step unless the condition holds."""
    if not condition:
        raise AssertionError(text)


def echo(connection: Connection, payload: bytes, timeout: float | None = None,
         **fields: int) -> bytes:
    """Calls Unary."""
    request = encode((1, payload), (2, fields.get("delay_us")), (3, fields.get("fail_code")))
    reply = connection.unary(ECHO + "Unary", request, timeout=timeout)
    return decode(reply, (1, b""))[0]


def chunk(sequence: int, payload: bytes) -> bytes:
    """A Chunk, encoded."""
    return encode((1, sequence), (2, payload))


def parse_chunk(message: bytes) -> tuple[int, bytes]:
    """Sequence and payload of a Chunk."""
    sequence, payload = decode(message, (1, 0), (2, b""))
    return sequence, payload


def pattern(sequence: int, size: int) -> bytes:
    """What Download sends: byte i of chunk n is (n + i) mod 251."""
    return bytes((sequence + i) % 251 for i in range(size))


def download(connection: Connection, count: int, size: int, delay_us: int = 0) -> Call:
    """Opens a Download."""
    call = connection.call(ECHO + "Download")
    call.send(encode((1, count), (2, size), (3, delay_us)), end=True)
    return call


def unary(connection: Connection) -> None:
    """A small payload and an empty one."""
    check(echo(connection, b"hello") == b"hello", "another payload came back")
    check(echo(connection, b"") == b"", "the empty payload did not come back")


def large(connection: Connection) -> None:
    """Messages beyond any window, which must be cut."""
    for size in (65_519, 65_536, 131_072, 1 << 20):
        payload = pattern(size, size)
        check(echo(connection, payload) == payload, f"{size} bytes came back changed")


def status(connection: Connection) -> None:
    """A status that is not OK."""
    try:
        echo(connection, b"x", fail_code=Code.FAILED_PRECONDITION)
    except CallError as error:
        check(error.code == Code.FAILED_PRECONDITION and not error.not_started, f"got {error}")
    else:
        check(False, "no error")


def server_stream(connection: Connection) -> None:
    """Streams of many chunks, of large ones, and of none."""
    for count, size in ((500, 2_000), (3, 300_000), (0, 0)):
        expected = [(n, pattern(n, size)) for n in range(count)]
        got = [parse_chunk(message) for message in download(connection, count, size)]
        check(got == expected, f"wrong chunks of {size} bytes")


def client_stream(connection: Connection) -> None:
    """Far more than a window, ended by FINISH."""
    call = connection.call(ECHO + "Upload")
    payloads = [pattern(n, 5_000) for n in range(200)]
    for number, payload in enumerate(payloads):
        check(call.send(chunk(number, payload)), "ended early")
    call.finish()
    got = [decode(reply, (1, 0), (2, 0), (3, 0)) for reply in call]
    check(got == [[200, 1_000_000, sum(map(sum, payloads))]], f"got {got}")


def bidi_stream(connection: Connection) -> None:
    """Chunks there and back, one at a time."""
    call = connection.call(ECHO + "Chat")
    for number in range(100):
        sent = (number, pattern(number, 3_000))
        call.send(chunk(*sent))
        check(parse_chunk(call.receive() or b"") == sent, f"chunk {number} came back changed")
    call.finish()
    check(call.receive() is None, "a chunk that was not sent")


def cancel(connection: Connection) -> None:
    """A stream given up halfway; the connection goes on."""
    call = download(connection, 1_000_000, 1_000)
    for _ in range(50):
        call.receive()
    call.cancel()
    check(echo(connection, b"after") == b"after", "the connection does not work after CANCEL")


def deadline(connection: Connection) -> None:
    """A handler that takes longer than the caller waits."""
    start = time.monotonic()
    try:
        echo(connection, b"late", timeout=0.2, delay_us=5_000_000)
    except CallError as error:
        check(error.code == Code.DEADLINE_EXCEEDED, f"got {error}")
    else:
        check(False, "no error")
    check(0.1 < time.monotonic() - start < 2, "not at the deadline")
    check(echo(connection, b"after") == b"after", "the connection does not work afterwards")


def ping(connection: Connection) -> None:
    """A sign of life."""
    connection.ping()


def main() -> int:
    """Runs all steps on one connection."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    step = "connect"
    try:
        with Connection.connect(sys.argv[1]) as connection:
            for run in (unary, large, status, server_stream, client_stream, bidi_stream, cancel,
                        deadline, ping):
                step = run.__name__
                run(connection)
                print(f"ok {step}", flush=True)
            step = "close"
        print(f"ok {step}")
        return 0
    except Exception as error:  # whatever it is: say so
        print(f"FAILED {step}: {type(error).__name__}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
