# SPDX-License-Identifier: GPL-2.0-or-later
"""Real HTTP/1.x servers on loopback, over TLS or plain, that say exactly the bytes that a test wants said.

Paths:  /echo            the request as JSON
        /reflect         the request's head and body, byte for byte
        /mirror          the request's body as the response's, each piece as it comes (chunked)
        /sink            reads the body, answers its length and SHA-256
        /reply/KEY       Upstream.replies[KEY], a Reply
        anything else    Upstream.routes[first segment], a function(request), else 404
"""
import hashlib
import json
import socket
import ssl
import threading
import time

import ports

KEEP = 1 << 20  # bytes of a body that are kept for the test to look at


class Reply:
    """What to answer. `framing`: length, chunked, close (HTTP/1.1 and close), http10, none. `pieces` are written one by
    one, `gap` seconds apart, each a chunk of its own when chunked. `raw`: write these bytes and nothing else, then close."""

    def __init__(self, pieces=(), status=200, reason="OK", headers=(), framing="length", trailers=(), informational=(),
                 gap=0.0, raw=None, stop_after=None):
        self.pieces = [pieces] if isinstance(pieces, bytes) else list(pieces)
        self.status, self.reason, self.headers, self.framing, self.trailers = status, reason, list(headers), framing, list(trailers)
        self.informational, self.gap, self.raw, self.stop_after = list(informational), gap, raw, stop_after


class Request:
    def __init__(self, conn, head, rest):
        self.conn, self.head, self.rest = conn, head, rest
        line, *fields = head.split(b"\r\n")
        self.method, self.target, self.version = line.decode("latin-1").split(" ", 2)
        self.fields = [(n.decode("latin-1").lower(), v.strip().decode("latin-1")) for n, _, v in (f.partition(b":") for f in fields)]
        self.path = self.target.partition("?")[0]
        self.trailers, self.length, self.digest, self.kept, self.done = [], 0, hashlib.sha256(), b"", False

    def get(self, name, default=None):
        return next((v for n, v in self.fields if n == name), default)

    def all(self, name):
        return [v for n, v in self.fields if n == name]

    @property
    def body(self):
        return self.kept

    def _recv(self):
        data = self.conn.recv(65536)
        if not data:
            raise ConnectionError("the request ended in its middle")
        return data

    def _line(self):
        while b"\r\n" not in self.rest:
            self.rest += self._recv()
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def _exactly(self, n):
        while n:
            self.rest = self.rest or self._recv()
            piece, self.rest = self.rest[:n], self.rest[n:]
            n -= len(piece)
            yield piece

    def _pieces(self):
        if "chunked" in (self.get("transfer-encoding") or "").lower():
            while True:
                size = int(self._line().split(b";")[0], 16)
                if not size:
                    break
                yield from self._exactly(size)
                self._line()
            while line := self._line():
                self.trailers.append(line.decode("latin-1"))
        else:
            yield from self._exactly(int(self.get("content-length", "0")))

    def pieces(self):
        for piece in self._pieces():
            self.length += len(piece)
            self.digest.update(piece)
            self.kept += piece[:max(KEEP - len(self.kept), 0)]
            yield piece
        self.done = True

    def read(self):
        for _ in self.pieces():
            pass
        return self.kept


def send_reply(request, reply):
    conn = request.conn
    if reply.raw is not None:
        for piece in [reply.raw] if isinstance(reply.raw, bytes) else reply.raw:
            conn.sendall(piece)
            time.sleep(reply.gap)
        return False
    for status, headers in reply.informational:
        conn.sendall(f"HTTP/1.1 {status} {dict(headers).get(':reason', 'Info')}\r\n".encode("latin-1") + b"".join(
            f"{n}: {v}\r\n".encode("latin-1") for n, v in headers if n != ":reason") + b"\r\n")
        time.sleep(0.05)
    version = "HTTP/1.0" if reply.framing == "http10" else "HTTP/1.1"
    head = f"{version} {reply.status} {reply.reason}\r\n"
    for name, value in reply.headers:
        head += f"{name}: {value}\r\n"
    if reply.framing == "length":
        head += f"Content-Length: {sum(map(len, reply.pieces))}\r\n"
    elif reply.framing == "chunked":
        head += "Transfer-Encoding: chunked\r\n"
        if reply.trailers:
            head += "Trailer: " + ", ".join(n for n, _ in reply.trailers) + "\r\n"
    elif reply.framing in ("close", "http10"):
        head += "Connection: close\r\n"
    conn.sendall(head.encode("latin-1") + b"\r\n")
    if request.method == "HEAD" or reply.status in (204, 304):
        return reply.framing not in ("close", "http10")
    for number, piece in enumerate(reply.pieces):
        if reply.stop_after is not None and number == reply.stop_after:
            return False
        if reply.framing == "chunked":
            conn.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        else:
            conn.sendall(piece)
        if reply.gap:
            time.sleep(reply.gap)
    if reply.framing == "chunked":
        conn.sendall(b"0\r\n" + b"".join(f"{n}: {v}\r\n".encode("latin-1") for n, v in reply.trailers) + b"\r\n")
    return reply.framing in ("length", "chunked", "none")


