# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's server: SPOP as it is spoken by a client of ours and by a real HAProxy, workers that die, drain and reload."""
import http.client
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pki
import ports
import spop

VALUE = "sk-ant-api03-" + "aB3xY9qLmN" * 6
POLICY = """secrets:
  API_KEY: { file: tokens, hosts: [api.example.test] }
hosts:
  open.example.test: {}
"""
HAPROXY_CFG = """global
  log stderr format raw daemon
  stats socket {folder}/stats.sock mode 600 level admin
  tune.bufsize 32768
defaults
  mode http
  timeout client 20s
  timeout server 20s
  timeout connect 2s
frontend f
  bind 127.0.0.1:{port}
  filter spoe engine e config {folder}/spoe.conf
  http-request send-spoe-group e g
  http-request return status 200 content-type text/plain lf-string "%[var(sess.slapenir.verdict)]"
backend spoa
  mode tcp
  option spop-check
  server s {server} check inter 200 fall 2
"""
SPOE_CONF = """[e]
spoe-agent a
  groups g
  option var-prefix slapenir
  option force-set-var
  option async
  option pipelining
  option continue-on-error
  option dontlog-normal
  no option send-frag-payload
  timeout hello 1s
  timeout idle 30s
  timeout processing 2500ms
  use-backend spoa
spoe-message slapenir-connect
  args agent=str(agent-1) serial=str(01) authority=req.hdr(x-authority)
spoe-group g
  messages slapenir-connect
"""


class HAProxy:
    def __init__(self, folder, server):
        self.folder, self.port = folder, ports.free_port()
        with open(f"{folder}/haproxy.cfg", "w") as f:
            f.write(HAPROXY_CFG.format(folder=folder, port=self.port, server=server))
        with open(f"{folder}/spoe.conf", "w") as f:
            f.write(SPOE_CONF)
        self.log = open(f"{folder}/haproxy.log", "wb")
        self.process = subprocess.Popen(["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"], stdout=self.log, stderr=self.log)

    def server_status(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(f"{self.folder}/stats.sock")
                s.sendall(b"show stat\n")
                out = b""
                while part := s.recv(65536):
                    out += part
        except OSError:
            return ""
        rows = [line.split(",") for line in out.decode().removeprefix("# ").splitlines()]
        server = dict(zip(rows[0], [r for r in rows if r[:2] == ["spoa", "s"]][0]))
        return f"{server['status']} {server['check_status']}"

    def ask(self, client=None, authority="api.example.test:443"):
        conn = client or http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        conn.request("GET", "/", headers={"x-authority": authority})
        answer = conn.getresponse().read().decode()
        if not client:
            conn.close()
        return answer

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


class Case(unittest.TestCase):
    ENVIRONMENT = {}

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="spop-")
        self.folder = folder.name
        os.chmod(self.folder, 0o711)
        self.addCleanup(folder.cleanup)

    def open(self, conn):
        self.addCleanup(conn.close)
        return conn

    def agent(self, policy=POLICY, tokens=f"API_KEY={VALUE}\n", **how):
        agent = spop.Agent(self.folder, policy, tokens, **how)
        self.addCleanup(agent.stop)
        return agent

    def haproxy(self, agent=None, server=None):
        proxy = HAProxy(self.folder, server or f"unix@{agent.socket}")
        self.addCleanup(proxy.close)
        agent.wait(lambda: proxy.server_status() == "UP L7OK", "HAProxy's health check fails")
        return proxy


