#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`prefilter: off` exchanges every byte with the agent. The same tests pass that way, and the same bytes come out as with it on."""
import random
import tempfile
import shutil

import harness
from harness import GatewayTest, Reply
from test_credentials import Credentials  # noqa: F401  (run again here)
from test_http import Framing, Http2  # noqa: F401
from test_streaming import Sse, Volume, render, text_with  # noqa: F401

harness.GatewayTest.PREFILTER = "off"


class SameBytes(GatewayTest):
    """One gateway with the prefilter, one without, the same secrets, placeholder key and upstream."""
    PREFILTER = "on"
    SECRETS = {"API_KEY": {"hosts": ["api.example.test"], "inject": ["header", "body"]}, "NO_PREFIX": {"hosts": ["api.example.test"]}}

    @classmethod
    def value_of(cls, name):
        return harness.random_secret(prefix="sk-ant-api03-", length=60) if name == "API_KEY" else harness.random_secret(24)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.mkdtemp(prefix="sl-", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        shutil.copytree(f"{cls.folder}/upstream", f"{folder}/upstream")
        cls.other = harness.Gateway(folder, cls.policy() + "prefilter: off\n", cls.real,
                                    environment={"SLAPENIR_KEY_FILE": f"{cls.gateway.state}/placeholder.key"})
        cls.addClassCleanup(cls.other.down)
        cls.other.up()

    def test_same_placeholders(self):
        self.assertEqual(self.gateway.placeholders, self.other.placeholders)

    def test_same_bytes(self):
        rng = random.Random()
        for framing in ("length", "chunked", "close"):
            for size, every in ((200, 60), (20000, 300), (400000, 5000)):
                marks = [v.encode() for v in self.real.values()]
                marks += [m[:-1] for m in marks] + [m[1:] for m in marks] + [m.hex().encode() for m in marks]
                body = render(text_with(rng, size, marks, every), marks)
                self.upstream.replies["s"] = Reply([body[n:n + 4001] for n in range(0, len(body), 4001)], framing=framing, headers=[("X-H", self.real["NO_PREFIX"])])
                one, two = (g.get("api.example.test", "/reply/s") for g in (self.gateway, self.other))
                self.assertTrue(one.body == two.body, f"{framing} {size}: bodies differ")
                self.assertEqual([f for f in one.fields if f[0] != "date"], [f for f in two.fields if f[0] != "date"])

    def test_same_requests_upstream(self):
        for body in (b"", self.fake["API_KEY"].encode(), b"x" * 100000 + self.fake["API_KEY"].encode() * 3 + b"y" * 70000):
            seen = []
            for g in (self.gateway, self.other):
                g.get("api.example.test", "/sink", [("X-Api-Key", self.fake["NO_PREFIX"])], "POST", body)
                seen.append(self.upstream.seen[-1])
            self.assertEqual(seen[0].fields, seen[1].fields)
            self.assertEqual(seen[0].digest.hexdigest(), seen[1].digest.hexdigest())


if __name__ == "__main__":
    harness.main()
