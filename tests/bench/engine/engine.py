#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the engine's benchmark over secrets, chunk sizes and hostile inputs; a table, JSON and SVG plots under BUILD/bench/."""
import glob, json, os, subprocess, sys

BUILD = os.environ.get("BUILD", "build")
OUT = os.path.join(BUILD, "bench")
BUDGET = 20  # seconds for one line of the table
SECRETS = (1, 10, 100, 1000, 10000)
SHARES = (0, 1, 3, 10, 30, 100)  # per cent of the bytes that could be a secret
HOSTILE = ("prefixes", "aaaa", "base64")
SIZES = (1024, 4096, 16384, 65536, 262144)
KINDS = ("sse", "sse-hits", "source", "source-hits", "ids", "base64")


def text():
    parts = []
    for name in sorted(glob.glob("spoa/*.c") + glob.glob("docs/*.md")):
        with open(name, "rb") as f:
            parts.append(f.read())
    return b"".join(parts)


def run(kind, secrets, chunk, rounds, mib, seed):
    argv = [os.path.join(BUILD, "tests/bench/engine"), kind, str(secrets), str(chunk), str(rounds), str(mib)]
    try:
        done = subprocess.run(argv, input=seed, stdout=subprocess.PIPE, timeout=BUDGET)
    except subprocess.TimeoutExpired:
        return {"kind": kind, "secrets": secrets, "chunk": chunk, "error": f"over {BUDGET} s"}
    if done.returncode:
        return {"kind": kind, "secrets": secrets, "chunk": chunk, "error": f"exit {done.returncode}"}
    return json.loads(done.stdout)


def plot(name, title, lines, labels):
    width, height, left, low = 640, 320, 60, 270
    top = max([v for _, values in lines for v in values] + [0.001])
    step = (width - left - 150) / max(1, len(labels) - 1)
    colours = ("#06c", "#c40", "#080", "#808", "#888", "#a80", "#0aa", "#f0a", "#444", "#00f")
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<text x="{left}" y="20" font-size="14">{title}</text>']
    for i in range(5):
        y = low - i * 55
        svg.append(f'<path d="M{left} {y}H{width - 150}" stroke="#ddd"/><text x="8" y="{y + 4}">{top * i * 55 / 220:.2f}</text>')
    for i, label in enumerate(labels):
        svg.append(f'<text x="{left + i * step - 10:.0f}" y="{low + 20}">{label}</text>')
    for n, (label, values) in enumerate(lines):
        points = " ".join(f"{left + i * step:.0f},{low - v / top * 220:.0f}" for i, v in enumerate(values))
        colour = colours[n % len(colours)]
        svg.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'
                   f'<text x="{width - 140}" y="{40 + 16 * n}" fill="{colour}">{label}</text>')
    with open(os.path.join(OUT, name), "w") as f:
        f.write("\n".join(svg) + "\n</svg>\n")


def curves(rows):
    return [("SLAPENIR", [r["gbps"] for r in rows]), ("prefilter alone", [r["prefilter_gbps"] for r in rows]),
            ("Hyperscan, raw only", [r["hyperscan_gbps"] for r in rows])]


def main():
    os.makedirs(OUT, exist_ok=True)
    seed = text()
    rows = [run(kind, n, 16384, 5, 4, seed) for n in SECRETS for kind in KINDS]
    rows += [run("source", 100, chunk, 5, 4, seed) for chunk in (256,) + SIZES if chunk != 16384]
    rows += [run(f"share{share}", 100, 16384, 3, 4, seed) for share in SHARES]
    rows += [run(kind, 100, chunk, 3, 1, seed) for kind in HOSTILE for chunk in SIZES if (kind, chunk) != ("base64", 16384)]
    rows += [run("source", 100, 1, 1, 1, seed)]  # drip
    with open(os.path.join(OUT, "engine.json"), "w") as f:
        json.dump(rows, f, indent=1)
    print(f"{'text':12} {'secrets':>7} {'chunk':>6} {'GB/s':>8} {'Hyperscan':>9} {'ratio':>6} {'prefilter':>9} {'asked':>6} {'build ms':>8} {'KiB':>7}")
    for r in rows:
        if "error" in r:
            print(f"{r['kind']:12} {r['secrets']:7} {r['chunk']:6} {r['error']}")
        else:
            print(f"{r['kind']:12} {r['secrets']:7} {r['chunk']:6} {r['gbps']:8.3f} {r['hyperscan_gbps']:9.3f} {r['ratio']:6.2f} "
                  f"{r['prefilter_gbps']:9.3f} {r['candidates']:6.2f} {r['build_ms']:8.1f} {r['compiled_kib']:7}")
    good = [r for r in rows if "error" not in r]
    for kind in KINDS:
        mine = [r for r in good if r["kind"] == kind and r["chunk"] == 16384]
        plot(f"engine-{kind}.svg", f"{kind}: GB/s over number of secrets", curves(mine), [r["secrets"] for r in mine])
    sized = sorted((r for r in good if r["kind"] == "source" and r["secrets"] == 100 and r["chunk"] > 1), key=lambda r: r["chunk"])
    plot("engine-chunk.svg", "source: GB/s over chunk size", curves(sized), [r["chunk"] for r in sized])
    shares = [r for r in good if r["kind"].startswith("share")]
    plot("engine-share.svg", "source: GB/s over per cent of candidate bytes", curves(shares), [r["kind"][5:] for r in shares])
    worst = {kind: sorted((r for r in good if r["kind"] == kind and r["secrets"] == 100), key=lambda r: r["chunk"]) for kind in HOSTILE}
    plot("engine-worst.svg", "hostile text: GB/s over chunk size (flat: linear)",
         [(kind, [r["gbps"] for r in worst[kind]]) for kind in HOSTILE] +
         [("prefixes, prefilter", [r["prefilter_gbps"] for r in worst["prefixes"]])], SIZES)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
