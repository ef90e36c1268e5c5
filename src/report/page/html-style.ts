/** Style of the HTML report. Readable from across a desk, in the dark and on paper. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#14181f;--soft:#4b5565;--line:#d9dee6;--odd:#f6f8fa;
--diagnose:#5b6b82;--plan:#7656c9;--gate:#865300;--act:#1d63d8;--verify:#08706a;--undo:#b0390a;
--good:#0a7a3f;--goodbg:#e3f5ea;--calm:#3d5273;--calmbg:#e8eef7;--bad:#b42318;--badbg:#fdebe9;--alarm:#fff;--alarmbg:#b42318;
--open:#1d4fa8;--openbg:#e5eefc;--warn:#8a5a00;--warnbg:#fff5dc;--hatch:#e7b65a;--hatchbg:#fdf1d6;--undobg:#fff1e8}
@media screen and (prefers-color-scheme:dark){:root{--bg:#0f1319;--card:#171c24;--ink:#e8ecf2;--soft:#a4afbf;--line:#2c3442;--odd:#1b212b;
--diagnose:#93a4bd;--plan:#ab90f0;--gate:#e0a33a;--act:#6ba1ff;--verify:#3fc4b8;--undo:#fb8b4c;
--good:#5fd592;--goodbg:#12301f;--calm:#aec3e6;--calmbg:#1e2a3d;--bad:#ff8a7e;--badbg:#3a1916;--alarm:#fff;--alarmbg:#b42318;
--open:#8fb8ff;--openbg:#152744;--warn:#f1c463;--warnbg:#33270c;--hatch:#8c6a22;--hatchbg:#33270c;--undobg:#33200f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:24px 20px 48px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px}
h2{font-size:18px;margin:0 0 12px}
h3{font-size:15px;margin:0 0 6px}
p{margin:0 0 8px}
code,pre,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.92em}
pre{background:var(--odd);border:1px solid var(--line);border-radius:6px;padding:10px 12px;margin:8px 0;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
section,header{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:0 0 16px}
header{border-left:10px solid var(--tone)}
.tone-good{--tone:var(--good);--tonebg:var(--goodbg)}.tone-calm{--tone:var(--calm);--tonebg:var(--calmbg)}
.tone-bad{--tone:var(--bad);--tonebg:var(--badbg)}.tone-open{--tone:var(--open);--tonebg:var(--openbg)}
.tone-alarm{--tone:var(--alarmbg);--tonebg:var(--alarmbg)}
.badge{display:inline-block;background:var(--tonebg);color:var(--tone);font-weight:700;font-size:20px;letter-spacing:.03em;padding:4px 14px;border-radius:6px;margin:10px 12px 10px 0}
.tone-alarm .badge{color:var(--alarm)}
.meaning{font-size:17px;font-weight:600}
.summary{font-size:18px;overflow-wrap:anywhere}
.soft{color:var(--soft)}
dl{display:flex;flex-wrap:wrap;gap:10px 28px;margin:12px 0 0}
dl div{min-width:0}dt{color:var(--soft);font-size:13px}dd{margin:0;font-weight:600;overflow-wrap:anywhere}
.waits{border:2px solid var(--gate);background:var(--warnbg)}
ol.next{margin:0;padding-left:22px;font-size:17px}ol.next li{margin:0 0 6px}
ul.warnings{list-style:none;margin:12px 0 0;padding:0}
ul.warnings li{background:var(--warnbg);color:var(--warn);border-radius:6px;padding:6px 12px;margin:0 0 6px;font-weight:600;overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:10px}
.facts div{border:1px solid var(--line);border-radius:8px;padding:8px 12px}
.facts b{display:block;font-size:20px;overflow-wrap:anywhere}.facts span{color:var(--soft);font-size:13px}
.severity{display:inline-block;background:var(--soft);color:var(--card);border-radius:6px;padding:1px 10px;margin-right:12px}
.severity-P0{background:var(--alarmbg);color:#fff}.severity-P1{background:var(--undo);color:var(--card)}
.told{display:block;margin:0}.told div{margin:0 0 10px}.told dd{font-weight:400;font-size:17px}
.missing{color:var(--bad)}
.lessons{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:12px 28px}
.lessons ul{margin:0;padding-left:20px}.lessons li{margin:0 0 6px;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;color:var(--soft);font-weight:600;font-size:13px;border-bottom:2px solid var(--line);padding:4px 10px 4px 0;white-space:nowrap}
td{border-bottom:1px solid var(--line);padding:6px 10px 6px 0;vertical-align:top;overflow-wrap:anywhere}
td.tight{white-space:nowrap;overflow-wrap:normal;font-variant-numeric:tabular-nums}
tr.failed td{background:var(--badbg)}tr.failed .result{color:var(--bad);font-weight:700}
tr.undo td{background:var(--undobg)}tr.note td{color:var(--soft)}
.tag{font-weight:600}
.text-diagnose{color:var(--diagnose);fill:var(--diagnose)}.text-plan{color:var(--plan);fill:var(--plan)}.text-gate{color:var(--gate);fill:var(--gate)}
.text-act{color:var(--act);fill:var(--act)}.text-verify{color:var(--verify);fill:var(--verify)}.text-undo{color:var(--undo);fill:var(--undo)}
.fill-diagnose{fill:var(--diagnose)}.fill-plan{fill:var(--plan)}.fill-gate{fill:var(--gate)}.fill-act{fill:var(--act)}.fill-verify{fill:var(--verify)}.fill-undo{fill:var(--undo)}
svg.timeline{display:block;width:100%;min-width:860px;height:auto;font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.row{fill:transparent}.row-odd{fill:var(--odd)}.row-undo{fill:var(--undobg)}.row-failed{fill:var(--badbg)}
.movement{font-weight:600}.step{fill:var(--ink)}.step-note{fill:var(--soft)}.step-failed{fill:var(--bad);font-weight:700}
.took{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}.took-failed{fill:var(--bad);font-weight:700}
.axis{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}.axis-name{font-weight:600}.cut-label{font-size:11px}
.grid{stroke:var(--line);stroke-width:1}.cut{fill:var(--line);opacity:.35}
.hatch-ground{fill:var(--hatchbg)}.hatch-line{fill:var(--hatch)}
.bar-wait{stroke:var(--gate);stroke-width:1.2}.bar-failed{stroke:var(--bad);stroke-width:3}.bar-running{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:4 3}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 8px;font-size:13px;color:var(--soft)}
.legend svg{width:18px;height:12px;vertical-align:-1px;margin-right:6px}
footer{color:var(--soft);font-size:13px}
@media screen and (max-width:600px){.scroll table{min-width:640px}main{padding:12px 8px 32px}h1{font-size:22px}section,header{padding:14px 12px}}
@media print{:root{color-scheme:light}body{background:#fff;font-size:12px}main{max-width:none;padding:0}
section,header{border-color:#bbb;break-inside:auto;padding:10px 12px;margin:0 0 10px}tr,.facts div,header{break-inside:avoid}
svg.timeline{min-width:0}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}.scroll{overflow:visible}}
`.trim();
