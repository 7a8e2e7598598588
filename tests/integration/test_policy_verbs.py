#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The verbs that read and write policies and token files: check, env, why, init, secret, learn."""
import json
import os
import pty
import re
import select
import shlex
import signal
import stat
import subprocess
import tempfile
import threading
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLAPENIR = os.path.join(os.environ.get("SLAPENIR_BUILD", os.path.join(ROOT, "build")), "slapenir")

OPENAI = "sk-proj-Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0"
GITHUB = "ghp_9fKq2LmX7vRt4BnZ8cWy1HdJ5sPg3UaE6oQi"
KEY = "-----BEGIN X-----\nTq7Zb1Kx9Wm3Lp5Vd8Rf2Hj6Ny4Gc0Sa\n-----END X-----"

POLICY = """secrets:
  OPENAI_API_KEY:
    file: tokens
    hosts: [api.openai.com]
    methods: [POST]
    paths: [/v1/]
  GITHUB_TOKEN:
    file: tokens
    hosts: [api.github.com]
    placeholder: "DUMMY'GITHUB"
  MISSING: { file: tokens, hosts: [] }
  SIGNING_KEY: { file: signing.pem, hosts: [], inject: [body] }
hosts:
  docs.python.org: { methods: [GET] }
  web.example.test: { http: allow }
agents:
  agent-1: { secrets: [OPENAI_API_KEY] }
  agent-2: { secrets: all, hosts: [docs.python.org] }
"""


class Verbs(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="verbs-")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir, "SLAPENIR_STATE": self.path("state")}
        os.mkdir(self.path("state"))
        self.write("policy.yaml", POLICY)
        self.write("tokens", f"# mine\nOPENAI_API_KEY={OPENAI}\n\nexport GITHUB_TOKEN='{GITHUB}'\n")
        self.write("signing.pem", KEY + "\n")

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), 0o600)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def run_verb(self, *args, status=0, stdin="", env=None):
        r = subprocess.run([SLAPENIR, *args], input=stdin, capture_output=True, text=True, timeout=60, cwd=self.dir, env=env or self.env)
        self.assertEqual(r.returncode, status, r.stdout + r.stderr)
        for value in (OPENAI, GITHUB, KEY.split("\n")[1]):
            self.assertNotIn(value, r.stdout + r.stderr)
        return r


class Check(Verbs):
    def test_left_out_secret_fails_the_check_but_not_env(self):
        r = self.run_verb("check", "policy.yaml", status=1)
        self.assertIn("policy.yaml:11: left out: MISSING: ", r.stderr)
        self.assertIn("warning: GITHUB_TOKEN: its placeholder has another length", r.stderr)
        self.assertFalse(os.path.exists(self.path("state/placeholder.key")), "check made a key")
        self.write("tokens", self.read("tokens") + "MISSING=Ab3Cd5Ef7Gh9Ij1Kl3Mn5Op7Qr9St1Uv\n")
        r = self.run_verb("check", "policy.yaml")
        self.assertIn("policy.yaml:11: note: MISSING has no known prefix", r.stderr)
        self.assertIn("valid, 4 secrets", r.stdout)

    def test_ca_that_is_none_is_told(self):
        self.write("x.crt", "no certificate\n")
        self.write("policy.yaml", "hosts:\n  a.example.test: {ca: x.crt}\n  b.example.test: {ca: y.crt}\n")
        r = self.run_verb("check", "policy.yaml", status=1)
        self.assertIn("policy.yaml:2: a.example.test:443: ca: x.crt holds no certificate", r.stderr)
        self.assertIn("policy.yaml:3: b.example.test:443: ca: y.crt cannot be opened", r.stderr)

    def test_examples_of_the_documentation_lack_only_their_values_and_certificates(self):
        examples = os.listdir(os.path.join(ROOT, "docs/examples"))
        self.assertGreaterEqual(len(examples), 3)
        for name in examples:
            with open(os.path.join(ROOT, "docs/examples", name)) as f:
                self.write(name, f.read())
            for line in self.run_verb("check", name, status=1).stderr.splitlines():
                self.assertRegex(line, r"left out: |ca/internal.crt cannot be opened")

    def test_policy_that_is_not_there(self):
        self.assertIn("nowhere.yaml: cannot be opened: No such file", self.run_verb("check", "nowhere.yaml", status=1).stderr)
        self.assertIn("is a directory", self.run_verb("check", "state", status=1).stderr)
        self.run_verb("check", status=2)


