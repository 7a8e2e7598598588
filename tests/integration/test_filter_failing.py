# SPDX-License-Identifier: GPL-2.0-or-later
"""What the filter does when the agent is wrong, late, silent or gone, when it says no, and when either side hangs up."""
import socket
import struct
import subprocess
import threading
import time
import unittest

from filterlab import FAKE, SECRET, Answered, LabTest, read_all
from scripted_agent import (AUDITED, CHUNKED, CUT, EOM, HEAD, OPAQUE, PASS, PAYLOAD, REFUSE, RESCAN, UNKNOWN_GENERATION, Agent,
                            Answer, Replacer, refusal)
from upstream import Reply


class Faulty(Replacer):
    """Right answers, but for what `fault(message, answer, number)` makes of them; number counts calls from 1."""

    def __init__(self, fault, **words):
        super().__init__(SECRET, FAKE, **words)
        self.fault, self.calls = fault, 0

    def __call__(self, message):
        answer = super().__call__(message)
        if message.is_end:
            return answer
        self.calls += 1
        return self.fault(message, answer, self.calls)


def encoded(answer, message, **changes):
    data = bytearray(answer.encode(message.seq))
    for at, value in changes.get("put", ()):
        data[at:at + len(value)] = value
    return bytes(data[:changes.get("length", len(data))]) + changes.get("more", b"")


def wrong_answers():
    """name -> fault that spoils an answer."""
    return {
        "another number": lambda m, a, n: a.encode(m.seq + 1),
        "older number": lambda m, a, n: a.encode(m.seq - 1),
        "another version": lambda m, a, n: encoded(a, m, put=[(0, b"\2")]),
        "unknown verdict": lambda m, a, n: encoded(a, m, put=[(1, b"\7")]),
        "unknown flag": lambda m, a, n: encoded(a, m, put=[(2, b"\x80")]),
        "cut short": lambda m, a, n: encoded(a, m, length=30),
        "too long": lambda m, a, n: encoded(a, m, more=b"x"),
        "empty": lambda m, a, n: b"",
        "no variable": lambda m, a, n: None,
        "more consumed than there is": lambda m, a, n: Answer(consumed=len(m.chunk) + 1),
        "payload for nothing": lambda m, a, n: Answer(consumed=0, payload=SECRET),
        "payload without its flag": lambda m, a, n: encoded(Answer(consumed=len(m.chunk), payload=m.chunk + b"x"), m,
                                                            put=[(2, b"\0\0")]),
        "rescan without progress": lambda m, a, n: Answer(flags=RESCAN, consumed=0),
        "end not consumed": lambda m, a, n: Answer(consumed=max(len(m.chunk) - 1, 0)),
        "carry too long": lambda m, a, n: Answer(consumed=len(m.chunk), carry=b"x" * 17),
        "scope too long": lambda m, a, n: Answer(consumed=len(m.chunk), scope=b"x" * 513),
        "edit of no field": lambda m, a, n: Answer(consumed=len(m.chunk), edits=[(1, 99, b"", b"x")]),
        "unknown edit": lambda m, a, n: Answer(consumed=len(m.chunk), edits=[(9, 0, b"a", b"x")]),
        "refusal that is none": lambda m, a, n: Answer(REFUSE, payload=b"\x00\xc8\x02ok\0\0\0\0"),
        "refusal cut short": lambda m, a, n: Answer(REFUSE, payload=b"\x01"),
    }


class WrongAnswers(LabTest):
    def test_no_byte_passes_on_a_wrong_answer(self):
        for name, fault in wrong_answers().items():
            for direction in (0, 1):
                with self.subTest(name, direction=direction):
                    def spoil(message, answer, number):
                        return fault(message, answer, number) if message.direction == direction and message.chunk else answer
                    lab = self.lab(Faulty(spoil))
                    lab.upstream.replies["r"] = Reply([b"<" + SECRET + b">"], framing="length")
                    got = lab.post("/reply/r", b"[" + FAKE + b"]")
                    self.assertNotIn(SECRET, got.raw)
                    if direction == 0:
                        self.assertIn(got.status, (413, 503), got.raw)
                        self.assertEqual(lab.upstream.seen, [])
                    else:
                        self.assertFalse(got.status == 200 and got.body, got.raw)

    def test_opaque_is_for_requests_only(self):
        lab = self.lab(Faulty(lambda m, a, n: Answer(flags=OPAQUE) if m.direction else a))
        lab.upstream.replies["r"] = Reply(SECRET)
        got = lab.get("/reply/r")
        self.assertEqual(got.status, 503)
        self.assertNotIn(SECRET, got.raw)

    def test_opaque_request_body_goes_as_it_is(self):
        lab = self.lab(Faulty(lambda m, a, n: Answer(flags=OPAQUE) if m.direction == 0 and m.head else a))
        body = (b"x" * 1000 + FAKE) * 100
        lab.post("/sink", body)
        self.assertEqual(lab.upstream.last("/sink").kept, body)
        self.assertEqual(sum(m.direction == 0 for m in lab.agent.seen), 1)

    def test_another_length_where_it_was_promised(self):
        lab = self.lab(Faulty(lambda m, a, n: Answer(consumed=len(m.chunk), payload=m.chunk + b"more") if m.direction and m.chunk
                              else a))
        lab.upstream.replies["r"] = Reply([b"x" * 100])
        got = lab.get("/reply/r")
        self.assertFalse(got.status == 200 and got.whole)


