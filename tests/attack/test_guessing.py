#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole guesses: an agent sends candidates and waits for one that behaves otherwise. Each right one trips the wire, and where guessing
is cheap the first one ends the agent's service until an operator lifts it."""
import os
import string
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness
from harness import GatewayTest


class Guessing(GatewayTest):
    SECRETS = {"STRONG": {"hosts": ["api.example.test"]}, "WEAK": {"hosts": ["api.example.test"]}}

    @classmethod
    def value_of(cls, name):
        return harness.random_secret(48) if name == "STRONG" else harness.random_secret(10, string.digits)

    def post(self, body, certificate):
        answer = self.gateway.get("api.example.test", "/sink", (), "POST", body, certificate=certificate)
        return answer.status, answer.get("x-slapenir-code")

    def lift(self, agent):
        done = self.gateway.slapenir("lift", agent, "--state", self.gateway.state)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_right_guess_of_a_strong_secret_trips_and_does_not_suspend(self):
        certificate = self.gateway.new_agent("guesser-1")
        self.assertEqual(self.post(self.real["STRONG"].encode(), certificate), (403, "tripwire"))
        self.assertEqual(self.post(b"harmless", certificate), (200, None))

    def test_right_guess_among_many_of_a_weak_secret_suspends(self):
        certificate = self.gateway.new_agent("guesser-2")
        guesses = [harness.random_secret(10, string.digits) for _ in range(300)]
        guesses.insert(150, self.real["WEAK"])
        self.assertEqual(self.post("\n".join(guesses).encode(), certificate), (403, "tripwire"))
        end = time.monotonic() + 2  # the other workers hear of it from the master
        while (answer := self.gateway.connect("api.example.test:443", certificate)[:2]) == (200, None):
            self.assertLess(time.monotonic(), end, "the suspended agent is still served")
        self.assertEqual(answer, (403, "agent_suspended"))
        self.assertEqual(self.gateway.get("api.example.test", "/echo").status, 200, "another agent goes on")
        self.assertTrue(self.gateway.wait_audit(lambda a: a.get("agent") == "guesser-2" and a.get("code") == "tripwire"))
        self.lift("guesser-2")
        self.assertEqual(self.post(b"harmless", certificate), (200, None))

    def test_check_warns_of_the_weak_one_by_name(self):
        done = self.gateway.slapenir("check", self.gateway.policy)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, r"WEAK")
        self.assertNotIn(self.real["WEAK"], done.stdout + done.stderr)


class Suspend(GatewayTest):
    EXTRA = "tripwire: suspend\n"

    def test_any_hit_suspends_inside_an_open_tunnel_too(self):
        certificate = self.gateway.new_agent("guesser-3")
        tunnel = self.gateway.tunnel("api.example.test", certificate=certificate)
        self.addCleanup(tunnel.close)
        answer = self.gateway.get("api.example.test", "/sink", (), "POST", self.real["API_KEY"].encode(), certificate=certificate)
        self.assertEqual((answer.status, answer.get("x-slapenir-code")), (403, "tripwire"))
        reader = harness.client.Reader(tunnel)
        end = time.monotonic() + 2  # the other workers hear of it from the master
        status = 200
        while status == 200:
            self.assertLess(time.monotonic(), end, "the suspended agent is still served")
            tunnel.sendall(b"GET /echo HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
            answer = reader.answer()
            status = answer.status
        self.assertEqual((status, answer.get("x-slapenir-code")), (403, "agent_suspended"))


if __name__ == "__main__":
    harness.main()
