#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `limits:` of an agent says: streams at once and requests per second, counted per agent over all its connections."""
import threading
import time

import client
import harness
from harness import GatewayTest, Reply

GET = b"GET /reply/%s HTTP/1.1\r\nHost: api.example.test\r\n\r\n"


def agents(streams):
    return (f"agents:\n  few: {{ secrets: all, limits: {{ streams: {streams} }} }}\n"
            "  slow: { secrets: all, limits: { requests_per_second: 3 } }\n  agent-1: { secrets: all }\n")


class Limits(GatewayTest):
    EXTRA = agents(2)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.few, cls.slow = cls.gateway.new_agent("few"), cls.gateway.new_agent("slow")

    def setUp(self):
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)
        self.upstream.replies["short"] = Reply(b"ok")

    def endless(self):
        """A reply that ends when the test says so."""
        def pieces():
            yield b"data: begun\n\n"
            self.go_on.wait(60)

        reply = Reply(framing="chunked")
        reply.pieces = pieces()
        return reply

    def stream(self, number, certificate):
        name = f"endless{number}"
        self.upstream.replies[name] = self.endless()
        conn = self.gateway.tunnel("api.example.test", certificate=certificate)
        self.addCleanup(conn.close)
        conn.sendall(GET % name.encode())
        reader = client.Reader(conn)
        body = reader.pieces(reader.head())
        self.assertEqual(next(body), b"data: begun\n\n")
        return body

    def short(self, certificate=None):
        return self.gateway.get("api.example.test", "/reply/short", certificate=certificate)

    def eventually_served(self, certificate):
        end = time.monotonic() + 20
        while (answer := self.short(certificate)).status != 200:
            self.assertLess(time.monotonic(), end, answer.line)
            time.sleep(int(answer.get("retry-after")))  # those that are refused count, too

    def assertOverloaded(self, answer):
        self.assertEqual((answer.status, answer.get("x-slapenir-code"), answer.get("retry-after")), (503, "overloaded", "1"))
        self.assertIn(b'"overloaded"', answer.body)

    def test_streams_at_once(self):
        open_ones = [self.stream(n, self.few) for n in range(2)]
        self.assertOverloaded(self.short(self.few))
        self.assertEqual(self.short().status, 200)  # others are not concerned
        self.assertTrue(self.gateway.wait_audit(lambda a: a.get("code") == "overloaded" and a.get("agent") == "few"))
        self.go_on.set()
        for body in open_ones:
            self.assertEqual(list(body), [])
        self.eventually_served(self.few)

    def test_streams_of_one_http2_connection_count_each(self):
        for n in range(2):
            self.stream(10 + n, self.few)
        answer = self.gateway.curl("--http2", "https://api.example.test/reply/short", certificate=self.few)
        self.assertEqual((answer.status, answer.code), (503, "overloaded"))

    def test_requests_per_second(self):
        conn = self.gateway.tunnel("api.example.test", certificate=self.slow)
        self.addCleanup(conn.close)
        reader, statuses = client.Reader(conn), []
        for _ in range(40):
            conn.sendall(GET % b"short")
            answer = reader.answer("GET")
            statuses.append(answer.status)
            if answer.status != 200:
                break
        self.assertOverloaded(answer)
        self.assertGreaterEqual(len(statuses), 4, "three a second are allowed")
        self.assertEqual(self.short().status, 200)
        self.eventually_served(self.slow)

    def test_reload_changes_them_for_open_connections(self):
        for n in range(2):
            self.stream(20 + n, self.few)
        self.assertOverloaded(self.short(self.few))
        self.gateway.write_policy(self.policy().replace(agents(2), agents(3)))
        self.addCleanup(self.gateway.slapenir, "reload")
        self.addCleanup(self.gateway.write_policy, self.policy())
        done = self.gateway.slapenir("reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.eventually_served(self.few)


if __name__ == "__main__":
    harness.main()
