#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""slapenir run and doctor: a command in a sandbox of namespaces behind a gateway of its own."""
import http.server
import json
import os
import pathlib
import pwd
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stepca import TOP

SLAPENIR = pathlib.Path(os.environ.get("SLAPENIR_BUILD", TOP / "build")).resolve() / "slapenir"
REAL = "sk-ant-api03-" + secrets.token_hex(40)


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []

    def do_GET(self):
        Echo.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        body = json.dumps({k.lower(): v for k, v in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("bwrap"):
            raise unittest.SkipTest("bubblewrap is not installed")
        # not below /tmp, which the sandbox replaces; open to the unprivileged user of one test
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="slapenir-test-", dir="/var/lib"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.dir.chmod(0o755)
        (cls.dir / "home").mkdir()
        cls.work = cls.dir / "work"
        cls.work.mkdir()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", cls.dir / "key", "-out",
                        cls.work / "upstream.crt", "-days", "2", "-subj", "/CN=run", "-addext", "subjectAltName=DNS:api.run.test"], check=True, capture_output=True)
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cls.work / "upstream.crt", cls.dir / "key")
        cls.server.socket = context.wrap_socket(cls.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        (cls.work / "tokens").write_text(f"API_KEY={REAL}\n")
        (cls.work / "policy.yaml").write_text(f"""secrets:
  API_KEY: {{ file: tokens, hosts: [api.run.test] }}
hosts:
  api.run.test: {{ connect: "127.0.0.1:{cls.server.server_address[1]}", ca: upstream.crt }}
""")

    def slapenir(self, *args, user=None, timeout=90, **env):
        environment = {"SLAPENIR_HOME": str(TOP), "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.dir / "home"), "XDG_STATE_HOME": str(self.dir / "state"),
                       "API_KEY": REAL, "AWS_SECRET_ACCESS_KEY": "caller's own", **env}
        more = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        return subprocess.run([SLAPENIR, *map(str, args)], cwd=self.work, env=environment, capture_output=True, text=True, timeout=timeout, **more)

    def inside(self, script, **kw):
        return self.slapenir("run", "--policy", "policy.yaml", "--", "bash", "-c", script, **kw)

    def left(self):
        return [p for p in pathlib.Path("/tmp").glob("slapenir-run-*")]

    def test_request__upstream_gets_the_secret_and_the_command_its_placeholder(self):
        said = self.inside('curl -sS -H "Authorization: Bearer $API_KEY" https://api.run.test/one; echo; echo "$API_KEY"')
        self.assertEqual(said.returncode, 0, said.stderr)
        body, placeholder = said.stdout.strip().split("\n")
        self.assertEqual(json.loads(body)["authorization"], f"Bearer {placeholder}")
        self.assertEqual([h["authorization"] for p, h in Echo.seen if p == "/one"], [f"Bearer {REAL}"])
        self.assertNotIn(REAL, said.stdout + said.stderr)

    def test_exit_status__is_the_commands(self):
        self.assertEqual(self.inside("exit 7").returncode, 7)
        self.assertEqual(self.inside("kill -TERM $$").returncode, 128 + 15)

    def test_nothing_is_left_behind(self):
        before = self.left()
        said = self.inside("true")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual(self.left(), before)

    def test_secret__is_not_in_sight(self):
        said = self.inside(f"cat tokens policy.yaml; env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'; ls -A $HOME /tmp /run; grep -rlF '{REAL[30:]}' . $HOME /tmp /run 2>/dev/null")
        self.assertNotIn(REAL, said.stdout)
        self.assertNotIn("caller's own", said.stdout)
        self.assertNotIn("./tokens", said.stdout)

    def test_named_socket_of_the_machine__cannot_be_reached(self):
        path = self.dir / "engine.sock"  # as a container engine's, outside of what the sandbox empties
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen(1)
            path.chmod(0o666)
            said = self.inside(f"python3 -c \"import socket; socket.socket(socket.AF_UNIX).connect('{path}')\"")
        self.assertNotEqual(said.returncode, 0)

    def test_no_other_way_out(self):
        for attempt in (f"curl -m 3 -sk --noproxy '*' --resolve api.run.test:{self.server.server_address[1]}:127.0.0.1 "
                        f"https://api.run.test:{self.server.server_address[1]}/direct", "curl -m 3 -sk --noproxy '*' https://1.1.1.1/", "getent hosts example.org",
                        "curl -m 3 -sS https://other.run.test/", "ping -c 1 -W 1 1.1.1.1"):
            with self.subTest(attempt):
                self.assertNotEqual(self.inside(attempt).returncode, 0)
        self.assertEqual([p for p, _ in Echo.seen if p == "/direct"], [])

    def test_file_system__only_the_working_directory_is_writable(self):
        said = self.inside("echo yes > mine && cat mine; touch /etc/x /usr/x /var/lib/x 2>&1; echo kept > $HOME/note")
        self.assertTrue(said.stdout.startswith("yes"))
        self.assertEqual((self.work / "mine").read_text(), "yes\n")
        self.assertFalse(any(pathlib.Path(p).exists() for p in ("/etc/x", "/usr/x", "/var/lib/x")))
        self.assertIn("kept", self.inside("cat $HOME/note").stdout, "the sandbox's home is kept from run to run")
        self.assertFalse((self.dir / "home/note").exists())

    def test_quick_policy__secret_of_the_environment(self):
        said = self.slapenir("run", "--secret", "API_KEY@api.run.test", "--allow", "docs.run.test", "--", "sh", "-c", 'echo "$API_KEY"')
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertTrue(said.stdout.startswith("sk-ant-"))
        self.assertNotIn(REAL, said.stdout)

    def test_unprivileged__works_as_nobody(self):
        if os.geteuid():
            self.skipTest("needs root to become nobody")
        nobody = pwd.getpwnam("nobody")
        for path in (self.work, self.work / "tokens", self.work / "policy.yaml"):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        state = self.dir / "nobody"
        state.mkdir(exist_ok=True)
        os.chown(state, nobody.pw_uid, nobody.pw_gid)
        try:
            said = self.inside('curl -sS -H "x-api-key: $API_KEY" https://api.run.test/nobody; id -u', user=nobody, XDG_STATE_HOME=str(state))
        finally:
            for path in (self.work, self.work / "tokens", self.work / "policy.yaml"):
                os.chown(path, 0, 0)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual([h["x-api-key"] for p, h in Echo.seen if p == "/nobody"], [REAL])

    def test_mistakes__are_named(self):
        for args, expected in ((("run",), "usage:"), (("run", "--secret", "NAME", "--", "true"), "NAME@host"),
                               (("run", "--secret", "ABSENT_X@a.test", "--", "true"), "not set in your environment"),
                               (("run", "--policy", "absent.yaml", "--", "true"), "absent.yaml"),
                               (("run", "--policy", "policy.yaml", "--allow", "a.test", "--", "true"), "--policy stands alone"),
                               (("run", "--", "true"), "no policy")):
            with self.subTest(args):
                said = self.slapenir(*args)
                self.assertNotEqual(said.returncode, 0)
                self.assertIn(expected, said.stderr)

    def test_working_directory_that_holds_home__is_refused(self):
        (self.work / "sub").mkdir()
        said = self.slapenir("run", "--policy", "policy.yaml", "--", "true", HOME=str(self.work / "sub"))
        (self.work / "sub").rmdir()
        self.assertIn("holds your home directory", said.stderr)

    def test_home_that_does_not_exist__another_one_is_there(self):
        said = self.slapenir("run", "--policy", "policy.yaml", "--", "bash", "-c", "touch $HOME/x && echo $HOME", HOME="/nonexistent")
        self.assertEqual((said.returncode, said.stdout), (0, "/tmp/home\n"), said.stderr)

    def test_doctor__all_is_well_here(self):
        said = self.slapenir("doctor")
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        self.assertEqual(said.stdout.count("ok "), 6)

    def test_doctor__without_bubblewrap__says_how_to_mend_it(self):
        tools = self.dir / "bin"
        tools.mkdir(exist_ok=True)
        for directory in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
            for program in pathlib.Path(directory).iterdir():
                if program.name != "bwrap" and not (tools / program.name).exists():
                    (tools / program.name).symlink_to(program)
        said = self.slapenir("doctor", PATH=str(tools))
        self.assertEqual(said.returncode, 1)
        self.assertIn("install the package bubblewrap", said.stdout)


if __name__ == "__main__":
    unittest.main()
