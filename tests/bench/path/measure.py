# SPDX-License-Identifier: GPL-2.0-or-later
"""One measurement: the load program runs against a variant, its processes' time on a processor is read before and after."""
import json
import os
import pathlib
import statistics
import subprocess

import gateways

BUILD = pathlib.Path(os.environ.get("BUILD", gateways.HERE.parent.parent.parent / "build")).resolve()
LOAD = BUILD / "tests/bench/load"
UPSTREAM = BUILD / "tests/bench/upstream"


def run(variant, mode, connections, limit, request, per=None):
    """limit: seconds, or "xN". per: what CPU time is divided by; None: the number of answers (or events)."""
    gateway = variant.gateway
    words = [LOAD, mode, gateway.address, gateway.ca, *gateway.certificate, gateways.HOST, str(connections), str(limit), request]
    with subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as load:
        if load.stdout.readline() != "begin\n":
            raise RuntimeError(f"{variant.name}: {load.stderr.read()[-500:]}")
        before = variant.cpu()
        load.stdin.write("\n")
        load.stdin.flush()
        ended = load.stdout.readline() == "end\n"
        after, resident = variant.cpu(), variant.resident()
        line = load.stdout.readline()
        if not ended or not line:
            raise RuntimeError(f"{variant.name}: {load.stderr.read()[-500:]}")
    got = json.loads(line)
    units = per or got["count"]
    cpu = {kind: (after[kind] - before[kind]) / units * 1e6 for kind in after}
    return {"rate": (per or got["count"]) / got["seconds"], "p50_us": got["p50_us"], "p99_us": got["p99_us"], "resident_kib": resident,
            **{f"{kind}_us": v for kind, v in cpu.items()}, "cpu_us": sum(cpu.values())}


def median(runs, key):
    return statistics.median(r[key] for r in runs)


def ratio(runs, base, key):
    """Median of the ratios within rounds, so that what disturbs a round disturbs both."""
    return statistics.median(a[key] / b[key] for a, b in zip(runs, base) if b[key])


def difference(runs, base, key):
    return statistics.median(a[key] - b[key] for a, b in zip(runs, base))