class Protocol(Case):
    def test_health_check_is_answered_and_closed(self):
        agent = self.agent().start()
        conn = self.open(spop.Connection.unix(agent.socket, greet=False))
        conn.send(spop.hello(healthcheck=True))
        self.assertEqual(conn.read()[0], spop.AGENT_HELLO)
        self.assertIsNone(conn.read())

    def test_frame_size_and_pipelining_follow_the_hello(self):
        agent = self.agent().start()
        conn = self.open(agent.connect("pipelining,async", max_frame=4096))
        self.assertEqual((conn.agent["max-frame-size"], conn.agent["capabilities"]), (4096, "pipelining"))
        conn = self.open(agent.connect("pipelining", max_frame=1 << 24))
        self.assertEqual((conn.agent["max-frame-size"], conn.agent["capabilities"]), (1 << 20, ""))

    def test_ten_thousand_pipelined_frames_are_all_answered(self):
        agent = self.agent().start()
        conn = self.open(agent.connect())
        asked = {}
        for i in range(10000):
            asked[i] = ("api", "allow") if i % 2 else ("other", "host_denied")
        data = b"".join(spop.connect_notify(i, authority=f"{name}.example.test:443") for i, (name, _) in asked.items())
        sent = 0
        conn.sock.settimeout(60)
        while asked:
            if sent < len(data):
                sent += conn.sock.send(data[sent:sent + 20000])
            kind, stream, number, payload = conn.read()
            self.assertEqual((kind, number), (spop.ACK, 1))
            self.assertEqual(spop.read_actions(payload)["verdict"], asked.pop(stream)[1])
        agent.wait(lambda: sum(w["frames"] for w in agent.status()["workers"]) == 10000, "frames are not counted")

    def test_without_pipelining_only_the_last_of_two_is_answered(self):
        agent = self.agent().start()
        conn = self.open(agent.connect(""))
        conn.send(spop.connect_notify(1) + spop.connect_notify(2))
        self.assertEqual(conn.read()[:2], (spop.ACK, 2))
        conn.send(spop.connect_notify(3))
        self.assertEqual(conn.read()[:2], (spop.ACK, 3))
        agent.wait(lambda: sum(w["dropped"] for w in agent.status()["workers"]) == 1, "the dropped answer is not counted")

    def test_frames_in_single_bytes(self):
        agent = self.agent(workers=1).start()
        conn = self.open(agent.connect())
        for byte in spop.connect_notify(7):
            conn.send(bytes([byte]))
        self.assertEqual(conn.read()[:2], (spop.ACK, 7))

    def test_malformed_frames_end_the_connection_and_nothing_else(self):
        agent = self.agent(workers=1).start()
        other = self.open(agent.connect())
        pid = agent.workers()
        for bad in (b"\xff\xff\xff\xff", b"\0\0\0\1\x03", spop.frame(spop.NOTIFY, 1, 1, b"\x04ech"), spop.notify(1, "slapenir-connect", {"agent": "a"})[:-2] + b"\xff\xff",
                    spop.notify(1, "no-such-message", {}), spop.notify(1, "slapenir-connect", {"agent": "a"}, flags=0)):
            conn = self.open(agent.connect())
            conn.send(bad)
            self.assertEqual(conn.read()[0], spop.AGENT_DISCONNECT, bad)
            self.assertIsNone(conn.read())
        self.assertEqual(other.ask(spop.connect_notify(1))["verdict"], "allow")
        self.assertEqual(agent.workers(), pid)

    def test_a_peer_that_never_reads_does_not_grow_the_worker(self):
        agent = self.agent(workers=1).start()
        conn = self.open(agent.connect())
        conn.sock.settimeout(2)
        data, sent = spop.connect_notify(1, authority="x" * 200 + ".example.test:443") * 500, 0
        with self.assertRaises(TimeoutError):
            while sent < 100 << 20:
                sent += conn.sock.send(data)
        with open(f"/proc/{agent.workers()[0]}/status") as f:
            rss = [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]
        self.assertLess(rss, 64 << 10)
        self.assertEqual(agent.verdict(), "allow")

    def test_a_connection_without_hello_is_closed(self):
        agent = self.agent(workers=1).start()
        conn = self.open(spop.Connection.unix(agent.socket, greet=False))
        self.assertIsNone(conn.read())


