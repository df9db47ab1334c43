"""Tests of bowline_peer: the codec, credit, and reactions to a peer that is scripted byte by byte."""
from __future__ import annotations

import socket
import struct
import unittest

import bowline_peer as b

ACCEPT = b.PREFACE + b.frame(b.HELLO, b.encode(*zip(range(1, 6), (64, 131_072, 131_072, 16_384, 65_536))))


def error_of(function, *arguments) -> b.Error:
    """The code of the ProtocolError that it raises."""
    try:
        function(*arguments)
    except b.ProtocolError as error:
        return error.code
    return b.Error.NONE


class Codec(unittest.TestCase):
    """Bytes alone."""

    def test_varint(self) -> None:
        for number, data in ((0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"),
                             ((1 << 64) - 1, "ff" * 9 + "01")):
            self.assertEqual(b.encode_varint(number).hex(), data)
            self.assertEqual(b.decode_varint(bytes.fromhex(data), 0), (number, len(data) // 2))
        for bad in (b"", b"\x80", b"\xff" * 10 + b"\x01"):
            self.assertEqual(error_of(b.decode_varint, bad, 0), b.Error.DECODE)

    def test_fields(self) -> None:
        data = b.encode((1, 5), (9, b"unknown"), (2, b"two"), (1, 7), (3, b"x"), (3, b"y"))
        self.assertEqual(b.decode(data + b"\x53\x08\x01\x54", (1, 0), (2, ""), (3, []), (4, 0)),
                         [7, "two", [b"x", b"y"], 0])
        for bad in (b"\x0a\x05ab", b"\x00\x01", b"\x0a\x00", b"\x12\x01\xff", b"\x54", b"\x53"):
            self.assertEqual(error_of(b.decode, bad, (1, 0), (2, "")), b.Error.DECODE, bad)

    def test_header(self) -> None:
        data = b.frame(b.DATA, b"abc", 5, b.END)
        self.assertEqual(data.hex(), "03000000" "12" "02" "00" "00" "0500000000000000" "616263")
        for head, code in (((131_072, b.DATA, 0, 0, 9, 1), "NONE"), ((9, 0x80, 255, 0, 1, 0), "NONE"),
                           ((131_073, b.DATA, 0, 0, 0, 1), "FRAME_SIZE"), ((7, 2, 0, 0, 0, 0), "FRAME_SIZE"),
                           ((0, 0x20, 0, 0, 0, 0), "FRAME_TYPE"), ((9, b.DATA, 3, 0, 0, 1), "FRAME_FLAGS"),
                           ((8, b.PING, 0x10, 0, 0, 0), "NONE"), ((0, b.STATUS, 1, 0, 0, 1), "FRAME_FLAGS"),
                           ((0, b.DATA, 0, 0, 0, 0), "CALL_ID"), ((0, b.DATA, 0, 0, 0, b.BIG), "CALL_ID"),
                           ((0, b.STATUS, 0, 0, 0, 2), "CALL_STATE"), ((0, b.DATA, 0, 1, 0, 1), "DESCRIPTORS")):
            self.assertEqual(error_of(b.check_header, *head), b.Error[code], head)

    def test_cut_and_assemble(self) -> None:
        for size in (0, 1, 16_384, 16_385, 100_000):
            message, at, assembler, out, paid = bytes(size), 0, b.Assembler(), None, 0
            while out is None:
                body, taken = b.next_piece(message, at, 20_000, 16_384)
                self.assertLessEqual(len(body), 16_384)
                at += taken
                cost, out = assembler.feed(body, at < size)
                paid += cost
            self.assertEqual((out, paid), (message, size + b.MESSAGE_COST))
        self.assertIsNone(b.next_piece(b"x", 0, 16, 16_384))
        self.assertEqual(b.next_piece(b"", 0, 16, 16_384), (b"", 0))

    def test_bad_pieces(self) -> None:
        def pieces(*bodies: tuple[bytes, bool]) -> b.Error:
            assembler = b.Assembler()
            return [error_of(assembler.feed, *body) for body in bodies][-1]
        first = struct.pack("<Q", 3)
        for bad in ([(first, True)], [(bytes(9), True)], [(first + b"abc", True)],
                    [(first + b"a", True), (b"b", False)], [(first + b"a", True), (b"", False)],
                    [(first + b"a", True), (b"bcd", False)], [(b"\xff" * 9, True)]):
            self.assertEqual(pieces(*bad), b.Error.MESSAGE, bad)

    def test_credit(self) -> None:
        credit = b.Credit(65_536)
        credit.spend(65_536)
        self.assertEqual(error_of(credit.spend, 1), b.Error.CREDIT)
        self.assertEqual(credit.owed(), 0)
        credit.taken = 65_536
        self.assertEqual(credit.owed(), 65_536)
        self.assertEqual(credit.owed(1_000_016), 1_000_016)
        for bad in (0, b.BIG - 65_536):
            self.assertEqual(error_of(credit.grant, bad), b.Error.CREDIT)


class Reactions(unittest.TestCase):
    """A connection whose other side says what the test has written down."""

    def run_call(self, *frames: bytes) -> tuple[object, int]:
        """What a unary call ends with, and the code of this side's last frame, a GOAWAY."""
        ours, theirs = socket.socketpair()
        theirs.sendall(ACCEPT + b"".join(frames))
        theirs.shutdown(socket.SHUT_WR)
        connection = b.Connection(ours)
        try:
            end: object = connection.unary("a/B", b"?")
        except (b.ProtocolError, b.CallError) as error:
            end = error
        connection.close()
        sent, last = theirs.recv(1 << 20)[8:], (0, b"")
        theirs.close()
        while sent:
            size = 16 + int.from_bytes(sent[:4], "little")
            last, sent = (sent[4], sent[16:size]), sent[size:]
        return end, b.decode(last[1], (2, 0))[0] if last[0] == b.GOAWAY else -1

    def test_reply_grease_and_status(self) -> None:
        grease = b.HEADER.pack(2, 0xF0, 255, 0, 255, b.BIG) + b"??"
        self.assertEqual(self.run_call(grease, b.frame(b.DATA, b"!", 1, b.END | 0x40))[0], b"!")
        entry = b.encode((1, b"why-bin"), (2, b"\x00"))
        end = self.run_call(b.frame(b.STATUS, b.encode((1, 99), (2, b"no"), (4, entry)), 1))[0]
        self.assertEqual((end.code, end.text, end.metadata), (b.Code.UNKNOWN, "no", [("why-bin", b"\x00")]))

    def test_breaches(self) -> None:
        for code, *frames in (
                ("HELLO", ACCEPT[8:]), ("CALL_ID", b.frame(b.DATA, b"", 3)),
                ("CALL_STATE", b.frame(b.RESPONSE, b"", 1), b.frame(b.RESPONSE, b"", 1)),
                ("CREDIT", b.frame(b.CREDIT, b"", 1)), ("CREDIT", b.frame(b.DATA, bytes(131_057), 1)),
                ("CALLS_EXCEEDED", b.frame(b.REQUEST, b.encode((1, b"x")), 2)),
                ("METADATA", b.frame(b.STATUS, b.encode((4, b.encode((1, b"A")))), 1)),
                ("GOAWAY", b.frame(b.GOAWAY, b.encode((1, 1))), b.frame(b.GOAWAY, b.encode((1, 2))))):
            end, sent = self.run_call(*frames)
            self.assertEqual((getattr(end, "code", end), sent), (b.Error[code], b.Error[code]), end)

    def test_goaway(self) -> None:
        end, sent = self.run_call(b.frame(b.GOAWAY, b.encode((1, 0))))
        self.assertEqual((end.code, end.not_started, sent), (b.Code.UNAVAILABLE, True, 0))
        end, _ = self.run_call(b.frame(b.GOAWAY, b.encode((1, 1), (2, 21))))
        self.assertEqual((end.code, end.not_started), (b.Code.UNAVAILABLE, False))


if __name__ == "__main__":
    unittest.main()
