#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""HAProxy's defaults open in places where nobody looks. Each is tried here with what it would let through."""
import os
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import client
import harness
from harness import GatewayTest, Reply


class OpenDefaults(GatewayTest):
    def setUp(self):
        self.upstream.seen.clear()

    def silence(self):
        """Stops the agent, master first; gives a function that lets it go on."""
        workers = self.gateway.workers()
        with open(f"/proc/{workers[0]}/stat") as f:
            master = int(f.read().rpartition(")")[2].split()[1])
        for pid in (master, *workers):
            os.kill(pid, signal.SIGSTOP)

        def go_on():
            for pid in (master, *workers):
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + 20
            while self.gateway.curl("https://api.example.test/echo").status != 200:
                assert time.monotonic() < end, "not serving again"
                time.sleep(0.2)
        return go_on

    def read_all(self, conn):
        data = b""
        try:
            while piece := conn.recv():
                data += piece
        except OSError:
            pass
        return data

    def test_1xx_heads_bypass_all_rules_and_filters(self):
        real = self.real["API_KEY"]
        for status in (100, 102, 103, 199):
            with self.subTest(status):
                self.upstream.replies["i"] = Reply(b"x", informational=[(status, [("X-Value", real), ("X-" + real, "1"), (":reason", real)])])
                conn = self.gateway.tunnel("api.example.test")
                conn.sendall(b"GET /reply/i HTTP/1.1\r\nHost: api.example.test\r\nConnection: close\r\n\r\n")
                data = self.read_all(conn)
                self.assertIn(b"HTTP/1.1 200 OK", data)
                self.assertClean(data)
                self.assertNotIn(real.lower().encode(), data.lower())
                self.assertNotIn(b"x-value", data.lower())

    def test_reason_phrase_and_header_names_pass_rules_untouched(self):
        real = self.real["API_KEY"]
        self.upstream.replies["n"] = Reply(b"x", status=404, reason="No " + real, headers=[("X-" + real, "1"), (real, "2")])
        data = self.gateway.get("api.example.test", "/reply/n").raw_head
        self.assertTrue(data.startswith(b"HTTP/1.1 404 Not Found\r\n"), data)
        self.assertNotIn(real.lower().encode(), data.lower())

    def test_response_that_ends_early_forwards_its_buffer_raw(self):
        """The agent is silent, the bytes wait in HAProxy's buffer, and the upstream hangs up."""
        real = self.real["API_KEY"].encode()
        for framing in ("length", "chunked", "close"):
            with self.subTest(framing):
                hang_up = threading.Event()

                def pieces():
                    yield b"first words.\n"
                    hang_up.wait(20)
                    yield b"and " + real + b" here.\n"
                reply = Reply([b"x" * 100], framing=framing, headers=[] if framing != "length" else [("Content-Length", "100000")])
                if framing == "length":
                    reply.framing = "none"
                reply.pieces = pieces()
                self.upstream.replies["e"] = reply
                conn = self.gateway.tunnel("api.example.test", timeout=30)
                conn.sendall(b"GET /reply/e HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
                reader = client.Reader(conn)
                body = reader.pieces(reader.head())
                self.assertEqual(next(body), b"first words.\n")
                go_on = self.silence()
                try:
                    hang_up.set()
                    self.read_all(conn)
                    self.assertClean(bytes(reader.raw))
                    reader.raw += self.read_all(conn)
                    self.assertClean(bytes(reader.raw))
                finally:
                    go_on()

    def test_request_that_ends_early_forwards_its_buffer_raw(self):
        """The agent is silent, a real secret waits in the buffer towards the upstream, and the client hangs up."""
        for half in (False, True):
            with self.subTest(half=half):
                conn = self.gateway.tunnel("api.example.test", timeout=30)
                conn.sendall(b"POST /sink HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst.\r\n")
                end = time.monotonic() + 10
                while not self.upstream.last("/sink"):
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.02)
                go_on = self.silence()
                try:
                    real = self.real["API_KEY"].encode()
                    conn.sendall(b"%x\r\n%s\r\n" % (len(real), real))
                    if half:
                        conn.outer.shutdown(1)
                    else:
                        conn.close()
                    end = time.monotonic() + 15
                    while self.upstream.last("/sink") not in self.upstream.aborted and time.monotonic() < end:
                        time.sleep(0.05)
                finally:
                    go_on()
                request = self.upstream.last("/sink")
                self.assertNotIn(real[13:], request.kept)
                self.assertFalse(request.done)
                self.upstream.seen.clear()

    def test_early_answer_lets_the_rest_of_the_request_through_raw(self):
        """The upstream answers before it has read the body: HAProxy is done with the request, its buffer is not."""
        real, got = self.real["API_KEY"].encode(), []

        def early(request):
            request.conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            time.sleep(0.3)
            request.conn.settimeout(2)
            got.append(request.rest)
            try:
                while data := request.conn.recv(65536):
                    got.append(data)
            except OSError:
                pass
            raise ConnectionError("enough")
        self.upstream.routes["early"] = early
        conn = self.gateway.tunnel("api.example.test", timeout=10)
        conn.sendall(b"POST /early HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"a" * 2000 + b"\r\n")
        answer = client.Reader(conn).answer()
        self.assertEqual(answer.status, 413)
        try:
            for _ in range(20):
                conn.sendall(b"%x\r\n%s\r\n" % (len(real), real))
                time.sleep(0.02)
            conn.sendall(b"0\r\n\r\n")
        except OSError:
            pass
        time.sleep(1)
        self.assertNotIn(real, b"".join(got))

    def test_answer_to_head_or_304_with_a_body_of_its_own(self):
        """Bytes after a message that has no body must not become the next answer."""
        real = self.real["API_KEY"].encode()
        for status, method in ((200, "HEAD"), (304, "GET"), (204, "GET")):
            self.upstream.replies["b"] = Reply(raw=b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(real), real))
            conn = self.gateway.tunnel("api.example.test", timeout=3)
            conn.sendall(f"{method} /reply/b HTTP/1.1\r\nHost: api.example.test\r\n\r\n".encode())
            self.assertClean(self.read_all(conn))
            conn.close()


def changed_gateway(change):
    """A GatewayTest class whose haproxy.cfg went through `change`."""
    class Changed(GatewayTest):
        @classmethod
        def make_root(cls):
            root = harness.copy_of_tree(f"{cls.folder}/tree")
            with open(f"{root}/haproxy/haproxy.cfg") as f:
                text = f.read()
            assert change(text) != text
            with open(f"{root}/haproxy/haproxy.cfg", "w") as f:
                f.write(change(text))
            return root
    return Changed


class WithoutTheFilter(unittest.TestCase):
    def test_filter_that_is_not_attached_lets_everything_pass_raw(self):
        """HAProxy would not say a word. The canary notices, and nothing is served."""
        changed = changed_gateway(lambda text: "\n".join(line for line in text.split("\n") if not line.startswith("\tfilter slapenir")))
        self.addCleanup(changed.doClassCleanups)
        try:
            changed.setUpClass()
        except RuntimeError as e:
            self.assertIn("make up", str(e))
            return
        answer = changed.gateway.curl("-H", "X-Api-Key: " + changed.fake["API_KEY"], "https://api.example.test/echo")
        self.assertIn(503, (answer.status, answer.connect))
        self.assertEqual(changed.upstream.seen, [])


if __name__ == "__main__":
    harness.main()
