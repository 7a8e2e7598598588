# SPDX-License-Identifier: GPL-2.0-or-later
"""What the filter decides by itself, by the file of public shapes: clean heads with a known verdict and clean chunks make no
exchange, and nothing that could be a secret or placeholder passes without one."""
import os
import socket
import struct
import time
import unittest

from filterlab import FAKE, SECRET, Answered, LabTest, read_all
from scripted_agent import CACHE, EOM, GENERATION, HEAD, LATE_HEAD, Answer, Replacer, refusal
from upstream import Reply

# No cut of it leaves a tail that could begin a secret: a letter at the end of a chunk may, in base64, begin any prefix.
DULL = b". , ; ! "


def shape(value, prefix=b"", alphabet=5):
    """A member of the file: positions of the alphabet are NUL (spoa/shape_file.c)."""
    template = prefix + bytes(0 if chr(c).isalnum() else c for c in value[len(prefix):])
    return struct.pack(">HHHH", 0, alphabet, len(value), len(prefix)) + template


def literal(value):
    return struct.pack(">HHHH", 1, 5, len(value), len(value)) + value


def shapes_file(members, generation=GENERATION, epoch=1, prefilter=True):
    body = b"".join(members)
    data = b"SLPSHAPE" + struct.pack(">II", 1, 40 + len(body) + 8) + generation + struct.pack(">QII", epoch, int(prefilter), len(members))
    data += body
    h = 0xcbf29ce484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001b3) & (1 << 64) - 1
    return data + struct.pack(">Q", h)


class FastTest(LabTest):
    MEMBERS = [shape(SECRET, b"sk-REAL-"), shape(FAKE, b"sk-FAKE-")]

    def fast(self, script=None, members=None, off=False, **words):
        lab = self.lab(script or Replacer(SECRET, FAKE, cache=True), start=False, **words)
        self.publish(lab, shapes_file(members or self.MEMBERS, prefilter=not off))
        text = open(lab.config).read()
        open(lab.config, "w").write(text.replace("response-engine slapenir-response",
                                                 f"response-engine slapenir-response shapes {lab.dir}/shapes"))
        lab.start()
        return lab

    def publish(self, lab, data):
        with open(f"{lab.dir}/shapes.new", "wb") as f:
            f.write(data)
        os.rename(f"{lab.dir}/shapes.new", f"{lab.dir}/shapes")

    def exchanges(self, lab, *args, call=None, **kw):
        lab.agent.seen.clear()
        got = (call or lab.get)(*args, **kw)
        return got, len([m for m in lab.agent.seen if not m.is_end])


