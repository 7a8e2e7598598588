#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One agent that takes all it can: another is served meanwhile."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import client
import harness
from harness import GatewayTest


class Starving(GatewayTest):
    def served(self):
        r = self.gateway.curl("-H", "x-api-key: " + self.fake["API_KEY"], "https://api.example.test/echo", certificate=self.other)
        self.assertEqual((r.rc, r.status), (0, 200), r.err)

    def setUp(self):
        self.other = self.gateway.new_agent("bystander")

    def test_hundred_streams_that_hold_something_back(self):
        conns = []
        for _ in range(100):
            conn = self.gateway.tunnel("api.example.test")
            conn.sendall(b"POST /mirror HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nsk-ant-api03-abc\r\n")
            conns.append(conn)
        for _ in range(3):
            self.served()
        for conn in conns:
            conn.close()
        self.served()

    def test_drip_of_single_bytes(self):
        conn = self.gateway.tunnel("api.example.test")
        conn.sendall(b"POST /sink HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(3000):
            conn.sendall(b"1\r\n%c\r\n" % (b"sk-ant-api03-"[n % 13]))
            if n % 1000 == 0:
                self.served()
        conn.sendall(b"0\r\n\r\n")
        self.assertEqual(client.Reader(conn).answer().status, 200)
        conn.close()

    def test_huge_heads_are_refused(self):
        for head in (b"X: " + b"a" * 120000 + b"\r\n", b"".join(b"X-%d: b\r\n" % n for n in range(400)), b"Cookie: " + b"a=b; " * 24000 + b"\r\n"):
            before = len(self.upstream.seen)
            try:
                answer = self.gateway.exchange("api.example.test", b"GET /echo HTTP/1.1\r\nHost: api.example.test\r\n" + head + b"\r\n")
                self.assertIn(answer.status, (400, 413, 414, 431))
            except OSError:
                pass  # hung up on while it was still sending
            self.assertEqual(len(self.upstream.seen), before, "it went upstream")
            self.served()

    def test_head_of_many_placeholders(self):
        many = [("X-Api-Key", self.fake["API_KEY"])] * 80
        answer = self.gateway.get("api.example.test", "/echo", many)
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.upstream.last("/echo").all("x-api-key"), [self.real["API_KEY"]] * 80)
        self.assertClean(answer.body)

    def test_response_with_a_huge_head_is_refused_or_sanitized(self):
        real = self.real["API_KEY"]
        self.upstream.replies["huge"] = harness.Reply(b"x", headers=[(f"X-{n}", real) for n in range(90)])
        answer = self.gateway.get("api.example.test", "/reply/huge")
        self.assertClean(answer.raw_head + answer.body)
        self.upstream.replies["huger"] = harness.Reply(b"x", headers=[(f"X-{n}", real * 20) for n in range(90)])
        answer = self.gateway.get("api.example.test", "/reply/huger")
        self.assertEqual(answer.status, 502)
        self.assertClean(answer.raw_head + answer.body)


if __name__ == "__main__":
    harness.main()
