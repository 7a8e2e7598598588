#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the policy says is what happens on the wire: places, methods, paths, required credentials, agents, given placeholders."""
import json
import re
import urllib.parse

import harness
from harness import GatewayTest


class Places(GatewayTest):
    SECRETS = {
        "HEADER": {"hosts": ["api.example.test"]},
        "QUERY": {"hosts": ["api.example.test"], "inject": ["query"]},
        "PATH": {"hosts": ["api.example.test"], "inject": ["path"]},
        "BODY": {"hosts": ["api.example.test"], "inject": ["body"]},
        "EVERYWHERE": {"hosts": ["api.example.test"], "inject": ["header", "query", "path", "body"]},
        "NARROW": {"hosts": ["api.example.test"], "methods": ["GET"], "paths": ["/echo/in/", "/exact"]},
        "QUOTED": {"hosts": ["api.example.test"], "inject": ["body", "query", "path"], "placeholder": "DUMMY_QUOTED"},
    }

    @classmethod
    def value_of(cls, name):
        if name == "QUOTED":
            return 'a"b\\c&d=e/f ' + harness.random_secret(30)
        return harness.random_secret(44)

    @classmethod
    def hosts(cls):
        cls.upstream.routes["exact"] = cls.upstream.routes["exactly"] = cls.upstream.routes["echo"]
        return super().hosts()

    def sent(self, name, headers=(), method="POST", target="/echo", body=None, kind="text/plain"):
        self.upstream.seen.clear()
        answer = self.gateway.get("api.example.test", target, [("Content-Type", kind), *headers], method, body)
        self.assertEqual(answer.status, 200, answer.body)
        self.assertClean(answer.raw_head + answer.body)
        return self.upstream.seen[-1]

    def test_each_place_only_where_the_policy_names_it(self):
        places = {"header": lambda f: self.sent(None, [("X-Api-Key", f)]).get("x-api-key"),
                  "query": lambda f: self.sent(None, target=f"/echo?k={f}").target.partition("?k=")[2],
                  "path": lambda f: self.sent(None, target=f"/echo/{f}/x").target.split("/")[2],
                  "body": lambda f: self.sent(None, body=f.encode()).body.decode()}
        allowed = {"HEADER": {"header"}, "QUERY": {"query"}, "PATH": {"path"}, "BODY": {"body"}, "EVERYWHERE": set(places)}
        for name, where in allowed.items():
            for place, ask in places.items():
                with self.subTest(f"{name} in {place}"):
                    self.assertEqual(ask(self.fake[name]), (self.real if place in where else self.fake)[name])

    def test_percent_encoded_placeholder_in_a_query_is_mirrored(self):
        fake = self.fake["QUERY"]
        target = self.sent(None, target="/echo?k=" + "".join(f"%{ord(c):02X}" for c in fake)).target
        self.assertEqual(urllib.parse.unquote(target.partition("?k=")[2]), self.real["QUERY"])
        self.assertNotIn(self.real["QUERY"], target)

    def test_json_escaped_placeholder_in_a_body_is_mirrored(self):
        body = ('{"k": "' + "".join(f"\\u{ord(c):04x}" for c in self.fake["BODY"]) + '"}').encode()
        got = self.sent(None, body=body, kind="application/json").body
        self.assertEqual((json.loads(got)["k"], len(got)), (self.real["BODY"], len(body)))

    def test_given_placeholder_is_escaped_for_its_place(self):
        real = self.real["QUOTED"]
        request = self.sent(None, body=b'{"k": "DUMMY_QUOTED"}', kind="application/json")
        self.assertEqual(json.loads(request.body)["k"], real)
        request = self.sent(None, body=b"k=DUMMY_QUOTED&z=1", kind="application/x-www-form-urlencoded")
        self.assertEqual(urllib.parse.parse_qs(request.body.decode())["k"], [real])
        request = self.sent(None, body=b"k: DUMMY_QUOTED")
        self.assertEqual(request.body.decode(), f"k: {real}")
        request = self.sent(None, target="/echo?k=DUMMY_QUOTED&z=1")
        self.assertEqual(urllib.parse.parse_qs(request.target.partition("?")[2])["k"], [real])
        request = self.sent(None, target="/echo/DUMMY_QUOTED/z")
        self.assertEqual(urllib.parse.unquote(request.target.split("/")[2]), real)
        self.assertEqual(request.target.count("/"), 3)

    def test_secret_of_some_methods_and_paths_only(self):
        fake, real = self.fake["NARROW"], self.real["NARROW"]
        cases = [("GET", "/echo/in/x", True), ("HEAD", "/echo/in/x", True), ("POST", "/echo/in/x", False), ("GET", "/echo/inside", False), ("GET", "/echo/in", False),
                 ("GET", "/exact", True), ("GET", "/exact/deeper", True), ("GET", "/exactly", False), ("GET", "/echo/out/../in/x", True),
                 ("GET", "/echo/in/../out", False), ("GET", "/echo/%69n/x", True), ("GET", "/echo/in%2Fx", True), ("GET", "/echo/in/%2e%2e/out", False)]
        for method, path, want in cases:
            with self.subTest(f"{method} {path}"):
                self.upstream.seen.clear()
                answer = self.gateway.get("api.example.test", path, [("X-Api-Key", fake)], method)
                if not self.upstream.seen:  # dots may be refused as well
                    self.assertEqual((answer.status, "." in path or "%2e" in path), (403, True))
                else:
                    self.assertEqual(self.upstream.seen[-1].get("x-api-key"), real if want else fake)


