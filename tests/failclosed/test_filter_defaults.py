# SPDX-License-Identifier: GPL-2.0-or-later
"""HAProxy's defaults that open where a filter works, each closed by one line of the filter. For each: the filter as it is, and a
copy with that line taken out, which must be seen to leak: a test that cannot fail proves nothing."""
import os
import re
import shutil
import socket
import struct
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))
from filterlab import FAKE, ROOT, SECRET, LabTest, patched_module
from scripted_agent import EOM, Answer
from upstream import Reply


class Default(LabTest):
    def without(self, *changes):
        folder = tempfile.mkdtemp(prefix="filter-without-")
        self.addCleanup(shutil.rmtree, folder, True)
        return patched_module(folder, *changes)


class NotAttached(Default):
    """A filter that does not say FLT_CFG_FL_HTX is never attached to HTTP streams, and everything passes raw."""

    GATE = "http-request return status 503 hdr x-slapenir-code agent_unavailable if !{ slapenir.ready -m bool } !{ path_beg /canary }"

    def canary(self, lab):
        lab.upstream.routes["canary"] = lab.upstream.routes["reflect"]
        lab.get("/canary", "authorization: " + FAKE.decode())

    def test_attached(self):
        lab = self.lab(options="canary api.test:443", rules=self.GATE)
        self.canary(lab)
        lab.upstream.replies["r"] = Reply(SECRET)
        self.assertEqual(lab.get("/reply/r").body, FAKE)

    def test_without_the_flag_the_canary_keeps_the_gate_shut(self):
        module = self.without(("haproxy/filter/conf.c", "fconf->flags |= FLT_CFG_FL_HTX;", ""))
        lab = self.lab(module=module, options="canary api.test:443", rules=self.GATE)
        self.canary(lab)
        lab.upstream.replies["r"] = Reply(SECRET)
        got = lab.get("/reply/r")
        self.assertEqual((got.status, got.get(b"x-slapenir-code")), (503, b"agent_unavailable"))
        ungated = self.lab(module=module)
        ungated.upstream.replies["r"] = Reply(SECRET)
        self.assertEqual(ungated.get("/reply/r").body, SECRET)


class InformationalHeads(Default):
    """1xx heads reach neither rules nor http_headers: HAProxy forwards them by itself."""

    def hints(self, lab):
        lab.upstream.replies["hints"] = Reply(b"", informational=[(103, [(":reason", SECRET.decode()), ("Link", SECRET.decode())])])
        got = lab.get("/reply/hints")
        self.assertEqual(len(got.informational), 1)
        return got.raw

    def test_stripped(self):
        self.assertNotIn(SECRET, self.hints(self.lab()))

    def test_without_stripping(self):
        module = self.without(("haproxy/filter/filter.c", "	.http_reset = http_reset,\n", ""))
        self.assertIn(SECRET, self.hints(self.lab(module=module)))


class EarlyEnd(Default):
    """When HAProxy stops looking at a stream, it forwards what is in the buffer, and what still comes, raw."""

    @staticmethod
    def hold(message):
        if message.is_end:
            return None
        at = message.chunk.find(b"#")
        return Answer(consumed=len(message.chunk) if at < 0 or message.flags & EOM else at)

    def dies_half_way(self, lab):
        """The server's connection is reset while a part of its body is held."""
        def route(request):
            request.conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nvisible#" + SECRET)
            time.sleep(0.2)
            request.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.conn.close()
            raise ConnectionError

        lab.upstream.routes["dies"] = route
        got = lab.get("/dies").raw
        self.assertIn(b"visible", got)
        return got

    def test_truncated(self):
        for _ in range(3):
            self.assertNotIn(SECRET, self.dies_half_way(self.lab(self.hold)))

    def test_without_truncation(self):
        module = self.without(
            ("haproxy/filter/filter.c", "	if (htx->data > co_data(chn))\n		channel_htx_truncate(chn, htx);\n", ""),
            ("haproxy/filter/filter.c", "	compat_stop_input(chn);\n", "	return;\n"))
        leaked = [SECRET in self.dies_half_way(self.lab(self.hold, module=module)) for _ in range(5)]
        self.assertIn(True, leaked)