class RealHAProxy(Case):
    def test_requests_are_judged(self):
        agent = self.agent().start()
        proxy = self.haproxy(agent)
        self.assertEqual(proxy.ask(), "allow")
        self.assertEqual(proxy.ask(authority="elsewhere.test:443"), "host_denied")
        client = self.open(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10))
        for _ in range(1000):
            self.assertEqual(proxy.ask(client), "allow")

    def test_killed_workers_come_back(self):
        agent = self.agent().start()
        proxy = self.haproxy(agent)
        for _ in range(10):
            victim = agent.workers()[0]
            os.kill(victim, signal.SIGKILL)
            # the exchange that it had in hand may fail (the filter would repeat it), the next one not
            self.assertIn("allow", [proxy.ask(), proxy.ask()])
            agent.wait(lambda: len(agent.workers()) == 2 and victim not in agent.workers(), "the worker is not replaced", 3)
        self.assertEqual(agent.status()["restarts"], 10)

    def test_a_stopped_worker_is_replaced_and_requests_go_on(self):
        agent = self.agent().start()
        proxy = self.haproxy(agent)
        self.assertEqual(proxy.ask(), "allow")
        victim = agent.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        for _ in range(20):
            proxy.ask()  # one that the stopped worker got fails within `timeout processing`
        agent.wait(lambda: len(agent.workers()) == 2 and victim not in agent.workers(), "the worker is not replaced")
        for _ in range(20):
            self.assertEqual(proxy.ask(), "allow")
        self.assertIn("is silent: killing it", agent.output())

    def test_the_health_check_sees_a_stopped_agent_and_its_return(self):
        agent = self.agent().start()
        proxy = self.haproxy(agent)
        self.assertEqual(agent.stop(), 0)
        end = time.monotonic() + 15
        while not proxy.server_status().startswith("DOWN"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.assertEqual(proxy.ask(), "")
        agent.start()
        agent.wait(lambda: proxy.server_status() == "UP L7OK", "HAProxy does not see it again")
        self.assertEqual(proxy.ask(), "allow")


class Lifecycle(Case):
    def test_sigterm_answers_what_was_asked_and_says_goodbye(self):
        agent = self.agent(workers=1).start()
        conn = self.open(agent.connect())
        conn.send(b"".join(spop.connect_notify(i) for i in range(200)))
        for i in range(200):
            self.assertEqual(conn.read()[:2], (spop.ACK, i))
        agent.master.terminate()
        kind, _, _, payload = conn.read()
        self.assertEqual((kind, spop.read_pairs(payload)["status-code"]), (spop.AGENT_DISCONNECT, 0))
        self.assertIsNone(conn.read())
        self.assertEqual(agent.master.wait(20), 0)
        for name in ("control.sock", "master.pid", "run/log.sock"):
            self.assertFalse(os.path.exists(f"{agent.state}/{name}"), name)
        self.assertFalse(os.path.exists(agent.socket))

    def test_a_killed_master_takes_its_workers_along_and_can_be_started_again(self):
        agent = self.agent().start()
        workers = agent.workers()
        agent.stop(signal.SIGKILL)
        end = time.monotonic() + 5
        while any(os.path.exists(f"/proc/{pid}/exe") for pid in workers):
            self.assertLess(time.monotonic(), end, "workers without a master go on")
            time.sleep(0.02)
        agent.start()
        self.assertEqual(agent.verdict(), "allow")

    def test_a_second_master_of_the_same_state_is_refused(self):
        agent = self.agent().start()
        done = subprocess.run(agent.command, capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another process answers there", done.stderr)
        self.assertEqual(agent.verdict(), "allow")
        self.assertTrue(os.path.exists(f"{agent.state}/control.sock"))

    def test_a_bad_policy_does_not_start_and_says_where(self):
        agent = self.agent(policy=POLICY.replace("hosts: [", "hots: ["))
        done = subprocess.run(agent.command, capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"policy\.yaml:2: ")
        self.assertNotIn(VALUE, done.stderr)

    def test_called_wrongly(self):
        for words, complaint in ((["--workers", "0", "--policy", "x"], "1 to 64"), ([], "--policy is missing"),
                                 (["--policy", "x", "--tls-cert", "y"], "belong together"), (["--policy", "x", "y"], "no arguments")):
            done = subprocess.run([spop.BINARY, "spoa", *words], capture_output=True, text=True, timeout=20)
            self.assertEqual((done.returncode, complaint in done.stderr), (2, True), done.stderr)

    def test_something_else_at_the_sockets_path_is_not_removed(self):
        agent = self.agent()
        with open(agent.socket, "w") as f:
            f.write("precious")
        done = subprocess.run(agent.command, capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no socket lies there", done.stderr)
        with open(agent.socket) as f:
            self.assertEqual(f.read(), "precious")


class Sandbox(Case):
    def test_workers_hold_nothing_that_they_need_not(self):
        agent = self.agent().start()
        agent.verdict()
        for pid in agent.workers():
            with open(f"/proc/{pid}/status") as f:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            self.assertEqual(status["Seccomp"].strip(), "2")
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
            self.assertEqual(int(status["CapEff"].strip(), 16), 0)
            if os.geteuid() == 0:
                self.assertNotIn("0", status["Uid"].split())
                self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 0, "it is dumpable")
                self.assertGreater(int(status["VmLck"].split()[0]), 0)
            held = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
            self.assertEqual([h for h in held if h.endswith(("audit.log", "control.sock"))], [])
            self.assertLessEqual(len(held), 8, held)

    def test_sockets_and_files_are_private(self):
        agent = self.agent().start()
        for name in (f"{agent.state}/control.sock", agent.socket, f"{agent.state}/audit.log", f"{agent.state}/placeholder.key"):
            self.assertEqual(stat.S_IMODE(os.stat(name).st_mode), 0o600, name)
        self.assertEqual(stat.S_IMODE(os.stat(f"{agent.state}/haproxy/shapes").st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(f"{agent.state}/run").st_mode) & ~0o750, 0)  # HAProxy's group may look in

    def test_the_environment_forgets_values(self):
        value = "ghp_" + "Zx9" * 12
        agent = self.agent(POLICY.replace("file: tokens", "env: MY_TOKEN"), environment={"MY_TOKEN": value}).start()
        self.assertEqual(agent.verdict(), "allow")
        for pid in [agent.master.pid, *agent.workers()]:
            with open(f"/proc/{pid}/environ", "rb") as f:
                self.assertNotIn(value.encode(), f.read())
        # ... and a reload still knows it
        agent.write(POLICY.replace("file: tokens", "env: MY_TOKEN") + "  more.example.test: {}\n")
        self.assertRegex(agent.control("reload"), r"^ok generation [0-9a-f]{16}\n")
        self.assertEqual(agent.verdict(authority="more.example.test:443"), "allow")

    def test_locked_memory_that_is_too_small_is_refused_with_the_cure(self):
        if os.geteuid() == 0:
            agent = self.agent()
            os.chown(self.folder, 65534, 65534)
            for name in os.listdir(self.folder):
                os.chown(f"{self.folder}/{name}", 65534, 65534)
            done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "prlimit", "--memlock=4096:4096",
                                   *agent.command], capture_output=True, text=True, timeout=20, cwd="/")
            self.assertEqual(done.returncode, 1)
            self.assertIn("ulimit -l", done.stderr)


