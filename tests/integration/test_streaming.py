#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes come when they are said, at every split, in any amount; what is held back depends on public shapes alone."""
import os
import hashlib
import random
import tempfile
import threading

import client
import harness
from harness import GatewayTest, Reply

MIB = 1 << 20


class Steps:
    """A chunked response whose next piece is written when the test says so: nothing depends on time."""

    def __init__(self, pieces, headers=(("Content-Type", "text/event-stream"),)):
        self.pieces, self.headers, self.go = list(pieces), headers, threading.Semaphore(0)

    def next(self):
        self.go.release()

    def __call__(self, request):
        def told():
            for piece in self.pieces:
                if not self.go.acquire(timeout=30):
                    raise ConnectionError("the test has gone")
                yield piece
        reply = Reply(framing="chunked", headers=self.headers)
        reply.pieces = told()
        return reply


class Sse(GatewayTest):
    def open(self, steps, path="steps"):
        self.upstream.replies[path] = steps
        conn = self.gateway.tunnel("api.example.test")
        self.addCleanup(conn.close)
        conn.sendall(f"GET /reply/{path} HTTP/1.1\r\nHost: api.example.test\r\n\r\n".encode())
        return conn, client.Reader(conn)

    def test_each_event_arrives_before_the_next_is_written(self):
        fake, real = self.fake["API_KEY"].encode(), self.real["API_KEY"].encode()
        events = [b"data: {\"n\": %d, \"text\": \"some words\"}\n\n" % n for n in range(40)] + [b"data: %s\n\n" % real, b"data: [DONE]\n\n"]
        steps = Steps(events)
        conn, reader = self.open(steps)
        steps.next()
        answer = reader.head()
        pieces, got = reader.pieces(answer), b""
        for event in events:
            want = event.replace(real, fake)
            while len(got) < len(want):
                got += next(pieces)
            self.assertEqual(got, want)
            got = b""
            steps.next()
        self.assertEqual(list(pieces), [])

    def test_events_20_ms_apart_arrive_one_by_one(self):
        events = [b"data: event %d\n\n" % n for n in range(60)]
        self.upstream.replies["sse"] = Reply(events, framing="chunked", gap=0.02, headers=[("Content-Type", "text/event-stream")])
        conn = self.gateway.tunnel("api.example.test")
        conn.sendall(b"GET /reply/sse HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
        answer = client.Reader(conn).answer()
        conn.close()
        self.assertEqual(answer.body, b"".join(events))
        self.assertGreaterEqual(len(answer.pieces), 50, "events were gathered")

    def test_stream_without_a_content_type(self):
        steps = Steps([b"data: a\n\n", b"data: b\n\n"], headers=())
        conn, reader = self.open(steps)
        steps.next()
        pieces = reader.pieces(reader.head())
        self.assertEqual(next(pieces), b"data: a\n\n")
        steps.next()
        self.assertEqual(list(pieces), [b"data: b\n\n"])

    def test_begun_secret_is_held_and_the_end_flushes_it(self):
        begun = b"sk-ant-api03-" + b"Q" * 10
        steps = Steps([b"words. " + begun, b""])
        conn, reader = self.open(steps)
        steps.next()
        answer = reader.head()
        pieces = reader.pieces(answer)
        first = next(pieces)
        self.assertTrue(b"words. ".startswith(first), first)
        steps.next()
        self.assertEqual(first + b"".join(pieces), b"words. " + begun)

    def test_begun_secret_that_goes_on_otherwise_is_released(self):
        begun = b"sk-ant-api03-" + b"Q" * 10
        steps = Steps([b"words. " + begun, b"!\n\n", b"end\n\n"])
        conn, reader = self.open(steps)
        steps.next()
        pieces, got = reader.pieces(reader.head()), b""
        steps.next()
        while len(got) < len(b"words. " + begun + b"!\n\n"):
            got += next(pieces)
        self.assertEqual(got, b"words. " + begun + b"!\n\n")
        steps.next()
        self.assertEqual(b"".join(pieces), b"end\n\n")

    def test_first_event_arrives_although_the_request_body_goes_on(self):
        """A two-way stream: upload and answer run at the same time."""
        conn = self.gateway.tunnel("api.example.test")
        self.addCleanup(conn.close)
        conn.sendall(b"POST /mirror HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nline 1.\n\r\n")
        reader = client.Reader(conn)
        pieces, got = reader.pieces(reader.head()), b""
        for n in range(1, 6):
            want = b"line %d.\n" % n
            while len(got) < len(want):
                got += next(pieces)
            self.assertEqual(got, want)
            got = b""
            conn.sendall(b"8\r\nline %d.\n\r\n" % (n + 1))
        conn.sendall(b"0\r\n\r\n")
        self.assertEqual(b"".join(pieces), b"line 6.\n")


def text_with(rng, size, marks, every):
    """About `size` bytes of text and binary data with one of `marks` about each `every` bytes; a list of parts, marks as indices."""
    words = [b"lorem", b"ipsum dolor", b"{\"k\": 1}", b"\n", b"0x00ff", bytes(range(128, 160)), b"sk-", b"sk-ant-", b"QUJD", b"...", b" "]
    parts, total = [], 0
    filler = b"".join(rng.choice(words) + b" " for _ in range(4000))
    while total < size:
        start = rng.randrange(len(filler) // 2)
        piece = filler[start:start + rng.randrange(every // 2, every)] + b"|"
        parts += [piece, rng.randrange(len(marks))]
        total += len(piece) + len(marks[parts[-1]])
    return parts


def render(parts, marks):
    return b"".join(p if isinstance(p, bytes) else marks[p] for p in parts)


class Volume(GatewayTest):
    SECRETS = {f"KEY_{n}": {"hosts": ["api.example.test"], "inject": ["header", "body"]} for n in range(12)}

    @classmethod
    def value_of(cls, name):
        n = int(name.split("_")[1])
        return harness.random_secret(prefix="sk-ant-api03-" if n % 2 else "", length=24 + 7 * n)

    def file_of(self, data):
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as f:
            f.write(data)
            return f.name

    def marks(self, values):
        return [values[n].encode() for n in self.SECRETS]

    def mirror(self, size, every, *words, framing=()):
        rng = random.Random(int.from_bytes(os.urandom(4), "big"))
        parts = text_with(rng, size, self.marks(self.fake), every)
        with_fakes, with_reals = render(parts, self.marks(self.fake)), render(parts, self.marks(self.real))
        r = self.gateway.curl("-T", self.file_of(with_fakes), *framing, *words, "https://api.example.test/mirror", timeout=240)
        self.assertEqual((r.rc, r.status), (0, 200), r.err)
        request = self.upstream.last("/mirror")
        self.assertEqual((request.length, request.digest.hexdigest()), (len(with_reals), hashlib.sha256(with_reals).hexdigest()))
        self.assertEqual(len(r.body), len(with_fakes))
        self.assertTrue(r.body == with_fakes, "the answer differs")
        return len(parts) // 2

    def test_50_mb_up_and_down_at_once_with_thousands_of_secrets(self):
        self.assertGreater(self.mirror(50 * MIB, 8000), 4000)

    def test_chunked_upload(self):
        self.mirror(3 * MIB, 1000, "-H", "Transfer-Encoding: chunked")

    def test_h2_client(self):
        self.mirror(3 * MIB, 1000, "--http2")

    def test_secrets_side_by_side(self):
        self.mirror(MIB, 40)

    def test_download_in_each_framing(self):
        rng = random.Random(7)
        parts = text_with(rng, 2 * MIB, self.marks(self.real), 700)
        body, want = render(parts, self.marks(self.real)), render(parts, self.marks(self.fake))
        for framing in ("length", "chunked", "close"):
            with self.subTest(framing):
                self.upstream.replies["v"] = Reply([body[n:n + 9973] for n in range(0, len(body), 9973)], framing=framing)
                r = self.gateway.curl("https://api.example.test/reply/v")
                self.assertEqual(r.rc, 0, r.err)
                self.assertTrue(r.body == want, "the answer differs")

    def test_download_of_50_mb_without_any_candidate(self):
        body = b"plain words, nothing else.\n" * (50 * MIB // 27)
        self.upstream.replies["c"] = Reply([body[n:n + MIB] for n in range(0, len(body), MIB)])
        r = self.gateway.curl("https://api.example.test/reply/c", timeout=120)
        self.assertEqual((r.rc, r.body == body), (0, True), r.err)


class RandomForwarding(Volume):
    """The same with HAProxy's own splitter in front of the filter: it hands over random amounts."""

    @classmethod
    def make_root(cls):
        root = harness.copy_of_tree(f"{cls.folder}/tree")
        with open(f"{root}/haproxy/haproxy.cfg") as f:
            text = f.read()
        assert "\n\tfilter slapenir " in text
        with open(f"{root}/haproxy/haproxy.cfg", "w") as f:
            f.write(text.replace("\n\tfilter slapenir ", "\n\tfilter trace name split quiet random-forwarding\n\tfilter slapenir "))
        return root

    def test_50_mb_up_and_down_at_once_with_thousands_of_secrets(self):
        self.mirror(2 * MIB, 300)

    def test_download_of_50_mb_without_any_candidate(self):
        self.skipTest("the splitter has nothing to split for a scanner there")


if __name__ == "__main__":
    harness.main()
