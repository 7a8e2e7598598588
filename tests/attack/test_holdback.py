#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The attack on hold-back, for real: an attacker who owns the agent and an echoing upstream sends guesses of a secret's beginning and
watches which bytes come back at once and which are held. A gateway that holds "what could become this secret" tells it letter by
letter. This one holds by public shape, so right and wrong guesses look alike, and so do two secrets of one shape."""
import os
import string
import sys
import shutil
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import client
import harness
from harness import GatewayTest
from test_streaming import Steps

LETTERS = string.ascii_letters + string.digits
SILENCE = 0.12  # after so long without a byte what is held is held


class Probe:
    """One tunnel; observe() says the sizes of what came back after each piece, before the next was written."""

    def __init__(self, gateway, upstream):
        self.conn, self.upstream = gateway.tunnel("api.example.test", timeout=30), upstream
        self.conn.outer.settimeout(30)

    def _sizes(self, pieces, say, end):
        reader, sizes, started, answer = client.Reader(self.conn), [], False, None
        for piece in pieces:
            say(piece)
            count = len(reader.raw)
            self.conn.settimeout(2 if not started else SILENCE)
            while True:
                try:
                    if not reader.more():
                        raise AssertionError("the stream ended early")
                    started = True
                    self.conn.settimeout(SILENCE)
                except TimeoutError:
                    break
            sizes.append(len(reader.raw) - count)
        self.conn.settimeout(30)
        count = len(reader.raw)
        end()
        answer = reader.answer()
        sizes.append(len(reader.raw) - count)
        head = len(answer.raw_head)
        return [sizes[0] - head if sizes[0] else 0, *sizes[1:]], [len(p) for p in answer.pieces]

    def response(self, pieces):
        """The upstream says the pieces."""
        steps = Steps(list(pieces) + [b"."])
        self.upstream.replies["probe"] = steps
        self.conn.sendall(b"GET /reply/probe HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
        return self._sizes(pieces, lambda _: steps.next(), steps.next)

    def echo(self, pieces):
        """The agent says the pieces, and the upstream echoes each: both directions hold."""
        self.conn.sendall(b"POST /mirror HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        return self._sizes(pieces, lambda p: self.conn.sendall(b"%x\r\n%s\r\n" % (len(p), p)), lambda: self.conn.sendall(b"1\r\n.\r\n0\r\n\r\n"))

    def close(self):
        self.conn.close()


def steady(probe, pieces):
    """The same observation twice in a row: a busy machine can shift one."""
    last = None
    for _ in range(6):
        seen = probe(pieces)
        if seen == last:
            return seen
        last = seen
    raise AssertionError("no two observations alike")


class HoldBack(GatewayTest):
    SECRETS = {"PREFIXED": {"hosts": ["api.example.test"]}, "BARE": {"hosts": ["api.example.test"]}}

    @classmethod
    def value_of(cls, name):
        return harness.random_secret(60, prefix="sk-ant-api03-") if name == "PREFIXED" else harness.random_secret(32)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.mkdtemp(prefix="sl-", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        shutil.copytree(f"{cls.folder}/upstream", f"{folder}/upstream")
        cls.twin_real = {name: cls.value_of(name) for name in cls.SECRETS}
        cls.twin = harness.Gateway(folder, cls.policy(), cls.twin_real, environment={"SLAPENIR_KEY_FILE": f"{cls.gateway.state}/placeholder.key"})
        cls.addClassCleanup(cls.twin.down)
        cls.twin.up()

    def probe(self, gateway):
        probe = Probe(gateway, self.upstream)
        self.addCleanup(probe.close)
        return probe

    def told(self, watch, real, fixed):
        """Positions of the secret at which the right next letter looks other than wrong ones."""
        told = []
        for at in [fixed, fixed + 1, *range(fixed + 2, len(real) - 1, 9), len(real) - 2]:
            wrong = [c for c in LETTERS if c != real[at]]
            looks = {c: steady(watch, [b"start. " + real[:at].encode() + c.encode(), b"! and on\n"]) for c in (real[at], wrong[at % 61], wrong[-1 - at % 13])}
            if len({str(v) for v in looks.values()}) > 1:
                told.append((at, looks))
        return told

    def test_right_guesses_look_like_wrong_ones_in_a_response(self):
        for name, fixed in (("PREFIXED", 13), ("BARE", 0)):
            with self.subTest(name):
                self.assertEqual(self.told(self.probe(self.gateway).response, self.real[name], fixed), [])

    def test_right_guesses_look_like_wrong_ones_in_an_echo(self):
        for name, fixed in (("PREFIXED", 13), ("BARE", 0)):
            with self.subTest(name):
                self.assertEqual(self.told(self.probe(self.gateway).echo, self.real[name], fixed), [])

    def test_two_secrets_of_one_shape_give_the_same_sizes(self):
        one, two = self.probe(self.gateway).response, self.probe(self.twin).response
        for name in self.SECRETS:
            a, b = self.real[name].encode(), self.twin_real[name].encode()
            for cut in (1, 5, 14, len(a) // 2, len(a) - 1):
                def stream(v):
                    return [b"x " + v[:cut], v[cut:] + b" y\n", v.hex().encode()[:2 * cut], v.hex().encode()[2 * cut:] + b"\n", v[:-1] + b"?\n"]
                self.assertEqual(steady(one, stream(a)), steady(two, stream(b)), f"{name} cut at {cut}")

    def test_the_attack_sees_what_is_held(self):
        """The instrument works: something that fits the shape is held, something that does not is not."""
        watch = self.probe(self.gateway).response
        held, free = steady(watch, [b"start. sk-ant-api03-abc", b"! on\n"]), steady(watch, [b"start. sk-ant-api03-ab!", b"! on\n"])
        self.assertLess(held[0][0], free[0][0])


class HoldBackWithoutPrefilter(HoldBack):
    PREFILTER = "off"


if __name__ == "__main__":
    harness.main()
