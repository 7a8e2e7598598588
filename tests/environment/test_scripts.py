#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripts of the sandbox and of the stack's CA, against a real step-ca, a real HAProxy and a real s6."""
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import scripts
import stepca

BUILD = scripts.TOP / "build" / "environment"


def free_port():
    """Below the ephemeral range, so that no client's port is in the way when the server binds."""
    for port in range(21000, 32000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


class Scripts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory(prefix="scripts-")
        cls.addClassCleanup(cls.tmp.cleanup)
        cls.dir = pathlib.Path(cls.tmp.name)
        cls.dir.chmod(0o755)
        cls.tree = scripts.Tree(cls.dir)
        BUILD.mkdir(parents=True, exist_ok=True)
        cls.program = stepca.build(BUILD)
        if cls.program is None:
            raise unittest.SkipTest("step-ca cannot be built: install golang-github-smallstep-certificates-dev and golang-go")
        cls.password = cls.dir / "password"
        cls.password.write_text("correct horse battery staple\n")
        cls.ca_dir = cls.dir / "ca"
        cls.port = free_port()
        cls.initialised = cls.tree.run("ca/step/init.sh", cls.ca_dir, cls.password, "localhost", STEP_HOME=cls.ca_dir,
                                       STEP_LISTEN=f"127.0.0.1:{cls.port}", STEP_MIN_DURATION="1s")
        if cls.initialised.returncode:
            raise RuntimeError(cls.initialised.stderr)
        cls.ca = stepca.StepCA(cls.program, cls.ca_dir, cls.port, cls.password)
        cls.addClassCleanup(cls.ca.stop)
        cls.ca.wait()

    def token(self, name, *sans):
        said = self.tree.run("ca/step/token.sh", self.ca_dir, self.ca.url, name, *sans)
        self.assertEqual(said.returncode, 0, said.stderr)
        path = self.dir / f"token-{name}"
        path.write_text(said.stdout)
        return path

    def cert(self, verb, directory, name, *sans, **env):
        return self.tree.run("ca/step/cert.sh", verb, directory, name, *sans, CA_URL=self.ca.url, CA_ROOT=self.ca.root, **env)

    def shown(self, path, *what):
        return subprocess.run(["openssl", "x509", "-in", path, "-noout", *what], capture_output=True, text=True, check=True).stdout

    # --- the CA ---

    def test_init__again__changes_nothing(self):
        before = (self.ca_dir / "root.crt").read_bytes()
        said = self.tree.run("ca/step/init.sh", self.ca_dir, self.password)
        self.assertEqual(said.returncode, 0)
        self.assertIn("nothing is changed", said.stdout)
        self.assertEqual((self.ca_dir / "root.crt").read_bytes(), before)

    def test_init__without_a_password__says_what_to_do(self):
        said = self.tree.run("ca/step/init.sh", self.dir / "none", self.dir / "absent")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("password file is missing", said.stderr)
        self.assertFalse((self.dir / "none").exists())

    def test_init__keys__are_encrypted_or_private(self):
        self.assertIn("ENCRYPTED PRIVATE KEY", (self.ca_dir / "intermediate.key").read_text())
        for key in self.ca_dir.glob("*.key"):
            self.assertEqual(key.stat().st_mode & 0o077, 0, key)

    def test_token__bad_name__is_refused(self):
        said = self.tree.run("ca/step/token.sh", self.ca_dir, self.ca.url, "a b")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("NAME may hold", said.stderr)

    def test_token__without_the_provisioner_key__says_so(self):
        said = self.tree.run("ca/step/token.sh", self.dir / "nowhere", self.ca.url, "a")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("init.sh first", said.stderr)

    # --- certificates ---

    def test_obtain__with_a_token__gives_a_chain_of_24_hours_that_verifies(self):
        out = self.dir / "obtain"
        said = self.cert("obtain", out, "agent-7", "127.0.0.1", "seven.test", TOKEN_FILE=self.token("agent-7", "127.0.0.1", "seven.test"))
        self.assertEqual(said.returncode, 0, said.stderr)
        shown = self.shown(out / "agent-7.crt", "-subject", "-ext", "subjectAltName")
        self.assertIn("CN = agent-7", shown)
        self.assertIn("IP Address:127.0.0.1", shown)
        self.assertEqual((out / "agent-7.crt").read_text().count("BEGIN CERTIFICATE"), 2)
        self.assertEqual((out / "agent-7.key").stat().st_mode & 0o077, 0)
        self.assertEqual((out / "agent-7.pem").stat().st_mode & 0o077, 0)
        subprocess.run(["openssl", "x509", "-in", out / "agent-7.crt", "-noout", "-checkend", str(23 * 3600)], check=True, capture_output=True)

    def test_obtain__with_a_used_token__fails_and_leaves_what_was(self):
        token = self.token("twice")
        out = self.dir / "twice"
        self.assertEqual(self.cert("obtain", out, "twice", TOKEN_FILE=token).returncode, 0)
        before = (out / "twice.crt").read_bytes()
        said = self.cert("obtain", out, "twice", TOKEN_FILE=token)
        self.assertNotEqual(said.returncode, 0)
        self.assertEqual((out / "twice.crt").read_bytes(), before)
        self.assertEqual(list(out.glob(".cert.*")), [], "the work directory is left behind")

    def test_obtain__with_a_token_made_before_the_ca_started__works_once(self):
        token = self.token("early")
        time.sleep(2)  # the CA's clock for tokens has whole seconds
        self.ca.stop()
        type(self).ca = stepca.StepCA(self.program, self.ca_dir, self.port, self.password)
        type(self).addClassCleanup(self.ca.stop)
        self.ca.wait()
        self.assertEqual(self.cert("obtain", self.dir / "early", "early", TOKEN_FILE=token).returncode, 0)
        self.assertNotEqual(self.cert("obtain", self.dir / "early", "early", TOKEN_FILE=token).returncode, 0)

    def test_obtain__for_another_name_than_the_token__is_refused(self):
        said = self.cert("obtain", self.dir / "other", "agent-9", TOKEN_FILE=self.token("agent-8"))
        self.assertNotEqual(said.returncode, 0)

    def test_obtain__without_a_token__says_where_to_get_one(self):
        said = self.cert("obtain", self.dir / "no", "x", TOKEN_FILE=self.dir / "absent")
        self.assertIn("make one with ca/step/token.sh", said.stderr)

    def test_renew__gives_a_new_key_and_serial(self):
        out = self.dir / "renew"
        self.assertEqual(self.cert("obtain", out, "r", TOKEN_FILE=self.token("r")).returncode, 0)
        before = self.shown(out / "r.crt", "-serial", "-pubkey")
        said = self.cert("renew", out, "r")
        self.assertEqual(said.returncode, 0, said.stderr)
        after = self.shown(out / "r.crt", "-serial", "-pubkey")
        self.assertNotEqual(before.split("\n")[0], after.split("\n")[0])
        self.assertNotEqual(before.split("\n")[2], after.split("\n")[2])
        self.assertIn("DNS:r", self.shown(out / "r.crt", "-ext", "subjectAltName"))

    def test_renew__without_a_certificate__says_so(self):
        self.assertIn("obtain one first", self.cert("renew", self.dir / "empty", "r").stderr)

    def test_unknown_verb__is_named(self):
        self.assertIn("unknown verb mend", self.cert("mend", self.dir, "x").stderr)

    def test_due__is_at_two_thirds_of_the_lifetime(self):
        out = self.dir / "due"
        out.mkdir()
        for days_ago, days, expected in ((10, 20, 1), (15, 5, 0)):
            begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 86400 * d)) for d in (-days_ago, days))
            # openssl x509 knows no start date; `ca` does
            (out / "index").write_text("")
            (out / "cnf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={out}/index\nserial={out}/serial\nnew_certs_dir={out}\ndefault_md=sha256\n"
                                     "policy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
            subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", out / "d.key",
                            "-out", out / "csr", "-subj", "/CN=d"], check=True, capture_output=True)
            subprocess.run(["openssl", "ca", "-batch", "-config", out / "cnf", "-rand_serial", "-selfsign", "-keyfile", out / "d.key", "-in", out / "csr",
                            "-startdate", begin, "-enddate", end, "-out", out / "d.crt", "-notext"], check=True, capture_output=True)
            self.assertEqual(self.cert("due", out, "d").returncode, expected, (days_ago, days))
        self.assertEqual(self.cert("due", out, "absent").returncode, 0)

    def test_watch__obtains_then_runs_the_hook(self):
        out, marker = self.dir / "watch", self.dir / "hooked"
        process = self.tree.start("ca/step/cert.sh", "watch", out, "w", CA_URL=self.ca.url, CA_ROOT=self.ca.root, TOKEN_FILE=self.token("w"),
                                  CERT_HOOK=f"touch {marker}", CERT_POLL_SECONDS=1)
        try:
            self.until(marker.exists, "the hook did not run")
            self.assertTrue((out / "w.crt").exists())
        finally:
            process.terminate()
            process.communicate(timeout=10)

    def test_watch__without_a_token__keeps_trying_and_says_so(self):
        process = self.tree.start("ca/step/cert.sh", "watch", self.dir / "wait", "w", CA_URL=self.ca.url, CA_ROOT=self.ca.root, CERT_POLL_SECONDS=1)
        time.sleep(2.5)
        process.terminate()
        said = process.communicate(timeout=10)[0]
        self.assertGreaterEqual(said.count("trying again in 1 s"), 2, said)

    # --- a renewed certificate goes into a running HAProxy, and no stream is dropped ---

    def test_push__renewed_certificate__new_connections_have_it_and_the_old_stream_lives(self):
        out = self.dir / "push"
        self.assertEqual(self.cert("obtain", out, "gw", "localhost", TOKEN_FILE=self.token("gw", "localhost")).returncode, 0)
        port, admin = free_port(), out / "admin.sock"
        cfg = out / "haproxy.cfg"
        cfg.write_text(f"global\n stats socket {admin} mode 600 level admin\ndefaults\n mode http\n timeout client 60s\n timeout server 60s\n timeout connect 5s\n"
                       f"frontend f\n bind 127.0.0.1:{port} ssl crt {out}/gw.pem\n http-request return status 200 content-type text/plain string ok\n")
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", cfg], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(haproxy.wait, 10)
        self.addCleanup(haproxy.terminate)
        self.until(lambda: admin.exists(), "HAProxy does not start")
        import ssl
        context = ssl.create_default_context(cafile=str(self.ca.root))

        def connect():
            return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="localhost")

        def ask(connection):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return connection.recv(4096)

        old = connect()
        first = old.getpeercert()["serialNumber"]
        self.assertIn(b"200", ask(old))
        self.assertEqual(self.cert("renew", out, "gw").returncode, 0)
        said = self.tree.run("ca/step/push.sh", admin, out / "gw.pem")
        self.assertEqual(said.returncode, 0, said.stderr)
        new = connect()
        self.assertNotEqual(new.getpeercert()["serialNumber"], first)
        self.assertIn(b"200", ask(old))
        said = self.tree.run("ca/step/push.sh", admin, out / "gw.crt")  # a name that HAProxy does not hold
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("did not take", said.stderr)
        old.close(), new.close()

    def test_push__without_a_running_haproxy__is_nothing_to_do(self):
        self.assertEqual(self.tree.run("ca/step/push.sh", self.dir / "no.sock", self.dir / "x.pem").returncode, 0)

    # --- the sandbox ---

    def environment(self, **env):
        env = {"SLAPENIR_RUN": self.dir / "run", "CA_ROOT": self.ca.root, **env}
        return self.tree.run("agent/environment.sh", **env)

    def test_environment__holds_proxy_trust_and_placeholders(self):
        placeholders = self.dir / "agent.env"
        placeholders.write_text("API_KEY=sk-made\nODD='it'\\''s'\n")
        said = self.environment(PLACEHOLDERS=placeholders, FORWARDER_BIND="127.0.0.1:4128")
        self.assertEqual(said.returncode, 0, said.stderr)
        shown = subprocess.run(["/bin/sh", "-c", 'set -a; eval "$0"; printf "%s|%s|%s|%s" "$https_proxy" "$NODE_EXTRA_CA_CERTS" "$API_KEY" "$ODD"',
                                said.stdout], capture_output=True, text=True)
        self.assertEqual(shown.stdout, f"http://127.0.0.1:4128|{self.dir}/run/trust/ca.pem|sk-made|it's")
        self.assertIn("-Dhttps.proxyPort=4128", said.stdout)
        self.assertNotIn("@", said.stdout)

    def test_environment__lines_that_would_run__are_left_out(self):
        placeholders = self.dir / "evil.env"
        placeholders.write_text(f"GOOD=1\nBAD=$(touch {self.dir}/pwned)\ntouch {self.dir}/pwned\nQ='a'; touch {self.dir}/pwned\n`id`\n")
        said = self.environment(PLACEHOLDERS=placeholders)
        subprocess.run(["/bin/sh", "-c", 'eval "$0"', said.stdout], check=True)
        self.assertFalse((self.dir / "pwned").exists())
        self.assertIn("GOOD=1", said.stdout)

    def test_environment__missing_placeholders__says_how_to_make_them(self):
        said = self.environment(PLACEHOLDERS=self.dir / "absent.env")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("slapenir env POLICY", said.stderr)

    def test_trust__not_a_certificate__is_named(self):
        said = self.tree.run("agent/trust.sh", self.password, self.dir / "trust")
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("is not a certificate", said.stderr)

    @unittest.skipUnless(shutil.which("s6-svscan"), "s6 is not installed")
    def test_services__agent_fails_then_ends__is_restarted_with_back_off_then_all_stops(self):
        """The whole sandbox under s6: certificate, forwarder, agent."""
        for user in ("agent", "forwarder"):
            if subprocess.run(["id", user], capture_output=True).returncode:
                subprocess.run(["useradd", "--system", user], check=True)
                self.addCleanup(subprocess.run, ["userdel", user], capture_output=True)
        run, home = self.dir / "s6", self.dir / "home"
        home.mkdir(mode=0o777)
        home.chmod(0o777)
        token = self.token("agent-1")
        token.chmod(0o644)  # in the stack it is a file of the forwarder's
        self.tree.trace.chmod(0o666)
        placeholders = self.dir / "s6.env"
        placeholders.write_text("API_KEY=sk-placeholder\n")
        gateway = free_port()
        command = f'env > {home}/env; n=$(cat {home}/count 2>/dev/null || echo 0); echo $((n+1)) > {home}/count; [ $n -ge 2 ]'
        # the trace would follow into the services; they are started plainly here, as the image does
        env = self.tree.env(SLAPENIR_RUN=run, SLAPENIR_SERVICES=self.tree.top / "agent/services", AGENT_COMMAND=command, CA_ROOT=self.ca.root,
                            CA_URL=self.ca.url, TOKEN_FILE=token, FORWARDER_BIND=f"127.0.0.1:{free_port() + 1}", GATEWAY=f"127.0.0.1:{gateway}",
                            GATEWAY_NAME="localhost", PLACEHOLDERS=placeholders, HOME_OF_AGENT=home)
        process = subprocess.Popen(self.tree.command("agent/entrypoint.sh"), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            said = process.communicate(timeout=60)[0]
        except subprocess.TimeoutExpired:
            process.terminate()
            said = process.communicate(timeout=10)[0]
            self.fail("the sandbox did not end by itself: " + said[-800:])
        self.assertEqual((home / "count").read_text().strip(), "3")
        pauses = re.findall(r"next start in (\d+) s", said)
        self.assertEqual(pauses, ["1", "2"])
        seen = dict(line.split("=", 1) for line in (home / "env").read_text().splitlines() if "=" in line)
        self.assertEqual(seen["API_KEY"], "sk-placeholder")
        self.assertTrue(seen["HTTPS_PROXY"].startswith("http://127.0.0.1:"))
        self.assertEqual((run / "tls").stat().st_mode & 0o066, 0, "the agent's user must not look into it")
        for secret in [*(run / "tls").glob("*.key"), *(run / "tls").glob("*.pem")]:
            self.assertEqual(secret.stat().st_mode & 0o077, 0, f"the agent's user must not read {secret}")

    def until(self, condition, complaint, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.1)
        self.fail(complaint)

    def test_zz_coverage__is_at_least_80_percent_of_lines(self):
        table = self.tree.coverage()
        ran, can = (sum(column) for column in zip(*table.values()))
        for name, (r, c) in table.items():
            print(f"  {r:3d} of {c:3d} lines  {name}", file=sys.stderr)
        print(f"  {ran} of {can} lines of the scripts ran ({100 * ran // can}%)", file=sys.stderr)
        self.assertGreaterEqual(ran / can, 0.8)


if __name__ == "__main__":
    unittest.main()
