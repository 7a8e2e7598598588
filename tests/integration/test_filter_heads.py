# SPDX-License-Identifier: GPL-2.0-or-later
"""Heads, trailers, 1xx, Expect, bodiless messages through the filter alone."""
import subprocess
import unittest

from filterlab import FAKE, SECRET, Answered, LabTest, read_all
from scripted_agent import (ADD, BODYLESS, EOM, HEAD, HEAD_REQUEST, PLAIN, REMOVE, TRAILERS, URI, VALUE, WHOLE, Answer,
                            Replacer)
from upstream import Reply


class Edits(LabTest):
    def test_every_kind_of_edit(self):
        def script(message):
            if message.is_end:
                return None
            answer = Answer(consumed=len(message.chunk))
            if message.direction == 0 and message.head:
                names = [n for n, _ in message.head.fields]
                answer.edits = [(REMOVE, names.index(b"x-two"), b"", b""), (VALUE, names.index(b"x-one"), b"", b"1" * 300),
                                (ADD, 0, b"x-new", b"n"), (REMOVE, names.index(b"x-four"), b"", b""),
                                (VALUE, names.index(b"x-five"), b"", b""), (URI, 0, b"", b"/reflect?q=" + SECRET)]
            return answer

        lab = self.lab(script)
        lab.get("/reflect?q=" + FAKE.decode(), "x-one: a", "x-two: b", "x-three: c", "x-four: d", "x-five: e", "x-three: again")
        request = lab.upstream.seen[0]
        self.assertEqual(request.target, "/reflect?q=" + SECRET.decode())
        self.assertEqual([(n, v) for n, v in request.fields if n.startswith("x-")],
                         [("x-one", "1" * 300), ("x-three", "c"), ("x-five", ""), ("x-three", "again"), ("x-new", "n")])

    def test_repeated_fields_stay_repeated(self):
        lab = self.lab()
        lab.upstream.replies["cookies"] = Reply(b"", headers=[("Set-Cookie", "a=" + SECRET.decode()), ("Set-Cookie", "b=2"),
                                                              ("Set-Cookie", "c=" + SECRET.decode() * 2)])
        got = lab.get("/reply/cookies")
        self.assertEqual([v for n, v in got.fields if n == b"set-cookie"], [b"a=" + FAKE, b"b=2", b"c=" + FAKE * 2])

    def test_bytes_above_127_and_a_secret_in_a_name(self):
        lab = self.lab()
        lab.upstream.replies["odd"] = Reply(b"", headers=[("X-Odd", "\xff" + SECRET.decode() + "\xfe"), (SECRET.decode(), "v")])
        got = lab.get("/reply/odd")
        self.assertEqual(got.get(b"x-odd"), b"\xff" + FAKE + b"\xfe")
        self.assertEqual(got.get(FAKE.lower()), b"v")
        self.assertNotIn(SECRET.lower(), got.raw.lower())

    def test_value_with_a_line_break_is_no_answer(self):
        def script(message):
            return Answer(consumed=len(message.chunk), edits=[(ADD, 0, b"x-a", b"b\r\nx-evil: c")] if not message.direction else [])

        lab = self.lab(script)
        self.assertEqual(lab.get("/reflect").status, 413)
        self.assertEqual(lab.upstream.seen, [])

    def test_head_that_fits_no_frame_is_refused(self):
        lab = self.lab(bufsize=4096, maxrewrite=200)
        got = lab.get("/reflect", *[f"x-{i}: {'v' * 900}" for i in range(4)])
        self.assertIn(got.status, (400, 413))
        if got.status == 413:
            self.assertEqual(got.get(b"x-slapenir-code"), b"too_large")
        self.assertEqual(lab.upstream.seen, [])

    def test_scheme_that_is_not_said_is_plain(self):
        lab = self.lab(rules="http-request unset-var(txn.scheme)")
        lab.get("/reflect")
        self.assertTrue(all(m.flags & PLAIN for m in lab.agent.seen))
        lab = self.lab()
        lab.get("/reflect")
        self.assertFalse(any(m.flags & PLAIN for m in lab.agent.seen))

    def test_scope_and_generation_travel(self):
        lab = self.lab()
        lab.post("/reflect", b"", chunks=[b"x" * 20000, b"y" * 20000])
        requests = [m for m in lab.agent.seen if m.direction == 0]
        responses = [m for m in lab.agent.seen if m.direction == 1]
        self.assertEqual([m.args["scope"] for m in requests[:2]], [b"", b"scope-of-0"])
        self.assertEqual(responses[0].args["scope"], b"scope-of-0")
        self.assertEqual(responses[1].args["scope"], b"scope-of-1")
        self.assertEqual(requests[0].args["gen"], b"")
        self.assertTrue(all(m.args["gen"] == b"genera-1" for m in requests[1:] + responses))
        self.assertEqual(len({m.args["id"] for m in lab.agent.seen}), 1)
        self.assertEqual([m.seq for m in requests], list(range(1, len(requests) + 1)))


