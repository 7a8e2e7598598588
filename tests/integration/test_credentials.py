#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Placeholders become secrets where the policy says so, for the clients that people use; the answer never shows one."""
import base64
import gzip
import json
import os
import ssl
import subprocess
import threading
import urllib.request

import harness
import client
import ports
from harness import GatewayTest
from upstream import answer


class Credentials(GatewayTest):
    SECRETS = {
        "API_KEY": {"hosts": ["api.example.test"]},
        "SHORT_SHAPE": {"hosts": ["api.example.test"], "headers": ["X-My-Key"]},
        "OTHER_HOST": {"hosts": ["other.example.test"]},
    }

    @classmethod
    def value_of(cls, name):
        return {"API_KEY": lambda: harness.random_secret(prefix="sk-ant-api03-", length=108)}.get(name, lambda: harness.random_secret(32))()

    @classmethod
    def hosts(cls):
        return {**super().hosts(), "other.example.test": cls.at(cls.upstream)}

    def seen(self, name):
        return self.upstream.last("/echo").all(name)

    def test_bearer_reaches_the_upstream_and_comes_back_as_placeholder(self):
        r = self.gateway.curl("-H", f"Authorization: Bearer {self.fake['API_KEY']}", "https://api.example.test/echo")
        self.assertEqual((r.rc, r.status), (0, 200), r.err)
        self.assertEqual(self.seen("authorization"), [f"Bearer {self.real['API_KEY']}"])
        self.assertIn(["authorization", f"Bearer {self.fake['API_KEY']}"], json.loads(r.body)["headers"])
        self.assertClean(r.head + r.body)

    def test_each_credential_header_is_rehydrated(self):
        for name in ("authorization", "x-api-key", "api-key", "private-token", "x-goog-api-key"):
            with self.subTest(name):
                r = self.gateway.curl("-H", f"{name}: {self.fake['API_KEY']}", "https://api.example.test/echo")
                self.assertEqual(self.seen(name), [self.real["API_KEY"]])
                self.assertClean(r.head + r.body)

    def test_header_of_the_policy_is_rehydrated_for_its_secret_only(self):
        self.gateway.curl("-H", f"x-my-key: {self.fake['SHORT_SHAPE']}", "https://api.example.test/echo")
        self.assertEqual(self.seen("x-my-key"), [self.real["SHORT_SHAPE"]])
        self.gateway.curl("-H", f"x-my-key: {self.fake['API_KEY']}", "https://api.example.test/echo")
        self.assertEqual(self.seen("x-my-key"), [self.fake["API_KEY"]])

    def test_headers_that_servers_reflect_stay_as_they_are(self):
        for name in ("user-agent", "origin", "referer", "x-request-id", "cookie", "x-anything", "last-event-id", "access-control-request-headers"):
            with self.subTest(name):
                self.gateway.curl("-H", f"{name}: {self.fake['API_KEY']}", "https://api.example.test/echo")
                self.assertEqual(self.seen(name), [self.fake["API_KEY"]])

    def test_body_query_and_path_stay_inert_by_default(self):
        fake = self.fake["API_KEY"]
        r = self.gateway.curl("-d", f"key={fake}", f"https://api.example.test/echo?k={fake}")
        self.assertEqual(r.status, 200)
        request = self.upstream.last("/echo")
        self.assertEqual((request.body.decode(), request.target), (f"key={fake}", f"/echo?k={fake}"))
        rows = self.gateway.wait_audit(lambda a: a.get("method") == "POST" and any(s["name"] == "API_KEY" for s in a.get("secrets", [])))
        self.assertTrue(rows, self.gateway.audit()[-3:])

    def test_repeated_credential_headers_are_all_rehydrated(self):
        fake, real = self.fake["API_KEY"], self.real["API_KEY"]
        self.gateway.get("api.example.test", "/echo", [("X-Api-Key", fake), ("X-Api-Key", f"a{fake}b"), ("Authorization", fake)])
        self.assertEqual(self.seen("x-api-key"), [real, f"a{real}b"])
        self.assertEqual(self.seen("authorization"), [real])

    def test_basic_is_decoded_replaced_and_encoded_again_both_ways(self):
        fake, real = self.fake["API_KEY"], self.real["API_KEY"]
        for user in ("u", "us", "use", ""):
            r = self.gateway.curl("-u", f"{user}:{fake}", "https://api.example.test/echo")
            got = self.seen("authorization")[0]
            self.assertEqual(base64.b64decode(got.split(" ")[1]).decode(), f"{user}:{real}")
            back = dict(map(tuple, json.loads(r.body)["headers"]))["authorization"]
            self.assertEqual(base64.b64decode(back.split(" ")[1]).decode(), f"{user}:{fake}")
            self.assertClean(r.head + r.body)

    def test_placeholder_of_another_host_goes_out_inert_and_is_audited(self):
        r = self.gateway.curl("-H", f"Authorization: Bearer {self.fake['OTHER_HOST']}", "https://api.example.test/echo")
        self.assertEqual(self.seen("authorization"), [f"Bearer {self.fake['OTHER_HOST']}"])
        self.assertEqual(r.status, 200)
        self.assertTrue(self.gateway.wait_audit(lambda a: any(s["name"] == "OTHER_HOST" and s["where"] == "header" for s in a.get("secrets", []))))

    def test_python_urllib_through_the_local_forwarder(self):
        forwarder = client.Forwarder(ports.free_port(), self.gateway.address, self.gateway.ca, *self.gateway.certificate)
        self.addCleanup(forwarder.close)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"https": forwarder.url}),
                                             urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.gateway.ca)))
        request = urllib.request.Request("https://api.example.test/echo", b"x=1", {"Authorization": "Bearer " + self.fake["API_KEY"]})
        body = opener.open(request, timeout=30).read()
        self.assertEqual(self.seen("authorization"), ["Bearer " + self.real["API_KEY"]])
        self.assertIn(self.fake["API_KEY"].encode(), body)
        self.assertClean(body)

    def test_node_fetch(self):
        job = {"proxy": self.gateway.address, "ca": self.gateway.ca, "cert": self.gateway.certificate[0], "key": self.gateway.certificate[1],
               "mode": "fetch", "url": "https://api.example.test/echo", "method": "POST", "headers": {"x-api-key": self.fake["API_KEY"]},
               "body": base64.b64encode(b"{}").decode()}
        done = harness.node("node_client.js", job=job)
        answer = json.loads(done.stdout)
        self.assertEqual(answer.get("status"), 200, done.stdout + done.stderr)
        self.assertEqual(self.seen("x-api-key"), [self.real["API_KEY"]])
        body = base64.b64decode(answer["body"])
        self.assertIn(self.fake["API_KEY"].encode(), body)
        self.assertClean(body)

    def test_gzip_request_body_passes_opaque_and_is_audited(self):
        packed = gzip.compress(b"payload " * 1000)
        r = self.gateway.curl("-X", "POST", "-H", "Content-Encoding: gzip", "-H", "X-Api-Key: " + self.fake["API_KEY"], "--data-binary", "@-",
                              "https://api.example.test/sink", input=packed)
        self.assertEqual(r.status, 200, r.err)
        self.assertEqual(self.upstream.last("/sink").body, packed)
        self.assertEqual(self.upstream.last("/sink").get("x-api-key"), self.real["API_KEY"])

    def test_secret_itself_in_a_header_trips_the_wire(self):
        before = len(self.upstream.seen)
        r = self.gateway.curl("-H", f"Authorization: Bearer {self.real['API_KEY']}", "https://api.example.test/echo")
        self.assertEqual((r.status, r.code), (403, "tripwire"), r.body)
        self.assertEqual(json.loads(r.body)["secret"], "API_KEY")
        self.assertEqual(len(self.upstream.seen), before)
        self.assertTrue(self.gateway.wait_audit(lambda a: a.get("code") == "tripwire"))

    def test_secret_itself_in_a_whole_body_is_never_sent(self):
        before = len(self.upstream.seen)
        r = self.gateway.curl("-d", f"a {self.real['OTHER_HOST']} b", "https://api.example.test/echo")
        self.assertEqual((r.status, r.code), (403, "tripwire"), r.body)
        self.assertEqual(len(self.upstream.seen), before)

    def test_secret_itself_late_in_a_long_body_is_cut_before_it(self):
        body = os.urandom(300000).hex().encode() + b" " + self.real["API_KEY"].encode() + b" " + b"z" * 100000
        r = self.gateway.curl("-X", "POST", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", "https://api.example.test/sink", input=body)
        self.assertTrue(r.status == 403 or r.rc != 0, (r.status, r.rc))
        request = self.upstream.last("/sink")
        if request is not None and request.get("transfer-encoding"):
            self.assertFalse(request.done, "the upstream took the request for complete")
            self.assertNotIn(self.real["API_KEY"].encode(), request.kept)


class Git(GatewayTest):
    """The real git, over https with the gateway as its proxy, against git http-backend."""
    SECRETS = {"GIT_TOKEN": {"hosts": ["git.example.test"]}}

    @classmethod
    def value_of(cls, name):
        return harness.random_secret(40, prefix="ghp_")

    @classmethod
    def hosts(cls):
        return {"git.example.test": cls.at(cls.upstream)}

    @classmethod
    def make_upstreams(cls):
        super().make_upstreams()
        cls.upstream.routes["repo.git"] = cls.backend
        cls.bare = f"{cls.folder}/repo.git"
        cls.git(None, "init", "-q", "--bare", cls.bare)
        cls.git(cls.bare, "config", "http.receivepack", "true")

    @staticmethod
    def git(where, *words, **environment):
        quiet = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "HOME": "/nonexistent"}
        done = subprocess.run(["git", *(["-C", where] if where else []), "-c", "user.name=t", "-c", "user.email=t@example.test", *words],
                              capture_output=True, text=True, timeout=120, env=dict(os.environ, **quiet, **environment))
        if done.returncode:
            raise AssertionError(f"git {words}: {done.stderr}")
        return done.stdout

    @classmethod
    def backend(cls, request):
        """git http-backend as a CGI program; it asks for the real token."""
        want = "Basic " + base64.b64encode(f"x-access-token:{cls.real['GIT_TOKEN']}".encode()).decode()
        if request.get("authorization") != want:
            request.read()
            return answer(request, b"who are you?\n", status=401, headers=[("WWW-Authenticate", 'Basic realm="git"')])
        path, _, query = request.target.partition("?")
        environment = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": cls.folder, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                       "REQUEST_METHOD": request.method, "CONTENT_TYPE": request.get("content-type", ""), "REMOTE_USER": "x", "REMOTE_ADDR": "127.0.0.1",
                       "HTTP_CONTENT_ENCODING": request.get("content-encoding", ""), "GIT_PROTOCOL": request.get("git-protocol", ""),
                       "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        child = subprocess.Popen(["git", "http-backend"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

        def feed():
            try:
                for piece in request.pieces():
                    child.stdin.write(piece)
            except OSError:
                pass
            child.stdin.close()
        feeder = threading.Thread(target=feed)
        feeder.start()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += child.stdout.readline() or b"\r\n\r\n"
        status = next((l[8:] for l in head.split(b"\r\n") if l.lower().startswith(b"status: ")), b"200 OK")
        request.conn.sendall(b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n" +
                             b"".join(l + b"\r\n" for l in head.split(b"\r\n") if l and not l.lower().startswith(b"status:")) + b"\r\n")
        while data := child.stdout.read1(65536):
            request.conn.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        request.conn.sendall(b"0\r\n\r\n")
        feeder.join()
        child.stdout.close()
        child.wait()
        return True

    def proxied(self, where, *words):
        g = self.gateway
        return self.git(where, "-c", f"http.proxy=https://{g.address}", "-c", f"http.proxySSLCert={g.certificate[0]}", "-c", f"http.proxySSLKey={g.certificate[1]}",
                        "-c", f"http.proxySSLCAInfo={g.ca}", *words, GIT_SSL_CAINFO=g.ca)

    def test_push_and_clone_of_three_mebibytes(self):
        url = f"https://x-access-token:{self.fake['GIT_TOKEN']}@git.example.test/repo.git"
        work = f"{self.folder}/work"
        self.git(None, "init", "-q", "-b", "main", work)
        for n in range(3):
            with open(f"{work}/blob{n}", "wb") as f:
                f.write(os.urandom(1 << 20))
        self.git(work, "add", ".")
        self.git(work, "commit", "-q", "-m", "three blobs")
        self.proxied(work, "push", "-q", url, "main")
        self.assertEqual(self.git(self.bare, "rev-parse", "main"), self.git(work, "rev-parse", "main"))
        self.proxied(None, "clone", "-q", "-b", "main", url, f"{self.folder}/again")
        for n in range(3):
            with open(f"{work}/blob{n}", "rb") as a, open(f"{self.folder}/again/blob{n}", "rb") as b:
                self.assertEqual(a.read(), b.read())
        with open(f"{self.folder}/again/.git/config") as f:
            self.assertClean(f.read())


if __name__ == "__main__":
    harness.main()