class Clean(FastTest):
    def test_second_clean_request_makes_no_exchange(self):
        lab = self.fast()
        lab.upstream.replies["r"] = Reply([DULL * 5000, DULL * 5000], headers=[("Content-Type", "text/plain")])
        first, n = self.exchanges(lab, "/reply/r")
        self.assertGreaterEqual(n, 2)
        again, n = self.exchanges(lab, "/reply/r")
        self.assertEqual((n, again.body), (0, first.body))
        self.assertEqual(again.body, DULL * 10000)

    def test_post_and_chunked_and_close(self):
        lab = self.fast()
        for framing in ("chunked", "close", "length"):
            lab.upstream.replies["r"] = Reply([DULL * 100] * 50, framing=framing)
            lab.get("/reply/r")
            got, n = self.exchanges(lab, "/reply/r")
            self.assertEqual((n, got.body, got.whole), (0, DULL * 5000, True), framing)
        lab.post("/sink", b"a")
        for body in (b"short body.", DULL * 20000):
            got, n = self.exchanges(lab, "/sink", body, call=lab.post)
            self.assertEqual((got.status, n), (200, 0))
            self.assertEqual(lab.upstream.last("/sink").kept, body)
        got, n = self.exchanges(lab, "/sink", b"", call=lab.post, chunks=[DULL] * 30)
        self.assertEqual((got.status, n), (200, 0))

    def test_another_agent_or_host_has_a_verdict_of_its_own(self):
        lab = self.fast(rules="http-request set-var(txn.agent) req.hdr(x-request-id)")
        lab.get("/sink", "x-request-id: one")
        self.assertEqual(self.exchanges(lab, "/sink", "x-request-id: one")[1], 0)
        self.assertGreater(self.exchanges(lab, "/sink", "x-request-id: two")[1], 0)

    def test_agent_that_gives_no_cache_is_asked_each_time(self):
        lab = self.fast(Replacer(SECRET, FAKE))
        for _ in range(3):
            self.assertGreater(self.exchanges(lab, "/sink")[1], 0)

    def test_heads_that_are_judged_each_time(self):
        lab = self.fast()
        lab.get("/sink")
        lab.get("/sink")
        for args in (("/a%2e%2e/b",), ("/a/../b",), ("/sink", "content-encoding: gzip"), ("/sink", "x-never-heard-of: 1"),
                     ("/sink", "content-type: application/grpc+proto")):
            self.assertGreater(self.exchanges(lab, *args)[1], 0, args)
        for headers, status in (([("Content-Encoding", "gzip")], 200), ([("Content-Range", "bytes 0-1/9")], 200), ([], 206)):
            lab.upstream.replies["r"] = Reply(b"x", headers=headers, status=status)
            lab.agent.seen.clear()
            lab.get("/reply/r")
            self.assertTrue([m for m in lab.agent.seen if m.direction], headers)


    def test_long_clean_body_never_stops(self):
        lab = self.fast(bufsize=32768, maxrewrite=2048)
        body = b"plain words, nothing else.\n" * 1500000
        lab.upstream.replies["r"] = Reply(body)
        for _ in range(2):
            got = lab.get("/reply/r")
            self.assertTrue(got.whole and got.body == body)

    def test_what_begins_at_a_chunks_end_is_held_here(self):
        lab = self.fast()
        pieces = [DULL * 10 + b"sk-RE", b"ST. " + DULL * 10 + b"sk-REAL-a", b"b! " + DULL + b"sk-F"]
        lab.upstream.replies["r"] = Reply(pieces, framing="chunked", gap=0.05)
        lab.get("/reply/r")
        got, n = self.exchanges(lab, "/reply/r")
        self.assertEqual((n, got.body, got.whole), (0, b"".join(pieces), True))
        for begun in (b"sk-RE", b"sk-REAL-a"):
            self.assertNotIn(begun + b"\r\n", got.raw, "the end of a chunk: it was not held")

    def test_exchange_does_not_make_the_next_chunks_exchanged(self):
        lab = self.fast()
        pieces = [b"first " + SECRET + b" then sk-RE", b"ST. " + DULL, b"words. ", b"the end."]
        lab.upstream.replies["r"] = Reply(pieces, framing="chunked", gap=0.05)
        lab.get("/reply/r")
        got, n = self.exchanges(lab, "/reply/r")
        self.assertEqual((n, got.body), (1, b"".join(pieces).replace(SECRET, FAKE)))

    def test_what_the_agent_holds_for_its_own_reasons_stays_its_own(self):
        def hold(m):
            return None if m.is_end else Answer(flags=CACHE, consumed=max(len(m.chunk) - (0 if m.flags & EOM else 2), 0))

        lab = self.fast(hold)
        lab.upstream.replies["r"] = Reply([SECRET + b" . ", b"1. ", b"2. ", b"3. "], framing="chunked", gap=0.05)
        lab.get("/reply/r")
        self.assertGreaterEqual(self.exchanges(lab, "/reply/r")[1], 4)

    def test_tail_held_at_the_very_end_of_the_buffer(self):
        """While a slow client has not taken what was let go, HAProxy fills its buffer to the last byte. Then all of it is in front of the tail and
        none behind, nothing more can be added, and HAProxy tried that for ever."""
        def hold(m):
            return None if m.is_end else Answer(flags=CACHE, consumed=max(len(m.chunk) - (0 if m.flags & EOM else 2), 0))

        body = (DULL * 4000 + b"sk-RE") * 60
        for bufsize, off in ((16384, True), (32768, True), (16384, False)):
            with self.subTest(bufsize=bufsize, off=off):
                lab = self.fast(hold, bufsize=bufsize, maxrewrite=1024, globals="tune.sndbuf.client 4096", off=off)
                lab.upstream.replies["r"] = Reply(body)
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    s.settimeout(10)
                    s.connect(("127.0.0.1", lab.port))
                    s.sendall(b"GET /reply/r HTTP/1.1\r\nhost: api.test\r\nconnection: close\r\n\r\n")
                    pieces = []
                    while piece := s.recv(65536):
                        pieces.append(piece)
                        time.sleep(0.0005)
                got = Answered(b"".join(pieces))
                self.assertTrue(got.whole and got.body == body)