class Env(Verbs):
    def test_values_are_read_back_by_a_shell(self):
        r = self.run_verb("env", "policy.yaml")
        self.assertNotIn("MISSING=", r.stdout)
        self.assertRegex(r.stdout, r"(?m)^OPENAI_API_KEY=sk-proj-[0-9A-Za-c]{32}$")
        with open(self.path("agent.env"), "w") as f:
            f.write(r.stdout)
        for name, want in (("GITHUB_TOKEN", "DUMMY'GITHUB"), ("SIGNING_KEY", None)):
            got = subprocess.run(["sh", "-c", f". ./agent.env; printf %s \"${name}\""], cwd=self.dir, capture_output=True, text=True).stdout
            if want:
                self.assertEqual(got, want)
            else:
                self.assertTrue(got.startswith("-----BEGIN X-----\n") and len(got) == len(KEY), got)

    def test_agent_gets_what_it_may_use(self):
        self.assertEqual(re.findall(r"(?m)^(\w+)=", self.run_verb("env", "policy.yaml", "--agent", "agent-1").stdout), ["OPENAI_API_KEY"])
        self.assertIn("nobody is not listed", self.run_verb("env", "policy.yaml", "--agent", "nobody", status=1).stderr)

    def test_same_key_same_placeholder(self):
        first = self.run_verb("env", "policy.yaml").stdout
        self.assertEqual(first, self.run_verb("env", "policy.yaml").stdout)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("state/placeholder.key")).st_mode), 0o600)
        os.unlink(self.path("state/placeholder.key"))
        self.assertNotEqual(first, self.run_verb("env", "policy.yaml").stdout)


class Why(Verbs):
    def test_verdict_has_its_line(self):
        why = lambda *a, status=0: self.run_verb("why", *a, "--policy", "policy.yaml", status=status).stdout
        out = why("https://api.openai.com/v1/x?q", "--agent", "agent-1", "--method", "POST")
        self.assertIn("allowed: POST https://api.openai.com:443 by api.openai.com:443 (policy.yaml:4)", out)
        self.assertIn("OPENAI_API_KEY: its placeholder becomes the secret in: header (policy.yaml:2)", out)
        self.assertIn("GITHUB_TOKEN: its placeholder stays as it is: this agent may not use it", out)
        out = why("https://api.openai.com/v2/x", "--agent", "agent-1", "--method", "POST")
        self.assertIn("OPENAI_API_KEY: its placeholder stays as it is: its methods: or paths: do not match", out)
        self.assertIn("refused: method_denied (403)\n  rule: hosts: docs.python.org:443: methods (line 14)",
                      why("https://docs.python.org", "--agent", "agent-1", "--method", "PUT", status=1))
        self.assertIn("refused: agent_unknown", why("https://docs.python.org", "--agent", "x", status=1))
        self.assertIn("rule: agents: agent-2: hosts (line 18)", why("http://web.example.test", "--agent", "agent-2", status=1))
        self.assertIn("refused: port_denied", why("https://docs.python.org:8443/", "--agent", "agent-1", status=1))
        self.assertIn("secrets never go over plain http", why("http://web.example.test/", "--agent", "agent-1"))

    def test_url_that_is_none(self):
        for url in ("ftp://a.example.test", "https://user:pw@a.example.test/", "https://127.0.0.1/", "https://"):
            self.run_verb("why", url, "--policy", "policy.yaml", status=2)


