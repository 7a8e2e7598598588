#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit log: one line for each request that rehydrated, redacted, refused, tripped or stayed inert; names and counts, never a value."""
import json
import os
import signal
import stat
import subprocess
import threading
import time
import unittest

import client
import harness
from harness import GatewayTest, Reply


class Audit(GatewayTest):
    KEYS = {"time", "id", "agent", "host", "method", "path", "verdict", "secrets", "end"}
    SECRETS = {"API_KEY": {"hosts": ["api.example.test"], "inject": ["header", "body"]}, "SECOND": {"hosts": ["api.example.test"]}}

    def row(self, path):
        rows = self.gateway.wait_audit(lambda a: a.get("path") == path)
        self.assertEqual(len(rows), 1, f"{path}: {rows} of {self.gateway.audit()[-5:]}")
        return rows[0]

    def counts(self, row):
        return sorted((s["name"], s["where"], s["direction"], s["count"]) for s in row["secrets"])

    def test_rehydration_and_redaction_are_one_line_with_counts(self):
        fake = self.fake["API_KEY"]
        self.gateway.get("api.example.test", "/echo/counted", [("X-Api-Key", fake)], "POST", f"{fake} {fake}".encode())
        row = self.row("/echo/counted")
        self.assertEqual(self.KEYS - set(row), set())
        self.assertEqual((row["agent"], row["host"].split(":")[0], row["method"], row["end"]), ("agent-1", "api.example.test", "POST", "complete"))
        self.assertEqual(self.counts(row), sorted([("API_KEY", "header", "request", 1), ("API_KEY", "body", "request", 2), ("API_KEY", "body", "response", 3)]))

    def test_each_occurrence_counts_once_although_workers_die(self):
        fake, real = self.fake["API_KEY"].encode(), self.real["API_KEY"].encode()
        self.upstream.replies["many"] = Reply([b"x" * 400 + b" " + real + b"\n"] * 1500, framing="chunked", gap=0.001)
        result = []
        transfer = threading.Thread(target=lambda: result.append(self.gateway.get("api.example.test", "/reply/many")))
        transfer.start()
        for _ in range(3):
            time.sleep(0.4)
            workers = self.gateway.workers()
            if workers:
                os.kill(workers[0], signal.SIGKILL)
        transfer.join()
        self.assertEqual(result[0].body.count(fake), 1500)
        row = self.row("/reply/many")
        self.assertEqual(self.counts(row), [("API_KEY", "body", "response", 1500)])

    def frames(self):
        return sum(w["frames"] for w in json.loads(self.gateway.slapenir("status", "--state", self.gateway.state).stdout)["workers"])

    def test_ends_are_told_along_with_other_exchanges(self):
        conn = self.gateway.tunnel("api.example.test")
        reader = client.Reader(conn)
        time.sleep(0.3)
        before = self.frames()
        for n in range(100):
            conn.sendall(f"GET /sink/{n} HTTP/1.1\r\nHost: api.example.test\r\nX-Api-Key: {self.fake['API_KEY']}\r\n\r\n".encode())
            self.assertEqual(reader.answer().status, 200)
        conn.close()
        for n in range(100):
            self.assertEqual(self.row(f"/sink/{n}")["end"], "complete")
        self.assertLess(self.frames() - before, 150)

    def test_clean_request_has_no_line(self):
        self.gateway.get("api.example.test", "/echo/clean")
        self.gateway.get("api.example.test", "/echo/marked", [("X-Api-Key", self.fake["API_KEY"])])
        self.row("/echo/marked")
        self.assertEqual([a for a in self.gateway.audit() if a.get("path") == "/echo/clean"], [])

    def test_redaction_after_a_request_that_needed_no_exchange_knows_method_and_path(self):
        self.upstream.replies["known"] = Reply(self.real["API_KEY"].encode())
        for _ in range(3):  # the verdict on a clean head is remembered from the first on
            self.gateway.get("api.example.test", "/echo/clean")
        self.gateway.get("api.example.test", "/reply/known?x=1")
        self.assertEqual(self.row("/reply/known")["method"], "GET")

    def test_inert_placeholder_in_a_body_is_audited(self):
        self.gateway.get("api.example.test", "/echo/inert", (), "POST", self.fake["SECOND"].encode())
        row = self.row("/echo/inert")
        self.assertIn("inert_in_body", str(row))
        self.assertIn(("SECOND", "body"), [(s["name"], s["where"]) for s in row["secrets"]])

    def test_secret_in_a_path_is_not_written_out(self):
        self.upstream.replies["x"] = Reply(b"x")
        self.gateway.get("api.example.test", f"/echo/{self.real['API_KEY']}/p")
        rows = self.gateway.wait_audit(lambda a: a.get("code") == "tripwire")
        self.assertTrue(rows)
        self.assertNotIn(self.real["API_KEY"], str(rows))

    def test_refusals_of_haproxy_and_of_the_agent_have_a_line_each(self):
        self.gateway.connect("nowhere.example.test:443")
        self.assertTrue(self.gateway.wait_audit(lambda a: a.get("code") == "host_denied" and "nowhere" in a.get("host", "")))
        self.gateway.get("api.example.test", "/echo/traced", method="TRACE")
        self.assertTrue(self.gateway.wait_audit(lambda a: a.get("code") == "trace_refused"))

    def test_client_that_leaves_closes_its_line(self):
        self.upstream.replies["slow"] = Reply([self.real["API_KEY"].encode() + b".\n"] * 50, framing="chunked", gap=0.1)
        conn = self.gateway.tunnel("api.example.test")
        conn.sendall(b"GET /reply/slow HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
        conn.recv()
        conn.recv()
        conn.close()
        self.assertNotEqual(self.row("/reply/slow")["end"], "complete")

    def test_end_of_an_answer_that_is_clean_to_its_end(self):
        """Nothing of the answer is asked about, so the request's END has to tell how the answer ended."""
        how = [("Authorization", "Bearer " + self.fake["API_KEY"])]
        for name, stop, end in (("warm", None, "complete"), ("whole", None, "complete"), ("short", 3, "server_abort")):
            self.upstream.replies[name] = Reply([b"data: hello\n\n"] * 5, framing="chunked", stop_after=stop, gap=0.05)
            try:
                self.gateway.get("api.example.test", "/reply/" + name, how)
            except (ConnectionError, OSError):
                self.assertTrue(stop)
            self.assertEqual(self.row("/reply/" + name)["end"], end)

    def test_file_modes(self):
        for name, mode in (("audit.log", 0o640), ("control.sock", 0o600), ("agent.key", 0o600), ("placeholder.key", 0o600)):
            found = stat.S_IMODE(os.stat(f"{self.gateway.state}/{name}").st_mode)
            self.assertEqual(found & ~mode, 0, f"{name} is {found:o}")

    def test_processes_do_not_dump_core(self):
        for pid in harness.processes_of(self.gateway.state):
            with open(f"/proc/{pid}/limits") as f:
                core = next(line for line in f if line.startswith("Max core file size"))
            self.assertEqual(core.split()[4], "0", f"pid {pid}: {core}")


@unittest.skipUnless(os.geteuid() == 0, "mounting a small file system needs root")
class FullDisk(GatewayTest):
    """`audit: required`: what cannot be recorded does not happen."""
    EXTRA = "audit: required\n"

    @classmethod
    def setUpClass(cls):
        make_upstreams = cls.make_upstreams

        def with_mount():
            make_upstreams()
            os.mkdir(f"{cls.folder}/state", 0o711)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0711", "tmpfs", f"{cls.folder}/state"], check=True)
            cls.addClassCleanup(subprocess.run, ["umount", "-l", f"{cls.folder}/state"])
        cls.make_upstreams = with_mount
        super().setUpClass()

    def setUp(self):
        self.conn = self.gateway.tunnel("api.example.test")
        self.addCleanup(self.conn.close)
        self.reader = client.Reader(self.conn)

    def ask(self):
        self.conn.sendall(b"GET /echo HTTP/1.1\r\nHost: api.example.test\r\nX-Api-Key: %s\r\n\r\n" % self.fake["API_KEY"].encode())
        return self.reader.answer()

    def recorded(self):
        return sum(any(s["what"] == "rehydrated" for s in row["secrets"]) for row in self.gateway.audit() if row.get("path") == "/echo")

    def is_served(self):
        """An answer whose redaction cannot be recorded any more is cut, although its request was."""
        try:
            return self.ask().status == 200
        except ConnectionError:
            self.setUp()
            return False

    def fill(self):
        filler = f"{self.gateway.state}/filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 4096)
            except OSError:
                pass
        return filler

    def test_agent_that_is_suspended_then__is_refused_all_the_same(self):
        """New shapes, with which HAProxy's verdicts die, cannot be written: then the old ones must not stay."""
        certificate = self.gateway.new_agent("suspect")
        clean = lambda: self.gateway.get("api.example.test", "/sink", certificate=certificate)
        for _ in range(3):
            self.assertEqual(clean().status, 200)
        tunnel = self.gateway.tunnel("api.example.test", certificate=certificate)
        self.addCleanup(tunnel.close)
        reader = client.Reader(tunnel)
        filler = self.fill()
        try:
            self.gateway.slapenir("suspend", "suspect", "--state", self.gateway.state)
            self.assertFalse(os.path.exists(f"{self.gateway.state}/haproxy/shapes"))
            end, status = time.monotonic() + 10, 200
            while status == 200:
                self.assertLess(time.monotonic(), end, "the suspended agent is still served")
                tunnel.sendall(b"GET /sink HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
                status = reader.answer().status
            self.assertEqual(status, 403)
        finally:
            os.unlink(filler)
            self.gateway.slapenir("lift", "suspect", "--state", self.gateway.state)

    def test_full_disk_refuses_and_a_mended_one_serves_again(self):
        self.assertEqual(self.ask().status, 200)
        filler = self.fill()
        try:
            asked = 0
            while self.is_served():  # what was set aside in advance is used up first
                asked += 1
                self.assertLess(asked, 3000, "still serving on a full disk")
            count = len(self.upstream.seen)
            a = self.ask()
            self.assertEqual((a.status, a.get("x-slapenir-code")), (503, "audit_unavailable"))
            self.assertEqual(len(self.upstream.seen), count)
        finally:
            os.unlink(filler)
        end = time.monotonic() + 20
        while self.ask().status != 200:
            self.assertLess(time.monotonic(), end, "not serving again although there is room")
            time.sleep(0.2)
        served = sum(1 for r in self.upstream.seen if r.get("x-api-key") == self.real["API_KEY"])
        self.gateway.wait_audit(lambda _: self.recorded() >= served)
        recorded = self.recorded()
        self.assertEqual(recorded, served, "requests that were rehydrated against lines that say so")


if __name__ == "__main__":
    harness.main()
