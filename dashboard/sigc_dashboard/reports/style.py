"""Look shared by reports: colours as variables, light and dark after the system, no external font."""

CSS = """
:root { --ink:#1b2530; --soft:#5d6b78; --line:#d9e0e6; --paper:#ffffff; --sheet:#f4f6f8; --up:#12805c; --down:#c0392b;
  --main:#1f5fa8; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --ink:#e4eaf0; --soft:#9aa8b5; --line:#33404c; --paper:#18212a; --sheet:#10161c; --up:#3fbf8f; --down:#f0705f; }
}
* { box-sizing: border-box; }
body { margin:0; background:var(--sheet); color:var(--ink); font:15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width:1080px; margin:0 auto; padding:24px 16px 64px; }
main.report { display:grid; grid-template-columns:repeat(2, minmax(0, 1fr)); gap:16px; }
.report > * { grid-column:span 2; margin:0; min-width:0; } .report > .half { grid-column:span 1; }
@media (max-width: 700px) { .report > .half { grid-column:span 2; } main.report { gap:12px; padding:16px 10px 48px; }
  .report section { padding:10px 12px; } .report .tile b { font-size:19px; } .report .tiles { grid-template-columns:repeat(2, minmax(0, 1fr)); } }
caption { position:absolute; width:1px; height:1px; overflow:hidden; clip-path:inset(50%); white-space:nowrap; }
header h1 { margin:0; font-size:28px; } header p { margin:2px 0; color:var(--soft); }
.kind { text-transform:uppercase; letter-spacing:.08em; font-size:12px; }
section { background:var(--paper); border:1px solid var(--line); border-radius:8px; padding:12px 16px; margin-top:16px; }
h2 { font-size:16px; margin:0 0 8px; }
.tiles { display:grid; grid-template-columns:repeat(auto-fit, minmax(140px, 1fr)); gap:12px; margin-top:16px; }
.tile { background:var(--paper); border:1px solid var(--line); border-radius:8px; padding:10px 14px; }
.tile span { display:block; color:var(--soft); font-size:13px; } .tile b { font-size:22px; font-variant-numeric:tabular-nums; }
.up { color:var(--up); } .down { color:var(--down); }
.four { grid-template-columns:repeat(4, minmax(0, 1fr)); } .num { text-align:right; } .rows th.num, .rows td.num { text-align:right; }
.soft { color:var(--soft); margin:0 0 8px; } .wide { overflow-x:auto; } table { border-collapse:collapse; font-variant-numeric:tabular-nums; }
.facts th { text-align:left; font-weight:400; color:var(--soft); padding:3px 24px 3px 0; }
.facts td { padding:3px 0; overflow-wrap:anywhere; font-variant-numeric:tabular-nums; }
.heat { width:100%; } .heat th { font-weight:500; color:var(--soft); padding:4px 6px; font-size:13px; }
.heat td { text-align:right; padding:4px 6px; font-size:13px; border:1px solid var(--paper); }
.rows { width:100%; } .rows th { text-align:left; font-weight:500; color:var(--soft); padding:4px 12px 4px 0; font-size:13px; }
.rows td { padding:4px 12px 4px 0; border-top:1px solid var(--line); font-size:14px; white-space:nowrap; }
.verdict { font-weight:600; } .verdict.good { color:var(--up); } .verdict.bad { color:var(--down); }
.findings { background:var(--paper); border:1px solid #e0b04c; border-radius:8px; padding:10px 16px 10px 34px; margin:16px 0 0; }
"""
