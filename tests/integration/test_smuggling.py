#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw bytes that two parsers could read in two ways: refused, or read in one way, and never a second request upstream."""
import client
import harness
from harness import GatewayTest

HOST = b"Host: api.example.test\r\n"
SECOND = b"GET /smuggled HTTP/1.1\r\nHost: api.example.test\r\n\r\n"


class Smuggling(GatewayTest):
    def send(self, raw):
        """(statuses of all answers, raw bytes) of what comes within a second of silence."""
        conn = self.gateway.tunnel("api.example.test", timeout=20)
        conn.sendall(raw)
        conn.settimeout(1)
        data = b""
        try:
            while piece := conn.recv():
                data += piece
        except OSError:
            pass
        conn.close()
        return [int(l.split(b" ")[1]) for l in data.split(b"\r\n") if l.startswith(b"HTTP/1.1 ")], data

    def setUp(self):
        self.upstream.seen.clear()

    def assertRefused(self, raw):
        statuses, data = self.send(raw)
        self.assertTrue(not statuses or statuses[0] >= 400, data)
        self.assertEqual([r.path for r in self.upstream.seen], [])

    def test_content_length_with_transfer_encoding_is_one_request_with_one_length(self):
        self.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(SECOND)))
        for request in self.upstream.seen:
            self.assertFalse(request.get("content-length") and request.get("transfer-encoding"))
        self.assertNotIn("/smuggled", [r.path for r in self.upstream.seen])

    def test_two_lengths(self):
        self.assertRefused(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SECOND) + SECOND)

    def test_length_list(self):
        self.assertRefused(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 0, %d\r\n\r\n" % len(SECOND) + SECOND)

    def test_lengths_that_are_no_numbers(self):
        for length in (b"+5", b"-1", b"0x5", b"5 5", b"", b"99999999999999999999999"):
            with self.subTest(length):
                self.assertRefused(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: " + length + b"\r\n\r\nhello")

    def test_two_hosts(self):
        self.assertRefused(b"GET /echo HTTP/1.1\r\n" + HOST + b"Host: other.example.test\r\n\r\n")

    def test_no_host(self):
        self.assertRefused(b"GET /echo HTTP/1.1\r\n\r\n")

    def test_name_with_a_space(self):
        self.assertRefused(b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n")

    def test_folded_line_is_refused_or_unfolded(self):
        self.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SECOND)
        for request in self.upstream.seen:
            self.assertNotIn(b"\r\n ", request.head)
            self.assertIsNone(request.get("transfer-encoding"))

    def test_chunk_sizes_that_are_none(self):
        for size in (b"-1", b"0x5", b"5g", b" 5", b"fffffffffffffffff", b"", b"+5"):
            with self.subTest(size):
                self.upstream.seen.clear()
                statuses, data = self.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello\r\n0\r\n\r\n" + SECOND)
                self.assertNotIn("/smuggled", [r.path for r in self.upstream.seen])
                self.assertFalse([r for r in self.upstream.seen if r.done])
                self.assertNotIn(200, statuses)

    def test_chunk_without_its_line_end(self):
        self.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n" + SECOND)
        self.assertNotIn("/smuggled", [r.path for r in self.upstream.seen])

    def test_transfer_encodings_other_than_chunked(self):
        for coding in (b"gzip, chunked", b"chunked, chunked", b"chunked, identity", b"xchunked", b"chunked\x0b", b"\"chunked\"", b"identity, chunked"):
            with self.subTest(coding):
                self.assertRefused(b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n" + SECOND)

    def test_bytes_that_end_lines_elsewhere(self):
        for value in (b"a\rb", b"a\nTransfer-Encoding: chunked"):
            with self.subTest(value):
                self.upstream.seen.clear()
                self.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"X: " + value + b"\r\n\r\n")
                for request in self.upstream.seen:
                    self.assertNotIn(b"\r", request.head.replace(b"\r\n", b""))
                    self.assertNotIn(b"\n", request.head.replace(b"\r\n", b""))

    def test_control_characters_in_values_are_refused(self):
        for byte in (b"\0", b"\x01", b"\x0b", b"\x1b", b"\x7f"):
            for value in (byte, b"a" + byte + b"b", b"a" + byte):
                with self.subTest(value):
                    self.assertRefused(b"GET /echo HTTP/1.1\r\n" + HOST + b"X: " + value + b"\r\n\r\n")
        self.assertEqual(self.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"X: a\tb\xe9\r\n\r\n")[0], [200])
        self.assertEqual(self.upstream.seen[-1].get("x"), "a\tb\xe9")

    def test_control_characters_in_trailers_never_reach_the_upstream(self):
        self.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Up: a\0b\r\n\r\n")
        self.assertFalse([r for r in self.upstream.seen if r.done])

    def test_control_characters_in_a_path_of_h2(self):
        for path in (b"/echo HTTP/1.1", b"/echo\x01", b"/echo\x7f", b"/echo\t"):
            with self.subTest(path):
                self.upstream.seen.clear()
                self.assertNotEqual(self.send_h2(path), b"200")
                self.assertEqual(self.upstream.seen, [])
        self.assertEqual(self.send_h2(b"/echo"), b"200")

    def send_h2(self, path):
        """The :status of a GET whose path is these very bytes, None when there was no answer."""
        def field(name, value):  # a literal, not indexed, not Huffman-coded
            return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

        def frame(kind, flags, stream, payload):
            return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

        head = b"".join(field(n, v) for n, v in ((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"api.example.test"), (b":path", path)))
        conn = self.gateway.tunnel("api.example.test", alpn=["h2"], timeout=10)
        try:
            conn.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 5, 1, head))
            data = b""
            while True:
                while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
                    piece = conn.recv()
                    if not piece:
                        return None
                    data += piece
                length, kind, payload = int.from_bytes(data[:3], "big"), data[3], data[9:]
                if kind == 1:  # HEADERS: :status is a static entry, or a literal of three digits
                    static = {0x88: b"200", 0x8c: b"400", 0x8d: b"404", 0x8e: b"500"}
                    return static.get(payload[0]) or payload[2:5]
                if kind in (3, 7):  # RST_STREAM, GOAWAY
                    return None
                data = data[9 + length:]
        except OSError:
            return None
        finally:
            conn.close()

    def test_response_with_a_control_character_that_ends_values_is_refused(self):
        self.upstream.replies["nul"] = harness.Reply(b"x", headers=[("X-A", "a\0b")])
        self.assertEqual(self.send(b"GET /reply/nul HTTP/1.1\r\n" + HOST + b"\r\n")[0], [502])

    def test_absolute_form_against_host(self):
        statuses, data = self.send(b"GET https://open.example.test/echo HTTP/1.1\r\n" + HOST + b"\r\n")
        self.assertGreaterEqual(statuses[0], 400, data)
        self.assertEqual(self.upstream.seen, [])

    def test_connect_inside_the_tunnel(self):
        statuses, _ = self.send(b"CONNECT open.example.test:443 HTTP/1.1\r\nHost: open.example.test:443\r\n\r\n")
        self.assertTrue(not statuses or statuses[0] >= 400)
        self.assertEqual(self.upstream.seen, [])

    def test_cleartext_http2(self):
        statuses, data = self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0")
        self.assertEqual(self.upstream.seen, [])
        statuses, _ = self.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
        self.assertNotIn(101, statuses)
        self.assertEqual([r for r in self.upstream.seen if r.get("upgrade")], [])

    def test_version_that_is_none(self):
        for version in (b"HTTP/1.2", b"HTTP/3.0", b"HTTP/1", b"http/1.1", b""):
            with self.subTest(version):
                self.upstream.seen.clear()
                self.send(b"GET /echo " + version + b"\r\n" + HOST + b"\r\n")
                for request in self.upstream.seen:
                    self.assertEqual(request.version, "HTTP/1.1")

    def test_bytes_after_connect_are_not_a_request_of_their_own(self):
        conn = self.gateway.dial()
        conn.sendall(b"CONNECT api.example.test:443 HTTP/1.1\r\nHost: api.example.test:443\r\n\r\n" + SECOND)
        conn.settimeout(2)
        try:
            while conn.recv(4096):
                pass
        except OSError:
            pass
        conn.close()
        self.assertEqual(self.upstream.seen, [])

    def test_response_with_two_lengths_is_refused(self):
        for head in (b"Content-Length: 3\r\nContent-Length: 30\r\n", b"Content-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n"):
            with self.subTest(head):
                self.upstream.replies["s"] = harness.Reply(raw=b"HTTP/1.1 200 OK\r\n" + head + b"\r\nabc")
                statuses, data = self.send(b"GET /reply/s HTTP/1.1\r\n" + HOST + b"\r\n")
                self.assertEqual(statuses, [502], data)

    def test_response_cut_in_its_middle_looks_cut(self):
        self.upstream.replies["cut"] = harness.Reply([b"a" * 100, b"b" * 100], stop_after=1)
        conn = self.gateway.tunnel("api.example.test")
        conn.sendall(b"GET /reply/cut HTTP/1.1\r\n" + HOST + b"\r\n")
        with self.assertRaises((ConnectionError, OSError)):
            client.Reader(conn).answer()


if __name__ == "__main__":
    harness.main()
