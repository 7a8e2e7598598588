# SPDX-License-Identifier: GPL-2.0-or-later
"""Two network namespaces of this process's own, joined by a pair of interfaces and without any other way out: `gateway`, where the process
and what it starts from now on live, and `outside`. They end with the process.

The addresses are of a block (RFC 7535) that counts as reachable worldwide, so that the gateway takes them for the internet."""
import contextlib
import ctypes
import os
import subprocess

GATEWAY, OUTSIDE = "192.31.196.2", "192.31.196.1"
NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result:
        raise OSError(ctypes.get_errno(), "network namespace")


def _ip(line, fd=None):
    inside = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{fd}"] if fd else []
    subprocess.run([*inside, "ip", *line.split()], check=True, capture_output=True)


class Namespaces:
    def __init__(self):
        _check(libc.unshare(NEWNET))
        self.outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        _check(libc.unshare(NEWNET))
        self.gateway = os.open("/proc/self/ns/net", os.O_RDONLY)
        _ip("link add gw type veth peer name out")
        _ip(f"link set out netns /proc/{os.getpid()}/fd/{self.outside}")
        for name, address, fd in (("gw", GATEWAY, None), ("out", OUTSIDE, self.outside)):
            _ip("link set lo up", fd)
            _ip(f"addr add {address}/24 dev {name}", fd)
            _ip(f"link set {name} up", fd)

    @contextlib.contextmanager
    def in_outside(self):
        """Sockets made in here belong to the outside, whoever uses them later."""
        _check(libc.setns(self.outside, NEWNET))
        try:
            yield
        finally:
            _check(libc.setns(self.gateway, NEWNET))
