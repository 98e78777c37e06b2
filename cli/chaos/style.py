"""The style sheet of a report, light and dark."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark;
  --ground: #fbfbfc; --sheet: #ffffff; --ink: #1c2130; --muted: #687084; --rule: #e3e6ee;
  --rate: #2767d8; --latency: #7a4fc4; --fallback: #b9770b; --restart: #14805a; --late: #cc3a2f;
  --band: #d6483c26; --band-edge: #d6483c66; --good: #14805a; --bad: #cc3a2f; --odd: #b9770b; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #12151d; --sheet: #191d28; --ink: #e7eaf2; --muted: #98a1b8; --rule: #2c3242;
  --rate: #6ea2ff; --latency: #b491f5; --fallback: #e9b04c; --restart: #4ecb9b; --late: #ff7b6f;
  --band: #ff6a5c2b; --band-edge: #ff6a5c73; --good: #4ecb9b; --bad: #ff7b6f; --odd: #e9b04c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 20px; }
h2 { font-size: 20px; margin: 0 0 4px; display: flex; gap: 12px; align-items: center; }
h3 { font-size: 15px; margin: 28px 0 8px; }
p { margin: 0 0 6px; }
a { color: var(--rate); }
section { background: var(--sheet); border: 1px solid var(--rule); border-radius: 10px;
  padding: 22px 24px; margin: 22px 0; }
.why, .muted, summary { color: var(--muted); }
summary { cursor: pointer; }
.badge { font-size: 12px; font-weight: 700; letter-spacing: .04em; padding: 2px 9px;
  border-radius: 99px; border: 1px solid currentColor; }
.pass, .good { color: var(--good); } .weakness, .bad { color: var(--bad); }
.invalid { color: var(--odd); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(94px, 1fr)); gap: 8px;
  margin: 18px 0; }
.tiles div { border: 1px solid var(--rule); border-radius: 8px; padding: 8px 9px; }
.tiles dt { color: var(--muted); font-size: 12px; }
.tiles dd { margin: 0; font-size: 15px; font-weight: 600; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
figure { margin: 18px 0; overflow-x: auto; }
svg { display: block; width: 100%; min-width: 640px; height: auto;
  font-family: inherit; font-size: 11px; }
.grid { stroke: var(--rule); stroke-width: 1; }
.tick-word { fill: var(--muted); text-anchor: end; font-variant-numeric: tabular-nums; }
.time { fill: var(--muted); text-anchor: middle; font-variant-numeric: tabular-nums; }
.title { fill: var(--ink); font-size: 12px; font-weight: 600; }
.late-word { fill: var(--late); } .fault { fill: var(--late); font-weight: 600; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.rate { stroke: var(--rate); } .line.latency { stroke: var(--latency); }
.line.late { stroke: var(--late); stroke-width: 1.5; }
.bar.fallback { fill: var(--fallback); } .bar.restart { fill: var(--restart); }
.band { fill: var(--band); stroke: var(--band-edge); stroke-width: 1; }
.tick { fill: var(--band-edge); }
.column { fill: transparent; } .column:hover { fill: var(--ink); fill-opacity: .07; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--muted); font-weight: 500; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  font-variant-numeric: tabular-nums; }
tr:last-child td { border-bottom: 0; }
"""