class Suspension(Case):
    def test_it_reaches_all_workers_new_ones_and_the_next_master(self):
        agent = self.agent().start()
        self.assertEqual(agent.control("suspend agent-1"), "ok suspended\n")
        for _ in range(20):
            self.assertEqual(agent.verdict(), "agent_suspended")
        self.assertEqual(agent.verdict("agent-2"), "allow")
        for pid in agent.workers():
            os.kill(pid, signal.SIGKILL)
        agent.wait(lambda: len(agent.workers()) == 2, "workers are not replaced")
        self.assertEqual(agent.verdict(), "agent_suspended")
        agent.stop()
        agent.start()
        self.assertEqual(agent.verdict(), "agent_suspended")
        done = subprocess.run([spop.BINARY, "lift", "agent-1", "--state", agent.state], capture_output=True, text=True, timeout=20)
        self.assertEqual((done.returncode, done.stdout), (0, "ok lifted\n"))
        for _ in range(20):
            self.assertEqual(agent.verdict(), "allow")

    def test_each_change_tells_haproxy_to_forget_verdicts(self):
        agent = self.agent().start()
        epochs = [agent.status()["epoch"]]
        for line in ("suspend agent-1", "suspend agent-1", "lift agent-1"):
            agent.control(line)
            epochs.append(agent.status()["epoch"])
        self.assertEqual([b - a for a, b in zip(epochs, epochs[1:])], [1, 0, 1])
        self.assertRegex(agent.control("suspend a b"), "^error ")