class Rules(GatewayTest):
    SECRETS = {"API_KEY": {"hosts": ["api.example.test", "must.example.test"]}, "OTHER": {"hosts": ["open.example.test"]}}

    @classmethod
    def hosts(cls):
        return {**super().hosts(), "must.example.test": cls.at(cls.upstream, require=True),
                "narrow.example.test": cls.at(cls.upstream, methods=["GET"], paths=["/echo/"])}

    def answer(self, *words, **how):
        a = self.gateway.get(*words, **how)
        return a.status, a.get("x-slapenir-code")

    def test_methods_of_a_host(self):
        self.assertEqual(self.answer("narrow.example.test", "/echo/a"), (200, None))
        self.assertEqual(self.answer("narrow.example.test", "/echo/a", method="HEAD"), (200, None))
        for method in ("POST", "DELETE", "OPTIONS", "PROPFIND"):
            self.assertEqual(self.answer("narrow.example.test", "/echo/a", method=method), (403, "method_denied"), method)

    def test_paths_of_a_host(self):
        for path in ("/echo", "/echoes", "/", "/sink", "/echo/../sink", "/echo/%2e%2e/sink", "/echo%2F..%2Fsink", "/echo/..%5Csink", "/%2E%2E/echo/", "/echo/..%2fsink"):
            with self.subTest(path):
                self.assertEqual(self.answer("narrow.example.test", path), (403, "path_denied"))
        self.assertEqual(self.answer("narrow.example.test", "/echo/%61"), (200, None))
        self.assertEqual(self.answer("narrow.example.test", "/echo?x=/sink"), (403, "path_denied"))

    def test_host_that_requires_our_placeholder(self):
        fake = self.fake["API_KEY"]
        self.assertEqual(self.answer("must.example.test", "/echo", headers=[("Authorization", f"Bearer {fake}")]), (200, None))
        self.assertEqual(self.answer("must.example.test", "/echo"), (200, None))
        for name, value in (("Authorization", "Bearer attackers-own-key"), ("X-Api-Key", "attackers-own-key"), ("Authorization", f"Bearer {self.fake['OTHER']}"),
                            ("Authorization", "Basic YTpi")):
            self.assertEqual(self.answer("must.example.test", "/echo", headers=[(name, value)]), (403, "credential_required"), value)
        both = [("Authorization", f"Bearer {fake}"), ("X-Api-Key", "attackers-own-key")]
        self.assertEqual(self.answer("must.example.test", "/echo", headers=both), (403, "credential_required"))

    def test_refusal_says_why_and_how_to_mend(self):
        answer = self.gateway.get("narrow.example.test", "/sink")
        got = json.loads(answer.body)
        self.assertEqual(got["code"], "path_denied")
        self.assertTrue(got["how_to_mend"])
        self.assertEqual(answer.get("content-type"), "application/json")