class Retries(LabTest):
    def test_late_once_and_then_right(self):
        tried = []

        def late(message, answer, number):
            if message.direction == 0 and not tried:
                tried.append(message.seq)
                return Agent.NOTHING
            return answer

        lab = self.lab(Faulty(late))
        start = time.monotonic()
        got = lab.get("/reflect", "authorization: " + FAKE.decode())
        self.assertEqual(got.status, 200)
        self.assertLess(time.monotonic() - start, 3)
        seqs = [m.seq for m in lab.agent.seen if m.direction == 0]
        self.assertEqual(seqs, [1, 1])

    def test_silent_agent_is_a_503_within_the_time(self):
        lab = self.lab(Faulty(lambda m, a, n: Agent.NOTHING))
        start = time.monotonic()
        got = lab.get("/reflect")
        self.assertEqual((got.status, got.get(b"x-slapenir-code")), (503, b"agent_unavailable"))
        self.assertGreater(time.monotonic() - start, 2.5)
        self.assertEqual(len(lab.agent.seen), 3)
        self.assertEqual(lab.upstream.seen, [])

    def test_agent_gone_and_back(self):
        def hang_up(message, answer, number):
            if number in (2, 5, 6):
                raise Agent.Hangup
            return answer

        lab = self.lab(Faulty(hang_up))
        body = (b"x" * 3000 + FAKE) * 40
        got = lab.post("/sink", body)
        self.assertEqual(got.status, 200)
        self.assertEqual(lab.upstream.last("/sink").kept, body.replace(FAKE, SECRET))

    def test_stopped_in_the_middle_of_a_long_stream(self):
        """`timeout processing` is lost after the first exchange of a stream before 3.0: the deadline must be our own."""
        lab = self.lab(Faulty(lambda m, a, n: Agent.NOTHING if m.direction and n > 6 else a))
        lab.upstream.replies["long"] = Reply([b"x" * 200000, SECRET], framing="chunked")
        start = time.monotonic()
        got = lab.get("/reply/long")
        self.assertLess(time.monotonic() - start, 8)
        self.assertFalse(got.whole)
        self.assertNotIn(SECRET, got.raw)

    def test_unknown_generation_is_asked_again(self):
        lab = self.lab(Faulty(lambda m, a, n: Answer(UNKNOWN_GENERATION) if n in (1, 3) else a))
        self.assertEqual(lab.get("/reflect").status, 200)
        lab = self.lab(Faulty(lambda m, a, n: Answer(UNKNOWN_GENERATION)))
        self.assertEqual(lab.get("/reflect").status, 503)

    def test_answer_to_the_first_try_that_comes_during_the_second_counts(self):
        held = []

        def swap(message, answer, number):
            if message.direction == 0 and not held:
                held.append(message)
                time.sleep(1.3)
            return answer

        lab = self.lab(Faulty(swap))
        self.assertEqual(lab.get("/reflect", "authorization: " + FAKE.decode()).status, 200)
        self.assertIn(SECRET, lab.upstream.seen[0].get("authorization").encode())

    def test_no_agent_at_all(self):
        lab = self.lab()
        lab.agent.close()
        got = lab.get("/reflect")
        self.assertEqual((got.status, got.get(b"x-slapenir-code")), (503, b"agent_unavailable"))
        self.assertEqual(lab.upstream.seen, [])


