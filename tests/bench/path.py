#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole path beside HAProxy without us: the same configuration less our filters, the same CONNECT and interception, TLS on both
sides. All variants alternate in each round; what counts are the medians of ratios within a round, and CPU time beside wall
time, because the load comes from the same machine. Writes build/bench/path.{json,svg} and prints a table.

    path.py [--rounds N] [--seconds S] [--megabytes M]"""
import argparse
import json
import os
import pathlib
import re
import secrets
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import harness

OUT = pathlib.Path(os.environ.get("BUILD", HERE.parent.parent / "build")).resolve() / "bench"
HOST = "api.bench.test"
CLEAN = (b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"of the same kind, and so on"}}\n\n' * 600)[:1 << 16]
IDENTIFIERS = ("".join(json.dumps({"id": secrets.token_hex(20), "parent": secrets.token_hex(20)}) + "\n" for _ in range(700)).encode())[:1 << 16]


class Upstream(threading.Thread):
    """Answers as fast as python can: small JSON, or a body of the asked size; takes any body."""

    def __init__(self, crt, key):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(crt, key)
        self.socket = socket.create_server(("127.0.0.1", harness.ports.free_port()))
        self.port = self.socket.getsockname()[1]

    def run(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            tls = self.context.wrap_socket(connection, server_side=True)
            stream = tls.makefile("rwb", buffering=1 << 17)
            while self.answer(stream):
                pass
        except OSError:
            pass

    def answer(self, stream):
        line = stream.readline().split()
        if not line:
            return False
        length = 0
        while (field := stream.readline()) not in (b"\r\n", b""):
            if field.lower().startswith(b"content-length:"):
                length = int(field.split(b":")[1])
        while length > 0:
            length -= len(stream.read(min(length, 1 << 16)))
        down = re.match(rb"/down/(clean|identifiers)/(\d+)", line[1])
        if down:
            block, megabytes = (CLEAN if down[1] == b"clean" else IDENTIFIERS), int(down[2])
            stream.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % (megabytes * 16 * len(block)))
            for _ in range(megabytes * 16):
                stream.write(block)
        else:
            body = b'{"object":"list","data":[{"id":"model-1","owned_by":"system"}]}' * 16
            stream.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        stream.flush()
        return True


def plain_tree(folder):
    """The configuration without filter, agent's exchanges and canary; CONNECT is judged all the same."""
    tree = harness.copy_of_tree(folder)
    path = pathlib.Path(tree) / "haproxy/haproxy.cfg"
    text = path.read_text()
    text = re.sub(r"^\tfilter (spoe engine slapenir-re|slapenir ).*\n", "", text, flags=re.M)
    text = re.sub(r"^\tacl (serving|canary_up) .*$", r"\tacl \1 always_true", text, flags=re.M)
    text = re.sub(r"^\thttp-request set-var\(txn.code\) str\(agent_unavailable\) .*\n", "", text, flags=re.M)
    path.write_text(text)
    return tree


def cpu_seconds(gateway):
    """Of HAProxy and of the agent: (user + system) of their processes so far."""
    total = {"haproxy": 0.0, "slapenir": 0.0}
    for pid in harness.processes_of(gateway.state):
        try:
            name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            ran = sum(int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0]) for task in os.listdir(f"/proc/{pid}/task"))
        except OSError:
            continue
        if name in total:
            total[name] += ran / 1e9
    return total


class Client:
    """One kept connection through the gateway: CONNECT over mTLS, TLS inside it, HTTP/1.1."""

    def __init__(self, gateway):
        outer = harness.client.dial_proxy(gateway.address, gateway.ca, *gateway.certificate)
        status, head, _ = harness.client.connect(outer, f"{HOST}:443")
        if status != 200:
            raise RuntimeError(head.decode())
        self.tls = harness.client.InnerTLS(outer, gateway.ca, HOST)

    def ask(self, head, body=b""):
        self.tls.sendall(head + body)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.tls.recv()
        head, _, rest = data.partition(b"\r\n\r\n")
        if b" 200" not in head.split(b"\r\n")[0]:
            raise RuntimeError(head.decode(errors="replace"))
        left = int(re.search(rb"content-length: (\d+)", head, re.I)[1]) - len(rest)
        while left > 0:
            left -= len(self.tls.recv())