class StatusLine(Default):
    """`http-response` rules never touch the reason phrase."""

    def reason(self, lab):
        lab.upstream.replies["why"] = Reply(b"", status=200, reason=SECRET.decode())
        return lab.get("/reply/why").raw

    def test_standard(self):
        self.assertNotIn(SECRET, self.reason(self.lab()))

    def test_without_replacing(self):
        module = self.without(("haproxy/filter/message.c", "if (w->dir == RES && head_standard_reason(htx) < 0)", "if (0)"))
        self.assertIn(SECRET, self.reason(self.lab(module=module)))


class FieldNames(Default):
    """Nor do they touch the names of fields."""

    def name(self, lab):
        lab.upstream.replies["n"] = Reply(b"", headers=[(SECRET.decode(), "v")])
        return lab.get("/reply/n").raw.lower()

    def test_sanitized(self):
        raw = self.name(self.lab())
        self.assertNotIn(SECRET.lower(), raw)
        self.assertIn(FAKE.lower(), raw)

    def test_without_edits_of_names(self):
        module = self.without(("haproxy/filter/head.c", "if (e.op == EDIT_VALUE || e.op == EDIT_FIELD)", "if (e.op == EDIT_VALUE)"))
        self.assertIn(SECRET.lower(), self.name(self.lab(module=module)))


class CutsInHttp2(Default):
    """A body without length that is cut by truncation ends in a clean END_STREAM before 3.2: the client takes it for whole."""

    def cut(self, lab):
        import subprocess
        lab.upstream.replies["r"] = Reply([b"x" * 50000, b"y" * 50000, SECRET], framing="chunked", gap=0.05)
        return subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-o", "/dev/null", "--max-time", "20",
                               f"http://127.0.0.1:{lab.h2_port}/reply/r"]).returncode

    @staticmethod
    def script(message):
        from scripted_agent import CUT, refusal
        if message.is_end:
            return None
        if message.direction and SECRET in message.chunk:
            return refusal(502, b"pattern_too_long", CUT)
        return Answer(consumed=len(message.chunk))

    def test_reset(self):
        self.assertNotEqual(self.cut(self.lab(self.script)), 0)

    def test_without_reset(self):
        module = self.without(("haproxy/filter/compat.h", "	conn->mux->shutr(sc, CO_SHR_RESET);\n", ""))
        self.assertEqual(self.cut(self.lab(self.script, module=module)), 0)


class Versions(Default):
    def test_absent_module_is_no_start(self):
        lab = self.lab(module="/nonexistent/slapenir_filter.so", start=False)
        checked = lab.check()
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("cannot load /nonexistent/slapenir_filter.so", checked.stderr + checked.stdout)
        self.assertIn("unknown keyword 'slapenir'", checked.stderr + checked.stdout)

    def test_another_version_is_no_start(self):
        module = self.without(("haproxy/filter/rules.mk", "SLAPENIR_HAPROXY_VERSION='\"$(HAPROXY_VERSION)\"'",
                               "SLAPENIR_HAPROXY_VERSION='\"$(HAPROXY_VERSION)9\"'"))
        checked = self.lab(module=module, start=False).check()
        self.assertNotEqual(checked.returncode, 0)
        self.assertRegex(checked.stderr + checked.stdout, r"compiled for HAProxy [0-9.]+9, this is")

    def test_another_build_is_told(self):
        module = self.without(("haproxy/filter/rules.mk", "SLAPENIR_HAPROXY_BUILD_ID='\"$(HAPROXY_BUILD_ID)\"'",
                               "SLAPENIR_HAPROXY_BUILD_ID='\"00ff\"'"))
        lab = self.lab(module=module)
        self.assertIn("is not the one that the filter was tested with (00ff)", lab.output())
        self.assertNotIn("is not the one", self.lab().output())

    def test_one_engine_for_both_directions_is_no_start(self):
        lab = self.lab(start=False)
        text = open(lab.config).read()
        open(lab.config, "w").write(text.replace("response-engine slapenir-response", "response-engine slapenir-request"))
        checked = lab.check()
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("must be two engines", checked.stderr + checked.stdout)

    def test_no_switch_of_the_product_opens(self):
        """What these tests take out can be taken out by nobody who only configures or starts the gateway."""
        for name in os.listdir(f"{ROOT}/haproxy/filter"):
            if name.endswith((".c", ".h")):
                text = open(f"{ROOT}/haproxy/filter/{name}").read()
                self.assertNotIn("getenv", text, name)
                self.assertEqual(re.findall(r"#\s*ifn?def\s+SLAPENIR_(?!COMPAT_H|FILTER_H)\w+", text), [], name)


if __name__ == "__main__":
    unittest.main()
