#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Reload: a bad policy changes nothing, a good one reaches open tunnels and open streams, and no transfer is cut."""
import re
import time

import client
import harness
from harness import GatewayTest
from test_streaming import Steps


class Reload(GatewayTest):
    SECRETS = {"API_KEY": {"hosts": ["api.example.test"]}}

    def setUp(self):
        self.addCleanup(self.restore)
        self.first, self.values = self.policy(), dict(self.real)

    def restore(self):
        self.gateway.write_tokens(self.values)
        self.gateway.write_policy(self.first)
        self.reload()

    def reload(self):
        return self.gateway.slapenir("reload", "--state", self.gateway.state, timeout=90)

    def change(self, secrets=None, hosts=None, **values):
        """The policy with these secrets and hosts beside the first ones; all values are sought for at the end."""
        self.gateway.write_tokens({**self.values, **values})
        settings = {**self.SECRETS, **(secrets or {})}
        self.gateway.write_policy(harness.policy_text({k: v for k, v in settings.items() if v}, {k: v for k, v in {**self.hosts(), **(hosts or {})}.items() if v}))
        done = self.reload()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def fakes(self):
        return dict(re.findall(r"^(\w+)=(.*)$", self.gateway.slapenir("env", self.gateway.policy).stdout, re.M))

    def sent(self, fake, host="api.example.test"):
        a = self.gateway.get(host, "/echo", [("X-Api-Key", fake)])
        self.assertEqual(a.status, 200, a.body)
        return self.upstream.last("/echo").get("x-api-key")

    def test_bad_policy_keeps_the_old_one_and_says_so(self):
        for text in (self.first.replace("secrets:", "secerts:", 1), self.first + "surprise: 1\n", "secrets: [\n"):
            self.gateway.write_policy(text)
            done = self.reload()
            self.assertNotEqual(done.returncode, 0, text)
            self.assertRegex(done.stdout + done.stderr, r"policy\.yaml")
            self.assertEqual(self.sent(self.fake["API_KEY"]), self.real["API_KEY"])

    def test_new_secret_and_new_host(self):
        value = harness.random_secret(50)
        self.change({"NEW": {"hosts": ["new.example.test"]}}, {"new.example.test": self.at(self.upstream)}, NEW=value)
        self.assertEqual(self.sent(self.fakes()["NEW"], "new.example.test"), value)
        self.upstream.replies["n"] = harness.Reply(value.encode())
        self.assertEqual(self.gateway.get("api.example.test", "/reply/n").body.decode(), self.fakes()["NEW"])

    def test_rotation_keeps_the_placeholder_and_still_sanitizes_the_old_value(self):
        old, new = self.real["API_KEY"], self.value_of("API_KEY")
        self.change(API_KEY=new)
        self.assertEqual(self.fakes()["API_KEY"], self.fake["API_KEY"])
        self.assertEqual(self.sent(self.fake["API_KEY"]), new)
        self.upstream.replies["r"] = harness.Reply(f"{old} {new}".encode())
        body = self.gateway.get("api.example.test", "/reply/r").body.decode()
        self.assertNotIn(old, body)
        self.assertNotIn(new, body)
        a = self.gateway.get("api.example.test", "/echo", [("X-Api-Key", old)])
        self.assertEqual((a.status, a.get("x-slapenir-code")), (403, "tripwire"), "a removed value trips the wire during grace")

    def test_open_stream_gets_the_new_value_sanitized(self):
        new = self.value_of("API_KEY")
        steps = Steps([b"data: before.\n\n", b"data: %s.\n\n" % new.encode(), b"data: end.\n\n"])
        self.upstream.replies["open"] = steps
        conn = self.gateway.tunnel("api.example.test")
        conn.sendall(b"GET /reply/open HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
        reader = client.Reader(conn)
        steps.next()
        pieces = reader.pieces(reader.head())
        self.assertEqual(next(pieces), b"data: before.\n\n")
        self.change(API_KEY=new)
        steps.next()
        steps.next()
        self.assertEqual(b"".join(pieces), b"data: %s.\n\ndata: end.\n\n" % self.fake["API_KEY"].encode())
        conn.close()

    def test_removed_host_is_refused_inside_an_open_tunnel(self):
        conn = self.gateway.tunnel("open.example.test")
        reader, request = client.Reader(conn), b"GET /echo HTTP/1.1\r\nHost: open.example.test\r\n\r\n"
        conn.sendall(request)
        self.assertEqual(reader.answer().status, 200)
        self.change(hosts={"open.example.test": None})
        conn.sendall(request)
        try:
            answer = reader.answer()
            self.assertEqual((answer.status, answer.get("x-slapenir-code")), (403, "host_denied"))
        except ConnectionError:
            pass  # the tunnel was closed: no way through either
        self.assertEqual(self.gateway.connect("open.example.test:443")[:2], (403, "host_denied"))

    def test_transfer_goes_on_over_reloads(self):
        real, fake = self.real["API_KEY"].encode(), self.fake["API_KEY"].encode()
        steps = Steps([b"part %d %s.\n" % (n, real) for n in range(6)])
        self.upstream.replies["long"] = steps
        conn = self.gateway.tunnel("api.example.test", timeout=60)
        conn.sendall(b"GET /reply/long HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
        reader = client.Reader(conn)
        steps.next()
        pieces = reader.pieces(reader.head())
        for n in range(3):
            self.change({f"EXTRA_{n}": {"hosts": ["open.example.test"]}}, **{f"EXTRA_{n}": harness.random_secret(30 + n)})
            steps.next()
        for _ in range(3):
            steps.next()
        self.assertEqual(b"".join(pieces), b"".join(b"part %d %s.\n" % (n, fake) for n in range(6)))
        conn.close()


if __name__ == "__main__":
    harness.main()
