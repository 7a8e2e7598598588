# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter alone: a real HAProxy with spoe.conf and load.lua as shipped, a scripted agent and real upstreams. No TLS and
no policy in between, so that each byte on either side is the test's own."""
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ports
from scripted_agent import Agent, Replacer
from upstream import Upstream

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("SLAPENIR_BUILD", os.path.join(ROOT, "build")))
MODULE = os.path.join(BUILD, "slapenir_filter.so")
SECRET, FAKE = b"sk-REAL-0123456789abcdefghijklmnop", b"sk-FAKE-0123456789abcdefghijklmnop"

CONFIG = """
global
	lua-load {root}/haproxy/load.lua
	tune.bufsize {bufsize}
	tune.maxrewrite {maxrewrite}
	nbthread {threads}
	{globals}

defaults
	mode http
	log stdout format raw daemon
	timeout connect 5s
	timeout client 20s
	timeout server 20s
	timeout http-keep-alive 20s

frontend door
	bind 127.0.0.1:{port} {bind}
	bind 127.0.0.1:{h2_port} proto h2
	filter spoe engine slapenir-request config {spoe}
	filter spoe engine slapenir-response config {spoe}
	{before}
	filter slapenir request-engine slapenir-request response-engine slapenir-response {options}
	http-request set-var(txn.agent) str(agent-1)
	http-request set-var(txn.host) str({host})
	http-request set-var(txn.scheme) str(https)
	{rules}
	default_backend up

backend up
	{backend}
	server s 127.0.0.1:{upstream} {server}

backend spoa
	mode tcp
	timeout connect 1s
	timeout server 3m
	server a unix@{agent}
"""


