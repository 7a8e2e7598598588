# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that show the bytes: TLS in the CONNECT tunnel of an mTLS proxy, and a reader of HTTP/1.1 answers."""
import select
import socket
import ssl
import threading


class InnerTLS:
    """A TLS client over any object with sendall() and recv(): python's ssl cannot put one SSLSocket over another."""

    def __init__(self, outer, ca, name, alpn=None, sni=True, check=True):
        self.outer = outer
        context = ssl.create_default_context(cafile=ca)
        if not sni or not check:
            context.check_hostname = False
        if not check:
            context.verify_mode = ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name if sni else None)
        self._do(self.tls.do_handshake)

    def _flush(self):
        if self.outgoing.pending:
            self.outer.sendall(self.outgoing.read())

    def _do(self, act, *arguments):
        while True:
            try:
                result = act(*arguments)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                data = self.outer.recv(65536)
                if not data:
                    self.incoming.write_eof()
                else:
                    self.incoming.write(data)
            except ssl.SSLError:
                try:
                    self._flush()  # the alert
                except OSError:
                    pass
                raise

    def sendall(self, data):
        view = memoryview(data)
        while view:
            view = view[self._do(self.tls.write, view[:16384]):]

    def recv(self, n=65536):
        try:
            return self._do(self.tls.read, n)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError:
            raise ConnectionResetError("the tunnel ended without close_notify")

    def certificate(self):
        return self.tls.getpeercert()

    def alpn(self):
        return self.tls.selected_alpn_protocol()

    def settimeout(self, seconds):
        self.outer.settimeout(seconds)

    def close(self):
        self.outer.close()


def proxy_context(ca, certificate=None, key=None):
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def dial_proxy(address, ca, certificate=None, key=None, timeout=20):
    host, _, port = address.rpartition(":")
    conn = socket.create_connection((host, int(port)), timeout)
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    conn = proxy_context(ca, certificate, key).wrap_socket(conn, server_hostname=host)
    conn.settimeout(timeout)
    return conn


def connect(conn, authority, headers="", host=None):
    """Sends CONNECT; the answer's (status, head, bytes of a refusal's body)."""
    conn.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {host or authority}\r\n{headers}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        data = conn.recv(1 if head.startswith(b"HTTP/1.1 200") or len(head) < 12 else 4096)
        if not data:
            raise ConnectionError(f"the proxy hung up at CONNECT after {head!r}")
        head += data
    head, _, rest = head.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    if status != 200:
        length = next((int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length")), None)
        while length is None or len(rest) < length:
            data = conn.recv(65536)
            if not data:
                break
            rest += data
    return status, head, rest


class Answer:
    def __init__(self):
        self.line, self.fields, self.body, self.trailers = b"", [], b"", []
        self.informational, self.pieces, self.complete, self.raw_head = [], [], False, b""

    @property
    def status(self):
        return int(self.line.split(b" ")[1])

    def get(self, name):
        return next((v for n, v in self.fields if n == name.lower()), None)

    def all(self, name):
        return [v for n, v in self.fields if n == name.lower()]


class Reader:
    """Reads HTTP/1.1 answers from a connection, keeping borders: pieces are chunks as they were framed."""

    def __init__(self, conn):
        self.conn, self.rest, self.raw = conn, b"", bytearray()

    def more(self):
        data = self.conn.recv(65536)
        self.raw += data
        self.rest += data
        return bool(data)

    def line(self):
        while b"\r\n" not in self.rest:
            if not self.more():
                raise ConnectionError(f"the answer ended after {bytes(self.raw[-200:])!r}")
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def head(self):
        answer = Answer()
        while True:
            answer.line, answer.fields = self.line(), []
            lines = [answer.line]
            while line := self.line():
                lines.append(line)
                name, _, value = line.partition(b":")
                answer.fields.append((name.decode("latin-1").lower(), value.strip().decode("latin-1")))
            if not 100 <= answer.status < 200 or answer.status == 101:
                answer.raw_head = b"\r\n".join(lines)
                return answer
            answer.informational.append((answer.status, b"\r\n".join(lines)))

    def pieces(self, answer, method="GET"):
        """Yields the body; sets answer.complete when it ended as promised."""
        if method == "HEAD" or answer.status in (204, 304):
            answer.complete = True
            return
        if "chunked" in (answer.get("transfer-encoding") or ""):
            while size := int(self.line().split(b";")[0], 16):
                while len(self.rest) < size + 2:
                    if not self.more():
                        raise ConnectionError("cut in a chunk")
                piece, self.rest = self.rest[:size], self.rest[size + 2:]
                yield piece
            while line := self.line():
                answer.trailers.append(line.decode("latin-1"))
        elif (length := answer.get("content-length")) is not None:
            length = int(length)
            while length:
                if not self.rest and not self.more():
                    raise ConnectionError(f"cut {length} bytes before the end")
                piece, self.rest = self.rest[:length], self.rest[length:]
                length -= len(piece)
                yield piece
        else:
            while True:
                if self.rest:
                    piece, self.rest = self.rest, b""
                    yield piece
                if not self.more():
                    break
        answer.complete = True

    def answer(self, method="GET"):
        answer = self.head()
        answer.pieces = list(self.pieces(answer, method))
        answer.body = b"".join(answer.pieces)
        return answer


class Forwarder:
    """What the sandbox has on its loopback: a plain HTTP proxy that hands everything to the gateway over mTLS."""

    def __init__(self, port, address, ca, certificate, key):
        self.settings = (address, ca, certificate, key)
        self.socket = socket.create_server(("127.0.0.1", port), backlog=64)
        self.url = f"http://127.0.0.1:{port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(conn,), daemon=True).start()

    def _carry(self, conn):
        try:
            with conn, dial_proxy(*self.settings, timeout=60) as out:
                out.setblocking(True)
                while True:
                    ready = [out] if out.pending() else select.select([conn, out], [], [], 60)[0]
                    if not ready:
                        return
                    for side in ready:
                        data = side.recv(65536)
                        if not data:
                            return
                        (out if side is conn else conn).sendall(data)
        except OSError:
            pass

    def close(self):
        self.socket.close()
