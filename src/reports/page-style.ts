/** @file Style of the report page. Series colours are those of chart-svg.ts: distinct for colour-blind readers, one set per scheme. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; --page: #fbfbfa; --card: #fff; --ink: #1f2328; --muted: #5c646d; --line: #dfe2e6; --axis: #9aa1a9; --grid: #e9ebee;
  --alarm: #a4262c; --alarm-back: #fdf0ef; --note-back: #f3f4f6;
  --s0: #0b66b8; --s1: #c8501a; --s2: #0a8263; --s3: #a8488a; --s4: #a87900; --s5: #3c93c9; --s6: #6b5fc7; --s7: #5e6670; }
@media (prefers-color-scheme: dark) { :root { --page: #15181c; --card: #1c2025; --ink: #e4e7eb; --muted: #9ea7b1; --line: #333a42; --axis: #6b747e; --grid: #2a3037;
  --alarm: #ff938a; --alarm-back: #33201f; --note-back: #22272d;
  --s0: #5aaef5; --s1: #ff8f57; --s2: #37c79d; --s3: #e58cc8; --s4: #e2b344; --s5: #8fd0ff; --s6: #a79dff; --s7: #aab3bd; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 64px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 1.15rem; margin: 36px 0 10px; }
h3 { font-size: .95rem; margin: 0; }
p { margin: 6px 0; }
.lead, figcaption, .detail { color: var(--muted); }
.detail, figcaption { font-size: .82rem; }
code { font: .86em ui-monospace, "SFMono-Regular", "Liberation Mono", monospace; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 8px 12px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
tr:last-child > * { border-bottom: 0; }
thead th { font-size: .82rem; color: var(--muted); font-weight: 600; }
tbody th { font-weight: 600; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.wrap { white-space: normal; }
pre.wrap { white-space: pre-wrap; }
td .detail, th .detail, .findings .detail { display: block; font-weight: normal; }
.heat th, .heat td { padding: 5px 8px; font-size: .86rem; }
figure .scroll { margin-top: 8px; border: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 16px; }
.charts + .charts { margin-top: 16px; }
.charts.wide { grid-template-columns: 1fr; }
.charts.wide figure > svg { max-width: none; }
figure { margin: 0; padding: 14px 14px 8px; background: var(--card); border: 1px solid var(--line); border-radius: 8px; min-width: 0; }
figure svg.plot, figure > svg { display: block; width: 100%; max-width: 680px; height: auto; }
figcaption { margin-top: 4px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; list-style: none; margin: 4px 0 2px; padding: 0; font-size: .82rem; }
.legend svg { width: 26px; height: 8px; vertical-align: middle; margin-right: 6px; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 8px; }
.findings { list-style: none; margin: 0; padding: 0; display: grid; gap: 6px; }
.findings li { padding: 8px 12px; border-radius: 6px; background: var(--note-back); border-left: 3px solid var(--axis); }
.findings li.alarm { background: var(--alarm-back); border-left-color: var(--alarm); }
.findings .alarm strong { color: var(--alarm); }
details { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: 8px 0; }
summary { padding: 8px 12px; cursor: pointer; font-weight: 600; }
pre { margin: 0; padding: 4px 12px 12px; overflow-x: auto; font: .82rem/1.45 ui-monospace, "SFMono-Regular", "Liberation Mono", monospace; }
footer { margin-top: 40px; color: var(--muted); font-size: .82rem; }
@media print { .charts { grid-template-columns: 1fr 1fr; } figure, .scroll { break-inside: avoid; } }
`;
