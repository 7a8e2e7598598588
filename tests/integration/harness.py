# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts gateways as a user would, with `make up`, each with a state directory, ports, policy, secrets and upstreams of
its own, and stops only what it started. Each class of tests ends with a search for secret values in everything that the
gateway wrote or shows."""
import atexit
import base64
import json
import os
import random
import re
import secrets as randomness
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import client
import pki
import ports
from upstream import Reply, Upstream

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("SLAPENIR_BUILD", os.path.join(ROOT, "build")))
BINARY = os.path.join(BUILD, "slapenir")
started = []


def _stop_all():
    for gateway in list(started):
        gateway.down()


def _terminated(*_):
    _stop_all()
    os._exit(124)


atexit.register(_stop_all)
signal.signal(signal.SIGTERM, _terminated)


def random_secret(length=40, alphabet=string.ascii_letters + string.digits, prefix=""):
    """Holds a letter of each kind, so that its shape is that of its alphabet."""
    while True:
        value = prefix + "".join(randomness.choice(alphabet) for _ in range(length - len(prefix)))
        rest = value[len(prefix):]
        if all(any(c in kind for c in rest) for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits)
               if set(kind) & set(alphabet)):
            return value


def policy_text(secrets, hosts, extra=""):
    """Policy from dictionaries; `file:` is given to every secret that names no source."""
    lines = ["secrets:"]
    for name, settings in secrets.items():
        source = {} if {"file", "env"} & set(settings) else {"file": "tokens"}
        lines.append(f"  {name}: {json.dumps({**source, **settings})}")
    lines.append("hosts:")
    lines += [f"  {json.dumps(name)}: {json.dumps(settings)}" for name, settings in hosts.items()]
    return "\n".join(lines) + "\n" + extra


def processes_of(path):
    """Ids of the processes that have `path` on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if path.encode() in f.read() and int(pid) != os.getpid():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def spellings(value):
    """How a leaked value could look: raw, hex, base64 at its three alignments."""
    raw = value.encode()
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for pad in range(3):
        inner = base64.b64encode(b"\0" * pad + raw)
        yield inner[(0, 2, 3)[pad]:].rstrip(b"=")[:-2]


def copy_of_tree(folder):
    """A copy of what `make up` needs, to be changed by a test; times are kept, so that nothing is built again."""
    os.makedirs(folder, exist_ok=True)
    for name in ("Makefile", ".ci", "haproxy", "ca", "spoa", "docs"):
        source = os.path.join(ROOT, name)
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(folder, name))
        elif os.path.exists(source):
            shutil.copy2(source, os.path.join(folder, name))
    return folder


