# SPDX-License-Identifier: GPL-2.0-or-later
"""An agent that speaks SPOP and says what a test wants said: right answers cut at odd places, wrong ones, late ones, none.
Layout: docs/protocol.md. Knows one secret and its placeholder of the same length, and holds a tail that may begin one."""
import os
import random
import socket
import struct
import threading

HEAD, TRAILERS, EOM, WHOLE, LATE_HEAD, FULL, PLAIN, HEAD_REQUEST, BODYLESS, PROMISED = (1 << n for n in range(10))
CHUNKED, CACHE, OPAQUE, RESCAN, PAYLOAD, AUDITED = (1 << n for n in range(6))
PASS, REFUSE, UNKNOWN_GENERATION, CUT = range(4)
VALUE, FIELD, REMOVE, ADD, URI = range(1, 6)
GENERATION = b"genera-1"


def varint(n):
    if n < 240:
        return bytes([n])
    out, n = bytearray([n & 15 | 240]), (n - 240) >> 4
    while n >= 128:
        out.append(n & 127 | 128)
        n = (n - 128) >> 7
    return bytes(out) + bytes([n])


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        piece = self.data[self.at:self.at + n]
        assert len(piece) == n, "short frame"
        self.at += n
        return piece

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        n = self.take(1)[0]
        if n < 240:
            return n
        shift = 4
        while True:
            b = self.take(1)[0]
            n += b << shift
            shift += 7
            if b < 128:
                return n

    def string(self):
        return self.take(self.varint())

    def value(self):
        kind = self.take(1)[0]
        if kind & 15 == 0:
            return None
        if kind & 15 == 1:
            return bool(kind & 16)
        if kind & 15 in (2, 3, 4, 5):
            return self.varint()
        if kind & 15 == 6:
            return self.take(4)
        if kind & 15 == 7:
            return self.take(16)
        return self.string()

    def left(self):
        return len(self.data) - self.at


def pack(n, data):
    return len(data).to_bytes(n, "big") + data


class Head:
    def __init__(self, data):
        r = Reader(data)
        self.kind = r.take(1)
        if self.kind == b"Q":
            self.method, self.uri = r.take(r.number(1)), r.take(r.number(2))
        elif self.kind == b"S":
            self.status = r.number(2)
        if self.kind != b"T":
            self.version = tuple(r.take(2))
        self.fields = []
        while r.left():
            self.fields.append((r.take(r.number(2)), r.take(r.number(2))))


class Answer:
    """verdict, flags, consumed, payload, edits [(op, field, name, value)], carry, scope."""

    def __init__(self, verdict=PASS, flags=0, consumed=0, payload=None, edits=(), carry=b"", scope=b"", gen=GENERATION):
        self.verdict, self.flags, self.consumed, self.payload, self.edits = verdict, flags, consumed, payload, list(edits)
        self.carry, self.scope, self.gen = carry, scope, gen

    def encode(self, seq):
        flags = self.flags | (PAYLOAD if self.payload is not None and self.verdict == PASS else 0)
        out = struct.pack(">BBHII", 1, self.verdict, flags, seq & 0xffffffff, self.consumed) + self.gen
        out += pack(1, self.carry) + pack(2, self.scope) + len(self.edits).to_bytes(2, "big")
        for op, field, name, value in self.edits:
            out += struct.pack(">BH", op, field) + pack(2, name) + pack(2, value)
        return out + pack(4, self.payload or b"")


def refusal(status, code, verdict=REFUSE, json=None):
    body = json if json is not None else b'{"code":"%s"}' % code
    return Answer(verdict, payload=struct.pack(">H", status) + pack(1, code) + pack(4, body))


class Message:
    """One NOTIFY's message. direction: 0 request, 1 response."""

    def __init__(self, name, args):
        self.name, self.args = name, args
        self.direction = 1 if name.endswith("response") else 0
        self.end = args["end"].decode() if "end" in args else None
        self.flags, self.seq = args.get("flags", 0), args.get("seq", 0)
        self.head = Head(args["head"]) if args.get("head") else None
        self.chunk = args.get("chunk") or b""
        self.is_end = "end-" in name

    def __repr__(self):
        return f"<{self.name} seq={self.seq} flags={self.flags:#x} chunk={len(self.chunk)} end={self.end}>"


