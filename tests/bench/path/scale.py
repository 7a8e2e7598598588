#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How cost grows: workers and HAProxy threads; streams, body sizes and secrets by tens; memory per stream. CPU microseconds are of
HAProxy and the agent together. Writes BUILD/bench/scale.{json,svg} and prints tables; docs/performance.md reads them.

    scale.py [--rounds N] [--seconds S]"""
import argparse
import json
import os
import pathlib
import statistics
import tempfile

import gateways
import measure
import path
import plot

OUT = measure.BUILD / "bench"


class Bench:
    """One upstream and the gateways of one number of secrets."""

    def __init__(self, secrets=10):
        self.folder = tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp")
        os.chmod(self.folder.name, 0o711)
        self.upstream, port, certificate = path.set_up(self.folder.name)
        values = path.secret_values(secrets, True)
        for kind, block in path.blocks(values).items():
            pathlib.Path(self.folder.name, "blocks", kind).write_bytes(block)
        self.place = gateways.Place(self.folder.name, port, certificate, values)
        self.running = []

    def start(self, name, tree=None, workers=2):
        variant = gateways.Variant(name, self.place.gateway(name, tree=tree, workers=workers))
        self.running.append(variant)
        return variant

    def request(self, name, line, fields=()):
        return path.request(self.folder.name, name, line, fields)

    def stop(self):
        for variant in self.running:
            variant.close()
        self.running = []

    def close(self):
        self.stop()
        self.upstream.kill()
        self.upstream.wait()
        self.folder.cleanup()


def median_of(count, run):
    runs = [run() for _ in range(count)]
    return {key: statistics.median(r[key] for r in runs) for key in runs[0] if not isinstance(runs[0][key], dict)}


def threads_and_workers(options):
    rows, bench = [], Bench()
    try:
        for threads in (1, 2):
            for workers in (1, 2, 4):
                variant = bench.start(f"t{threads}w{workers}", (gateways.with_threads(threads),), workers)
                down = bench.request("down", "GET /down/identifiers/10")
                key = bench.request("key", "GET /v1/models", [("Authorization", "Bearer " + variant.gateway.placeholders["SECRET_0"])])
                bulk = median_of(options.rounds, lambda v=variant: measure.run(v, "keep", 4, "x12", down, 120))
                small = median_of(options.rounds, lambda v=variant: measure.run(v, "keep", 8, options.seconds, key))
                rows.append({"threads": threads, "workers": workers, "mb_s": bulk["rate"], "us_per_mb": bulk["cpu_us"], "requests_s": small["rate"], "us_per_request": small["cpu_us"]})
                bench.stop()
    finally:
        bench.close()
    return rows


def bodies(options):
    rows, bench = [], Bench()
    try:
        plain, ours = bench.start("plain", (gateways.without_us,)), bench.start("ours")
        for kind in ("clean", "identifiers"):
            for megabytes in (1, 10, 100):
                down = bench.request(f"{kind}-{megabytes}", f"GET /down/{kind}/{megabytes}")
                times = max(200 // megabytes, 1)
                cost = {v.name: median_of(options.rounds, lambda v=v: measure.run(v, "keep", 1, f"x{times}", down, times * megabytes)) for v in (plain, ours)}
                rows.append({"kind": kind, "megabytes": megabytes, "plain_us_per_mb": cost["plain"]["cpu_us"], "us_per_mb": cost["ours"]["cpu_us"]})
    finally:
        bench.close()
    return rows


def streams(options):
    rows, bench = [], Bench()
    try:
        plain, ours = bench.start("plain", (gateways.without_us,)), bench.start("ours")
        events = bench.request("events", "GET /sse/500")
        for variant in (plain, ours):
            before = sum(variant.resident().values())
            for count in (10, 100, 1000):
                got = measure.run(variant, "events", count, 3 * options.seconds, events)
                rows.append({"variant": variant.name, "streams": count, "us_per_event": got["cpu_us"], "p50_us": got["p50_us"], "p99_us": got["p99_us"],
                             "haproxy_kib": got["resident_kib"]["haproxy"], "agent_kib": got["resident_kib"]["agent"],
                             "kib_per_stream": (sum(got["resident_kib"].values()) - before) / count})
    finally:
        bench.close()
    return rows


def numbers_of_secrets(options):
    rows = []
    for count in (1, 10, 100, 1000):
        bench = Bench(count)
        try:
            ours = bench.start("ours")
            clean, identifiers = (bench.request(k, f"GET /down/{k}/20") for k in ("clean", "identifiers"))
            key = bench.request("key", "GET /v1/models", [("Authorization", "Bearer " + ours.gateway.placeholders["SECRET_0"])])
            rows.append({"secrets": count, "clean_us_per_mb": median_of(options.rounds, lambda: measure.run(ours, "keep", 1, "x3", clean, 60))["cpu_us"],
                         "identifiers_us_per_mb": median_of(options.rounds, lambda: measure.run(ours, "keep", 1, "x3", identifiers, 60))["cpu_us"],
                         "us_per_request": median_of(options.rounds, lambda: measure.run(ours, "keep", 4, options.seconds, key))["cpu_us"],
                         "agent_kib": ours.resident()["agent"]})
        finally:
            bench.close()
    return rows


def print_table(title, rows):
    print(f"\n{title}")
    print("  ".join(f"{key:>18}" for key in rows[0]))
    for row in rows:
        print("  ".join(f"{v:18.1f}" if isinstance(v, float) else f"{v:>18}" for v in row.values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    parts = {"threads and workers": threads_and_workers, "body sizes": bodies, "streams": streams, "secrets": numbers_of_secrets}
    results = {}
    for title, part in parts.items():
        results[title] = part(options)
        print_table(title, results[title])
    (OUT / "scale.json").write_text(json.dumps(results, indent=1))
    plot.growth(results["secrets"], "secrets", ("clean_us_per_mb", "identifiers_us_per_mb"), "CPU microseconds per MB over number of secrets", OUT / "scale.svg")
    print(f"\n{OUT}/scale.json, {OUT}/scale.svg")


if __name__ == "__main__":
    main()
