#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and addresses: looked up once, checked, and dialled as they were checked. Runs in network namespaces of its own, with its own DNS
server, so that an address can look public."""
import os
import unittest

import dns
import harness
import namespaces
import pki
from harness import GatewayTest
from upstream import Upstream

BAD = {"loopback": "127.0.0.1", "this-net": "0.0.0.0", "private10": "10.0.0.1", "private172": "172.16.5.5", "private192": "192.168.1.1", "metadata": "169.254.169.254",
       "shared": "100.64.0.1", "multicast": "224.0.0.1", "broadcast": "255.255.255.255", "own": namespaces.GATEWAY}
BAD6 = {"loopback6": "::1", "any6": "::", "mapped": "::ffff:127.0.0.1", "mapped-private": "::ffff:10.0.0.1", "unique-local": "fd00::1", "link-local": "fe80::1",
        "nat64": "64:ff9b::7f00:1", "six-to-four": "2002:7f00:1::1", "teredo": "2001::1", "documentation": "2001:db8::1"}
FAILING = {"nxdomain": "NXDOMAIN", "servfail": "SERVFAIL", "silent": "silence", "empty": []}


@unittest.skipUnless(os.geteuid() == 0, "network namespaces need root")
class Network(GatewayTest):
    SECRETS = {"API_KEY": {"hosts": ["good.example.test", "rebind.example.test"]}}

    @classmethod
    def make_upstreams(cls):
        spaces = cls.spaces = namespaces.Namespaces()
        leaf = cls.authority.issue(["*.example.test"])
        strangers = pki.Authority(f"{cls.folder}/strangers")
        with spaces.in_outside():
            cls.stranger = Upstream(leaf=strangers.issue(["good.example.test"]), address=namespaces.OUTSIDE, port=8443)
            cls.upstream = Upstream(leaf=leaf, address=namespaces.OUTSIDE, port=443)
            cls.dns = dns.Server(namespaces.OUTSIDE, 53)
        cls.victim = Upstream(leaf=leaf, port=443)  # on the gateway's own loopback
        for closing in (cls.upstream, cls.stranger, cls.dns, cls.victim):
            cls.addClassCleanup(closing.close)
        names = {"good": [[namespaces.OUTSIDE]], "rebind": [[namespaces.OUTSIDE], ["127.0.0.1"]], "both": [[namespaces.OUTSIDE, "::1"]],
                 "mixed": [["127.0.0.1", namespaces.OUTSIDE]],
                 **{n: [[a]] for n, a in {**BAD, **BAD6}.items()}, **{n: [a] for n, a in FAILING.items()}}
        cls.names = names
        cls.dns.names = {f"{n}.example.test": a for n, a in names.items()}
        cls.VARIABLES = {"DNS": f"{namespaces.OUTSIDE}:53"}

    @classmethod
    def hosts(cls):
        return {f"{n}.example.test": {"ca": "upstream/ca.crt"} for n in cls.names} | {"good.example.test:8443": {"ca": "upstream/ca.crt"}}

    def ask(self, name):
        r = self.gateway.curl("-H", f"x-api-key: {self.fake['API_KEY']}", f"https://{name}.example.test/echo")
        return r.status or r.connect, r.code

    def tearDown(self):
        self.assertEqual((self.victim.handshakes, self.victim.seen), (0, []), "the gateway dialled itself")

    def test_name_that_leads_out_is_served(self):
        self.assertEqual(self.ask("good"), (200, None))
        self.assertEqual(self.upstream.last("/echo").get("x-api-key"), self.real["API_KEY"])

    def test_addresses_that_nobody_may_reach_by_name(self):
        for name in BAD:
            with self.subTest(name):
                self.assertEqual(self.ask(name), (403, "address_denied"))

    def test_addresses_of_ipv6_that_nobody_may_reach_by_name(self):
        for name in BAD6:
            with self.subTest(name):
                self.assertEqual(self.ask(name), (403, "address_denied"))

    def test_lookups_that_fail(self):
        for name in FAILING:
            with self.subTest(name):
                self.assertEqual(self.ask(name), (502, "dns_failed"))

    def test_name_that_changes_its_address_is_checked_anew(self):
        self.assertEqual(self.ask("rebind"), (200, None))
        for _ in range(5):
            self.assertIn(self.ask("rebind"), ((200, None), (403, "address_denied")))

    def test_name_with_a_good_and_a_bad_address_never_leads_to_the_bad_one(self):
        for _ in range(6):
            self.assertIn(self.ask("mixed")[0], (200, 403))
        self.assertIn(self.ask("both")[0], (200, 403))

    def test_upstream_is_verified_by_name_although_dialled_by_address(self):
        r = self.gateway.curl("https://good.example.test:8443/echo")
        self.assertEqual((r.status, r.code), (502, "upstream_tls"))
        self.assertEqual(self.stranger.seen, [])


if __name__ == "__main__":
    harness.main()