def small(gateway, seconds, head, body=b""):
    """Requests one after another on one connection: rate, median latency, CPU per request."""
    client = Client(gateway)
    for _ in range(30):
        client.ask(head, body)
    before, begin, took = cpu_seconds(gateway), time.perf_counter(), []
    while time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        client.ask(head, body)
        took.append(time.perf_counter() - start)
    wall, after = time.perf_counter() - begin, cpu_seconds(gateway)
    return {"rate": len(took) / wall, "p50_us": statistics.median(took) * 1e6,
            **{f"{k}_us": (after[k] - before[k]) / len(took) * 1e6 for k in after}}


def curl(gateway, *args):
    command = ["curl", "-sS", "-o", "/dev/null", "-x", f"https://{gateway.address}", "--proxy-cacert", gateway.ca, "--cacert", gateway.ca, "--proxy-cert", gateway.certificate[0],
               "--proxy-key", gateway.certificate[1], "--http1.1", "-H", "expect:", "-w", "%{http_code}", *args]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if said.stdout != "200":
        raise RuntimeError(said.stdout + said.stderr)


def bulk(gateway, megabytes, *args):
    before, begin = cpu_seconds(gateway), time.perf_counter()
    curl(gateway, *args)
    wall, after = time.perf_counter() - begin, cpu_seconds(gateway)
    return {"rate": megabytes / wall, **{f"{k}_us": (after[k] - before[k]) / megabytes * 1e6 for k in after}}


def cases(options, placeholder, folder):
    host = f"Host: {HOST}\r\n".encode()
    get = b"GET /v1/models HTTP/1.1\r\n" + host + b"\r\n"
    key = b"GET /v1/models HTTP/1.1\r\n" + host + b"Authorization: Bearer " + placeholder.encode() + b"\r\n\r\n"
    body = (b'{"model":"m","messages":[{"role":"user","content":"' + b"what is the capital of this country? " * 120)[:4060] + b'"}]}'
    post = b"POST /v1/chat HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    for kind, block in (("clean", CLEAN), ("identifiers", IDENTIFIERS)):
        with open(f"{folder}/{kind}", "wb") as f:
            f.write(block * (16 * options.megabytes))
    m = options.megabytes
    return [
        ("GET, no placeholder", lambda g: small(g, options.seconds, get)),
        ("POST 4 KB, no placeholder", lambda g: small(g, options.seconds, post, body)),
        ("GET, placeholder in the head", lambda g: small(g, options.seconds, key)),
        (f"{m} MB down, clean", lambda g: bulk(g, m, f"https://{HOST}/down/clean/{m}")),
        (f"{m} MB down, 40-hex identifiers", lambda g: bulk(g, m, f"https://{HOST}/down/identifiers/{m}")),
        (f"{m} MB up, clean", lambda g: bulk(g, m, "-T", f"{folder}/clean", f"https://{HOST}/up")),
        (f"{m} MB up, 40-hex identifiers", lambda g: bulk(g, m, "-T", f"{folder}/identifiers", f"https://{HOST}/up")),
    ]


def gateways(folder, upstream):
    """name -> gateway that runs."""
    values = {"API_KEY": "sk-ant-api03-" + secrets.token_hex(40), "OTHER_TOKEN": secrets.token_hex(20)}
    running = {}
    for name, extra, tree in (("plain", "", True), ("ours", "", False), ("prefilter off", "prefilter: off\n", False)):
        place = pathlib.Path(folder) / name.replace(" ", "-")
        place.mkdir()
        (place / "upstream.crt").write_bytes((pathlib.Path(folder) / "upstream.crt").read_bytes())
        policy = harness.policy_text({n: {"hosts": [HOST]} for n in values}, {HOST: {"connect": f"127.0.0.1:{upstream.port}", "ca": "upstream.crt"}}, extra)
        more = {"root": plain_tree(str(place / "tree"))} if tree else {}
        running[name] = harness.Gateway(str(place), policy, values, **more).up()
    return running


