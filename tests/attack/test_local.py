#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Another user of the gateway's host: sockets, files and memory that are none of his business."""
import os
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness
import ports
from harness import GatewayTest

CONNECT = """
import os, socket, sys
os.setgid(65534); os.setgroups([]); os.setuid(65534)
s = socket.socket(socket.AF_UNIX, int(sys.argv[2]))
try:
    s.connect(sys.argv[1]); print("connected")
except OSError as e:
    print("refused")
"""
OPEN = """
import os, sys
os.setgid(65534); os.setgroups([]); os.setuid(65534)
try:
    open(sys.argv[1], "rb").read(1); print("read")
except OSError as e:
    print("refused")
"""


@unittest.skipUnless(os.geteuid() == 0, "becoming another user needs root")
class Local(GatewayTest):
    def sockets(self):
        """Paths of the Unix sockets on which this gateway's processes listen, with their types."""
        inodes = set()
        for pid in harness.processes_of(self.gateway.state):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
                except OSError:
                    pass
        found = []
        with open("/proc/net/unix") as f:
            next(f)
            for line in f:
                words = line.split(None, 7)
                if len(words) == 8 and f"socket:[{words[6]}]" in inodes:
                    found.append((words[7].strip(), int(words[4], 16)))
        return found

    def real_path(self, path):
        """As seen from outside of HAProxy's chroot."""
        if path.startswith(self.gateway.state) or os.path.exists(path):
            return path
        for pid in harness.processes_of(self.gateway.state):
            outside = os.path.realpath(f"/proc/{pid}/root") + path
            if os.path.exists(outside):
                return outside
        return path

    def test_no_socket_can_be_reached_by_another_user(self):
        found = self.sockets()
        self.assertGreater(len(found), 3, found)
        for path, kind in found:
            with self.subTest(path):
                self.assertFalse(path.startswith("@"), "an abstract socket has no modes")
                done = subprocess.run(["/usr/bin/python3", "-c", CONNECT, self.real_path(path), str(kind)], capture_output=True, text=True)
                self.assertEqual(done.stdout.strip(), "refused", done.stderr)

    def test_no_key_and_no_policy_can_be_read_by_another_user(self):
        paths = [self.gateway.policy, f"{self.folder}/tokens", f"{self.gateway.state}/agent.key", f"{self.gateway.state}/placeholder.key", f"{self.gateway.state}/audit.log"]
        for base, _, names in os.walk(f"{self.gateway.state}/ca"):
            paths += [os.path.join(base, n) for n in names if n.endswith((".key", ".pem"))]
        for base, _, names in os.walk(f"{self.gateway.state}/haproxy"):
            paths += [os.path.join(base, n) for n in names if b"PRIVATE KEY" in open(os.path.join(base, n), "rb").read()]
        for path in paths:
            with self.subTest(path):
                self.assertTrue(os.path.exists(path))
                done = subprocess.run(["/usr/bin/python3", "-c", OPEN, path], capture_output=True, text=True)
                self.assertEqual(done.stdout.strip(), "refused")

    def test_agent_on_open_tcp_is_refused_without_tls(self):
        for address in ("0.0.0.0", "192.0.2.1", "[::]"):
            done = self.gateway.slapenir("spoa", "--policy", self.gateway.policy, "--state", f"{self.folder}/other", "--listen",
                                         f"tcp:{address}:{ports.free_port()}", timeout=20)
            self.assertNotEqual(done.returncode, 0, address)
            self.assertRegex(done.stdout + done.stderr, "(?i)tls")

    def test_gateway_listens_on_its_own_address_only(self):
        listening = []
        inodes = {os.readlink(f"/proc/{pid}/fd/{fd}") for pid in harness.processes_of(self.gateway.state) for fd in os.listdir(f"/proc/{pid}/fd")
                  if os.path.islink(f"/proc/{pid}/fd/{fd}")}
        for table in ("tcp", "tcp6"):
            with open(f"/proc/net/{table}") as f:
                next(f)
                for line in f:
                    words = line.split()
                    if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                        listening.append(words[1])
        host, _, port = self.gateway.address.rpartition(":")
        want = "".join(f"{b:02X}" for b in reversed(socket.inet_aton(host))) + f":{int(port):04X}"
        self.assertEqual(set(listening), {want})

    def test_workers_have_no_files_and_no_network_and_no_new_programs(self):
        for pid in self.gateway.workers():
            with open(f"/proc/{pid}/status") as f:
                status = {name: value.strip() for name, _, value in (line.partition(":") for line in f)}
            self.assertEqual(status["Seccomp"], "2", "a seccomp filter")
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assertNotEqual(status["Uid"].split()[0], "0", "not root")


if __name__ == "__main__":
    harness.main()