class Reload(Case):
    def test_a_new_generation_is_served_and_the_old_one_kept(self):
        agent = self.agent().start()
        first, workers = agent.status()["generations"], agent.workers()
        conn = self.open(agent.connect())
        self.assertEqual(agent.verdict(authority="new.example.test:443"), "host_denied")
        agent.write(POLICY + "  new.example.test: {}\n")
        answer = agent.control("reload")
        self.assertRegex(answer, r"^ok generation [0-9a-f]{16}\n")
        self.assertEqual(agent.verdict(authority="new.example.test:443"), "allow")
        self.assertEqual(agent.status()["generations"], [answer.split()[2], *first])
        self.assertEqual(conn.read()[0], spop.AGENT_DISCONNECT)
        agent.wait(lambda: not set(workers) & set(w["pid"] for w in agent.status()["workers"]), "old workers stay")
        self.assertEqual(len(agent.workers()), 2)

    def test_sighup_reloads_too(self):
        agent = self.agent().start()
        agent.write(POLICY + "  new.example.test: {}\n")
        agent.master.send_signal(signal.SIGHUP)
        agent.wait(lambda: agent.verdict(authority="new.example.test:443") == "allow", "no reload")

    def test_a_bad_policy_changes_nothing_and_says_why(self):
        agent = self.agent().start()
        before, workers = agent.status()["generations"], agent.workers()
        agent.write(POLICY + "  new.example.test: { nonsense: 1 }\n")
        answer = agent.control("reload")
        self.assertRegex(answer, r"^error the policy is refused\n.*policy\.yaml:5: ")
        self.assertEqual((agent.status()["generations"], agent.workers()), (before, workers))

    def test_nothing_new_is_no_generation(self):
        agent = self.agent().start()
        before, workers = agent.status()["generations"], agent.workers()
        self.assertEqual(agent.control("reload"), f"ok generation {before[0]}\n")
        self.assertEqual((agent.status()["generations"], agent.workers()), (before, workers))

    def test_shapes_grow_before_the_generation_that_needs_them_serves(self):
        agent = self.agent().start()
        with open(f"{agent.state}/haproxy/shapes", "rb") as f:
            before = f.read()
        agent.write(POLICY.replace("hosts:\n  open", "  OTHER: { file: tokens, hosts: [new.example.test] }\nhosts:\n  open"),
                    f"API_KEY={VALUE}\nOTHER=ghp_{'Qw8' * 12}\n")
        self.assertEqual(agent.control("prepare"), "ok prepared\n")
        with open(f"{agent.state}/haproxy/shapes", "rb") as f:
            self.assertGreater(len(f.read()), len(before))
        self.assertEqual(len(agent.status()["generations"]), 1)
        self.assertEqual(agent.verdict(authority="new.example.test:443"), "host_denied")
        self.assertRegex(agent.control("reload"), "^error a reload is under way")
        start = time.monotonic()
        self.assertRegex(agent.control("commit"), "^ok generation ")
        self.assertGreater(time.monotonic() - start, 1, "HAProxy was not given the time to read the shapes")
        self.assertEqual(agent.verdict(authority="new.example.test:443"), "allow")

    def test_what_was_prepared_can_be_dropped(self):
        agent = self.agent().start()
        before = agent.status()["generations"]
        agent.write(POLICY + "  new.example.test: {}\n")
        self.assertEqual(agent.control("prepare"), "ok prepared\n")
        self.assertEqual(agent.control("abort"), "ok aborted\n")
        self.assertRegex(agent.control("commit"), "^error nothing is prepared")
        self.assertEqual(agent.status()["generations"], before)

    def test_at_most_eight_old_generations_are_kept(self):
        agent = self.agent(workers=1).start()
        seen = []
        for i in range(10):
            agent.write(POLICY + f"  h{i}.example.test: {{}}\n")
            seen.insert(0, agent.control("reload").split()[2])
        self.assertEqual(agent.status()["generations"], seen[:9])


