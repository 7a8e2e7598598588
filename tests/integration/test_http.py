#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every framing and every carrier of HTTP: what a response holds of a secret comes back as its placeholder."""
import base64
import json
import time

import client
import harness
from harness import GatewayTest, Reply


class Framing(GatewayTest):
    def reply(self, *pieces, path="r", **how):
        self.upstream.replies[path] = Reply(pieces, **how)
        return f"/reply/{path}"

    def test_each_framing_is_sanitized(self):
        real, fake = self.real["API_KEY"].encode(), self.fake["API_KEY"].encode()
        for framing in ("length", "chunked", "close", "http10"):
            with self.subTest(framing):
                a = self.gateway.get("api.example.test", self.reply(b"a " + real + b" b", framing=framing))
                self.assertEqual((a.status, a.body, a.complete), (200, b"a " + fake + b" b", True))

    def test_content_length_stays_and_is_exact(self):
        body = b"<" + self.real["API_KEY"].encode() + b">"
        a = self.gateway.get("api.example.test", self.reply(body))
        self.assertEqual((a.get("content-length"), len(a.body)), (str(len(body)), len(body)))

    def test_cut_at_every_offset_of_a_secret_chunked(self):
        real, fake = self.real["API_KEY"].encode(), self.fake["API_KEY"].encode()
        conn = self.gateway.tunnel("api.example.test")
        reader = client.Reader(conn)
        for cut in range(len(real) + 1):
            path = self.reply(b"x" * 40 + b" " + real[:cut], real[cut:] + b" tail", framing="chunked", gap=0.01)
            conn.sendall(f"GET {path} HTTP/1.1\r\nHost: api.example.test\r\n\r\n".encode())
            a = reader.answer()
            self.assertEqual(a.body, b"x" * 40 + b" " + fake + b" tail", f"cut at {cut}")
        conn.close()

    def test_one_byte_chunks(self):
        real, fake = self.real["API_KEY"].encode(), self.fake["API_KEY"].encode()
        body = b"one " + real + b" two " + real
        a = self.gateway.get("api.example.test", self.reply(*[bytes([c]) for c in body], framing="chunked"))
        self.assertEqual(a.body, b"one " + fake + b" two " + fake)

    def test_request_body_is_rehydrated_cut_at_every_offset(self):
        real, fake = self.real["API_KEY"].encode(), self.fake["API_KEY"].encode()
        conn = self.gateway.tunnel("api.example.test")
        reader = client.Reader(conn)
        for cut in range(1, len(fake)):
            first, second = b"x " + fake[:cut], fake[cut:] + b" y"
            conn.sendall(b"POST /echo HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(first), first))
            conn.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(second), second))
            a = reader.answer()
            self.assertEqual(self.upstream.last("/echo").body, b"x " + real + b" y", f"cut at {cut}")
            self.assertEqual(json.loads(a.body)["body"].encode(), b"x " + fake + b" y")
        conn.close()

    def test_whole_request_body_keeps_an_exact_content_length(self):
        body = b'{"key":"' + self.fake["API_KEY"].encode() + b'"}'
        self.gateway.get("api.example.test", "/echo", [("Content-Type", "application/json")], "POST", body)
        request = self.upstream.last("/echo")
        self.assertEqual((request.get("content-length"), len(request.body)), (str(len(body)), len(body)))
        self.assertIn(self.real["API_KEY"].encode(), request.body)

    def test_http10_client(self):
        for framing in ("length", "close", "http10"):
            a = self.gateway.exchange("api.example.test", f"GET {self.reply(self.real['API_KEY'].encode(), framing=framing)} HTTP/1.0\r\n"
                                      "Host: api.example.test\r\n\r\n".encode())
            self.assertEqual(a.body, self.fake["API_KEY"].encode())
            self.assertIsNone(a.get("transfer-encoding"))

    def test_head_204_and_304_have_no_body_and_keep_their_heads(self):
        for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304)):
            with self.subTest(f"{method} {status}"):
                headers = [("ETag", '"v1"'), ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"), ("X-Secret", self.real["API_KEY"])]
                if status != 204:
                    headers.append(("Content-Length", "60"))
                a = self.gateway.get("api.example.test", self.reply(status=status, headers=headers, framing="none"), method=method)
                self.assertEqual((a.status, a.body, a.get("etag"), a.get("x-secret")), (status, b"", '"v1"', self.fake["API_KEY"]))
                self.assertEqual(a.get("content-length"), "60" if method == "HEAD" or status == 304 else None)

    def test_expect_100_continue_is_answered_by_the_gateway(self):
        conn = self.gateway.tunnel("api.example.test")
        conn.sendall(b"POST /echo HTTP/1.1\r\nHost: api.example.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        reader = client.Reader(conn)
        self.assertEqual(reader.line(), b"HTTP/1.1 100 Continue")
        self.assertEqual(reader.line(), b"")
        conn.sendall(b"hello")
        self.assertEqual(json.loads(reader.answer().body)["body"], "hello")
        self.assertIsNone(self.upstream.last("/echo").get("expect"))

    def test_expect_on_a_refused_request_gets_the_refusal_and_no_100(self):
        conn = self.gateway.tunnel("api.example.test")
        conn.sendall(f"POST /echo HTTP/1.1\r\nHost: api.example.test\r\nX-Api-Key: {self.real['API_KEY']}\r\nContent-Length: 5\r\n"
                     "Expect: 100-continue\r\n\r\n".encode())
        a = client.Reader(conn).answer()
        self.assertEqual((a.status, a.informational), (403, []))

    def test_early_hints_are_stripped_to_their_status(self):
        real = self.real["API_KEY"]
        a = self.gateway.get("api.example.test", self.reply(b"ok", informational=[(103, [("Link", real), (f"x-{real}", "1"), (":reason", real)])]))
        self.assertEqual(a.body, b"ok")
        for status, head in a.informational:
            self.assertEqual(status, 103)
            self.assertNotIn(b"\r\n", head.strip())
        self.assertClean(b"".join(h for _, h in a.informational))

    def test_response_trailers_are_sanitized(self):
        a = self.gateway.get("api.example.test", self.reply(b"body " + self.real["API_KEY"][:20].encode(), framing="chunked",
                                                            trailers=[("x-sum", self.real["API_KEY"]), ("x-two", "2")]))
        self.assertEqual(a.body, b"body " + self.real["API_KEY"][:20].encode())
        self.assertIn(f"x-sum: {self.fake['API_KEY']}", a.trailers)
        self.assertIn("x-two: 2", a.trailers)

    def test_request_trailers_pass_and_trip_the_wire(self):
        head = b"POST /echo HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: %s\r\n\r\n"
        a = self.gateway.exchange("api.example.test", head % b"abc")
        self.assertEqual(json.loads(a.body)["trailers"], ["x-sum: abc"])
        a = self.gateway.exchange("api.example.test", head % self.real["API_KEY"].encode())
        self.assertEqual((a.status, a.get("x-slapenir-code")), (403, "tripwire"))
        self.assertNotIn(f"x-sum: {self.real['API_KEY']}", self.upstream.last("/echo").trailers)

    def test_reason_phrase_is_the_standard_one(self):
        a = self.gateway.get("api.example.test", self.reply(b"x", status=418, reason=self.real["API_KEY"]))
        self.assertTrue(a.line.startswith(b"HTTP/1.1 418 "))
        self.assertClean(a.line)
        a = self.gateway.get("api.example.test", self.reply(b"x", status=200, reason="Fine " + self.real["API_KEY"][:20]))
        self.assertEqual(a.line, b"HTTP/1.1 200 OK")

    def test_header_names_and_values_are_sanitized(self):
        real = self.real["API_KEY"]
        a = self.gateway.get("api.example.test", self.reply(b"x", headers=[(f"X-{real}", "1"), (real, "2"), ("x-plain", f"a {real} b"), ("x-high", "\xe9" + real + "\xff")]))
        self.assertNotIn(real.lower().encode(), a.raw_head.lower())
        self.assertEqual(a.get("x-plain"), f"a {self.fake['API_KEY']} b")
        self.assertEqual(a.get("x-high"), "\xe9" + self.fake["API_KEY"] + "\xff")

    def test_set_cookie_stays_repeated(self):
        real, fake = self.real["API_KEY"], self.fake["API_KEY"]
        a = self.gateway.get("api.example.test", self.reply(b"x", headers=[("Set-Cookie", f"a={real}"), ("Set-Cookie", "b=2"), ("Set-Cookie", f"c={real}; Path=/")]))
        self.assertEqual(a.all("set-cookie"), [f"a={fake}", "b=2", f"c={fake}; Path=/"])

    def test_location_is_sanitized_and_not_followed(self):
        a = self.gateway.get("api.example.test", self.reply(status=302, headers=[("Location", f"https://evil.test/?k={self.real['API_KEY']}")]))
        self.assertEqual((a.status, a.get("location")), (302, f"https://evil.test/?k={self.fake['API_KEY']}"))

    def test_reflected_head_and_body(self):
        fake = self.fake["API_KEY"]
        a = self.gateway.get("api.example.test", "/reflect", [("Authorization", "Bearer " + fake)], "POST", b"body " + fake.encode())
        self.assertIn(b"Bearer " + self.real["API_KEY"].encode(), self.upstream.last("/reflect").head)
        self.assertEqual(a.body.count(fake.encode()), 2)
        self.assertClean(a.body)


class Connect(GatewayTest):
    def test_host_that_names_the_proxy_is_the_target_all_the_same(self):
        """What undici's ProxyAgent sends; HAProxy does not even parse it."""
        for host in (self.gateway.address, "API.example.test:443", "api.example.test"):
            with self.subTest(host):
                self.assertEqual(self.gateway.connect("api.example.test:443", host=host)[:2], (200, None))
                self.assertEqual(self.gateway.connect("nowhere.example.test:443", host=host)[:2], (403, "host_denied"))

    def test_host_that_names_the_proxy_in_pieces(self):
        conn = self.gateway.dial()
        self.addCleanup(conn.close)
        for piece in (b"CONNECT api.exam", b"ple.test:443 HTTP/1.1\r\nhost: 127.0.0.1:3128\r\nconnec", b"tion: close\r\n", b"\r", b"\n"):
            conn.sendall(piece)
            time.sleep(0.05)
        self.assertTrue(conn.recv(4096).startswith(b"HTTP/1.1 200 "))

    def test_two_hosts_are_refused(self):
        conn = self.gateway.dial()
        self.addCleanup(conn.close)
        conn.sendall(b"CONNECT api.example.test:443 HTTP/1.1\r\nHost: a.example.test\r\nHost: b.example.test\r\n\r\n")
        try:
            answer = conn.recv(4096)
        except OSError:
            answer = b""
        self.assertNotIn(b" 200 ", answer)


class Hygiene(GatewayTest):
    EXTRA = "drop_response_headers: [X-Debug-Token, Server-Timing]\n"

    @classmethod
    def hosts(cls):
        return {**super().hosts(), "ranges.example.test": cls.at(cls.upstream, ranges="allow")}

    def test_headers_about_proxies_and_ranges_do_not_go_upstream(self):
        extra = [("Proxy-Authorization", "x"), ("Proxy-Connection", "close"), ("Forwarded", "for=1"), ("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Host", "a"),
                 ("Via", "1.1 x"), ("Range", "bytes=0-3"), ("If-Range", '"v"'), ("X-Kept", "yes")]
        self.gateway.get("api.example.test", "/echo", extra)
        names = {n for n, _ in self.upstream.last("/echo").fields}
        self.assertEqual(names & {n.lower() for n, _ in extra}, {"x-kept"})

    def test_accept_encoding_asks_for_clear_text(self):
        self.gateway.get("api.example.test", "/echo", [("Accept-Encoding", "br, gzip, zstd")])
        self.assertIn(self.upstream.last("/echo").get("accept-encoding"), (None, "identity", ""))

    def test_grpc_is_asked_for_clear_text(self):
        self.gateway.get("api.example.test", "/echo", [("gRPC-Accept-Encoding", "identity,deflate,gzip"), ("Connect-Accept-Encoding", "gzip")])
        self.assertEqual(self.upstream.last("/echo").get("grpc-accept-encoding"), "identity")
        self.assertIsNone(self.upstream.last("/echo").get("connect-accept-encoding"))
        self.gateway.get("api.example.test", "/echo")
        self.assertIsNone(self.upstream.last("/echo").get("grpc-accept-encoding"))

    def test_compressed_grpc_is_refused(self):
        for name in ("gRPC-Encoding", "Connect-Content-Encoding"):
            for kind in ("application/grpc", "text/plain"):
                with self.subTest((name, kind)):
                    self.refused(Reply(b"\1\0\0\0\4abcd", headers=[("Content-Type", kind), (name, "gzip")]), "encoding_refused")

    def test_response_headers_that_move_or_tell_are_dropped(self):
        headers = [("Alt-Svc", 'h3=":443"'), ("Accept-Ranges", "bytes"), ("Content-MD5", "x"), ("Digest", "x"), ("Content-Digest", "x"), ("Repr-Digest", "x"),
                   ("X-Debug-Token", "x"), ("Server-Timing", "x"), ("X-Kept", "yes")]
        self.upstream.replies["h"] = Reply(b"x", headers=headers)
        a = self.gateway.get("api.example.test", "/reply/h")
        self.assertEqual({n for n, _ in a.fields} & {n.lower() for n, _ in headers}, {"x-kept"})

    def refused(self, reply, code, status=502, **how):
        self.upstream.replies["q"] = reply
        a = self.gateway.get("api.example.test", "/reply/q", **how)
        self.assertEqual((a.status, a.get("x-slapenir-code")), (status, code))
        self.assertEqual(json.loads(a.body)["code"], code)
        self.assertNotIn(b"payload", a.body)

    def test_encoded_response_that_cannot_be_read_is_refused(self):
        self.refused(Reply(b"payload", headers=[("Content-Encoding", "x-unheard-of")]), "encoding_refused")

    def test_partial_response_is_withheld(self):
        self.refused(Reply(b"payload", status=206, headers=[("Content-Range", "bytes 0-6/90")]), "partial_refused")

    def test_ranges_pass_where_the_host_says_so(self):
        self.upstream.replies["p"] = Reply(b"payl", status=206, headers=[("Content-Range", "bytes 0-3/90")])
        a = self.gateway.get("ranges.example.test", "/reply/p", [("Range", "bytes=0-3")])
        self.assertEqual((a.status, a.body), (206, b"payl"))
        self.assertEqual(self.upstream.last("/reply/p").get("range"), "bytes=0-3")

    def test_upgrade_is_refused(self):
        a = self.gateway.get("api.example.test", "/echo", [("Connection", "Upgrade"), ("Upgrade", "foo/1")])
        self.assertEqual((a.status, a.get("x-slapenir-code")), (403, "upgrade_refused"))

    def test_switching_protocols_unasked_is_refused(self):
        self.upstream.replies["u"] = Reply(raw=b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\npayload")
        a = self.gateway.get("api.example.test", "/reply/u")
        self.assertIn(a.status, (502, 403))
        self.assertNotIn(b"payload", a.body)

    def test_trace_is_refused(self):
        a = self.gateway.get("api.example.test", "/echo", method="TRACE")
        self.assertEqual((a.status, a.get("x-slapenir-code")), (405, "trace_refused"))


class Http2(GatewayTest):
    """HTTP/2 on both sides at once."""

    @classmethod
    def make_upstreams(cls):
        super().make_upstreams()
        cls.h2 = harness.H2Upstream(cls.folder, cls.authority.issue(["h2.example.test"]))
        cls.addClassCleanup(cls.h2.close)

    @classmethod
    def hosts(cls):
        return {**super().hosts(), "h2.example.test": {"connect": cls.h2.address, "ca": "upstream/ca.crt"}}

    SECRETS = {"API_KEY": {"hosts": ["api.example.test", "h2.example.test"], "inject": ["header", "body"]}}

    def ask(self, path, host="h2.example.test", **how):
        body = how.pop("body", None)
        job = {"proxy": self.gateway.address, "ca": self.gateway.ca, "cert": self.gateway.certificate[0], "key": self.gateway.certificate[1],
               "mode": "h2", "url": f"https://{host}{path}", "body": base64.b64encode(body).decode() if body else None, **how}
        done = harness.node("node_client.js", job=job)
        answer = json.loads(done.stdout or "{}")
        self.assertIn("status", answer, done.stdout + done.stderr)
        answer["body"] = base64.b64decode(answer["body"])
        self.assertEqual(answer["alpn"], "h2")
        return answer

    def test_headers_bodies_and_trailers_both_ways(self):
        fake, real = self.fake["API_KEY"], self.real["API_KEY"]
        a = self.ask("/echo", method="POST", headers={"authorization": f"Bearer {fake}"}, body=f"b {fake}".encode(), trailers={"x-trail": "t"})
        seen = self.h2.seen()[-1]
        self.assertEqual(seen["headers"]["authorization"], f"Bearer {real}")
        got = json.loads(a["body"])
        self.assertEqual((got["headers"]["authorization"], got["body"], got["trailers"].get("x-trail")), (f"Bearer {fake}", f"b {fake}", "t"))
        self.assertClean(json.dumps(a["headers"]) + a["body"].decode())

    def test_early_hints_are_stripped_to_their_status(self):
        """Only the heads: HAProxy 2.6 itself ends a body too early after a 1xx head from an HTTP/2 upstream."""
        real = self.real["API_KEY"]
        self.h2.reply("e", pieces=[], headers={"x-h": real}, informational=[[103, {"link": real}]])
        a = self.ask("/reply/e")
        self.assertEqual(a["headers"]["x-h"], self.fake["API_KEY"])
        for hint in a["informational"]:
            self.assertEqual(set(hint), {":status"})

    def test_response_pieces_and_trailers(self):
        fake, real = self.fake["API_KEY"], self.real["API_KEY"]
        self.h2.reply("t", pieces=[b"a " + real[:25].encode(), real[25:].encode() + b" b"], gap=20, headers={"x-h": real}, trailers={"x-trail": real})
        a = self.ask("/reply/t")
        self.assertEqual((a["body"], a["headers"]["x-h"], a["trailers"]["x-trail"]), (f"a {fake} b".encode(), fake, fake))

    def test_h2_client_of_an_http1_upstream(self):
        a = self.ask("/echo", host="api.example.test", headers={"x-api-key": self.fake["API_KEY"]})
        self.assertEqual(self.upstream.last("/echo").get("x-api-key"), self.real["API_KEY"])
        self.assertIn(self.fake["API_KEY"].encode(), a["body"])
        self.assertClean(a["body"])

    def test_http1_client_of_an_h2_upstream(self):
        r = self.gateway.curl("--http1.1", "-H", "x-api-key: " + self.fake["API_KEY"], "https://h2.example.test/echo")
        self.assertEqual((r.status, r.version), (200, "1.1"))
        self.assertEqual(self.h2.seen()[-1]["headers"]["x-api-key"], self.real["API_KEY"])
        self.assertClean(r.body)

    def test_curl_uses_h2(self):
        r = self.gateway.curl("--http2", "-d", self.fake["API_KEY"], "https://h2.example.test/echo")
        self.assertEqual((r.status, r.version), (200, "2"))
        self.assertEqual(json.loads(r.body)["body"], self.fake["API_KEY"])

    def test_extended_connect_is_refused(self):
        done = harness.node("node_client.js", job={
            "proxy": self.gateway.address, "ca": self.gateway.ca, "cert": self.gateway.certificate[0], "key": self.gateway.certificate[1], "mode": "h2",
            "url": "https://h2.example.test/echo", "method": "CONNECT", "headers": {":protocol": "websocket"}})
        answer = json.loads(done.stdout)
        self.assertTrue("error" in answer or answer.get("status", 0) >= 400, answer)
        self.assertFalse([s for s in self.h2.seen() if ":protocol" in s["headers"]])


if __name__ == "__main__":
    harness.main()
