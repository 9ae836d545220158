"""The page: one HTML file that needs nothing else, for a phone and a desk, in light and dark. Pure.

It has no script, and a policy that forbids every request, so it can be sent to anybody and opened anywhere.
"""

from __future__ import annotations

from holdfast.pipeline.report import quality, run, studies
from holdfast.pipeline.report.facts import Facts
from holdfast.pipeline.report.html import safe

_SHEET = """
:root{color-scheme:light dark;--paper:#fff;--panel:#f4f6f8;--ink:#1b1f24;--quiet:#555e68;--line:#ccd3da;--accent:#0b5cad;
--good:#17692a;--bad:#b42318;--fair:#7a5000;--want:#cdefd7;--got:#ffdad5;--both:#d5e6fa;--r1:#e3eefb;--r2:#c3dbf5;--r3:#9fc6ee;--r4:#7db0e6;
--w1:#fde9e6;--w2:#fbd0ca;--w3:#f7b2a9;--w4:#f19a8e}
@media(prefers-color-scheme:dark){:root{--paper:#14171a;--panel:#1e2226;--ink:#e6e9ec;--quiet:#a7afb8;--line:#3c434a;--accent:#7ab7ff;
--good:#74d18f;--bad:#ff9d94;--fair:#f0c060;--want:#17462a;--got:#61251f;--both:#1b3d63;--r1:#1c2c3f;--r2:#1f3a59;--r3:#234a75;
--r4:#285a90;--w1:#3a211f;--w2:#512925;--w3:#68312c;--w4:#7f3a33}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
-webkit-text-size-adjust:100%}
main{max-width:1080px;margin:0 auto;padding:16px}
h1{font-size:1.7rem;margin:.2em 0;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:0 0 .5em}
h3{font-size:1.05rem;margin:1em 0 .3em}
p{margin:.4em 0;overflow-wrap:anywhere}
section{border-top:1px solid var(--line);padding:20px 0 8px}
nav{margin:12px 0}
nav a{display:inline-block;margin:0 14px 4px 0;padding:4px 0}
a{color:var(--accent)}
.quiet,small,figcaption,caption{color:var(--quiet)}
.quiet,figcaption,small{font-size:.875rem}
.good{color:var(--good)}.bad{color:var(--bad)}.fair{color:var(--fair)}
.warning{border-left:4px solid var(--bad);background:var(--panel);padding:8px 12px}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(148px,1fr));gap:10px;list-style:none;margin:12px 0;padding:0}
.tiles li{background:var(--panel);border-radius:8px;padding:10px 12px;overflow-wrap:anywhere}
.tiles b{display:block;font-size:1.35rem;line-height:1.2}
.tiles small{display:block}
.wide{overflow-x:auto;position:relative;margin:8px 0}
.wide:focus-visible{outline:2px solid var(--accent)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9375rem}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:5px 10px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--quiet);font-weight:600;vertical-align:bottom}
td.n{white-space:nowrap}
.n{text-align:right}
time{white-space:nowrap}
td span[class]{white-space:nowrap}
.r1,.r2,.r3,.r4,.w1,.w2,.w3,.w4,.h0{display:block;min-width:2.2em;padding:0 6px;border-radius:4px}
.h0{color:var(--quiet)}
.r1{background:var(--r1)}.r2{background:var(--r2)}.r3{background:var(--r3)}.r4{background:var(--r4)}
.w1{background:var(--w1)}.w2{background:var(--w2)}.w3{background:var(--w3)}.w4{background:var(--w4)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));gap:16px;margin:12px 0}
figcaption{margin-top:2px}
.columns{display:flex;flex-wrap:wrap;gap:4px 40px;align-items:flex-start}
.columns .wide{max-width:100%}
figure{margin:0;max-width:520px}
svg.chart{display:block;width:100%;height:auto;font:13px system-ui,sans-serif}
svg text{fill:var(--quiet)}
svg .grid{stroke:var(--line);fill:none}
svg .points{fill:var(--accent);fill-opacity:.65}
svg path.points{stroke:var(--accent);stroke-width:5;stroke-linecap:round;stroke-opacity:.5}
svg path.cut{stroke:var(--bad);stroke-width:5;stroke-linecap:round}
svg .line{stroke:var(--quiet);stroke-opacity:.5;fill:none}
svg .best{stroke:var(--accent);stroke-width:2;fill:none}
svg.span{display:block;width:120px;height:14px;margin:5px 0}
svg .range{stroke:var(--accent);stroke-width:4;stroke-linecap:round;stroke-opacity:.5}
svg .at{fill:var(--accent)}
.bars{list-style:none;margin:8px 0;padding:0;max-width:520px}
.bars li{display:grid;grid-template-columns:minmax(90px,38%) 1fr 3.2em;gap:8px;align-items:center;margin:3px 0}
.bars span{overflow-wrap:anywhere}
.bars i{height:12px;border-radius:3px;background:var(--accent)}
.bars b{text-align:right;font-weight:500}
details{margin:8px 0}
summary{cursor:pointer;padding:6px 0;color:var(--accent)}
.examples{margin:4px 0;padding-left:1.6em}
.examples li{margin:8px 0}
.examples small{overflow-wrap:anywhere}
mark{color:inherit;padding:0 2px;border-radius:3px}
.want{background:var(--want);text-decoration:underline}
.got{background:var(--got);text-decoration:underline dotted}
.both{background:var(--both);text-decoration:underline double}
@media print{details>*{display:block}nav{display:none}}
"""

_PARTS = (run.made_from, studies.sections, quality.sections, run.life, run.safety)


def page(facts: Facts) -> str:
    """The whole page."""
    parts = [part(facts) for part in _PARTS]
    body = run.head(facts) + _contents("".join(parts)) + "".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        f'<link rel="icon" href="data:,"><title>{safe(facts.name)}: report</title><style>{_SHEET}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )


def _contents(parts: str) -> str:
    """Links to the sections that there are."""
    pieces = [piece.partition('"><h2>') for piece in parts.split('<section id="')[1:]]
    links = "".join(f'<a href="#{anchor}">{rest.partition("</h2>")[0]}</a>' for anchor, _, rest in pieces)
    return f'<nav aria-label="Contents">{links}</nav>'