class Refusals(LabTest):
    def test_refused_head_keeps_the_connection(self):
        lab = self.lab(lambda m: refusal(403, b"path_denied", json=b'{"code":"path_denied","rule":"r"}'))
        with lab.connect() as s:
            for _ in range(3):
                s.sendall(b"GET /reflect HTTP/1.1\r\nhost: a\r\n\r\n")
                data = b""
                while not data.endswith(b'"r"}'):
                    piece = s.recv(65536)
                    self.assertTrue(piece)
                    data += piece
                got = Answered(data)
                self.assertEqual((got.status, got.get(b"x-slapenir-code")), (403, b"path_denied"))
                self.assertEqual(got.get(b"content-type"), b"application/json")
        self.assertEqual(lab.upstream.seen, [])

    def test_tripwire_in_a_whole_body_sends_nothing(self):
        lab = self.lab(lambda m: refusal(403, b"tripwire") if SECRET in m.chunk else Answer(consumed=len(m.chunk)))
        self.assertEqual(lab.post("/sink", SECRET).status, 403)
        self.assertEqual(lab.upstream.seen, [])

    def tripped(self, lab, *extra):
        """A long body with a secret near its end."""
        body = b"x" * 200000 + SECRET + b"y" * 100
        with lab.connect() as s:
            s.sendall(b"POST /sink HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
            try:
                for i in range(0, len(body), 10000):
                    piece = body[i:i + 10000]
                    s.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                s.sendall(b"0\r\n\r\n")
            except OSError:
                pass
            return Answered(read_all(s))

    def wait_aborted(self, lab):
        for _ in range(200):
            if lab.upstream.aborted:
                return lab.upstream.aborted[-1]
            time.sleep(0.02)
        self.fail("upstream took the request for whole")

    @staticmethod
    def trip(m):
        if m.is_end:
            return None
        at = m.chunk.find(SECRET)
        if at >= 0:
            return refusal(403, b"tripwire", CUT)
        return Answer(consumed=len(m.chunk))

    def test_tripwire_in_a_long_body_cuts_upstream_and_tells_the_client(self):
        lab = self.lab(self.trip)
        got = self.tripped(lab)
        self.assertEqual((got.status, got.get(b"x-slapenir-code")), (403, b"tripwire"))
        request = self.wait_aborted(lab)
        self.assertNotIn(SECRET, request.kept)

    def test_cut_response_is_seen_to_be_cut(self):
        def script(m):
            if m.is_end:
                return None
            if m.direction and SECRET in m.chunk:
                return refusal(502, b"pattern_too_long", CUT)
            return Answer(consumed=len(m.chunk))

        lab = self.lab(script)
        for framing in ("length", "chunked", "close"):
            lab.upstream.replies["r"] = Reply([b"x" * 100000, b"y" * 100000, SECRET], framing=framing, gap=0.05)
            got = lab.get("/reply/r")
            self.assertNotIn(SECRET, got.raw)
            if framing != "close":
                self.assertFalse(got.whole, framing)
            h2 = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "--max-time", "20",
                                 f"http://127.0.0.1:{lab.h2_port}/reply/r"], capture_output=True)
            self.assertNotEqual(h2.returncode, 0, framing)

    def test_refused_response_head_is_a_real_status(self):
        lab = self.lab(lambda m: refusal(502, b"encoding_refused") if m.direction else Answer(consumed=len(m.chunk)))
        lab.upstream.replies["r"] = Reply(SECRET)
        got = lab.get("/reply/r")
        self.assertEqual((got.status, got.get(b"x-slapenir-code")), (502, b"encoding_refused"))
        self.assertNotIn(SECRET, got.raw)

    def test_cut_request_with_an_answer_on_its_way(self):
        lab = self.lab(self.trip)
        with lab.connect() as s:
            s.sendall(b"POST /mirror HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            data = b""
            while b"hello" not in data:
                data += s.recv(65536)
            s.sendall(b"%x\r\n%s\r\n" % (len(SECRET), SECRET))
            data += read_all(s)
        got = Answered(data)
        self.assertEqual((got.status, got.whole), (200, False))
        self.assertNotIn(SECRET, self.wait_aborted(lab).kept)


class Aborts(LabTest):
    def hold(self, m):
        """Holds what follows a '#' until the end."""
        if m.is_end:
            return None
        at = m.chunk.find(b"#")
        return Answer(flags=AUDITED, consumed=len(m.chunk) if at < 0 or m.flags & EOM else at)

    def ends(self, lab, count):
        for _ in range(150):
            found = [(m.direction, m.end) for m in list(lab.agent.seen) if m.is_end]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        return found

    def test_server_that_dies_leaves_nothing_held_behind(self):
        lab = self.lab(self.hold)
        for raw in (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nvisible#" + SECRET,
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\nvisible#%s\r\n" % (8 + len(SECRET), SECRET)):
            lab.upstream.replies["r"] = Reply(raw=[raw, b""], gap=0.1)
            got = lab.get("/reply/r")
            self.assertNotIn(SECRET, got.raw)
            self.assertEqual(got.body, b"visible")
            self.assertFalse(got.whole)
        self.assertEqual(self.ends(lab, 4).count((1, "server_abort")), 2)

    def test_client_that_leaves_sends_nothing_held(self):
        lab = self.lab(self.hold)
        with lab.connect() as s:
            s.sendall(b"POST /sink HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n%x\r\nvisible#%s\r\n"
                      % (8 + len(SECRET), SECRET))
            for _ in range(100):
                if lab.upstream.seen and lab.upstream.seen[0].kept:
                    break
                time.sleep(0.02)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for _ in range(100):
            if lab.upstream.aborted:
                break
            time.sleep(0.02)
        self.assertEqual(lab.upstream.aborted[0].kept, b"visible")
        self.assertEqual(self.ends(lab, 1), [(0, "client_abort")])

    def test_client_that_leaves_while_the_agent_thinks(self):
        def slow(m):
            if not m.is_end and m.direction == 1:
                time.sleep(0.4)
            return None if m.is_end else Answer(flags=AUDITED, consumed=len(m.chunk))

        lab = self.lab(slow)
        lab.upstream.replies["r"] = Reply([SECRET] * 5, framing="chunked", gap=0.05)
        for _ in range(3):
            with lab.connect() as s:
                s.sendall(b"GET /reply/r HTTP/1.1\r\nhost: a\r\n\r\n")
                time.sleep(0.15)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.assertEqual(lab.get("/reflect").status, 200)

    def test_answer_before_the_request_is_over(self):
        def early(request):
            return __import__("upstream").send_reply(request, Reply(b"no thanks", status=413, headers=[("Connection", "close")]))

        lab = self.lab(self.hold)
        lab.upstream.routes["early"] = early
        with lab.connect() as s:
            s.sendall(b"POST /early HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n%x\r\nvisible#%s\r\n"
                      % (8 + len(SECRET), SECRET))
            data = b""
            while b"no thanks" not in data:
                piece = s.recv(65536)
                self.assertTrue(piece)
                data += piece
        self.assertEqual(Answered(data).status, 413)
        time.sleep(0.2)
        self.assertNotIn(SECRET, lab.upstream.seen[0].kept)

    def test_ends_are_told_when_something_was_audited(self):
        lab = self.lab(Replacer(SECRET, FAKE, audited=True))
        lab.get("/reflect")
        self.assertEqual(self.ends(lab, 1), [])  # the agent's own answer to the end of the response says so
        lab.upstream.replies["sse"] = Reply([b"data\n\n"] * 3, framing="chunked", gap=0.05)
        lab.get("/reply/sse")
        quiet = self.lab(Replacer(SECRET, FAKE))
        with quiet.connect() as s:
            s.sendall(b"POST /sink HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nabc")
            time.sleep(0.2)
        time.sleep(0.3)
        self.assertEqual(self.ends(quiet, 1), [])

    def test_end_that_is_not_answered_delays_nobody_for_long(self):
        lab = self.lab(lambda m: Agent.NOTHING if m.is_end else Answer(flags=AUDITED, consumed=len(m.chunk)))
        start = time.monotonic()
        with lab.connect() as s:
            s.sendall(b"POST /sink HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nabc")
        for _ in range(200):
            if any(m.is_end for m in list(lab.agent.seen)):
                break
            time.sleep(0.02)
        self.assertEqual(lab.get("/reflect").status, 200)
        self.assertLess(time.monotonic() - start, 6)

    def test_many_at_once_with_everything_going_wrong(self):
        import random
        rng = random.Random(11)

        def chaos(message, answer, number):
            dice = rng.random()
            if dice < 0.02:
                raise Agent.Hangup
            if dice < 0.03:
                return Agent.NOTHING
            if dice < 0.04:
                return b"junk"
            return answer

        lab = self.lab(Faulty(chaos, ragged=3), threads=2, bufsize=4096, maxrewrite=512,
                       before="filter trace name cut random-forwarding quiet")
        body = (b"x" * 700 + SECRET) * 30
        lab.upstream.replies["r"] = Reply([body[i:i + 999] for i in range(0, len(body), 999)], framing="chunked")
        wrong = []

        def one(n):
            for _ in range(6):
                try:
                    got = lab.get("/reply/r")
                except (OSError, IndexError):
                    continue
                if SECRET in got.raw or (got.status == 200 and got.whole and got.body != body.replace(SECRET, FAKE)):
                    wrong.append(got.raw)
                if got.status == 200 and not body.replace(SECRET, FAKE).startswith(got.body):
                    wrong.append(got.raw)

        threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