class Bodiless(LabTest):
    def test_get_head_204_304(self):
        lab = self.lab()
        lab.upstream.replies.update({"ok": Reply(SECRET), "none": Reply(b"", status=204, framing="none"),
                                     "same": Reply(b"", status=304, framing="none", headers=[("ETag", '"%s"' % SECRET.decode())])})
        got = lab.get("/reply/ok", method="HEAD")
        self.assertEqual((got.status, got.body, got.get(b"content-length")), (200, b"", str(len(SECRET)).encode()))
        self.assertTrue(lab.agent.seen[-1].flags & HEAD_REQUEST)
        self.assertTrue(lab.agent.seen[-1].flags & BODYLESS)
        self.assertEqual(lab.get("/reply/none").status, 204)
        got = lab.get("/reply/same")
        self.assertEqual((got.status, got.get(b"etag")), (304, b'"%s"' % FAKE))

    def test_request_without_body_is_one_exchange(self):
        lab = self.lab()
        lab.get("/reflect")
        first = [m for m in lab.agent.seen if m.direction == 0]
        self.assertEqual(len(first), 1)
        self.assertEqual(first[0].flags & (HEAD | EOM | BODYLESS | WHOLE), HEAD | EOM | BODYLESS)

    def test_head_of_a_body_whose_length_may_change_promises_none(self):
        lab = self.lab(Replacer(SECRET, FAKE, grow=SECRET))
        lab.upstream.replies["ok"] = Reply(SECRET)
        self.assertIsNone(lab.get("/reply/ok", method="HEAD").get(b"content-length"))

    def test_keep_alive_goes_on(self):
        lab = self.lab()
        with lab.connect() as s:
            for i in range(20):
                s.sendall(b"GET /reflect HTTP/1.1\r\nhost: a\r\nx-n: %d\r\nauthorization: %s\r\n\r\n" % (i, FAKE))
                data = b""
                while b"x-n: %d\r\n" % i not in data or not data.endswith(b"\r\n\r\n"):
                    piece = s.recv(65536)
                    self.assertTrue(piece)
                    data += piece
                self.assertNotIn(SECRET, data)


class Informational(LabTest):
    def test_1xx_is_stripped_to_its_status(self):
        lab = self.lab()
        lab.upstream.replies["hints"] = Reply(b"x", informational=[(103, [(":reason", SECRET.decode()), ("Link", SECRET.decode())]),
                                                                   (102, [("X-A", "b"), (SECRET.decode(), "c")])])
        got = lab.get("/reply/hints")
        self.assertEqual(got.status, 200)
        self.assertEqual(len(got.informational), 2)
        self.assertTrue(all(b"\r\n" not in head for head in got.informational), got.informational)
        self.assertNotIn(SECRET.lower(), got.raw.lower())
        h2 = subprocess.run(["curl", "-sS", "-i", "--http2-prior-knowledge", f"http://127.0.0.1:{lab.h2_port}/reply/hints"],
                            capture_output=True)
        self.assertEqual(h2.returncode, 0)
        self.assertNotIn(SECRET.lower(), h2.stdout.lower())

    def test_reason_phrase_is_the_standard_one(self):
        lab = self.lab()
        for status, reason in ((200, b"OK"), (404, b"Not Found")):
            lab.upstream.replies["why"] = Reply(b"", status=status, reason=SECRET.decode())
            self.assertEqual(lab.get("/reply/why").reason, reason)
        lab.upstream.replies["why"] = Reply(b"", status=500, reason="")
        self.assertEqual(lab.get("/reply/why").reason, b"Internal Server Error")

    def test_expect_is_answered_once_the_head_is_allowed(self):
        lab = self.lab()
        for length in (len(FAKE), 100000):
            body = FAKE + b"x" * (length - len(FAKE))
            with lab.connect() as s:
                s.sendall(b"POST /sink HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nconnection: close\r\n"
                          b"content-length: %d\r\n\r\n" % length)
                self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n"))
                s.sendall(body)
                self.assertEqual(Answered(read_all(s)).status, 200)
            request = lab.upstream.last("/sink")
            self.assertIsNone(request.get("expect"))
            self.assertEqual(request.kept, body.replace(FAKE, SECRET))

    def test_expect_of_a_refused_head_gets_no_100(self):
        from scripted_agent import refusal
        lab = self.lab(lambda message: refusal(403, b"path_denied"))
        with lab.connect() as s:
            s.sendall(b"POST /sink HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 5\r\n\r\n")
            got = read_all(s)
        self.assertTrue(got.startswith(b"HTTP/1.1 403 "), got)
        self.assertEqual(lab.upstream.seen, [])

    def test_expect_without_waiting_and_from_http10(self):
        lab = self.lab()
        got = lab.post("/sink", FAKE, "expect: 100-continue")
        self.assertEqual((got.status, lab.upstream.last("/sink").kept), (200, SECRET))
        got = lab.say(b"POST /sink HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc")
        self.assertIn(b" 200 OK", got)

    def test_curl_waits_for_100(self):
        lab = self.lab()
        got = subprocess.run(["curl", "-sS", "--http1.1", "-H", "Expect: 100-continue", "--expect100-timeout", "20", "--max-time",
                              "10", "--data-binary", "@-", f"http://127.0.0.1:{lab.port}/sink"], input=b"y" * 2000000,
                             capture_output=True)
        self.assertEqual(got.returncode, 0, got.stderr)
        self.assertEqual(lab.upstream.last("/sink").length, 2000000)


