#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`slapenir filter`: the engine and the policy on a pipe. Long input in pieces, both directions, fields, progress on a terminal."""
import base64
import os
import pty
import random
import select
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLAPENIR = os.path.join(os.environ.get("SLAPENIR_BUILD", os.path.join(ROOT, "build")), "slapenir")
OPENAI = b"sk-proj-Zx81kQm4TnVb7Lr2WcYd9Hs3PgJf6Ua0"
TOKEN = b"Zk3v8Qm1Tn5Vb7Lr2WcYd9Hs4PgJf6Ua"

POLICY = """secrets:
  OPENAI_API_KEY: { file: tokens, hosts: [api.openai.com], inject: [header, body] }
  PLAIN_TOKEN: { file: tokens, hosts: [api.example.test] }
"""


class Filter(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="filter-")
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir, "SLAPENIR_STATE": os.path.join(self.dir, "state")}
        os.mkdir(self.env["SLAPENIR_STATE"])
        for name, text in (("policy.yaml", POLICY.encode()), ("tokens", b"OPENAI_API_KEY=%s\nPLAIN_TOKEN=%s\n" % (OPENAI, TOKEN))):
            with open(os.path.join(self.dir, name), "wb") as f:
                f.write(text)
        self.policy = os.path.join(self.dir, "policy.yaml")
        lines = subprocess.run([SLAPENIR, "env", self.policy], env=self.env, check=True, capture_output=True).stdout.splitlines()
        made = dict(line.removeprefix(b"export ").replace(b"'", b"").split(b"=", 1) for line in lines if b"=" in line)
        self.openai, self.token = made[b"OPENAI_API_KEY"], made[b"PLAIN_TOKEN"]

    def command(self, *args):
        return [SLAPENIR, "filter", "--policy", self.policy, *args]

    def run_filter(self, data, *args, status=0):
        done = subprocess.run(self.command(*args), input=data, env=self.env, capture_output=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def long_text(self, size):
        """Lines of words, identifiers and base64, with a secret in some spelling now and then; and what comes out."""
        chance, pieces, wanted, length = random.Random(5), [], [], 0
        spellings = (lambda s: s, lambda s: s.hex().encode(), base64.b64encode, lambda s: b"".join(b"%%%02X" % c for c in s))
        while length < size:
            noise = base64.b64encode(chance.randbytes(chance.randrange(3000))) + b"\nint main(void) { return x & 3 % y; }\n"
            noise += chance.randbytes(9).hex().encode() + b" "
            secret, made = chance.choice(((OPENAI, self.openai), (TOKEN, self.token)))
            spell = chance.choice(spellings)
            pieces += [noise, spell(secret), b"\n"]
            wanted += [noise, spell(made), b"\n"]
            length += len(noise) + 60
        return b"".join(pieces), b"".join(wanted)

    def test_long_response_loses_its_secrets_in_every_spelling(self):
        data, wanted = self.long_text(6 << 20)
        done = self.run_filter(data, "--direction", "response")
        self.assertTrue(done.stdout == wanted)
        self.assertEqual(done.stderr, b"")  # no progress where no terminal is

    def test_any_chunk_gives_the_same(self):
        data, wanted = self.long_text(20000)
        for chunk in ("1", "17", "4096"):
            self.assertTrue(self.run_filter(data, "--direction", "response", "--chunk", chunk).stdout == wanted, chunk)

    def test_request_gets_the_secret_only_toward_its_host(self):
        body = b'{"key": "%s", "other": "%s"}' % (self.openai, self.token)
        to = ("--direction", "request", "--content-type", "application/json", "--host")
        self.assertEqual(self.run_filter(body, *to, "api.openai.com").stdout, body.replace(self.openai, OPENAI))
        self.assertEqual(self.run_filter(body, *to, "api.example.test").stdout, body)

    def test_secret_in_a_request_stops_it(self):
        done = self.run_filter(b"x " + OPENAI, "--direction", "request", "--host", "api.openai.com", status=1)
        self.assertNotIn(OPENAI[8:], done.stdout)
        self.assertIn(b"refused", done.stderr)

    def test_fields_one_a_line(self):
        basic = b"Basic " + base64.b64encode(b"user:" + self.openai)
        lines = b"Authorization: Bearer %s\n%s\n" % (self.openai, basic)
        done = self.run_filter(lines, "--direction", "request", "--host", "api.openai.com", "--part", "header")
        first, second = done.stdout.splitlines()
        self.assertEqual(first.lower(), b"authorization: bearer " + OPENAI.lower())
        self.assertTrue(first.endswith(OPENAI))
        self.assertEqual(base64.b64decode(second.split()[-1]), b"user:" + OPENAI)

    def test_what_is_no_command_line(self):
        for args in ((), ("--direction", "request"), ("--direction", "response", "--chunk", "0"), ("--direction", "sideways")):
            self.run_filter(b"", *args, status=2)

    def test_output_that_nobody_reads_ends_it(self):
        process = subprocess.Popen(self.command("--direction", "response"), env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        process.stdout.close()
        try:
            for _ in range(64):
                process.stdin.write(b"line\n" * 65536)
        except BrokenPipeError:
            pass
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        self.assertNotEqual(process.wait(60), 0)
        process.stderr.close()

    def progress(self, feed, stdout):
        """What a terminal on standard error shows while feed(stdin, shown) writes."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(self.command("--direction", "response"), env=self.env, stdin=subprocess.PIPE, stderr=theirs,
                                   stdout=theirs if stdout == "terminal" else subprocess.DEVNULL)
        os.close(theirs)
        shown = []

        def read():
            try:
                while select.select([ours], [], [], 60)[0]:
                    shown.append(os.read(ours, 4096))
            except OSError:
                pass  # the other side is closed

        reader = threading.Thread(target=read)
        reader.start()
        feed(process.stdin, shown)
        process.stdin.close()
        self.assertEqual(process.wait(60), 0)
        reader.join()
        os.close(ours)
        return b"".join(shown)

    def test_long_input_shows_progress_on_a_terminal(self):
        def slowly(stdin, shown):
            until = time.monotonic() + 60
            while not shown and time.monotonic() < until:
                stdin.write(b"a line of text\n" * 10000)
                stdin.flush()
                time.sleep(0.02)

        self.assertRegex(self.progress(slowly, "nowhere"), rb"^(\r\d+ MiB, \d+ MiB/s)+\r\n$")

    def test_short_input_shows_none(self):
        self.assertEqual(self.progress(lambda stdin, shown: stdin.write(b"short\n"), "nowhere"), b"")

    def test_output_on_the_terminal_is_not_mixed_with_progress(self):
        def for_a_second(stdin, shown):
            for _ in range(12):
                stdin.write(b"line\n")
                stdin.flush()
                time.sleep(0.1)

        self.assertEqual(self.progress(for_a_second, "terminal"), b"line\r\n" * 12)


if __name__ == "__main__":
    unittest.main()
