# SPDX-License-Identifier: GPL-2.0-or-later
"""The internet of the stack's test: one TLS server that echoes heads, serves an index of Python packages, one of npm and a git repository.
Arguments: certificate, key, directory of files."""
import functools
import http.server
import json
import ssl
import sys

certificate, key, files = sys.argv[1:]
with open(f"{files}/seen", "w"):
    pass


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(f"{files}/seen", "a") as seen:
            seen.write(json.dumps([self.path, dict(self.headers.items())]) + "\n")
        if self.path.startswith("/echo"):
            return self.answer(json.dumps({k.lower(): v for k, v in self.headers.items()}), "application/json")
        if self.path.startswith("/-/ping"):
            return self.answer("{}", "application/json")
        super().do_GET()

    def answer(self, text, kind):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("0.0.0.0", 443), functools.partial(Handler, directory=files))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
