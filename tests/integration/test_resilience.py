#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes die and hang: transfers complete or end with an error, and nothing passes unscanned."""
import hashlib
import os
import random
import signal
import tempfile
import threading
import time

import client
import harness
from harness import GatewayTest, Reply
from test_streaming import MIB, render, text_with


class Resilience(GatewayTest):
    def setUp(self):
        """The test before may have left a gateway that is just coming back."""
        self.wait_workers(2)
        end = time.monotonic() + 15
        while self.gateway.connect("api.example.test:443")[0] != 200:
            self.assertLess(time.monotonic(), end, "the gateway does not serve")
            time.sleep(0.1)

    def wait_workers(self, count):
        end = time.monotonic() + 15
        while len(self.gateway.workers()) < count:
            self.assertLess(time.monotonic(), end, "the workers did not come back")
            time.sleep(0.05)

    def file_of(self, data):
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as f:
            f.write(data)
            return f.name

    def test_killed_worker_in_a_50_mb_body_ten_times(self):
        fake, real = [self.fake["API_KEY"].encode()], [self.real["API_KEY"].encode()]
        parts = text_with(random.Random(), 50 * MIB, fake, 8000)
        sent, wanted = render(parts, fake), render(parts, real)
        result, name = [], self.file_of(sent)
        transfer = threading.Thread(target=lambda: result.append(self.gateway.curl(
            "-T", name, "--limit-rate", "10M", "https://api.example.test/mirror", timeout=240)))
        transfer.start()
        killed = 0
        for _ in range(10):
            time.sleep(0.35)
            self.wait_workers(1)
            self.assertTrue(transfer.is_alive(), f"the transfer ended after {killed} kills: {result and result[0].err}")
            os.kill(random.choice(self.gateway.workers()), signal.SIGKILL)
            killed += 1
        transfer.join()
        r = result[0]
        self.assertEqual((r.rc, r.status, killed), (0, 200, 10), r.err)
        request = self.upstream.last("/mirror")
        self.assertEqual((request.length, request.digest.hexdigest()), (len(wanted), hashlib.sha256(wanted).hexdigest()))
        self.assertTrue(r.body == sent, "the answer differs")

    def test_killed_worker_is_back_and_another_serves_meanwhile(self):
        before = self.gateway.workers()
        os.kill(before[0], signal.SIGKILL)
        for _ in range(5):
            r = self.gateway.curl("-H", "x-api-key: " + self.fake["API_KEY"], "https://api.example.test/echo")
            self.assertEqual(r.status, 200, r.body)
        self.wait_workers(2)
        self.assertNotIn(before[0], self.gateway.workers())

    def test_one_worker_of_two_stopped_no_request_slower_than_3_s(self):
        stopped = self.gateway.workers()[0]
        os.kill(stopped, signal.SIGSTOP)
        try:
            for n in range(20):
                start = time.monotonic()
                r = self.gateway.curl("-H", "x-api-key: " + self.fake["API_KEY"], "-d", self.fake["API_KEY"], "https://api.example.test/echo")
                took = time.monotonic() - start
                self.assertEqual((r.rc, r.status), (0, 200), f"request {n}: {r.err} {r.body}")
                self.assertLess(took, 3.0, f"request {n}")
                self.assertEqual(self.upstream.last("/echo").get("x-api-key"), self.real["API_KEY"])
        finally:
            try:
                os.kill(stopped, signal.SIGCONT)
            except ProcessLookupError:
                pass  # the master has replaced it, as it should
        self.wait_workers(2)
        self.assertNotIn(stopped, self.gateway.workers())

    def test_connects_that_a_stopped_worker_holds_are_asked_again_when_it_is_killed(self):
        os.kill(self.gateway.workers()[0], signal.SIGSTOP)
        got = []
        askers = [threading.Thread(target=lambda: got.append(self.gateway.connect("api.example.test:443")[:2])) for _ in range(24)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        self.assertEqual(got, [(200, None)] * len(askers))

    def test_all_stopped_streams_end_with_an_error_and_new_requests_get_503(self):
        real = self.real["API_KEY"].encode()
        stop = threading.Event()
        first = b"data: first words here.\n\n"

        def pieces():
            yield first
            stop.wait(30)
            while stop.is_set():  # something to be scanned, for as long as the gateway takes it
                yield b"data: " + real + b"\n\n"
                time.sleep(0.05)
        reply = Reply(framing="chunked")
        reply.pieces = pieces()
        self.upstream.replies["endless"] = reply
        conn = self.gateway.tunnel("api.example.test", timeout=30)
        idle = self.gateway.tunnel("api.example.test", timeout=30)
        conn.sendall(b"GET /reply/endless HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
        reader = client.Reader(conn)
        body = reader.pieces(reader.head())
        self.assertEqual(next(body), first)
        silent = self.masters() + self.gateway.workers()
        for pid in silent:  # the master first, or it would replace its workers
            os.kill(pid, signal.SIGSTOP)
        try:
            stop.set()
            with self.assertRaises((ConnectionError, OSError)):
                for piece in body:
                    self.fail(f"{piece!r} passed although nobody scanned it")
            self.assertClean(bytes(reader.raw))
            count = len(self.upstream.seen)
            idle.sendall(b"GET /echo HTTP/1.1\r\nHost: api.example.test\r\nX-Api-Key: %s\r\n\r\n" % self.fake["API_KEY"].encode())
            answer = client.Reader(idle).answer()
            self.assertEqual((answer.status, answer.get("x-slapenir-code")), (503, "agent_unavailable"))
            status, code, _ = self.gateway.connect("api.example.test:443")
            self.assertEqual((status, code), (503, "agent_unavailable"))
            self.assertEqual(len(self.upstream.seen), count)
        finally:
            for pid in silent:
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
            stop.clear()
        end = time.monotonic() + 20
        while (r := self.gateway.curl("https://api.example.test/echo")).status != 200:
            self.assertLess(time.monotonic(), end, f"not serving again: {r.status} {r.code} {r.err}")
            time.sleep(0.2)

    def masters(self):
        workers = set(self.gateway.workers())
        masters = set()
        for pid in workers:
            with open(f"/proc/{pid}/stat") as f:
                masters.add(int(f.read().rpartition(")")[2].split()[1]))
        return sorted(masters)

    def test_client_that_goes_away_leaves_nothing(self):
        for _ in range(5):
            conn = self.gateway.tunnel("api.example.test")
            conn.sendall(b"POST /mirror HTTP/1.1\r\nHost: api.example.test\r\nContent-Length: 1000000\r\n\r\n" + b"sk-ant-api03-abc")
            conn.close()
        r = self.gateway.curl("https://api.example.test/echo")
        self.assertEqual(r.status, 200)
        for request in self.upstream.seen:
            if request.path == "/mirror" and request.get("content-length") == "1000000":
                self.assertFalse(request.done)


if __name__ == "__main__":
    harness.main()