class Candidates(FastTest):
    def test_secret_in_any_spelling_is_exchanged(self):
        import base64
        lab = self.fast()
        spelled = {"raw": SECRET, "base64": base64.b64encode(b"user:" + SECRET), "hex": SECRET.hex().encode(),
                   "percent": b"".join(b"%%%02X" % c for c in SECRET), "json": b"".join(b"\\u%04x" % c for c in SECRET),
                   "html": b"".join(b"&#%d;" % c for c in SECRET)}
        lab.get("/reply/none")
        lab.get("/reply/none")
        for name, text in spelled.items():
            with self.subTest(name):
                lab.upstream.replies["r"] = Reply(b"before " + text + b" after", headers=[("Content-Type", "text/plain")])
                lab.agent.seen.clear()
                lab.get("/reply/r")
                self.assertTrue([m for m in lab.agent.seen if m.direction and text in m.chunk], name)

    def test_placeholder_in_a_head_is_exchanged(self):
        import base64
        lab = self.fast()
        lab.get("/sink")
        for field in ("authorization: Bearer " + FAKE.decode(), "x-api-key: " + FAKE.decode(),
                      "authorization: Basic " + base64.b64encode(b"u:" + FAKE).decode()):
            self.assertGreater(self.exchanges(lab, "/sink", field)[1], 0)
        self.assertGreater(self.exchanges(lab, "/sink?k=" + FAKE.decode())[1], 0)
        self.assertEqual(self.exchanges(lab, "/sink")[1], 0)

    def test_secret_cut_at_every_offset(self):
        lab = self.fast()
        text = b"words before, " + SECRET + b" and words after."
        lab.upstream.replies["cut"] = Reply([text], framing="chunked")
        lab.get("/reply/cut")
        for at in range(1, len(text)):
            lab.upstream.replies["cut"] = Reply([text[:at], text[at:]], framing="chunked", gap=0.003)
            self.assertEqual(lab.get("/reply/cut").body, text.replace(SECRET, FAKE), at)

    def test_first_candidate_after_a_clean_beginning_brings_the_head(self):
        lab = self.fast()
        lab.upstream.replies["late"] = Reply([b"clean words. " * 10, b"now: " + SECRET + b". ", b"and clean again."], framing="chunked",
                                             gap=0.05)
        lab.get("/reply/late")
        lab.agent.seen.clear()
        got = lab.get("/reply/late")
        self.assertEqual(got.body, b"clean words. " * 10 + b"now: " + FAKE + b". and clean again.")
        response = [m for m in lab.agent.seen if m.direction]
        self.assertEqual(response[0].flags & (HEAD | LATE_HEAD), HEAD | LATE_HEAD)
        self.assertEqual(response[0].head.status, 200)
        self.assertFalse(any(m.flags & HEAD for m in response[1:]))

    def test_late_refusal_cuts(self):
        from scripted_agent import CUT, refusal

        def script(m):
            if m.direction and SECRET in m.chunk:
                return refusal(403, b"tripwire", CUT)
            return Answer(flags=CACHE, consumed=len(m.chunk))

        lab = self.fast(script)
        lab.upstream.replies["late"] = Reply([b"clean words. " * 10, b"now: " + SECRET], framing="chunked", gap=0.05)
        lab.get("/sink")
        got = lab.get("/reply/late")
        self.assertNotIn(SECRET, got.raw)
        self.assertFalse(got.whole)

    def test_a_secret_as_a_field_name(self):
        lab = self.fast()
        lab.upstream.replies["r"] = Reply(b"x")
        lab.get("/reply/r")
        lab.get("/reply/r")
        lab.upstream.replies["r"] = Reply(b"x", headers=[(SECRET.decode(), "v")])
        got = lab.get("/reply/r")
        self.assertNotIn(SECRET.lower(), got.raw.lower())

    def test_bodies_are_the_same_with_and_without(self):
        import random
        rng = random.Random(21)
        words = [b"the", b"quick", b"{\"a\": 1}", SECRET, SECRET[:20], b"\n", FAKE, b"0123456789abcdef" * 4, b"sk-REAL-"]
        body = b" ".join(rng.choice(words) for _ in range(8000))
        slow = self.lab()
        for lab in (self.fast(), self.fast(before="filter trace name cut random-forwarding quiet"), self.fast(bufsize=4096, maxrewrite=512,
                                                                                                            threads=2)):
            for other in (lab, slow):
                other.upstream.replies["r"] = Reply([body[i:i + 700] for i in range(0, len(body), 700)], framing="chunked")
            for _ in range(3):
                self.assertEqual(lab.get("/reply/r").body, slow.get("/reply/r").body)
                for other in (lab, slow):
                    other.post("/sink", body)
                self.assertEqual(lab.upstream.last("/sink").kept, slow.upstream.last("/sink").kept)