class Secret(Verbs):
    def test_set_changes_one_line_and_nothing_else(self):
        before = self.read("tokens")
        os.chmod(self.path("tokens"), 0o640)
        self.run_verb("secret", "set", "OPENAI_API_KEY", stdin="new-value with \"quotes\"\n")
        self.assertEqual(self.read("tokens"), before.replace(OPENAI, 'new-value with "quotes"'))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("tokens")).st_mode), 0o640)
        self.run_verb("secret", "set", "MISSING", stdin="\"starts with a quote\\n\"")
        self.assertTrue(self.read("tokens").endswith('MISSING="\\"starts with a quote\\\\n\\""\n'))
        self.run_verb("secret", "rm", "OPENAI_API_KEY")
        self.assertNotIn("OPENAI_API_KEY", self.read("tokens"))
        self.assertIn("# mine\n\nexport GITHUB_TOKEN", self.read("tokens"))
        self.run_verb("secret", "rm", "OPENAI_API_KEY", status=1)
        self.assertEqual(sorted(n for n in os.listdir(self.dir) if n.startswith(".")), [])

    def test_pem_is_written_whole_and_as_escapes_in_a_line(self):
        self.run_verb("secret", "set", "SIGNING_KEY", stdin=KEY.replace("Tq7", "Aq7") + "\n")
        self.assertEqual(self.read("signing.pem"), KEY.replace("Tq7", "Aq7") + "\n")
        self.run_verb("secret", "set", "OPENAI_API_KEY", stdin=KEY + "\n")
        self.assertIn('OPENAI_API_KEY="' + KEY.replace("\n", "\\n") + '"\n', self.read("tokens"))
        self.run_verb("secret", "rm", "SIGNING_KEY")
        self.assertFalse(os.path.exists(self.path("signing.pem")))

    def test_value_on_the_command_line_is_refused(self):
        r = self.run_verb("secret", "set", "GITHUB_TOKEN", "value", status=2)
        self.assertIn("never from the command line", r.stderr)
        self.assertIn(GITHUB, self.read("tokens"))

    def test_what_cannot_be_changed_stays(self):
        before = self.read("tokens")
        self.assertIn("no value was given", self.run_verb("secret", "set", "GITHUB_TOKEN", status=1).stderr)
        self.run_verb("secret", "set", "GITHUB_TOKEN", stdin="nul\0byte", status=1)
        self.write("two.yaml", "secrets:\n  A: {file: tokens, hosts: []}\n  B: {file: more, hosts: []}\n  C: {env: D, hosts: []}\n")
        r = self.run_verb("secret", "set", "OTHER", "--policy", "two.yaml", status=1, stdin="x")
        self.assertIn("OTHER is not among its secrets", r.stderr)
        r = self.run_verb("secret", "set", "C", "--policy", "two.yaml", status=1, stdin="x")
        self.assertIn("two.yaml:4: C comes from the environment variable D", r.stderr)
        self.assertEqual(self.read("tokens"), before)
        self.write("tokens", before + "a line without sign\n")
        self.assertIn("tokens:5: is no KEY=VALUE line", self.run_verb("secret", "set", "MISSING", stdin="x", status=1).stderr)

    def test_several_at_once_lose_nothing(self):
        names = [f"S{i}" for i in range(12)]
        procs = [subprocess.Popen([SLAPENIR, "secret", "set", n, "--file", self.path("new/tokens")], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, env=self.env, text=True) for n in names]
        for n, p in zip(names, procs):
            self.assertEqual((p.communicate(f"value-{n}", timeout=60)[1], p.returncode), ("", 0))
        self.assertEqual(sorted(self.read("new/tokens").split()), sorted(f"{n}=value-{n}" for n in names))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("new/tokens")).st_mode), 0o600)

    def test_ls_names_and_never_shows(self):
        out = self.run_verb("secret", "ls").stdout
        self.assertRegex(out, r"OPENAI_API_KEY +tokens: set\n")
        self.assertRegex(out, r"MISSING +tokens: missing\n")

    def test_prompt_does_not_echo(self):
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.dir)
            os.execve(SLAPENIR, [SLAPENIR, "secret", "set", "MISSING"], self.env)
        killer = threading.Timer(60, os.kill, (pid, signal.SIGKILL))  # a prompt that never ends must not hold the suite
        killer.start()
        self.addCleanup(killer.cancel)
        shown = b""
        while b"not shown): " not in shown and select.select([fd], [], [], 30)[0]:
            shown += os.read(fd, 4096)
        os.write(fd, b"typed-value-0123456789\n")
        try:
            while select.select([fd], [], [], 30)[0]:
                piece = os.read(fd, 4096)
                if not piece:
                    break
                shown += piece
        except OSError:
            pass  # the terminal ends with its last process
        self.assertEqual(os.waitpid(pid, 0)[1], 0, shown)
        os.close(fd)
        self.assertNotIn(b"typed-value", shown)
        self.assertIn("MISSING=typed-value-0123456789\n", self.read("tokens"))


