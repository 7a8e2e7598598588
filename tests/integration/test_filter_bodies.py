# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies through the filter alone, cut at every place that HAProxy, the agent, the client and the upstream can cut them."""
import concurrent.futures
import random
import socket
import subprocess
import time
import unittest

from filterlab import FAKE, SECRET, Answered, Lab, LabTest, read_all
from scripted_agent import EOM, FULL, HEAD, PROMISED, WHOLE, Answer, Replacer
from upstream import Reply

TRACE = "filter trace name cut random-forwarding"


def mixed(size, token, seed=1):
    """Random bytes with the token every few hundred, some of them back to back or begun and not ended."""
    rng = random.Random(seed)
    out = bytearray()
    while len(out) < size:
        out += rng.randbytes(rng.randrange(1, 400))
        out += rng.choice([token, token + token, token[:rng.randrange(1, len(token))], token[:-1] + token])
    return bytes(out[:size])


class Requests(LabTest):
    def test_length_that_fits_is_held_whole_with_its_head(self):
        lab = self.lab()
        got = lab.post("/reflect", b"a" + FAKE + b"b")
        self.assertEqual((got.status, got.whole), (200, True))
        self.assertEqual(lab.upstream.last("/reflect").kept, b"a" + SECRET + b"b")
        first = lab.agent.seen[0]
        self.assertEqual(first.flags & (HEAD | EOM | WHOLE), HEAD | EOM | WHOLE)
        self.assertEqual(sum(m.direction == 0 for m in lab.agent.seen), 1)

    def test_chunked_body_whose_end_is_there_gets_an_exact_length(self):
        lab = self.lab()
        lab.post("/reflect", b"", chunks=[b"a", FAKE[:5], FAKE[5:], b"b"])
        request = lab.upstream.last("/reflect")
        self.assertEqual(request.kept, b"a" + SECRET + b"b")
        self.assertEqual((request.get("content-length"), request.get("transfer-encoding")), (str(len(SECRET) + 2), None))

    def test_slow_body_of_known_length_reaches_upstream_in_one_piece(self):
        lab = self.lab()
        with lab.connect() as s:
            s.sendall(b"POST /reflect HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % (len(FAKE) + 1))
            for i in range(len(FAKE)):
                s.sendall(FAKE[i:i + 1])
                time.sleep(0.002)
            self.assertEqual(lab.upstream.seen, [])
            s.sendall(b"!")
            got = Answered(read_all(s))
        self.assertEqual(lab.upstream.seen[0].kept, SECRET + b"!")
        self.assertIn(FAKE + b"!", got.body)

    def test_longer_secret_makes_an_exact_new_length_when_whole(self):
        grow = SECRET + b"-and-more" * 20
        lab = self.lab(Replacer(SECRET, FAKE, grow=grow))
        lab.post("/reflect", b"<" + FAKE + b">")
        request = lab.upstream.last("/reflect")
        self.assertEqual(request.kept, b"<" + grow + b">")
        self.assertEqual(request.get("content-length"), str(len(grow) + 2))

    def test_longer_secret_that_overflows_the_buffer_is_still_whole(self):
        grow = SECRET + b"-and-more" * 20
        lab = self.lab(Replacer(SECRET, FAKE, grow=grow), bufsize=8192)
        body = (FAKE + b"\n") * 130
        lab.post("/sink", body)
        request = lab.upstream.last("/sink")
        self.assertEqual(request.length, len((grow + b"\n") * 130))
        self.assertEqual(request.kept, (grow + b"\n") * 130)
        self.assertEqual(request.get("content-length"), str(request.length))

    def test_longer_secret_in_a_long_body_goes_chunked(self):
        grow = SECRET + b"-and-more" * 20
        lab = self.lab(Replacer(SECRET, FAKE, grow=grow), bufsize=8192)
        body = mixed(300000, FAKE)
        lab.post("/sink", body)
        request = lab.upstream.last("/sink")
        self.assertEqual(request.kept, body.replace(FAKE, grow)[:1 << 20])
        self.assertEqual(request.get("transfer-encoding"), "chunked")

    def test_two_way_stream_does_not_wait_for_its_end(self):
        lab = self.lab()
        with lab.connect() as s:
            s.sendall(b"POST /mirror HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
            data = b""
            for i in range(20):
                line = b"line %d %s\n" % (i, FAKE)
                s.sendall(b"%x\r\n%s\r\n" % (len(line), line))
                while line not in data:
                    piece = s.recv(65536)
                    self.assertTrue(piece)
                    data += piece
            self.assertNotIn(SECRET, data)
            s.sendall(b"0\r\n\r\n")
        self.assertEqual(lab.upstream.seen[0].method, "POST")

    def test_client_that_shuts_its_writing_side_gets_its_answer(self):
        lab = self.lab()
        body = b"x" * 100 + FAKE  # a longer one may be gone before its last bytes are judged, which is an abort
        for _ in range(3):
            with lab.connect() as s:
                s.sendall(b"POST /sink HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                s.shutdown(socket.SHUT_WR)
                self.assertEqual(Answered(read_all(s)).status, 200)


class Cuts(LabTest):
    """The same bodies, cut by the client, by HAProxy's own random splitter, and by an agent that consumes at random."""

    def both_ways(self, lab, size, rounds=6):
        up, down = mixed(size, FAKE, 3), mixed(size, SECRET, 4)
        rng = random.Random(5)
        pieces = [down[i:i + 777] for i in range(0, len(down), 777)]
        for n, framing in enumerate(("length", "chunked", "close", "http10")):
            lab.upstream.replies[framing] = Reply(pieces if n != 1 else [down[i:i + 97] for i in range(0, len(down), 97)],
                                                  framing=framing)

        def one(n):
            framing = ("length", "chunked", "close", "http10")[n % 4]
            got = lab.get(f"/reply/{framing}")
            self.assertEqual(got.status, 200)
            self.assertEqual(got.body, down.replace(SECRET, FAKE), framing)
            self.assertTrue(got.whole)
            cut, at = [], 0
            while at < len(up):
                step = rng.choice((1, 7, 100, 1000, 5000))
                cut.append(up[at:at + step])
                at += step
            before = len(lab.upstream.seen)
            got = lab.post(f"/sink?{n}", up, chunks=cut if n % 2 else None)
            self.assertEqual(got.status, 200)
            seen = [r for r in lab.upstream.seen[before - before:] if r.target == f"/sink?{n}"]
            self.assertEqual(seen[-1].kept, up.replace(FAKE, SECRET))

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(rounds)))

    def test_plain(self):
        self.both_ways(self.lab(), 200000)

    def test_two_threads_and_small_buffers(self):
        self.both_ways(self.lab(bufsize=4096, maxrewrite=512, threads=2), 60000, 8)

    def test_random_splitter(self):
        self.both_ways(self.lab(before=TRACE), 60000, 8)

    def test_agent_that_consumes_at_random(self):
        self.both_ways(self.lab(Replacer(SECRET, FAKE, ragged=7)), 60000)

    def test_everything_at_once(self):
        self.both_ways(self.lab(Replacer(SECRET, FAKE, ragged=8), bufsize=4096, maxrewrite=512, threads=2,
                                before=TRACE), 30000, 8)

    def test_length_that_changes(self):
        shorter, longer = FAKE[:-7], FAKE + b"-longer" * 9
        for fake in (shorter, longer):
            for words in ({}, {"bufsize": 4096, "maxrewrite": 512}, {"before": TRACE}):
                lab = self.lab(Replacer(SECRET, fake, grow=SECRET), **words)
                down = mixed(50000, SECRET, 9)
                for framing in ("length", "chunked", "close"):
                    lab.upstream.replies[framing] = Reply([down[i:i + 501] for i in range(0, len(down), 501)], framing=framing)
                    got = lab.get(f"/reply/{framing}")
                    self.assertEqual(got.body, down.replace(SECRET, fake))
                    self.assertTrue(got.whole)
                    old = Answered(lab.say(b"GET /reply/%s HTTP/1.0\r\nhost: a\r\n\r\n" % framing.encode()))
                    self.assertEqual(old.body, down.replace(SECRET, fake))
                    self.assertIsNone(old.get(b"transfer-encoding"))

    def test_every_offset_of_a_chunked_response(self):
        lab = self.lab()
        text = b"before " + SECRET + b" after"
        for at in range(1, len(text)):
            lab.upstream.replies["cut"] = Reply([text[:at], text[at:]], framing="chunked", gap=0.003)
            self.assertEqual(lab.get("/reply/cut").body, text.replace(SECRET, FAKE), at)


class Streams(LabTest):
    def test_events_come_one_by_one_and_the_end_flushes(self):
        lab = self.lab()
        events = [b"data: %d %s\n\n" % (i, SECRET) for i in range(10)] + [b"data: " + SECRET[:9]]
        lab.upstream.replies["sse"] = Reply(events, framing="chunked", gap=0.02, headers=[("Content-Type", "text/event-stream")])
        with lab.connect() as s:
            s.sendall(b"GET /reply/sse HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            pieces = []
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                pieces.append(piece)
        got = Answered(b"".join(pieces))
        self.assertEqual(got.body, b"".join(events).replace(SECRET, FAKE))
        self.assertGreaterEqual(len(pieces), 10)

    def test_no_tiny_chunk_after_a_big_one(self):
        lab = self.lab()
        lab.upstream.replies["big"] = Reply(b"x" * 4000000)
        self.assertEqual(len(lab.get("/reply/big").body), 4000000)
        sizes = [len(m.chunk) for m in lab.agent.seen if m.direction == 1]
        self.assertGreater(sum(sizes) / len(sizes), 11000)

    def test_promised_length_is_said(self):
        lab = self.lab()
        lab.upstream.replies["length"] = Reply([b"x" * 30000, b"y" * 30000])
        lab.get("/reply/length")
        later = [m for m in lab.agent.seen if m.direction == 1][1:]
        self.assertTrue(later and all(m.flags & PROMISED for m in later))

    def test_full_chunk_of_which_nothing_is_decided_ends_the_stream(self):
        def hold_all(message):
            if message.is_end:
                return None
            return Answer(consumed=0 if message.direction and not message.flags & EOM else len(message.chunk))

        lab = self.lab(hold_all)
        lab.upstream.replies["long"] = Reply([b"x" * 1000000], framing="chunked")
        got = lab.get("/reply/long")
        self.assertEqual((got.body, got.whole), (b"", False))
        self.assertTrue(lab.agent.seen[-1].flags & FULL)

    def test_50_megabytes_both_ways_at_once(self):
        lab = self.lab(threads=2, bufsize=32768, maxrewrite=2048)
        piece = mixed(1000000, FAKE, 6)
        with lab.connect(120) as s:
            s.sendall(b"POST /mirror HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")
            import threading
            data = bytearray()

            def read():
                while True:
                    got = s.recv(262144)
                    if not got:
                        return
                    data.extend(got)

            reader = threading.Thread(target=read)
            reader.start()
            for _ in range(50):
                s.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            s.sendall(b"0\r\n\r\n")
            reader.join(100)
        got = Answered(bytes(data))
        self.assertTrue(got.whole)
        self.assertEqual(len(got.body), 50000000)
        self.assertTrue(got.body == piece * 50)
        self.assertEqual(lab.upstream.seen[0].kept, (piece * 2).replace(FAKE, SECRET)[:1 << 20])


class Http2(LabTest):
    def curl(self, lab, *args, **kw):
        return subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "--max-time", "30", *args], capture_output=True, **kw)

    def test_both_ways(self):
        lab = self.lab(before=TRACE)  # HTTP/2 wants buffers of 16 KiB
        up, down = mixed(100000, FAKE), mixed(100000, SECRET)
        lab.upstream.replies["down"] = Reply([down[:50000], down[50000:]], framing="chunked")
        got = self.curl(lab, f"http://127.0.0.1:{lab.h2_port}/reply/down")
        self.assertEqual((got.returncode, got.stdout), (0, down.replace(SECRET, FAKE)))
        got = self.curl(lab, "--data-binary", "@-", "-H", "expect:", f"http://127.0.0.1:{lab.h2_port}/sink", input=up)
        self.assertEqual(got.returncode, 0)
        self.assertEqual(lab.upstream.last("/sink").kept, up.replace(FAKE, SECRET))

    def test_two_way_stream_under_back_pressure_never_stops(self):
        """mux-h1 of HAProxy 2.6 forgets what lies in its own buffer when a chunk ended exactly where the channel was full: one
        in seven of these transfers stopped for good."""
        lab = self.lab(bufsize=32768, maxrewrite=2048)
        body = mixed(1000000, FAKE) * 20
        for _ in range(5):
            got = self.curl(lab, "-T", "-", "-H", "expect:", "--limit-rate", "12M", f"http://127.0.0.1:{lab.h2_port}/mirror", input=body)
            self.assertEqual(got.returncode, 0)
            self.assertTrue(got.stdout == body)


if __name__ == "__main__":
    unittest.main()