class Lab:
    """One HAProxy. Extra words go to the places that CONFIG names."""

    def __init__(self, script=None, upstream=None, module=MODULE, start=True, **words):
        self.dir = tempfile.mkdtemp(prefix="filterlab-")
        os.chmod(self.dir, 0o755)
        self.port, self.h2_port = ports.free_port(), ports.free_port()
        self.agent = Agent(f"{self.dir}/spoa.sock", script or Replacer(SECRET, FAKE))
        self.upstream = upstream or Upstream()
        self.module = module
        values = dict(bufsize=16384, maxrewrite=1024, threads=1, globals="", before="", options="", rules="", backend="",
                      server="", bind="", spoe=f"{ROOT}/haproxy/spoe.conf", root=ROOT, port=self.port, h2_port=self.h2_port,
                      host="api.test:443", agent=f"{self.dir}/spoa.sock", upstream=getattr(self.upstream, "port", self.upstream))
        values.update(words)
        self.config = f"{self.dir}/haproxy.cfg"
        with open(self.config, "w") as f:
            f.write(CONFIG.format(**values))
        self.process = None
        if start:
            self.start()

    @property
    def environment(self):
        return dict(os.environ, SLAPENIR_MODULE=self.module, **lab_environment())

    def check(self):
        return subprocess.run(["haproxy", "-c", "-f", self.config], env=self.environment, capture_output=True, text=True)

    def start(self):
        self.log = open(f"{self.dir}/log", "w+")
        self.process = subprocess.Popen(["haproxy", "-db", "-f", self.config], env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT)
        for _ in range(3000):
            if self.process.poll() is not None:
                raise RuntimeError(open(f"{self.dir}/log").read())
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("haproxy does not listen")

    def output(self):
        return open(f"{self.dir}/log").read()

    def stop(self):
        died = None
        if self.process:
            died = self.process.poll()
            if died is None:
                self.process.send_signal(signal.SIGTERM)
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            self.log.close()
        self.agent.close()
        text = self.output() if self.process else ""
        shutil.rmtree(self.dir, ignore_errors=True)
        if died is not None:
            raise AssertionError(f"haproxy died ({died}):\n{text[-4000:]}")
        if "AddressSanitizer" in text or "runtime error" in text:
            raise AssertionError(text[-6000:])

    def connect(self, timeout=30):
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def say(self, request, timeout=30):
        """Sends bytes, reads until the server closes (`connection: close` in the request makes it)."""
        with self.connect(timeout) as s:
            s.sendall(request)
            return read_all(s)

    def get(self, path, *fields, method="GET", version="1.1"):
        lines = [f"{method} {path} HTTP/{version}", "host: api.test", *fields, "connection: close", "", ""]
        return Answered(self.say("\r\n".join(lines).encode("latin-1")))

    def post(self, path, body, *fields, chunks=None):
        head = [f"POST {path} HTTP/1.1", "host: api.test", *fields, "connection: close"]
        if chunks is None:
            head.append(f"content-length: {len(body)}")
        else:
            head.append("transfer-encoding: chunked")
            body = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
        return Answered(self.say(("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + body))


def lab_environment():
    """LD_PRELOAD and such, when the module was built with a sanitizer."""
    preload = os.environ.get("FILTERLAB_PRELOAD")
    return {"LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"} if preload else {}


def read_all(s):
    pieces = []
    try:
        while piece := s.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


class Answered:
    """An HTTP/1.1 answer as it came. `whole` is false when the connection ended before the message did."""

    def __init__(self, raw):
        self.raw = raw
        self.informational = []
        while True:
            head, _, rest = raw.partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            parts = lines[0].split(b" ", 2)
            self.status = int(parts[1]) if len(parts) > 1 else 0
            if not 100 <= self.status < 200 or self.status == 101:
                break
            self.informational.append(head)
            raw = rest
        self.reason = parts[2] if len(parts) > 2 else b""
        self.fields = [tuple(x.strip() for x in line.split(b":", 1)) for line in lines[1:]]
        self.trailers, self.whole = [], True
        length, chunked = self.get(b"content-length"), self.get(b"transfer-encoding") == b"chunked"
        self.body = self._chunks(rest) if chunked else rest
        if not chunked and length is not None:
            self.whole = len(rest) >= int(length)

    def _chunks(self, rest):
        body, at = [], 0
        while True:
            end = rest.find(b"\r\n", at)
            if end < 0:
                self.whole = False
                break
            size, at = int(rest[at:end], 16), end + 2
            if not size:
                tail = rest[at:]
                self.trailers = [tuple(x.strip() for x in t.split(b":", 1)) for t in tail.split(b"\r\n") if t]
                self.whole = tail.endswith(b"\r\n")
                break
            body.append(rest[at:at + size])
            if len(rest) < at + size + 2:
                self.whole = False
                break
            at += size + 2
        return b"".join(body)

    def get(self, name):
        return next((v for n, v in self.fields if n.lower() == name), None)


class LabTest(unittest.TestCase):
    def lab(self, *args, **words):
        lab = Lab(*args, **words)
        self.addCleanup(lab.stop)
        return lab


def patched_module(folder, *changes):
    """A copy of the filter with (file, old, new) changed, built in `folder`: what happens without a protection."""
    tree = os.path.join(folder, "tree")
    for part in (".ci", "haproxy", "spoa", "Makefile"):
        source, target = os.path.join(ROOT, part), os.path.join(tree, part)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        else:
            os.makedirs(tree, exist_ok=True)
            shutil.copy2(source, target)
    for name, old, new in changes:
        path = os.path.join(tree, name)
        text = open(path).read()
        if old not in text:
            raise AssertionError(f"{name} no longer has what this test takes out: {old!r}")
        open(path, "w").write(text.replace(old, new))
    build = os.path.join(folder, "build")
    os.makedirs(build, exist_ok=True)
    # what the changes cannot touch need not be made again
    for part in glob.glob(f"{BUILD}/haproxy-headers") + glob.glob(f"{BUILD}/filter/*/spoa"):
        shutil.copytree(part, os.path.join(build, os.path.relpath(part, BUILD)), symlinks=True)
    made = subprocess.run(["make", "-s", "-C", tree, f"BUILD={build}", "CFLAGS=-O1", f"{build}/slapenir_filter.so"],
                          capture_output=True, text=True)
    if made.returncode:
        raise AssertionError(made.stdout + made.stderr)
    return os.path.join(build, "slapenir_filter.so")