class Agents(GatewayTest):
    SECRETS = {"ONE": {"hosts": ["api.example.test"]}, "TWO": {"hosts": ["two.example.test"]}}
    EXTRA = """agents:
  agent-1: { secrets: [ONE], hosts: [open.example.test] }
  agent-2: { secrets: all }
  agent-none: { hosts: [api.example.test] }
"""

    @classmethod
    def hosts(cls):
        return {**super().hosts(), "two.example.test": cls.at(cls.upstream)}

    def sent(self, host, fake, certificate=None):
        self.gateway.get(host, "/echo", [("X-Api-Key", fake)], certificate=certificate)
        return self.upstream.last("/echo").get("x-api-key")

    def all_fakes(self, agent="agent-2"):
        text = self.gateway.slapenir("env", self.gateway.policy, "--agent", agent).stdout
        return dict(re.findall(r"^(\w+)=(.*)$", text, re.M))

    def test_agent_uses_its_own_secrets_and_hosts(self):
        self.assertEqual(self.all_fakes("agent-1"), {"ONE": self.fake["ONE"]})
        self.assertEqual(self.sent("api.example.test", self.fake["ONE"]), self.real["ONE"])
        self.assertEqual(self.gateway.connect("open.example.test:443")[0], 200)
        self.assertEqual(self.gateway.connect("two.example.test:443")[:2], (403, "host_denied"))

    def test_placeholder_of_another_agent_stays_inert_and_is_audited(self):
        two = self.all_fakes()["TWO"]
        self.assertEqual(self.sent("api.example.test", two), two)
        self.assertTrue(self.gateway.wait_audit(lambda a: a.get("agent") == "agent-1" and any(s["name"] == "TWO" for s in a.get("secrets", []))))

    def test_second_agent_with_all(self):
        certificate, fakes = self.gateway.new_agent("agent-2"), self.all_fakes()
        self.assertEqual(self.sent("api.example.test", fakes["ONE"], certificate), self.real["ONE"])
        self.assertEqual(self.sent("two.example.test", fakes["TWO"], certificate), self.real["TWO"])

    def test_agent_without_secrets(self):
        certificate = self.gateway.new_agent("agent-none")
        self.assertEqual(self.sent("api.example.test", self.fake["ONE"], certificate), self.fake["ONE"])
        self.assertEqual(self.gateway.connect("open.example.test:443", certificate)[:2], (403, "host_denied"))

    def test_agent_that_the_policy_does_not_list(self):
        certificate = self.gateway.new_agent("agent-3")
        self.assertEqual(self.gateway.connect("api.example.test:443", certificate)[:2], (403, "agent_unknown"))

    def test_secrets_of_all_agents_are_sanitized_for_each(self):
        self.upstream.replies["both"] = harness.Reply(f"{self.real['ONE']} {self.real['TWO']}".encode())
        body = self.gateway.get("api.example.test", "/reply/both").body.decode()
        self.assertEqual(body, f"{self.fake['ONE']} {self.all_fakes()['TWO']}")


class Given(GatewayTest):
    """Placeholders of another length: responses are chunked, whole requests keep an exact length."""
    SECRETS = {"TOKEN": {"hosts": ["api.example.test"], "inject": ["header", "body"], "placeholder": "DUMMY_TOKEN"},
               "LONGER": {"hosts": ["api.example.test"], "inject": ["header", "body"], "placeholder": "DUMMY_LONGER_" + "x" * 80}}

    @classmethod
    def value_of(cls, name):
        return harness.random_secret(60)

    def test_agent_env_has_the_given_ones(self):
        self.assertEqual(self.fake["TOKEN"], "DUMMY_TOKEN")

    def test_both_directions_at_every_cut(self):
        for name in self.SECRETS:
            fake, real = self.fake[name].encode(), self.real[name].encode()
            for cut in range(0, len(real), 3):
                self.upstream.replies["g"] = harness.Reply([b"a " + real[:cut], real[cut:] + b" b"], framing="chunked", gap=0.01)
                self.assertEqual(self.gateway.get("api.example.test", "/reply/g").body, b"a " + fake + b" b")

    def test_exact_length_of_a_whole_request(self):
        for name in self.SECRETS:
            self.gateway.get("api.example.test", "/echo", [("X-Api-Key", self.fake[name])], "POST", b"k=" + self.fake[name].encode())
            request = self.upstream.last("/echo")
            self.assertEqual((request.body, request.get("content-length"), request.get("x-api-key")),
                             (b"k=" + self.real[name].encode(), str(2 + len(self.real[name])), self.real[name]))

    def test_long_request_streams_chunked(self):
        body = (self.fake["TOKEN"].encode() + b" words and words\n") * 20000
        r = self.gateway.curl("--data-binary", "@-", "https://api.example.test/sink", input=body)
        self.assertEqual(r.status, 200, r.err)
        request = self.upstream.last("/sink")
        self.assertEqual((request.length, request.get("content-length")), (len(body.replace(b"DUMMY_TOKEN", self.real["TOKEN"].encode())), None))

    def test_http10_client_is_not_given_chunks(self):
        for framing in ("length", "close"):
            self.upstream.replies["g"] = harness.Reply(b"x " + self.real["TOKEN"].encode(), framing=framing)
            answer = self.gateway.exchange("api.example.test", b"GET /reply/g HTTP/1.0\r\nHost: api.example.test\r\n\r\n")
            self.assertEqual((answer.body, answer.get("transfer-encoding")), (b"x DUMMY_TOKEN", None))

    def test_response_length_is_not_promised(self):
        self.upstream.replies["g"] = harness.Reply(b"x " + self.real["TOKEN"].encode())
        answer = self.gateway.get("api.example.test", "/reply/g")
        self.assertEqual((answer.body, answer.get("content-length")), (b"x DUMMY_TOKEN", None))


if __name__ == "__main__":
    harness.main()
