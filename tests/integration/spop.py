# SPDX-License-Identifier: GPL-2.0-or-later
"""HAProxy's side of SPOP, to speak to the agent directly, and a running agent of our own to speak to."""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("SLAPENIR_BUILD", os.path.join(ROOT, "build")))
BINARY = os.path.join(BUILD, "slapenir")

HAPROXY_HELLO, HAPROXY_DISCONNECT, NOTIFY, AGENT_HELLO, AGENT_DISCONNECT, ACK = 1, 2, 3, 101, 102, 103
FIN, ABORT = 1, 2


def varint(n):
    if n < 240:
        return bytes([n])
    out, n = bytes([(n | 240) & 255]), (n - 240) >> 4
    while n >= 128:
        out, n = out + bytes([(n | 128) & 255]), (n - 128) >> 7
    return out + bytes([n])


def read_varint(data, at):
    value, at, shift = data[at], at + 1, 4
    if value < 240:
        return value, at
    while True:
        byte, at = data[at], at + 1
        value, shift = value + (byte << shift), shift + 7
        if byte < 128:
            return value, at


def string(value):
    value = value.encode() if isinstance(value, str) else value
    return varint(len(value)) + value


def typed(value):
    """str -> STR, bytes -> BIN, bool -> BOOL, int -> INT64 (what HAProxy sends for every integer sample)."""
    if isinstance(value, bool):
        return b"\x11" if value else b"\x01"
    if isinstance(value, int):
        return b"\x04" + varint(value)
    return (b"\x08" if isinstance(value, str) else b"\x09") + string(value)


def pairs(items):
    return b"".join(string(name) + typed(value) for name, value in items.items())


def read_typed(data, at):
    kind, at = data[at], at + 1
    if kind & 15 == 0:
        return None, at
    if kind & 15 == 1:
        return bool(kind & 16), at
    if kind & 15 <= 5:
        return read_varint(data, at)
    if kind & 15 in (6, 7):
        size = 4 if kind & 15 == 6 else 16
        return data[at:at + size], at + size
    size, at = read_varint(data, at)
    value = data[at:at + size]
    return (value.decode() if kind & 15 == 8 else value), at + size


def read_pairs(data):
    at, out = 0, {}
    while at < len(data):
        size, at = read_varint(data, at)
        name, at = data[at:at + size].decode(), at + size
        out[name], at = read_typed(data, at)
    return out


def read_actions(data):
    """{name: value} of set-var actions."""
    at, out = 0, {}
    while at < len(data):
        assert data[at] == 1 and data[at + 1] == 3, "an action that is no set-var"
        size, at = read_varint(data, at + 3)
        name, at = data[at:at + size].decode(), at + size
        out[name], at = read_typed(data, at)
    return out


def frame(kind, stream, number, payload, flags=FIN):
    body = bytes([kind]) + struct.pack(">I", flags) + varint(stream) + varint(number) + payload
    return struct.pack(">I", len(body)) + body


def hello(capabilities="pipelining,async", max_frame=16380, healthcheck=False):
    items = {"supported-versions": "2.0"}
    raw = pairs(items) + string("max-frame-size") + b"\x03" + varint(max_frame) + pairs({"capabilities": capabilities})
    return frame(HAPROXY_HELLO, 0, 0, raw + (pairs({"healthcheck": True}) if healthcheck else b""))


def notify(stream, message, arguments, flags=FIN):
    return frame(NOTIFY, stream, 1, string(message) + bytes([len(arguments)]) + pairs(arguments), flags)


def connect_notify(stream, agent="agent-1", authority="api.example.test:443"):
    return notify(stream, "slapenir-connect", {"agent": agent, "serial": "01", "authority": authority})


def request_notify(stream, chunk, agent="agent-1", host="api.example.test:443"):
    """Head and whole body of a POST in one exchange."""
    head = b"Q" + b"\x04POST" + b"\0\x01/" + b"\1\1" + b"\0\x04host" + struct.pack(">H", len(host) - 4) + host[:-4].encode()
    return notify(stream, "slapenir-request", {"id": os.urandom(12), "seq": 1, "gen": b"", "flags": 1 | 4, "agent": agent, "host": host,
                                               "scope": b"", "carry": b"", "head": head, "chunk": chunk})


