#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Defaults of HAProxy's configuration that open: an empty SNI, a lookup that failed, one bundle of CAs for all hosts, a filter that was left
out. Each is tried on a gateway whose configuration has been brought into that situation."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import dns
import harness
import pki
from harness import GatewayTest, Upstream


class ChangedTree(GatewayTest):
    """The gateway of a copy of the checkout; change(folder) edits it first."""

    @classmethod
    def make_root(cls):
        root = harness.copy_of_tree(f"{cls.folder}/tree")
        cls.change(root)
        return root

    @staticmethod
    def edit(root, name, pattern, replacement):
        path = f"{root}/{name}"
        with open(path) as f:
            text = f.read()
        changed, count = re.subn(pattern, replacement, text, flags=re.M)
        assert count, f"{pattern} is not in {name}"
        with open(path, "w") as f:
            f.write(changed)


class EmptyServerName(ChangedTree):
    """When a rule forgets the name that is sent as SNI, HAProxy would take any certificate of a CA that it trusts."""

    @classmethod
    def change(cls, root):
        cls.edit(root, "haproxy/haproxy.cfg", r"^\tuse_backend canary-echo if canary$",
                 "\thttp-request unset-var(txn.name) unless canary\n\\g<0>")

    @classmethod
    def make_upstreams(cls):
        super().make_upstreams()
        cls.other = Upstream(cls.authority, ["something-else.test"])
        cls.addClassCleanup(cls.other.close)

    @classmethod
    def hosts(cls):
        return {**super().hosts(), "other.example.test": cls.at(cls.other)}

    def test_upstream_is_not_trusted_without_a_name(self):
        for host, upstream in (("other.example.test", self.other), ("api.example.test", self.upstream)):
            with self.subTest(host):
                r = self.gateway.curl("-H", f"x-api-key: {self.fake['API_KEY']}", f"https://{host}/echo")
                self.assertEqual((r.status, r.code), (502, "upstream_tls"))
                self.assertEqual(upstream.seen, [])
                self.assertIsNone(upstream.sni[-1] if upstream.sni else None)


class FailedLookup(GatewayTest):
    """After a failed do-resolve, a server line without an address dials where the client itself had dialled: the gateway."""

    @classmethod
    def make_upstreams(cls):
        super().make_upstreams()
        cls.dns = dns.Server()
        cls.addClassCleanup(cls.dns.close)
        cls.dns.names = {"empty.example.test": [[]], "broken.example.test": ["SERVFAIL"]}
        cls.VARIABLES = {"DNS": cls.dns.address}

    @classmethod
    def hosts(cls):
        ca = {"ca": "upstream/ca.crt"}
        return {**super().hosts(), **{f"{n}.example.test": ca for n in ("absent", "empty", "broken")}}

    def test_nothing_is_dialled(self):
        for name in ("absent", "empty", "broken"):
            with self.subTest(name):
                r = self.gateway.curl("-H", f"x-api-key: {self.fake['API_KEY']}", f"https://{name}.example.test/echo")
                self.assertEqual((r.status, r.code), (502, "dns_failed"))
        self.assertTrue(any(q[0] == "absent.example.test" for q in self.dns.queries))


class PrivateAuthority(GatewayTest):
    """One bundle of all CAs would let the private CA of one host vouch for every other."""

    @classmethod
    def make_upstreams(cls):
        super().make_upstreams()
        cls.private = pki.Authority(f"{cls.folder}/private", "a private root")
        cls.own = Upstream(cls.private, ["private.example.test"])
        cls.impostor = Upstream(cls.private, ["api.example.test", "public.example.test"])
        for closing in (cls.own, cls.impostor):
            cls.addClassCleanup(closing.close)

    @classmethod
    def hosts(cls):
        return {"private.example.test": cls.at(cls.own, ca="private/ca.crt"), "api.example.test": cls.at(cls.impostor),
                "public.example.test": {"connect": cls.impostor.address}}

    def test_it_vouches_for_its_own_host_only(self):
        self.assertEqual(self.gateway.curl("https://private.example.test/echo").status, 200)
        for host in ("api.example.test", "public.example.test"):
            with self.subTest(host):
                r = self.gateway.curl("-H", f"x-api-key: {self.fake['API_KEY']}", f"https://{host}/echo")
                self.assertEqual((r.status, r.code), (502, "upstream_tls"))
        self.assertEqual(self.impostor.seen, [])


class FilterLeftOut(unittest.TestCase):
    """Without the line `filter slapenir` HAProxy starts, and everything would pass as it is. Only the canary sees that."""

    def test_gateway_does_not_serve(self):
        class Broken(ChangedTree):
            @classmethod
            def change(cls, root):
                cls.edit(root, "haproxy/haproxy.cfg", r"^\tfilter slapenir .*$", "")

            def runTest(self):
                pass

        try:
            with self.assertRaisesRegex(RuntimeError, "make up"):
                Broken.setUpClass()
        finally:
            Broken.doClassCleanups()


if __name__ == "__main__":
    unittest.main()