class Init(Verbs):
    ENV = f"""OPENAI_API_KEY={OPENAI}
MY_GITHUB_TOKEN="{GITHUB}"
WORK=sk-ant-api03-Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0
AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
TELEGRAM_BOT_TOKEN=123456789:AAE4Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6U
NPM_TOKEN=npm_9fKq2LmX7vRt4BnZ8cWy1HdJ5sPg3UaE6oQi
INTERNAL_API_KEY=Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0
DATABASE_URL=postgres://me:hunter2hunter2@db/x
PORT=3000
DEBUG=true
"""

    def init(self, *args, status=0, env=None):
        self.write(".env", self.ENV)
        return self.run_verb("init", "--from-env", ".env", "--policy", "first.yaml", "--tokens", "first/tokens", *args, status=status, env=env)

    def test_known_ones_become_a_valid_policy(self):
        r = self.init()
        self.assertEqual(self.read(".env"), self.ENV)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("first/tokens")).st_mode), 0o600)
        policy = self.read("first.yaml")
        self.assertNotIn(OPENAI, policy)
        for name, provider, hosts in (("OPENAI_API_KEY", "OpenAI", '"api.openai.com"'), ("MY_GITHUB_TOKEN", "GitHub", '"api.github.com", "github.com", '),
                                      ("WORK", "Anthropic", '"api.anthropic.com"'), ("AWS_SECRET_ACCESS_KEY", "AWS", "")):
            self.assertRegex(policy, rf"  {name}:  # {provider}\n    file: \"first/tokens\"\n(    #.*\n)?    hosts: \[{re.escape(hosts)}")
        self.assertIn("inject: [path]", policy)
        self.assertRegex(r.stdout, r"NPM_TOKEN: its host is not in this machine's configuration; name its hosts: NPM_TOKEN@HOST")
        self.assertRegex(r.stdout, r"INTERNAL_API_KEY: the catalogue does not know it")
        self.assertRegex(r.stdout, r"DATABASE_URL: the catalogue does not know it")
        self.assertIn("no secrets, as it seems: PORT DEBUG", r.stdout)
        self.assertNotIn("hunter2", r.stdout + policy + self.read("first/tokens"))
        self.run_verb("check", "first.yaml")
        env = dict(l.split("=", 1) for l in self.run_verb("env", "first.yaml").stdout.splitlines())
        self.assertEqual(len(shlex.split(env["OPENAI_API_KEY"])[0]), len(OPENAI))

    def test_hosts_from_the_command_line_and_from_the_tools_configuration(self):
        self.write(".npmrc", "//other/:x=y\nregistry = https://packages.example.test:8443/npm/\n")
        self.init("INTERNAL_API_KEY@api.internal.test,*.internal.test")
        policy = self.read("first.yaml")
        self.assertIn('hosts: ["packages.example.test:8443"]', policy)
        self.assertIn('INTERNAL_API_KEY:\n    file: "first/tokens"\n    hosts: ["api.internal.test", "*.internal.test"]', policy)

    def test_nothing_is_written_over(self):
        self.write("first.yaml", "mine\n")
        self.assertIn("stays as it is", self.init(status=1).stderr)
        self.assertEqual(self.read("first.yaml"), "mine\n")
        self.assertFalse(os.path.exists(self.path("first/tokens")))

    def test_malformed_host_writes_nothing(self):
        self.assertIn("hosts: \"10.0.0.1\"", self.init("INTERNAL_API_KEY@10.0.0.1", status=1).stderr)
        self.assertFalse(os.path.exists(self.path("first.yaml")))


class Learn(Verbs):
    def log(self, **line):
        return json.dumps({"time": "2026-01-01T00:00:00.000Z", "id": "", "agent": "agent-1", "host": "", "method": "GET", "path": "", "verdict": "refuse",
                           "code": "host_denied", "secrets": [], "end": "", **line}) + "\n"

    def test_refused_hosts_become_lines_that_a_policy_can_hold(self):
        evil = 'x.test\n  "*.com": {}  #:443'
        self.write("audit.log", self.log(host="files.example.test:443") * 3 + self.log(host="FILES.example.test:443", agent="agent-2")
                   + self.log(host="old.example.test:80") + self.log(host="git.example.test:8443", code="port_denied")
                   + self.log(host="docs.python.org:443", agent="agent-2") + self.log(host="api.example.test:443", code="tripwire")
                   + self.log(host="10.0.0.1:443") + self.log(host=evil) + self.log(host="a.example.test:443", agent="x\ny") + "no json\n"
                   + self.log(host="clean.example.test:443", verdict="allow", code=""))
        out = self.run_verb("learn", "audit.log", "--policy", "policy.yaml").stdout
        self.assertIn("  files.example.test: {}  # 4x by agent-1 agent-2\n", out)
        self.assertIn("  old.example.test: { http: allow }  # 1x by agent-1\n", out)
        self.assertIn('  "git.example.test:8443": {}  # 1x by agent-1\n', out)
        self.assertIn("# 1 more hosts were refused, but are allowed now", out)
        self.assertEqual(re.findall(r"(?m)^  (\S+):", out), ["a.example.test", "files.example.test", '"git.example.test:8443"', "old.example.test"])
        self.write("learned.yaml", out)
        self.assertIn("valid, 0 secrets, 5 hosts", self.run_verb("check", "learned.yaml").stdout)

    def test_nothing_refused(self):
        self.write("audit.log", "")
        self.assertIn("nothing was refused", self.run_verb("learn", "audit.log", "--policy", "policy.yaml").stdout)
        self.run_verb("learn", "no.log", "--policy", "policy.yaml", status=1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
