#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole path beside HAProxy without us, and beside what others would put there (gateways.py says what each variant is). All
variants of a case run in each round, in another order each time; what counts are medians of the ratios within a round. CPU time of
all processes of a variant stands beside wall time: on a machine that others use, or whose load generator shares the processors, it is
the figure to judge by. Writes BUILD/bench/path.{json,svg} and prints tables.

    path.py [--rounds N] [--seconds S] [--megabytes M] [--streams N] [--only WORD] [--quick]"""
import argparse
import json
import os
import pathlib
import secrets
import string
import subprocess
import sys
import tempfile

import gateways
import measure
import plot

OUT = measure.BUILD / "bench"
ALL = ("plain", "ours", "prefilter off", "nginx", "mitmproxy")
FAST = ("plain", "ours", "prefilter off", "nginx")
EVENT = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"of the same kind, and so on"}}\n\n'
MEBIBYTE = 1 << 20


class Case:
    def __init__(self, name, variants, mode, connections, limit, request, megabytes=None, goal=None):
        self.name, self.variants, self.mode, self.connections, self.limit = name, variants, mode, connections, limit
        self.request, self.megabytes, self.goal = request, megabytes, goal

    def run(self, variant):
        return measure.run(variant, self.mode, self.connections, self.limit, self.request, self.megabytes)

    @property
    def unit(self):
        return "MB" if self.megabytes else "event" if self.mode == "events" else "request"


def random_value(length, alphabet=string.ascii_letters + string.digits):
    return "".join(secrets.choice(alphabet) for _ in range(length))


def secret_values(count, prefixes):
    """As people have them: two in three with a known prefix; without prefixes half are 40 hex digits."""
    values = {}
    for i in range(count):
        kind = i % 3 if prefixes else 2 + i % 2
        values[f"SECRET_{i}"] = ("sk-ant-api03-" + random_value(80), "ghp_" + random_value(36), secrets.token_hex(20), random_value(44))[kind]
    return values


def repeated(piece, size=MEBIBYTE // 4):
    return (piece * (size // len(piece) + 1))[:size]


def blocks(values):
    """What bodies are made of: clean events, identifiers that each could be a secret, a secret in each 4 KiB, nothing but lines of text."""
    real = list(values.values())
    spread = b"".join(repeated(EVENT, 4096 - len(v) - 1) + v.encode() + b"\n" for v in (real * 64)[:64])
    identifiers = "".join(json.dumps({"id": secrets.token_hex(20), "parent": secrets.token_hex(20)}) + "\n" for _ in range(3000)).encode()
    return {"clean": repeated(EVENT), "identifiers": identifiers[:MEBIBYTE // 4], "secrets": spread}


def request(folder, name, line, fields=(), body=b""):
    path = pathlib.Path(folder) / f"request-{name}"
    head = f"{line} HTTP/1.1\r\nHost: {gateways.HOST}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields)
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    path.write_bytes(head.encode() + b"\r\n" + body)
    return path


def json_body():
    return (b'{"model":"m","messages":[{"role":"user","content":"' + b"what is the capital of this country? " * 120)[:4060] + b'"}]}'


def cases(options, placeholder, made, folder):
    m, s = options.megabytes, options.seconds
    get = request(folder, "get", "GET /v1/models")
    key = request(folder, "key", "GET /v1/models", [("Authorization", f"Bearer {placeholder}")])
    post = request(folder, "post", "POST /v1/chat", [("Content-Type", "application/json")], json_body())
    found = [
        Case("GET, 1 KB of JSON", ALL, "keep", 4, s, get, goal=0.95),
        Case("GET, one connection", FAST, "keep", 1, s, get, goal=0.95),
        Case("POST, 4 KB of JSON", ALL, "keep", 4, s, post, goal=0.95),
        Case("GET, placeholder in the head", ALL, "keep", 4, s, key, goal=0.85),
        Case("GET, new connection each", ALL, "new", 2, s, get),
    ]
    for kind, goal in (("clean", 0.9), ("identifiers", 0.6), ("secrets", None)):
        down = request(folder, f"down-{kind}", f"GET /down/{kind}/{m}")
        found.append(Case(f"{m} MB down, {kind}", FAST, "keep", 1, "x1", down, m, goal))
    for kind, goal in (("clean", 0.9), ("identifiers", 0.6)):
        up = request(folder, f"up-{kind}", "PUT /up", [("Content-Type", "text/plain")], repeated(made[kind], m * MEBIBYTE))
        found.append(Case(f"{m} MB up, {kind}", FAST, "keep", 1, "x1", up, m, goal))
    if options.streams:
        events = request(folder, "events", "GET /sse/500")
        found.append(Case(f"SSE, {options.streams} streams", FAST, "events", options.streams, 2 * s, events))
    return [c for c in found if options.only in c.name]


def set_up(folder):
    """Certificate and upstream; Popen of the latter, its port and the certificate."""
    certificate = f"{folder}/upstream.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/upstream.key", "-out",
                    certificate, "-days", "2", "-subj", "/CN=bench", "-addext", f"subjectAltName=DNS:{gateways.HOST},IP:127.0.0.1"], check=True, capture_output=True)
    port = gateways.harness.ports.free_port()
    os.makedirs(f"{folder}/blocks")
    return subprocess.Popen([measure.UPSTREAM, str(port), certificate, f"{folder}/upstream.key", f"{folder}/blocks"]), port, certificate


def rounds(todo, running, count):
    """case name -> variant name -> runs"""
    results = {}
    for number in range(count):
        for case in todo:
            names = [n for n in case.variants if n in running]
            for name in names[number % len(names):] + names[:number % len(names)]:
                results.setdefault(case.name, {}).setdefault(name, []).append(case.run(running[name]))
        print(f"round {number + 1} of {count}", file=sys.stderr)
    return results


def summary(todo, results):
    rows = []
    for case in todo:
        base = results[case.name]["plain"]
        for name, runs in results[case.name].items():
            row = {"case": case.name, "variant": name, "unit": case.unit, "goal": case.goal if name == "ours" else None,
                   "rate_ratio": measure.ratio(runs, base, "rate"), "cpu_ratio": 1 / measure.ratio(runs, base, "cpu_us"),
                   "added_p50_us": measure.difference(runs, base, "p50_us"), "added_p99_us": measure.difference(runs, base, "p99_us")}
            for key in ("rate", "p50_us", "p99_us", "haproxy_us", "agent_us", "peer_us", "cpu_us"):
                row[key] = measure.median(runs, key)
            row["resident_kib"] = runs[-1]["resident_kib"]
            rows.append(row)
    return rows


def print_rows(rows):
    print(f"{'case':30} {'variant':14} {'rate':>9} {'of plain':>8} {'CPU, of plain':>13} {'goal':>5} | {'HAProxy us':>10} {'agent us':>9} {'peer us':>9} | "
          f"{'p50 us':>8} {'added':>7} {'p99 added':>9}")
    last = None
    for r in rows:
        goal = f"{r['goal']:.2f}" if r["goal"] else ""
        print(f"{r['case'] if r['case'] != last else '':30} {r['variant']:14} {r['rate']:9.1f} {r['rate_ratio']:8.2f} {r['cpu_ratio']:13.2f} {goal:>5} | "
              f"{r['haproxy_us']:10.1f} {r['agent_us']:9.1f} {r['peer_us']:9.1f} | {r['p50_us']:8.0f} {r['added_p50_us']:7.0f} {r['added_p99_us']:9.0f}")
        last = r["case"]
    print("rate: requests, MB or events a second. CPU us: of all its processes for a request, MB or event. `CPU, of plain`: plain's CPU time over this one's.")


def compare(options, count, prefixes, names, pick):
    """Runs one comparison with `count` secrets; its rows."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        os.chmod(folder, 0o711)
        upstream, port, certificate = set_up(folder)
        running = {}
        try:
            values = secret_values(count, prefixes)
            made = blocks(values)
            for kind, block in made.items():
                pathlib.Path(folder, "blocks", kind).write_bytes(block)
            running = gateways.start(names, gateways.Place(folder, port, certificate, values))
            placeholder = running["ours"].gateway.placeholders["SECRET_0"]
            todo = pick(cases(options, placeholder, made, folder))
            return summary(todo, rounds(todo, running, options.rounds))
        finally:
            for variant in running.values():
                variant.close()
            upstream.kill()
            upstream.wait()


