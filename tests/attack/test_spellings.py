#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An upstream that wants to smuggle a secret out spells it in every way that clients decode by themselves."""
import base64
import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness
from harness import GatewayTest, Reply


def mixture(rng):
    """Each byte in a spelling of its own choice."""
    ways = [lambda c: c, lambda c: f"%{ord(c):02X}", lambda c: f"%{ord(c):02x}", lambda c: f"\\u{ord(c):04x}", lambda c: f"\\u{ord(c):04X}",
            lambda c: f"&#{ord(c)};", lambda c: f"&#x{ord(c):x};"]
    return lambda v: "".join(rng.choice(ways)(c) for c in v)


def base64_at(pad, encode):
    def spell(value):
        return encode(b"\0" * pad + value.encode() + b"\0" * (-(pad + len(value)) % 3)).decode()
    return spell


def wrapped(value, end="\n"):
    text = base64.b64encode(b"x" * 40 + value.encode() + b"y" * 41).decode()
    return end.join(text[n:n + 76] for n in range(0, len(text), 76))


def plain(text):
    """Digits of a spelling are written in one case, and decimal references get leading zeros to keep a length."""
    return re.sub("&#0+", "&#", text.lower())


RNG = random.Random()
SPELLINGS = {
    "raw": lambda v: v,
    "percent": lambda v: "".join(f"%{ord(c):02X}" for c in v),
    "percent, lower case": lambda v: "".join(f"%{ord(c):02x}" for c in v),
    "JSON": lambda v: "".join(f"\\u{ord(c):04x}" for c in v),
    "HTML decimal": lambda v: "".join(f"&#{ord(c)};" for c in v),
    "HTML hex": lambda v: "".join(f"&#x{ord(c):X};" for c in v),
    "percent twice": lambda v: "".join(f"%25{ord(c):02X}" for c in v),
    "JSON in JSON": lambda v: "".join(f"\\\\u{ord(c):04x}" for c in v),
    "hex": lambda v: v.encode().hex(),
    "HEX": lambda v: v.encode().hex().upper(),
    "UTF-16LE": lambda v: v.encode("utf-16-le").decode("latin-1"),
    "UTF-16BE": lambda v: v.encode("utf-16-be").decode("latin-1"),
    "mixture": mixture(RNG),
    "wrapped base64": wrapped,
    "wrapped base64 in JSON": lambda v: wrapped(v, "\\n"),
    "wrapped base64, CRLF": lambda v: wrapped(v, "\r\n"),
    **{f"base64 +{pad}": base64_at(pad, base64.b64encode) for pad in range(3)},
    **{f"base64url +{pad}": base64_at(pad, base64.urlsafe_b64encode) for pad in range(3)},
}
FIXED_CASE = {"percent, lower case": "percent", "HEX": "hex"}  # digits of a spelling are written in one case


class Spellings(GatewayTest):
    SECRETS = {"PREFIXED": {"hosts": ["api.example.test"]}, "BARE": {"hosts": ["api.example.test"]}}

    @classmethod
    def value_of(cls, name):
        return harness.random_secret(53, prefix="ghp_") if name == "PREFIXED" else harness.random_secret(41)

    def got(self, text, cuts):
        data = text.encode("latin-1")
        borders = [0, *sorted(RNG.randrange(len(data)) for _ in range(cuts)), len(data)]
        self.upstream.replies["s"] = Reply([data[a:b] for a, b in zip(borders, borders[1:]) if a < b], framing="chunked", gap=0.003 if cuts else 0)
        return self.gateway.get("api.example.test", "/reply/s").body.decode("latin-1")

    def test_each_spelling_becomes_the_same_spelling_of_the_placeholder(self):
        for name in self.SECRETS:
            for kind, spell in SPELLINGS.items():
                for cuts in (0, 5):
                    with self.subTest(f"{name} as {kind}, {cuts} cuts"):
                        state = RNG.getstate()
                        text = f"before|{spell(self.real[name])}|after"
                        RNG.setstate(state)
                        want = f"before|{SPELLINGS[FIXED_CASE.get(kind, kind)](self.fake[name])}|after"
                        got = self.got(text, cuts)
                        self.assertEqual(len(got), len(text))
                        self.assertEqual(plain(got), plain(want))

    def test_side_by_side_in_base64(self):
        """Two that share a character: the second must not leak because the first took it."""
        for pad in range(3):
            real, fake = (b"\0" * pad + "".join(v[n] for n in ("PREFIXED", "BARE", "PREFIXED")).encode() for v in (self.real, self.fake))
            self.assertEqual(self.got(base64.b64encode(real).decode(), 7), base64.b64encode(fake).decode())

    def test_lines_of_a_response_head(self):
        for kind in ("percent", "JSON", "hex", "base64 +0", "mixture"):
            with self.subTest(kind):
                value = SPELLINGS[kind](self.real["PREFIXED"])
                self.upstream.replies["h"] = Reply(b"", headers=[("X-Value", f"a {value} b")])
                self.assertNotIn(value, self.gateway.get("api.example.test", "/reply/h").get("x-value"))


if __name__ == "__main__":
    harness.main()