def answer(request, body, kind="application/octet-stream", status=200, headers=()):
    return send_reply(request, Reply(body, status=status, headers=[("Content-Type", kind), *headers]))


def mirror(request):
    request.conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in request.pieces():
        request.conn.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
    request.conn.sendall(b"0\r\n\r\n")
    return True


def echo(request):
    body = request.read().decode("latin-1")
    return answer(request, json.dumps({"method": request.method, "target": request.target, "headers": request.fields, "body": body,
                                       "trailers": request.trailers}).encode(), "application/json")


def reflect(request):
    body = request.read()
    return answer(request, request.head + b"\r\n\r\n" + body)


def sink(request):
    request.read()
    return answer(request, f"{request.length} {request.digest.hexdigest()}\n".encode(), "text/plain")


def hang_up(conn):
    try:
        conn.settimeout(2)
        if isinstance(conn, ssl.SSLSocket):
            conn.unwrap()  # close_notify: without it the end of a close-delimited body would be an error
    except (OSError, ValueError):
        pass
    conn.close()


class Upstream:
    """Serves until close(). `seen`: every Request whose head came, in order; `aborted`: those whose body never ended."""

    def __init__(self, authority=None, names=(), port=0, address="127.0.0.1", alpn=("http/1.1",), leaf=None):
        self.replies, self.routes = {}, {"echo": echo, "reflect": reflect, "mirror": mirror, "sink": sink, "reply": self._reply}
        self.seen, self.aborted, self.sni, self.handshakes = [], [], [], 0
        self.context = None
        if authority or leaf:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*(leaf or authority.issue(names)))
            self.context.set_alpn_protocols(list(alpn))
            self.context.sni_callback = lambda conn, name, context: self.sni.append(name)
        self.socket = socket.create_server((address, port or ports.free_port(address)), backlog=128)
        self.port = self.socket.getsockname()[1]
        self.address = f"{address}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def _accept(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn.settimeout(60)
            if self.context:
                conn = self.context.wrap_socket(conn, server_side=True)
                self.handshakes += 1
            rest = b""
            while True:
                while b"\r\n\r\n" not in rest:
                    data = conn.recv(65536)
                    if not data:
                        return
                    rest += data
                head, _, rest = rest.partition(b"\r\n\r\n")
                request = Request(conn, head, rest)
                self.seen.append(request)
                try:
                    keep = self.dispatch(request)
                    if not request.done:
                        request.read()
                except Exception:
                    self.aborted.append(request)
                    raise
                rest = request.rest
                if not keep or (request.get("connection") or "").lower() == "close":
                    return
        except (OSError, ConnectionError, ValueError):
            pass
        finally:
            hang_up(conn)

    def dispatch(self, request):
        path = request.path
        if "://" in path:
            path = "/" + path.split("/", 3)[3]
        route = self.routes.get(path.split("/")[1] if "/" in path else "")
        if route:
            return route(request)
        request.read()
        return answer(request, b"no such path here\n", "text/plain", 404)

    def _reply(self, request):
        request.read()
        reply = self.replies.get(request.path.split("/")[2])
        if callable(reply):
            reply = reply(request)
        return send_reply(request, reply) if reply else answer(request, b"no such reply\n", "text/plain", 404)

    def last(self, path):
        """The newest request for `path`, or None."""
        return next((r for r in reversed(self.seen) if r.path == path), None)