class Connection:
    def __init__(self, sock, capabilities="pipelining,async", greet=True, **more):
        self.sock, self.data = sock, b""
        sock.settimeout(15)
        if greet:
            sock.sendall(hello(capabilities, **more))
            kind, _, _, payload = self.read()
            assert kind == AGENT_HELLO, (kind, payload)
            self.agent = read_pairs(payload)

    @classmethod
    def unix(cls, path, *how, **more):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(15)
        sock.connect(path)
        return cls(sock, *how, **more)

    def send(self, data):
        self.sock.sendall(data)

    def read(self):
        """(type, stream, frame, payload); None at the end."""
        while len(self.data) < 4 or len(self.data) < 4 + struct.unpack(">I", self.data[:4])[0]:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                assert not self.data, "the connection ended inside a frame"
                return None
            self.data += more
        size = struct.unpack(">I", self.data[:4])[0]
        body, self.data = self.data[4:4 + size], self.data[4 + size:]
        stream, at = read_varint(body, 5)
        number, at = read_varint(body, at)
        return body[0], stream, number, body[at:]

    def ask(self, data):
        """The variables that the ACK sets."""
        self.send(data)
        answer = self.read()
        assert answer and answer[0] == ACK, answer
        return read_actions(answer[3])

    def close(self):
        self.sock.close()


class Agent:
    """`slapenir spoa` with a policy and a state directory in `folder`."""

    def __init__(self, folder, policy, tokens="", workers=2, listen=(), arguments=(), environment=None):
        self.folder, self.state, self.policy = folder, f"{folder}/state", f"{folder}/policy.yaml"
        self.socket, self.log = f"{folder}/spoa.sock", f"{folder}/spoa.log"
        self.write(policy, tokens)
        self.command = [BINARY, "spoa", "--policy", self.policy, "--state", self.state, "--workers", str(workers)]
        for spec in listen or [f"unix:{self.socket}"]:
            self.command += ["--listen", spec]
        self.command += arguments
        self.environment = dict(os.environ, **(environment or {}))
        self.master = None

    def write(self, policy=None, tokens=None):
        for name, text in (("policy.yaml", policy), ("tokens", tokens)):
            if text is not None:
                with open(f"{self.folder}/{name}.new", "w") as f:
                    f.write(text)
                os.chmod(f"{self.folder}/{name}.new", 0o600)
                os.rename(f"{self.folder}/{name}.new", f"{self.folder}/{name}")

    def start(self):
        log = open(self.log, "ab")
        self.master = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
        log.close()
        self.wait(lambda: self.control("ping") == "pong\n", "it did not come up")
        return self

    def wait(self, condition, complaint, seconds=15):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.master.poll() is not None and "come up" in complaint:
                raise AssertionError(f"{complaint}\n{self.output()}")
            time.sleep(0.02)

    def control(self, line):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(30)
                s.connect(f"{self.state}/control.sock")
                s.sendall(line.encode() + b"\n")
                out = b""
                while part := s.recv(65536):
                    out += part
                return out.decode()
        except OSError:
            return ""

    def status(self):
        return json.loads(self.control("status"))

    def workers(self, phase="serving"):
        return [w["pid"] for w in self.status()["workers"] if w["phase"] == phase]

    def connect(self, *how, **more):
        return Connection.unix(self.socket, *how, **more)

    def verdict(self, agent="agent-1", authority="api.example.test:443"):
        conn = self.connect()
        try:
            return conn.ask(connect_notify(1, agent, authority))["verdict"]
        finally:
            conn.close()

    def audit(self):
        with open(f"{self.state}/audit.log") as f:
            return [json.loads(line) for line in f]

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def stop(self, how=signal.SIGTERM):
        if self.master and self.master.poll() is None:
            self.master.send_signal(how)
            try:
                return self.master.wait(20)
            except subprocess.TimeoutExpired:
                self.master.kill()
                self.master.wait()
                raise AssertionError(f"it did not stop\n{self.output()}")
        return self.master.returncode if self.master else None