class Trailers(LabTest):
    def test_both_ways(self):
        lab = self.lab()
        lab.upstream.replies["t"] = Reply([b"a" + SECRET[:7], SECRET[7:] + b"b"], framing="chunked",
                                          trailers=[("X-Sum", SECRET.decode()), ("X-Plain", "p"), (SECRET.decode(), "v")])
        got = lab.get("/reply/t")
        self.assertEqual(got.body, b"a" + FAKE + b"b")
        self.assertEqual(got.trailers, [(b"x-sum", FAKE), (b"x-plain", b"p"), (FAKE.lower(), b"v")])
        self.assertTrue(got.whole)
        last = lab.agent.seen[-1]
        self.assertEqual(last.flags & (TRAILERS | EOM), TRAILERS | EOM)
        with lab.connect() as s:
            s.sendall(b"POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
                      b"%x\r\n%s\r\n0\r\nX-Up: %s\r\n\r\n" % (len(FAKE), FAKE, FAKE))
            self.assertEqual(Answered(read_all(s)).status, 200)
        request = lab.upstream.last("/echo")
        self.assertEqual((request.kept, request.trailers), (SECRET, ["x-up: " + SECRET.decode()]))

    def test_held_tail_goes_before_them(self):
        lab = self.lab()
        lab.upstream.replies["t"] = Reply([b"text " + SECRET[:12]], framing="chunked", trailers=[("X-A", "b")], gap=0.02)
        got = lab.get("/reply/t")
        self.assertEqual((got.body, got.trailers, got.whole), (b"text " + SECRET[:12], [(b"x-a", b"b")], True))

    def test_with_the_random_splitter(self):
        lab = self.lab(before="filter trace name cut random-forwarding", bufsize=4096, maxrewrite=512)
        body = (b"x" * 501 + SECRET) * 60
        lab.upstream.replies["t"] = Reply([body[i:i + 333] for i in range(0, len(body), 333)], framing="chunked",
                                          trailers=[("X-Sum", SECRET.decode())])
        for _ in range(5):
            got = lab.get("/reply/t")
            self.assertEqual((got.body, got.trailers, got.whole), (body.replace(SECRET, FAKE), [(b"x-sum", FAKE)], True))

    def test_over_http2(self):
        lab = self.lab()
        lab.upstream.replies["t"] = Reply([b"a"], framing="chunked", trailers=[("X-Sum", SECRET.decode())])
        got = subprocess.run(["curl", "-sS", "-i", "--http2-prior-knowledge", f"http://127.0.0.1:{lab.h2_port}/reply/t"],
                             capture_output=True)
        self.assertEqual(got.returncode, 0)
        self.assertIn(b"x-sum: " + FAKE, got.stdout)
        self.assertNotIn(SECRET, got.stdout)


class Tunnels(LabTest):
    def test_upgrades_are_refused(self):
        lab = self.lab()
        got = lab.say(b"GET /reflect HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                      b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        self.assertTrue(got.startswith(b"HTTP/1.1 403 "), got)
        self.assertIn(b"x-slapenir-code: upgrade_refused", got)
        got = lab.say(b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n")
        self.assertIn(b"x-slapenir-code: upgrade_refused", got)
        self.assertEqual(lab.upstream.seen, [])

    def test_101_that_nobody_asked_for(self):
        lab = self.lab()
        lab.upstream.replies["switch"] = Reply(raw=b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n" + SECRET)
        got = lab.say(b"GET /reply/switch HTTP/1.1\r\nhost: a\r\n\r\n")
        self.assertNotIn(SECRET, got)
        self.assertTrue(got.startswith((b"HTTP/1.1 502", b"HTTP/1.1 403")), got)


class Canary(LabTest):
    def test_ready_only_after_a_canary_came_back_sanitized(self):
        gate = ("http-request return status 503 if !{ slapenir.ready -m bool } !{ path_beg /reflect }\n"
                "	http-request return status 200 if { path /ready }")
        lab = self.lab(options="canary api.test:443", rules=gate)
        self.assertEqual(lab.get("/ready").status, 503)
        lab.get("/reflect", "x-api-key: " + FAKE.decode())
        self.assertEqual(lab.get("/ready").status, 503)
        lab.get("/reflect", "authorization: Bearer " + FAKE.decode())
        self.assertEqual(lab.get("/ready").status, 200)
        other = self.lab(options="canary other.test:443", rules=gate)
        other.get("/reflect", "authorization: Bearer " + FAKE.decode())
        self.assertEqual(other.get("/ready").status, 503)


if __name__ == "__main__":
    unittest.main()
