# SPDX-License-Identifier: GPL-2.0-or-later
"""SVG by hand: bars, no dependency."""
from xml.sax.saxutils import escape

COLOURS = {"ours": "#2a8", "prefilter off": "#9bc", "nginx": "#c93", "mitmproxy": "#b56"}
LABEL, SCALE, BAR, GAP = 230, 300, 13, 10


def bar(out, y, share, text, colour, goal=None):
    width = min(share, 1.25) * SCALE
    out.append(f'<rect x="{LABEL}" y="{y}" width="{width:.0f}" height="{BAR - 2}" fill="{colour}"/>')
    out.append(f'<text x="{LABEL + width + 5:.0f}" y="{y + 10}" font-size="10">{text}</text>')
    if goal:
        out.append(f'<path d="M{LABEL + goal * SCALE:.0f} {y - 2}v{BAR + 2}" stroke="#000" stroke-width="2"/>')


def ratios(rows, path):
    """CPU time beside plain HAProxy's: longer is better."""
    cases = list(dict.fromkeys(r["case"] for r in rows))
    names = [n for n in COLOURS if any(r["variant"] == n for r in rows)]
    out, y = [], 44
    for case in cases:
        shown = [r for r in rows if r["case"] == case and r["variant"] in COLOURS]
        out.append(f'<text x="8" y="{y + 10}">{escape(case)}</text>')
        for r in shown:
            bar(out, y, r["cpu_ratio"], f"{r['cpu_ratio']:.2f}", COLOURS[r["variant"]], r["goal"])
            y += BAR
        y += GAP
    legend = "".join(f'<text x="{8 + 130 * i}" y="34" fill="{COLOURS[n]}">■ {n}</text>' for i, n in enumerate(names))
    x = LABEL + SCALE
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="660" height="{y + 6}" font-family="sans-serif" font-size="12">\n'
                    '<text x="8" y="16" font-size="13">Work per CPU second; plain HAProxy with the same TLS, CONNECT and interception = 1; black mark: goal</text>\n'
                    f'{legend}\n<path d="M{x} 40V{y}" stroke="#888" stroke-dasharray="3"/>\n' + "\n".join(out) + "\n</svg>\n")


def growth(rows, by, keys, title, path):
    """Lines over values that grow by tens."""
    top = max(r[k] for r in rows for k in keys)
    step = 400 / max(len(rows) - 1, 1)
    out = [f'<text x="8" y="16" font-size="13">{escape(title)}</text>']
    for i, (key, colour) in enumerate(zip(keys, ("#2a8", "#b56", "#06c"))):
        points = " ".join(f"{60 + n * step:.0f},{240 - r[key] / top * 190:.0f}" for n, r in enumerate(rows))
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        out.append(f'<text x="{60 + 200 * i}" y="34" fill="{colour}">{key.replace("_", " ")}</text>')
        out += [f'<text x="{60 + n * step:.0f}" y="{232 - r[key] / top * 190:.0f}" font-size="10">{r[key]:.0f}</text>' for n, r in enumerate(rows)]
    out += [f'<text x="{60 + n * step:.0f}" y="260">{r[by]}</text>' for n, r in enumerate(rows)]
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="560" height="270" font-family="sans-serif" font-size="12">\n' + "\n".join(out) + "\n</svg>\n")