def sweep(options):
    """One, a hundred, a thousand secrets, with and without prefixes."""
    rows = []
    wanted = ("GET, 1 KB of JSON", "GET, placeholder in the head", f"{options.megabytes} MB down, clean", f"{options.megabytes} MB down, identifiers",
              f"{options.megabytes} MB down, secrets")
    for prefixes in (True, False):
        for count in (1, 100, 1000):
            peers = ("nginx",) if count <= 100 else ()  # its sub_filter takes at most 255 patterns
            got = compare(options, count, prefixes, ("plain", "ours", *peers), lambda todo: [c for c in todo if c.name in wanted])
            rows += [dict(r, secrets=count, prefixes=prefixes) for r in got]
    return rows


def print_sweep(rows):
    print(f"\n{'case':30} {'secrets':>7} {'prefixes':>8} {'ours, CPU of plain':>18} {'nginx':>7}")
    for r in rows:
        if r["variant"] == "ours":
            peer = [p for p in rows if p["variant"] == "nginx" and all(p[k] == r[k] for k in ("case", "secrets", "prefixes"))]
            print(f"{r['case']:30} {r['secrets']:7} {'yes' if r['prefixes'] else 'no':>8} {r['cpu_ratio']:18.2f} {peer[0]['cpu_ratio'] if peer else float('nan'):7.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each run that is not one body")
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--streams", type=int, default=1000, help="0: no SSE")
    parser.add_argument("--secrets", type=int, default=10)
    parser.add_argument("--only", default="", help="cases with this word")
    parser.add_argument("--variants", default=",".join(ALL))
    parser.add_argument("--quick", action="store_true", help="no sweep over numbers of secrets")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    rows = compare(options, options.secrets, True, options.variants.split(","), lambda todo: todo)
    print_rows(rows)
    swept = []
    if not options.quick:
        options.rounds = min(options.rounds, 3)
        swept = sweep(options)
        print_sweep(swept)
    (OUT / "path.json").write_text(json.dumps({"rows": rows, "sweep": swept}, indent=1))
    plot.ratios(rows, OUT / "path.svg")
    print(f"{OUT}/path.json, {OUT}/path.svg")


if __name__ == "__main__":
    main()
