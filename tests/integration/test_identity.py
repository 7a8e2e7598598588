#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may speak, and to whom: certificates, names that must agree, hosts that the policy lists."""
import datetime
import json
import os
import ssl
import subprocess
import time

import client
import harness
import pki
from harness import GatewayTest
from upstream import Upstream

LONG = "a-service-with-a-very-long-name-indeed.and-a-region-that-is-long-too.clusters.example.test"[-84:].lstrip("-.")
LONG = "x" * (84 - len(LONG)) + LONG


def stamp(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y%m%d%H%M%SZ")


class Certificates(GatewayTest):
    def ours(self):
        """The gateway's own CA, to issue what it would not."""
        authority = pki.Authority.__new__(pki.Authority)
        authority.folder, authority.count = f"{self.folder}/ours-{time.monotonic_ns()}", 0
        authority.crt, authority.key = f"{self.gateway.state}/ca/root.crt", f"{self.gateway.state}/ca/root.key"
        os.makedirs(authority.folder)
        return authority

    def assertNoService(self, certificate):
        """The handshake fails: with TLS 1.3 the client sees it at its first read."""
        with self.assertRaises((ssl.SSLError, OSError)):
            conn = client.dial_proxy(self.gateway.address, self.gateway.ca, *certificate)
            conn.sendall(b"CONNECT api.example.test:443 HTTP/1.1\r\nHost: api.example.test:443\r\n\r\n")
            if not conn.recv(100):
                raise ConnectionResetError("closed")

    def test_no_certificate(self):
        self.assertNoService((None, None))
        self.assertTrue(self.gateway.wait_audit(lambda a: a.get("code") == "cert_required"))

    def test_certificate_of_another_ca(self):
        self.assertNoService(self.authority.issue([], "/CN=agent-1", "clientAuth"))

    def test_expired_certificate(self):
        self.assertNoService(self.ours().issue([], "/CN=agent-1", "clientAuth", begin="20240101000000Z", end="20240201000000Z"))
        self.assertTrue(self.gateway.wait_audit(lambda a: a.get("code") == "cert_expired"))

    def test_server_certificate_is_no_client_certificate(self):
        self.assertNoService(self.ours().issue(["127.0.0.1"], "/CN=agent-1", "serverAuth"))

    def test_names_that_are_none(self):
        for subject in ("/CN=two words", "/CN=" + "c" * 30 + "/CN=agent-1", "/O=nobody", "/CN=a:b", "/CN=\u00e9"):
            with self.subTest(subject):
                status, code, _ = self.gateway.connect("api.example.test:443", self.ours().issue([], subject, "clientAuth"))
                self.assertEqual((status, code), (403, "agent_unknown"))

    def test_certificate_that_expires_inside_a_tunnel(self):
        certificate = self.ours().issue([], "/CN=agent-short", "clientAuth", begin=stamp(-3600), end=stamp(6))
        conn = self.gateway.tunnel("api.example.test", certificate=certificate)
        reader = client.Reader(conn)
        request = b"GET /echo HTTP/1.1\r\nHost: api.example.test\r\n\r\n"
        conn.sendall(request)
        self.assertEqual(reader.answer().status, 200)
        time.sleep(7.5)
        conn.sendall(request)
        answer = reader.answer()
        self.assertEqual((answer.status, answer.get("x-slapenir-code")), (403, "cert_expired"))

    def test_certificate_that_is_revoked_inside_a_tunnel(self):
        certificate = self.gateway.new_agent("agent-gone")
        conn = self.gateway.tunnel("api.example.test", certificate=certificate)
        reader = client.Reader(conn)
        request = b"GET /echo HTTP/1.1\r\nHost: api.example.test\r\n\r\n"
        conn.sendall(request)
        self.assertEqual(reader.answer().status, 200)
        subprocess.run(["sh", f"{harness.ROOT}/ca/dev-ca.sh", "revoke", self.gateway.state, "agent-gone"], check=True, capture_output=True)
        done = self.gateway.slapenir("reload", "--state", self.gateway.state)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        conn.sendall(request)
        answer = reader.answer()
        self.assertEqual((answer.status, answer.get("x-slapenir-code")), (403, "cert_revoked"))
        self.assertNoService(certificate)


class Names(GatewayTest):
    @classmethod
    def make_upstreams(cls):
        super().make_upstreams()
        cls.named = Upstream(cls.authority, [LONG, "deep.wild.example.test", "*.wild.example.test"])
        cls.addClassCleanup(cls.named.close)
        cls.clear = Upstream()
        cls.addClassCleanup(cls.clear.close)
        cls.stranger = pki.Authority(f"{cls.folder}/stranger", "a private root")
        cls.wrong = Upstream(cls.stranger, ["api.example.test", "wrong.example.test"])
        cls.addClassCleanup(cls.wrong.close)
        cls.other_name = Upstream(cls.authority, ["something-else.test"])
        cls.addClassCleanup(cls.other_name.close)

    @classmethod
    def hosts(cls):
        return {**super().hosts(), LONG: cls.at(cls.named), "*.wild.example.test": cls.at(cls.named),
                "clear.example.test": {"connect": cls.clear.address, "http": "allow"},
                "private.example.test": {"connect": cls.wrong.address, "ca": "stranger/ca.crt"},
                "wrong.example.test": cls.at(cls.wrong), "misnamed.example.test": cls.at(cls.other_name),
                "api.example.test:8443": cls.at(cls.upstream)}

    def test_host_outside_the_list_is_refused_at_connect(self):
        for authority, code in (("unlisted.example.test:443", "host_denied"), ("example.test:443", "host_denied"), ("127.0.0.1:443", "host_denied"),
                                ("[::1]:443", "host_denied"), ("0x7f000001:443", "host_denied"), ("2130706433:443", "host_denied"), ("169.254.169.254:443", "host_denied"),
                                ("api.example.test:22", "port_denied"), ("api.example.test:80", "port_denied"), ("wild.example.test:443", "host_denied"),
                                ("a.b.wild.example.test:443", "host_denied"), ("api.example.test%00.evil.test:443", "host_denied")):
            with self.subTest(authority):
                status, got, body = self.gateway.connect(authority)
                self.assertEqual(status, 403)
                self.assertIn(got, (code, "host_denied", "port_denied"))
                self.assertEqual(json.loads(body)["code"], got)
        self.assertTrue(self.gateway.wait_audit(lambda a: a.get("code") == "host_denied" and "unlisted.example.test" in a.get("host", "")))

    def test_curl_sees_the_refusal(self):
        r = self.gateway.curl("https://unlisted.example.test/")
        self.assertEqual((r.connect, r.rc), (403, 56))

    def test_84_byte_name(self):
        self.assertEqual(len(LONG), 84)
        r = self.gateway.curl(f"https://{LONG}/echo")
        self.assertEqual((r.rc, r.status), (0, 200), r.err)

    def test_wildcard_is_one_label(self):
        r = self.gateway.curl("https://one.wild.example.test/echo")
        self.assertEqual((r.rc, r.status), (0, 200), r.err)

    def test_names_are_compared_without_case(self):
        r = self.gateway.curl("https://API.Example.Test/echo")
        self.assertEqual((r.rc, r.status), (0, 200), r.err)

    def test_port_of_the_policy(self):
        r = self.gateway.curl("https://api.example.test:8443/echo")
        self.assertEqual((r.rc, r.status), (0, 200), r.err)
        r = self.gateway.curl("-H", "x-api-key: " + self.fake["API_KEY"], "https://api.example.test:8443/echo")
        self.assertEqual(self.upstream.last("/echo").get("x-api-key"), self.fake["API_KEY"], "the secret is for port 443")

    def mismatch(self, host_header, target="/echo", **how):
        conn = self.gateway.tunnel("api.example.test", **how)
        conn.sendall(f"GET {target} HTTP/1.1\r\nHost: {host_header}\r\nX-Api-Key: {self.fake['API_KEY']}\r\n\r\n".encode())
        answer = client.Reader(conn).answer()
        conn.close()
        return answer.status, answer.get("x-slapenir-code")

    def test_host_that_differs_from_connect(self):
        count = len(self.upstream.seen)
        for host in ("open.example.test", "api.example.test:8443", "evil.test", "api.example.test.", "127.0.0.1", "api.example.test:0443", ""):
            with self.subTest(host):
                status, code = self.mismatch(host)
                self.assertTrue((status, code) == (421, "authority_mismatch") or status == 400, (status, code))
        self.assertEqual(self.mismatch("api.example.test", "https://open.example.test/echo")[0] // 100, 4)
        self.assertEqual(len(self.upstream.seen), count)

    def test_sni_that_differs_from_connect(self):
        status, code = self.mismatch("api.example.test", name="open.example.test")
        self.assertEqual((status, code), (421, "authority_mismatch"))
        status, code = self.mismatch("open.example.test", name="open.example.test")
        self.assertEqual((status, code), (421, "authority_mismatch"))

    def test_no_sni_or_an_unknown_one(self):
        for how in ({"sni": False}, {"name": "unlisted.example.test"}):
            with self.subTest(how), self.assertRaises((ssl.SSLError, OSError)):
                self.gateway.tunnel("api.example.test", **how)

    def test_authority_that_differs_from_host_in_h2(self):
        job = {"proxy": self.gateway.address, "ca": self.gateway.ca, "cert": self.gateway.certificate[0], "key": self.gateway.certificate[1],
               "mode": "h2", "url": "https://api.example.test/echo", "headers": {":authority": "open.example.test"}}
        answer = json.loads(harness.node("node_client.js", job=job).stdout)
        self.assertEqual(answer.get("status"), 421, answer)

    def test_upstream_with_another_root(self):
        r = self.gateway.curl("https://wrong.example.test/echo")
        self.assertEqual((r.status, r.code), (502, "upstream_tls"))
        self.assertEqual(self.wrong.seen, [])

    def test_upstream_with_another_name(self):
        r = self.gateway.curl("https://misnamed.example.test/echo")
        self.assertEqual((r.status, r.code), (502, "upstream_tls"))
        self.assertEqual(self.other_name.seen, [])

    def test_upstream_is_asked_by_name(self):
        self.gateway.curl("https://open.example.test/echo")
        self.assertIn("open.example.test", self.upstream.sni)
        self.assertEqual(self.upstream.last("/echo").get("host"), "open.example.test")

    def test_plain_http_where_allowed_and_never_a_secret(self):
        fake = self.fake["API_KEY"]
        r = self.gateway.curl("-H", f"Authorization: Bearer {fake}", "http://clear.example.test/echo")
        self.assertEqual((r.rc, r.status), (0, 200), r.err)
        self.assertEqual(self.clear.last("/echo").get("authorization"), f"Bearer {fake}")
        self.clear.replies["s"] = harness.Reply(self.real["API_KEY"].encode())
        self.assertEqual(self.gateway.curl("http://clear.example.test/reply/s").body, fake.encode())

    def test_plain_http_elsewhere_is_refused(self):
        r = self.gateway.curl("http://api.example.test/echo")
        self.assertEqual(r.status, 403)
        self.assertIn(r.code, ("port_denied", "host_denied"))
        r = self.gateway.curl("http://unlisted.example.test/")
        self.assertEqual((r.status, r.code), (403, "host_denied"))

    def test_origin_form_to_the_proxy_itself(self):
        for raw in (b"GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"):
            conn = self.gateway.dial()
            conn.sendall(raw)
            answer = client.Reader(conn).answer()
            self.assertGreaterEqual(answer.status, 400)
            conn.close()

    def test_https_url_in_absolute_form_is_not_a_way_around(self):
        conn = self.gateway.dial()
        conn.sendall(b"GET https://api.example.test/echo HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
        self.assertGreaterEqual(client.Reader(conn).answer().status, 400)
        conn.close()

    def test_certificate_shown_inside_is_of_this_host_and_short_lived(self):
        conn = self.gateway.tunnel("api.example.test")
        shown = conn.certificate()
        conn.close()
        self.assertIn(("DNS", "api.example.test"), shown["subjectAltName"])
        self.assertLess(ssl.cert_time_to_seconds(shown["notAfter"]) - time.time(), 8 * 86400)


if __name__ == "__main__":
    harness.main()
