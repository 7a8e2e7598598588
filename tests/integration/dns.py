# SPDX-License-Identifier: GPL-2.0-or-later
"""A DNS server that answers as a test wants: names[name] is a list of answers, the n-th query gets the n-th (the last
one stays). An answer is a list of addresses (IPv4 and IPv6; a query for A gets the former, for AAAA the latter),
"NXDOMAIN", "SERVFAIL", or "silence"."""
import ipaddress
import socket
import struct
import threading

import ports

A, AAAA = 1, 28


class Server:
    def __init__(self, address="127.0.0.1", port=0):
        self.names, self.queries = {}, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port or ports.free_port()))
        self.address = "%s:%d" % self.socket.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.socket.close()

    def _serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            answer = self._answer(query)
            if answer:
                self.socket.sendto(answer, peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
            at += 1 + query[at]
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        name, question = ".".join(labels), query[12:at + 5]
        asked = sum(1 for n, k in self.queries if (n, k) == (name, kind))
        self.queries.append((name, kind))
        answers = self.names.get(name, ["NXDOMAIN"])
        answer = answers[min(asked, len(answers) - 1)]
        if answer == "silence":
            return None
        code = {"NXDOMAIN": 3, "SERVFAIL": 2}.get(answer if isinstance(answer, str) else "", 0)
        records = [] if isinstance(answer, str) else [ipaddress.ip_address(a) for a in answer]
        records = [r for r in records if (r.version == 4) == (kind == A)] if kind in (A, AAAA) else []
        out = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0) + question
        for r in records:
            out += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(r.packed)) + r.packed
        return out