class Replacer:
    """The default script: the placeholder becomes the secret on the way out, and the other way round on the way in.
    `ragged`: consumes less than it could, at random. `scope`/`carry` are sent with every answer and checked."""

    def __init__(self, secret, fake, ragged=None, grow=None, audited=False, cache=False, rescan_at=None):
        self.secret, self.fake, self.grow, self.audited, self.cache = secret, fake, grow, audited, cache
        self.random = random.Random(ragged) if ragged is not None else None
        self.rescan_at = rescan_at
        self.lock = threading.Lock()

    def pattern(self, direction):
        return (self.secret, self.fake) if direction else (self.fake, self.grow or self.secret)

    def feed(self, direction, data, last):
        """(consumed, output)"""
        find, put = self.pattern(direction)
        hold = 0
        if not last:
            for n in range(min(len(find) - 1, len(data)), 0, -1):
                if find.startswith(data[len(data) - n:]):
                    hold = n
                    break
        consumed = len(data) - hold
        return consumed, data[:consumed].replace(find, put)

    def edits(self, message):
        find, put = self.pattern(message.direction)
        out = []
        if message.head.kind == b"Q" and find in message.head.uri:
            out.append((URI, 0, b"", message.head.uri.replace(find, put)))
        for i, (name, value) in enumerate(message.head.fields):
            low, low_put = find.lower(), put.lower()
            if low in name:
                out.append((FIELD, i, name.replace(low, low_put), value.replace(find, put)))
            elif find in value:
                out.append((VALUE, i, b"", value.replace(find, put)))
        return out

    def __call__(self, message):
        if message.is_end:
            return None
        answer = Answer(flags=(AUDITED if self.audited else 0) | (CACHE if self.cache and message.head else 0))
        if message.head:
            answer.edits = [] if message.flags & LATE_HEAD else self.edits(message)
            answer.scope = b"scope-of-%d" % message.direction
        if self.grow and message.flags & HEAD and not message.flags & LATE_HEAD:
            answer.flags |= CHUNKED
        data, last = message.chunk, bool(message.flags & EOM)
        consumed, output = self.feed(message.direction, data, last)
        with self.lock:
            if self.random and consumed > 1 and self.random.random() < 0.7:
                consumed, output = self.cut_short(message, consumed)
                if consumed < len(data) and last:
                    answer.flags |= RESCAN
            while len(output) > message.room:
                consumed, output = self.cut_short(message, consumed, consumed // 2)
                answer.flags |= RESCAN
        answer.consumed = consumed
        if output != data[:consumed]:
            answer.payload = output
        answer.carry = b"" if last and consumed == len(data) else b"\0\7"
        return answer

    def cut_short(self, message, consumed, cut=None):
        find, put = self.pattern(message.direction)
        cut = cut or self.random.randrange(1, consumed + 1)
        start = message.chunk.rfind(find, 0, cut + len(find) - 1)
        if start >= 0 and start < cut < start + len(find):
            cut = start + len(find)
        cut = min(cut, consumed)
        return cut, message.chunk[:cut].replace(find, put)


class Agent:
    """Listens on a Unix socket. `script(message)` returns an Answer, bytes (sent as the answer variable as they are), None for an
    empty ACK, or NOTHING for no ACK at all. It may raise Hangup to close the connection."""

    NOTHING = object()

    class Hangup(Exception):
        pass

    def __init__(self, path, script):
        self.path, self.script = path, script
        self.seen, self.lock = [], threading.Lock()
        self.connections = []
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(path):
            os.unlink(path)
        self.listener.bind(path)
        os.chmod(path, 0o666)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # or accept() would go on
        except OSError:
            pass
        self.listener.close()
        self.drop_all()

    def drop_all(self):
        with self.lock:
            conns, self.connections = self.connections, []
        for c in conns:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            c.close()

    def _serve(self, conn):
        buffer = b""
        try:
            while True:
                while len(buffer) < 4 or len(buffer) < 4 + int.from_bytes(buffer[:4], "big"):
                    data = conn.recv(262144)
                    if not data:
                        return
                    buffer += data
                size = int.from_bytes(buffer[:4], "big")
                frame, buffer = buffer[4:4 + size], buffer[4 + size:]
                reply = self._frame(frame)
                if reply is not None:
                    conn.sendall(pack(4, reply))
        except (OSError, Agent.Hangup):
            pass
        finally:
            conn.close()

    @staticmethod
    def _kv(name, kind, data):
        return varint(len(name)) + name + bytes([kind]) + data

    def _hello(self, r):
        values = {}
        while r.left():
            name = r.string()
            values[name] = r.value()
        self.frame_size = values[b"max-frame-size"]
        out = b"\x65\0\0\0\1\0\0"
        out += self._kv(b"version", 8, varint(3) + b"2.0")
        out += self._kv(b"max-frame-size", 3, varint(self.frame_size))
        return out + self._kv(b"capabilities", 8, varint(10) + b"pipelining")

    def _frame(self, frame):
        r = Reader(frame)
        kind, _, stream, number = r.take(1)[0], r.take(4), r.varint(), r.varint()
        if kind == 1:
            return self._hello(r)
        if kind != 3:
            return None
        actions = b""
        while r.left():
            name = r.string().decode()
            args = {}
            for _ in range(r.take(1)[0]):
                key = r.string().decode()
                args[key] = r.value()
            message = Message(name, args)
            message.room = self.frame_size - 700
            with self.lock:
                self.seen.append(message)
            answer = self.script(message)
            if answer is Agent.NOTHING:
                return None
            if isinstance(answer, Answer):
                answer = answer.encode(message.seq)
            if answer is not None:
                actions += b"\1\3\2" + varint(6) + b"answer" + b"\x09" + varint(len(answer)) + answer
        return b"\x67\0\0\0\1" + varint(stream) + varint(number) + actions