class TLS(Case):
    def setUp(self):
        super().setUp()
        self.authority = pki.Authority(f"{self.folder}/pki")
        self.port = ports.free_port()
        cert, key = self.authority.issue(["127.0.0.1", "spoa.slapenir"])
        self.tls = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", self.authority.crt, "--tls-peer", "haproxy.slapenir"]

    def client(self, names, authority=None):
        context = ssl.create_default_context(cafile=self.authority.crt)
        if names:
            context.load_cert_chain(*(authority or self.authority).issue(names, usage="clientAuth"))
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        self.addCleanup(raw.close)
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    def refused(self, *who):
        try:
            conn = self.open(spop.Connection(self.client(*who), greet=False))
            conn.send(spop.hello())
            return conn.read() is None
        except (ssl.SSLError, ConnectionError):
            return True

    def test_only_the_named_peer_is_served(self):
        agent = self.agent(listen=[f"tcp:127.0.0.1:{self.port}"], arguments=self.tls).start()
        conn = self.open(spop.Connection(self.client(["haproxy.slapenir"])))
        self.assertEqual(conn.ask(spop.connect_notify(1))["verdict"], "allow")
        self.assertTrue(self.refused([]), "no certificate")
        self.assertTrue(self.refused(["other.slapenir"]), "another name")
        self.assertTrue(self.refused(["*.slapenir"]), "a wildcard")
        self.assertTrue(self.refused(["haproxy.slapenir"], pki.Authority(f"{self.folder}/pki2")), "another CA")
        # the alert goes out before the line is written
        agent.wait(lambda: agent.output().count("TLS handshake refused") >= 4, "a refused handshake is not in the log")

    def test_many_frames_larger_than_a_record(self):
        self.agent(listen=[f"tcp:127.0.0.1:{self.port}"], arguments=self.tls).start()
        conn = self.open(spop.Connection(self.client(["haproxy.slapenir"]), max_frame=1 << 20))
        one = spop.request_notify(1, b"some text. " * 6000)
        conn.send(one * 20 + spop.connect_notify(2))
        for _ in range(20):
            self.assertEqual(conn.read()[:2], (spop.ACK, 1))
        self.assertEqual(conn.read()[:2], (spop.ACK, 2))

    def test_a_real_haproxy(self):
        agent = self.agent(listen=[f"tcp:127.0.0.1:{self.port}"], arguments=self.tls).start()
        cert, key = self.authority.issue(["haproxy.slapenir"], usage="clientAuth")
        with open(f"{self.folder}/client.pem", "w") as pem:
            for name in (cert, key):
                with open(name) as f:
                    pem.write(f.read())
        proxy = self.haproxy(agent, f"127.0.0.1:{self.port} ssl crt {self.folder}/client.pem ca-file {self.authority.crt} verify required "
                                    "verifyhost spoa.slapenir check-ssl")
        self.assertEqual(proxy.ask(), "allow")

    def test_an_open_port_without_tls_is_refused(self):
        for spec in (f"tcp:0.0.0.0:{self.port}", f"tcp:[::]:{self.port}"):
            agent = self.agent(listen=[spec])
            done = subprocess.run(agent.command, capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 1)
            self.assertIn("--tls-cert", done.stderr)

    def test_loopback_without_tls_is_allowed(self):
        self.agent(listen=[f"tcp:127.0.0.1:{self.port}"]).start()
        conn = self.open(spop.Connection(socket.create_connection(("127.0.0.1", self.port), timeout=15)))
        self.assertEqual(conn.ask(spop.connect_notify(1))["verdict"], "allow")


class Audit(Case):
    def log(self, agent, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(text.encode(), f"{agent.state}/run/log.sock")

    def test_what_haproxy_refuses_alone_is_a_line(self):
        agent = self.agent().start()
        self.log(agent, '<134>1 - - haproxy - - - {"agent":"agent-1","host":"x.test:443","method":"GET","code":"dns_failed","id":""}')
        self.log(agent, '{"agent":"agent-1","host":"x.test:443","method":"GET","code":""}')
        agent.wait(lambda: len(agent.audit()) > 0, "no line")
        line, = agent.audit()
        self.assertEqual([line[k] for k in ("agent", "host", "method", "verdict", "code", "secrets")],
                         ["agent-1", "x.test:443", "GET", "refuse", "dns_failed", []])
        self.assertEqual(set(line), {"time", "id", "agent", "host", "method", "path", "verdict", "code", "secrets", "end"})

    def test_a_renamed_log_goes_on_in_a_new_file_after_sighup(self):
        agent = self.agent().start()
        os.rename(f"{agent.state}/audit.log", f"{agent.state}/audit.log.1")
        agent.master.send_signal(signal.SIGHUP)
        agent.wait(lambda: os.path.exists(f"{agent.state}/audit.log"), "no new file")
        self.log(agent, '{"code":"dns_failed"}')
        agent.wait(lambda: len(agent.audit()) == 1, "no line")

    def test_logs_prints_the_last_lines(self):
        agent = self.agent().start()
        for i in range(30):
            self.log(agent, f'{{"code":"dns_failed","host":"h{i}"}}')
            agent.wait(lambda: len(agent.audit()) == i + 1, "no line")
        done = subprocess.run([spop.BINARY, "logs", "-n", "3", "--state", agent.state], capture_output=True, text=True, timeout=20)
        self.assertEqual([spop.json.loads(line)["host"] for line in done.stdout.splitlines()], ["h27", "h28", "h29"])


if __name__ == "__main__":
    unittest.main()
