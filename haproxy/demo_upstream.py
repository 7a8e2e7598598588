#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""demo_upstream.py DIR STATE: the upstream of the demo. It answers with all that it received, and says whether the real
secret was among it. (STATE only marks the process as part of that gateway.)"""
import http.server
import json
import ssl
import sys

DIR = sys.argv[1]
with open(f"{DIR}/real_tokens") as f:
    REAL = f.read().strip().partition("=")[2]


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode(errors="replace")
        headers = {k.lower(): v for k, v in self.headers.items()}
        real = REAL in body or any(REAL in v for v in headers.values())
        text = json.dumps({"method": self.command, "path": self.path, "headers": headers, "body": body,
                           "the_real_secret_arrived": real}, indent=1).encode() + b"\n"
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *args):
        pass


with open(f"{DIR}/port") as f:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(f.read())), Echo)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{DIR}/upstream.crt", f"{DIR}/upstream.key")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