class Trust(FastTest):
    """The file is re-read every second and trusted for two."""

    def wait_for(self, lab, exchanged, seconds=5):
        for _ in range(int(seconds / 0.1)):
            if (self.exchanges(lab, "/sink")[1] > 0) == exchanged:
                return
            time.sleep(0.1)
        self.fail(f"exchanged did not become {exchanged}")

    def test_file_that_goes_or_is_damaged_is_no_longer_trusted(self):
        lab = self.fast()
        good = open(f"{lab.dir}/shapes", "rb").read()
        lab.get("/sink")
        for change in ("gone", "damaged", "short", "empty", "link"):
            self.publish(lab, good)
            self.wait_for(lab, False)
            if change == "gone":
                os.unlink(f"{lab.dir}/shapes")
            elif change == "link":
                os.rename(f"{lab.dir}/shapes", f"{lab.dir}/elsewhere")
                os.symlink("elsewhere", f"{lab.dir}/shapes")
            else:
                self.publish(lab, {"damaged": good[:-1] + b"x", "short": good[:50], "empty": b""}[change])
            self.wait_for(lab, True)
            time.sleep(2.2)
            self.assertGreater(self.exchanges(lab, "/sink")[1], 0, change)
            self.assertGreater(self.exchanges(lab, "/sink")[1], 0, change)
            if change in ("gone", "link"):
                self.assertGreater(self.exchanges(lab, "/sink")[1], 0, change)
            if os.path.islink(f"{lab.dir}/shapes"):
                os.unlink(f"{lab.dir}/shapes")

    def test_prefilter_off_exchanges_everything(self):
        lab = self.fast()
        lab.get("/sink")
        self.assertEqual(self.exchanges(lab, "/sink")[1], 0)
        self.publish(lab, shapes_file(self.MEMBERS, prefilter=False))
        self.wait_for(lab, True)
        self.assertGreater(self.exchanges(lab, "/sink")[1], 0)

    def test_refusal_forgets_verdicts(self):
        """It may have suspended the agent, and the file says so only later."""
        lab = self.fast(lambda m: refusal(403, b"tripwire") if SECRET in m.chunk else Answer(flags=CACHE, consumed=len(m.chunk)))
        lab.get("/sink")
        self.assertEqual(self.exchanges(lab, "/sink")[1], 0)
        self.assertEqual(lab.post("/sink", b"key " + SECRET).status, 403)
        self.assertGreater(self.exchanges(lab, "/sink")[1], 0)

    def test_verdict_that_was_asked_for_before_a_new_epoch_is_not_learnt(self):
        heads = []

        def slow(m):
            heads.append(m.direction)
            if heads == [0]:
                self.publish(lab, shapes_file(self.MEMBERS, epoch=2))
                time.sleep(1.5)  # the filter looks at the file each second
            return Answer(flags=CACHE, consumed=len(m.chunk))

        lab = self.fast(slow)
        lab.get("/sink")
        self.assertGreater(self.exchanges(lab, "/sink")[1], 0)
        self.assertEqual(self.exchanges(lab, "/sink")[1], 0)

    def test_new_epoch_or_generation_forgets_verdicts(self):
        lab = self.fast(Replacer(SECRET, FAKE))
        lab.agent.script.cache = True
        lab.get("/sink")
        self.wait_for(lab, False)
        lab.agent.script.cache = False
        for n, words in enumerate(({"epoch": 2}, {"epoch": 2, "generation": b"genera-2"})):
            self.publish(lab, shapes_file(self.MEMBERS, **words))
            time.sleep(1.3)
            self.assertGreater(self.exchanges(lab, "/sink")[1], 0)
            self.assertGreater(self.exchanges(lab, "/sink")[1], 0)
            lab.agent.script.cache = True
            lab.get("/sink")  # of generation 1: learnt only while the file says so too
            self.assertEqual(self.exchanges(lab, "/sink")[1] == 0, n == 0)
            lab.agent.script.cache = False

    def test_new_shape_is_seen_within_the_time(self):
        other = b"tok_" + b"Z9" * 14
        lab = self.fast(Replacer(other, b"tok_" + b"A1" * 14, cache=True))
        lab.upstream.replies["r"] = Reply(b"it is " + other)
        lab.get("/reply/r")
        self.publish(lab, shapes_file(self.MEMBERS + [shape(other, b"tok_")]))
        time.sleep(2.1)
        for _ in range(3):
            self.assertNotIn(other, lab.get("/reply/r").raw)

    def test_directory_that_is_not_there_is_no_start(self):
        lab = self.lab(start=False)
        text = open(lab.config).read()
        open(lab.config, "w").write(text.replace("response-engine slapenir-response",
                                                 "response-engine slapenir-response shapes /nonexistent/shapes"))
        checked = lab.check()
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("/nonexistent", checked.stderr + checked.stdout)


if __name__ == "__main__":
    unittest.main()