class Gateway:
    def __init__(self, folder, policy, values, workers=2, root=ROOT, namespace=None, build=BUILD, environment=None, **variables):
        """`values`: NAME -> real value, written to the token file; variables go to make."""
        self.folder, self.root, self.values, self.namespace = folder, root, dict(values), namespace
        self.state, self.policy = f"{folder}/state", f"{folder}/policy.yaml"
        self.address = variables.pop("LISTEN", None) or f"127.0.0.1:{ports.free_port()}"
        self.variables = dict(POLICY=self.policy, LISTEN=self.address, STATE=self.state, WORKERS=str(workers), BUILD=build, **variables)
        outer = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}  # of the `make test` around
        self.environment, self.output = dict(outer, **(environment or {})), ""
        self.write_tokens(self.values)
        self.write_policy(policy)

    def write_tokens(self, values):
        self.values.update(values)
        self._write("tokens", "".join(f"{n}={v}\n" for n, v in values.items()))

    def write_policy(self, text):
        self._write("policy.yaml", text)

    def _write(self, name, text):
        descriptor = os.open(f"{self.folder}/{name}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as f:
            f.write(text)
        os.rename(f"{self.folder}/{name}.new", f"{self.folder}/{name}")

    def make(self, target, timeout=300):
        inside = ["ip", "netns", "exec", self.namespace] if self.namespace else []
        with tempfile.TemporaryFile() as out:  # not a pipe, which a daemon could keep open
            try:
                code = subprocess.run(inside + ["make", "-s", target] + [f"{k}={v}" for k, v in self.variables.items()], cwd=self.root,
                                      stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment, timeout=timeout).returncode
            except subprocess.TimeoutExpired:
                code = 124
            out.seek(0)
            text = out.read().decode(errors="replace")
        self.output += text
        return code, text

    def up(self):
        started.append(self)
        code, text = self.make("up")
        if code:
            logs = self.logs()
            self.down()
            raise RuntimeError(f"make up: exit {code}\n{text}\n{logs}")
        return self

    def logs(self):
        """The tails of all logs, for a failure's message."""
        out = ""
        for base, _, names in os.walk(self.state):
            for name in names:
                if name.endswith(".log"):
                    with open(os.path.join(base, name), errors="replace") as f:
                        out += f"--- {name}\n{f.read()[-3000:]}\n"
        return out

    def down(self):
        """True when `make down` left no process behind; whatever it left is ended here."""
        if self not in started:
            return True
        started.remove(self)
        code, _ = self.make("down", 60)
        left = processes_of(self.state)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return code == 0 and not left

    # --- what it is
    @property
    def ca(self):
        return f"{self.state}/ca.crt"

    @property
    def certificate(self):
        return f"{self.state}/agent.crt", f"{self.state}/agent.key"

    @property
    def placeholders(self):
        with open(f"{self.state}/agent.env") as f:
            return dict(re.findall(r"^(?:export )?(\w+)='?([^'\n]*)", f.read(), re.M))

    def workers(self):
        """Process ids of the workers: children of the master, which is the oldest `slapenir spoa` of this state."""
        ours = []
        for pid in processes_of(self.state):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
                with open(f"/proc/{pid}/stat") as f:
                    parent = int(f.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if words[0].endswith(b"slapenir") and b"spoa" in words:
                ours.append((pid, parent))
        pids = {pid for pid, _ in ours}
        return sorted(pid for pid, parent in ours if parent in pids)

    def new_agent(self, cn, days=30):
        """Another client certificate of the development CA: (certificate, key)."""
        subprocess.run(["sh", f"{self.root}/ca/dev-ca.sh", "agent", self.state, cn, str(days)], check=True, capture_output=True)
        return f"{self.state}/ca/agents/{cn}.crt", f"{self.state}/ca/agents/{cn}.key"

    def slapenir(self, *words, input=None, timeout=60):
        done = subprocess.run([f"{self.variables['BUILD']}/slapenir", *words], input=input, capture_output=True, text=True,
                              timeout=timeout, cwd=self.root, env=dict(self.environment, SLAPENIR_STATE=self.state))
        self.output += done.stdout + done.stderr
        return done

    # --- clients
    def dial(self, certificate=None, timeout=20):
        return client.dial_proxy(self.address, self.ca, *(certificate or self.certificate), timeout=timeout)

    def tunnel(self, host, port=443, alpn=None, certificate=None, sni=True, name=None, timeout=20):
        """TLS with `host` through CONNECT. `name`: another SNI than the CONNECT's."""
        conn = self.dial(certificate, timeout)
        status, head, body = client.connect(conn, f"{host}:{port}")
        if status != 200:
            raise Refused(status, head, body)
        return client.InnerTLS(conn, self.ca, name or host, alpn, sni, check=name is None)

    def connect(self, authority, certificate=None, headers="", host=None):
        """(status, x-slapenir-code, body) of a CONNECT."""
        conn = self.dial(certificate)
        try:
            status, head, body = client.connect(conn, authority, headers, host)
            return status, code_of(head), body
        finally:
            conn.close()

    def exchange(self, host, raw, method="GET", **how):
        """Sends raw bytes through a tunnel, reads one answer."""
        conn = self.tunnel(host, **how)
        try:
            conn.sendall(raw)
            return client.Reader(conn).answer(method)
        finally:
            conn.close()

    def get(self, host, path, headers=(), method="GET", body=None, **how):
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers)
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        return self.exchange(host, (head + "\r\n").encode("latin-1") + (body or b""), method, **how)

    def curl(self, *words, certificate=None, timeout=60, input=None):
        certificate = certificate or self.certificate
        with tempfile.TemporaryDirectory() as folder:
            command = ["curl", "-sS", "-m", str(timeout), "-x", f"https://{self.address}", "--proxy-cacert", self.ca, "--cacert", self.ca,
                       "--proxy-cert", certificate[0], "--proxy-key", certificate[1], "--suppress-connect-headers",
                       "-D", f"{folder}/head", "-o", f"{folder}/body", "-w", "%{http_code} %{http_connect} %{http_version} %{ssl_verify_result}"]
            done = subprocess.run(command + list(words), input=input, capture_output=True, timeout=timeout + 10)
            return Curl(done, folder)

    # --- what it wrote
    def audit(self):
        try:
            with open(f"{self.state}/audit.log") as f:
                return [json.loads(line) for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def wait_audit(self, wanted, timeout=8.0):
        """The audit lines for which `wanted` holds, as soon as there is one; [] when none comes."""
        end = time.monotonic() + timeout
        while True:
            found = [row for row in self.audit() if wanted(row)]
            if found or time.monotonic() > end:
                return found
            time.sleep(0.05)

    def leaks(self):
        """Where a real value can be seen: files under the state directory, command lines, environments, output."""
        needles = [(name, s) for name, value in self.values.items() for s in spellings(value)]
        places = {"output of make and slapenir": self.output.encode()}
        for base, _, names in os.walk(self.state):
            for name in names:
                try:
                    if os.path.isfile(os.path.join(base, name)):
                        with open(os.path.join(base, name), "rb") as f:
                            places[os.path.join(base, name)] = f.read()
                except OSError:
                    pass
        for pid in processes_of(self.state):
            for what in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{pid}/{what}", "rb") as f:
                        places[f"/proc/{pid}/{what}"] = f.read()
                except OSError:
                    pass
        return [f"{name} in {place}" for place, text in places.items() for name, needle in needles if needle in text]


class Refused(Exception):
    def __init__(self, status, head, body):
        super().__init__(f"{status} {code_of(head)}: {body[:200]!r}")
        self.status, self.code, self.body = status, code_of(head), body


def code_of(head):
    found = re.search(rb"^x-slapenir-code: *(\S+)", head, re.I | re.M)
    return found.group(1).decode() if found else None


class Curl:
    def __init__(self, done, folder):
        self.rc, self.err = done.returncode, done.stderr.decode(errors="replace")
        status, connect, self.version, _ = (done.stdout.decode() or "0 0 0 0").split()
        self.status, self.connect = int(status), int(connect)
        self.head = self._read(f"{folder}/head")
        self.body = self._read(f"{folder}/body")
        self.code = code_of(self.head)

    @staticmethod
    def _read(path):
        try:
            with open(path, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    def get(self, name):
        found = re.findall(rb"(?im)^" + re.escape(name.encode()) + rb": *([^\r\n]*)", self.head)
        return found[-1].decode("latin-1") if found else None


def node(script, *arguments, job=None, timeout=90):
    return subprocess.run(["node", os.path.join(HERE, script), *arguments], input=json.dumps(job) if job is not None else None,
                          capture_output=True, text=True, timeout=timeout)


class H2Upstream:
    """h2_upstream.js as a process of ours."""

    def __init__(self, folder, leaf):
        self.replies, self.log = f"{folder}/h2-replies", f"{folder}/h2.log"
        os.makedirs(self.replies, exist_ok=True)
        self.port = ports.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.output = open(self.log, "wb")
        self.process = subprocess.Popen(["node", f"{HERE}/h2_upstream.js", *leaf, str(self.port), self.replies],
                                        stdin=subprocess.PIPE, stdout=self.output, stderr=self.output)
        end = time.monotonic() + 15
        while b"ready" not in open(self.log, "rb").read():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError("h2_upstream.js: " + open(self.log).read())
            time.sleep(0.05)

    def reply(self, name, **what):
        what["pieces"] = [base64.b64encode(p).decode() for p in what.get("pieces", [])]
        with open(f"{self.replies}/{name}.json", "w") as f:
            json.dump(what, f)

    def seen(self):
        with open(self.log) as f:
            return [json.loads(line) for line in f if line.startswith("{")]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.output.close()


class GatewayTest(unittest.TestCase):
    """One gateway and one upstream for the class. Override `secrets` (NAME -> settings and value under "value"),
    hosts() and EXTRA; `self.real`, `self.fake` are the values and placeholders."""
    SECRETS = {"API_KEY": {"hosts": ["api.example.test"], "inject": ["header", "body"]}}
    EXTRA, WORKERS, VARIABLES, ENVIRONMENT = "", 2, {}, {}
    PREFILTER = os.environ.get("SLAPENIR_TEST_PREFILTER", "on")  # test_prefilter_off.py sets off

    @classmethod
    def value_of(cls, name):
        return random_secret(prefix="sk-ant-api03-", length=60)

    @classmethod
    def hosts(cls):
        return {"api.example.test": cls.at(cls.upstream), "open.example.test": cls.at(cls.upstream)}

    @classmethod
    def at(cls, upstream, **settings):
        return {"connect": upstream.address, "ca": "upstream/ca.crt", **settings}

    @classmethod
    def make_upstreams(cls):
        cls.upstream = Upstream(cls.authority, ["*.example.test", "example.test"])
        cls.addClassCleanup(cls.upstream.close)

    @classmethod
    def make_root(cls):
        return ROOT

    @classmethod
    def policy(cls):
        extra = cls.EXTRA + ("prefilter: off\n" if cls.PREFILTER == "off" else "")
        return policy_text(cls.SECRETS, cls.hosts(), extra)

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sl-", dir="/tmp")
        os.chmod(cls.folder, 0o711)
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.authority = pki.Authority(f"{cls.folder}/upstream")
        cls.make_upstreams()
        cls.real = {name: cls.value_of(name) for name in cls.SECRETS}
        cls.gateway = Gateway(cls.folder, cls.policy(), cls.real, cls.WORKERS, cls.make_root(), environment=cls.ENVIRONMENT, **cls.VARIABLES)
        cls.addClassCleanup(cls.gateway.down)
        cls.gateway.up()
        cls.fake = cls.gateway.placeholders

    @classmethod
    def tearDownClass(cls):
        leaks = cls.gateway.leaks()
        clean = cls.gateway.down()
        if leaks:
            raise AssertionError("secret values seen: " + "; ".join(sorted(set(leaks))))
        if not clean:
            raise AssertionError("make down failed or left a process behind")


    def assertClean(self, data, *names):
        """No real value of this gateway in what the client got."""
        data = data.encode() if isinstance(data, str) else data
        for name in names or self.real:
            for s in spellings(self.real[name]):
                self.assertNotIn(s, data, f"{name} reached the client")


def main():
    unittest.main()