def summary(results, order):
    rows = []
    for case, variants in results.items():
        plain = variants["plain"]
        for name in order:
            runs = variants[name]
            cpu = [r["haproxy_us"] + r["slapenir_us"] for r in runs]
            base = [r["haproxy_us"] + r["slapenir_us"] for r in plain]
            rows.append({"case": case, "variant": name, "rate": statistics.median(r["rate"] for r in runs),
                         "rate_ratio": statistics.median(a["rate"] / b["rate"] for a, b in zip(runs, plain)),
                         "cpu_ratio": statistics.median(b / a for a, b in zip(cpu, base)),
                         "haproxy_us": statistics.median(r["haproxy_us"] for r in runs), "agent_us": statistics.median(r["slapenir_us"] for r in runs),
                         "added_p50_us": statistics.median(a["p50_us"] - b["p50_us"] for a, b in zip(runs, plain)) if "p50_us" in runs[0] else None})
    return rows


def draw(rows, path):
    """Bars of throughput relative to plain HAProxy."""
    shown = [r for r in rows if r["variant"] != "plain"]
    height = 24 * len(shown) + 60
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="{height}" font-family="sans-serif" font-size="12">',
           '<text x="10" y="20">throughput, plain HAProxy = 1 (same configuration less our filters, same run)</text>']
    for i, r in enumerate(shown):
        y, width = 36 + 24 * i, min(r["rate_ratio"], 1.3) * 300
        colour = "#3a7" if r["variant"] == "ours" else "#89a"
        out += [f'<text x="10" y="{y + 13}">{r["case"]}, {r["variant"]}</text>', f'<rect x="400" y="{y}" width="{width:.0f}" height="18" fill="{colour}"/>',
                f'<text x="{408 + width:.0f}" y="{y + 13}">{r["rate_ratio"]:.2f}</text>']
    out += [f'<line x1="700" y1="30" x2="700" y2="{height - 20}" stroke="#333"/>', "</svg>"]
    path.write_text("\n".join(out) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--megabytes", type=int, default=50)
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.chmod(folder, 0o711)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/upstream.key", "-out",
                        f"{folder}/upstream.crt", "-days", "2", "-subj", "/CN=bench", "-addext", f"subjectAltName=DNS:{HOST}"], check=True, capture_output=True)
        upstream = Upstream(f"{folder}/upstream.crt", f"{folder}/upstream.key")
        upstream.start()
        running = gateways(folder, upstream)
        order = list(running)
        results = {}
        try:
            todo = cases(options, running["ours"].placeholders["API_KEY"], folder)
            for round_number in range(options.rounds):
                for case, run in todo:
                    for name in order[round_number % len(order):] + order[:round_number % len(order)]:
                        results.setdefault(case, {}).setdefault(name, []).append(run(running[name]))
        finally:
            for gateway in running.values():
                gateway.down()
    rows = summary(results, order)
    print(f"{'case':34} {'variant':14} {'per s / MB/s':>12} {'of plain':>9} {'CPU, of plain':>14} {'HAProxy us':>11} {'agent us':>9} {'added p50':>10}")
    for r in rows:
        added = f"{r['added_p50_us']:7.0f} us" if r["added_p50_us"] is not None else ""
        print(f"{r['case']:34} {r['variant']:14} {r['rate']:12.1f} {r['rate_ratio']:9.2f} {r['cpu_ratio']:14.2f} {r['haproxy_us']:11.1f} {r['agent_us']:9.1f} {added:>10}")
    (OUT / "path.json").write_text(json.dumps({"rounds": options.rounds, "rows": rows}, indent=1))
    draw(rows, OUT / "path.svg")
    print(f"CPU us are per request, or per MB. Files: {OUT}/path.json, {OUT}/path.svg")


if __name__ == "__main__":
    main()
