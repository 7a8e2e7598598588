# SPDX-License-Identifier: GPL-2.0-or-later
"""The internet of the stack's test: one TLS server that echoes heads, serves an index of Python packages, npm's ping, a git
repository (smart HTTP) and one of apt.
Arguments: certificate, key, directory of files."""
import functools
import gzip
import http.server
import json
import ssl
import subprocess
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
        if self.path.endswith("/info/refs?service=git-upload-pack"):
            refs = subprocess.run(["git", "upload-pack", "--stateless-rpc", "--advertise-refs", f"{files}/repo.git"], capture_output=True, check=True).stdout
            return self.answer(b"001e# service=git-upload-pack\n0000" + refs, "application/x-git-upload-pack-advertisement")
        if self.path.startswith("/-/ping"):
            return self.answer("{}", "application/json")
        super().do_GET()

    def do_POST(self):
        """The one that a git client makes: the pack that it wants."""
        body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else b"".join(self.chunks())
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        packed = subprocess.run(["git", "upload-pack", "--stateless-rpc", f"{files}/repo.git"], input=body, capture_output=True, check=True).stdout
        self.answer(packed, "application/x-git-upload-pack-result")

    def chunks(self):
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def answer(self, text, kind):
        body = text if isinstance(text, bytes) else text.encode()
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
