"""The look of the page and of the drawings. Light and dark follow the reader's system; red means lost, and nothing else is red."""

from __future__ import annotations

SVG_STYLE = """
.drawing{font:13px/1 system-ui,'DejaVu Sans',sans-serif}
.drawing text{fill:#1c2430}
.drawing .strong{font-weight:600}
.drawing .muted{fill:#5b6675}
.drawing .time{fill:#5b6675;font:11px ui-monospace,'DejaVu Sans Mono',monospace}
.cell-plain{fill:#eef1f5}.cell-good{fill:#cfe9d6}.cell-bad{fill:#c62828}
.drawing .on-good{fill:#124a24}.drawing .on-bad{fill:#fff;font-weight:600}
.box{stroke-width:1.5}
.box-device{fill:#fff;stroke:#8592a3}.box-alive{fill:#e3f3e7;stroke:#2e7d46}
.box-lost{fill:#fde7e7;stroke:#c62828;stroke-dasharray:5 3}.box-doubt{fill:#fff4d6;stroke:#a8780a}
.box-blamed{fill:#c62828;stroke:#8e1b1b}
.drawing .on-alive{fill:#124a24}.drawing .on-lost{fill:#8e1b1b}.drawing .on-doubt{fill:#6b4b00}.drawing .on-blamed{fill:#fff}
.drawing .on-lost-lane{fill:#c62828}
.link{fill:none;stroke:#8592a3;stroke-width:2}.link-alive{stroke:#2e7d46}
.link-lost{stroke:#c62828;stroke-dasharray:5 4}.link-doubt{stroke:#a8780a}
.cross{stroke:#c62828;stroke-width:3.5;fill:none;stroke-linecap:round}
.lane{stroke:#b9c2ce;stroke-width:1.5}.lane-lost{stroke:#c62828;stroke-dasharray:5 4}
.deciding{fill:#fde7e7}
.arrow{stroke:#4a5768;stroke-width:1.4}.arrow-decides{stroke:#8e1b1b;stroke-width:2.4}.arrow-wrong{stroke:#c62828;stroke-width:2}
.tip{fill:#4a5768}.tip-decides{fill:#8e1b1b}.tip-wrong{fill:#c62828}
.drawing .says{font-size:12px;paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
.drawing .says-decides{fill:#8e1b1b;font-weight:600;stroke:#fde7e7}.drawing .says-wrong{fill:#c62828;font-weight:600}
"""

PAGE_STYLE = """
:root{color-scheme:light;--ink:#1c2430;--quiet:#5b6675;--line:#d8dee6;--paper:#fff;--ground:#f4f6f9;
--red:#c62828;--green:#2e7d46;--amber:#a8780a;--blue:#2457a6}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,'DejaVu Sans',sans-serif}
main,header{max-width:1240px;margin:0 auto;padding:0 24px}
header{padding-top:24px}
h1{font-size:20px;margin:0}
h2{font-size:19px;margin:36px 0 12px}
h3{font-size:16px;margin:22px 0 8px}
a{color:var(--blue)}
code,.mono{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:.88em}
.quiet{color:var(--quiet)}
.banner{margin:14px 0 0;padding:10px 14px;border-left:5px solid var(--amber);background:#fff4d6}
.counts{display:flex;flex-wrap:wrap;gap:8px;margin:14px 0 0;padding:0;list-style:none}
.counts li{border:1px solid var(--line);border-radius:6px;padding:4px 12px}
.counts .none{background:var(--paper);color:var(--quiet)}
.counts b{font-size:17px;margin-right:6px}
.answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(540px,1fr));gap:16px}
.answer{background:var(--paper);border:1px solid var(--line);border-left:8px solid var(--line);border-radius:8px;padding:14px 20px}
.answer.lost{border-left-color:var(--red)}.answer.survived{border-left-color:var(--green)}.answer:is(.untrusted,.undecided){border-left-color:var(--amber)}
.answer .where{margin:0;color:var(--quiet)}
.answer .verdict{font-size:23px;line-height:1.25;font-weight:650;margin:4px 0 8px}
.lost .verdict{color:var(--red)}.survived .verdict{color:var(--green)}.answer:is(.untrusted,.undecided) .verdict{color:#6b4b00}
.answer .said{margin:0 0 8px;overflow-wrap:anywhere}
.answer .drawing{max-width:100%;height:auto;display:block;margin-top:6px}
.card{background:var(--paper);border:1px solid var(--line);border-radius:8px;padding:4px 20px 18px;margin:0 0 20px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;background:var(--paper)}
th,td{text-align:left;vertical-align:top;padding:6px 10px;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--quiet);white-space:nowrap}
td.sentence{overflow-wrap:anywhere}
table.matrix{width:auto}
table.matrix td{text-align:center;min-width:64px;border:2px solid var(--paper);background:#eef1f5;border-radius:4px}
table.matrix th{border:0}
table.matrix td.good{background:#cfe9d6;color:#124a24}
table.matrix td.bad{background:var(--red);color:#fff;font-weight:600}
.matrices{display:flex;flex-wrap:wrap;gap:12px 48px}
.chip{display:inline-block;padding:1px 9px;border-radius:10px;font-size:13px;font-weight:600;white-space:nowrap;border:1px solid}
.passed,.pass{color:#124a24;background:#e3f3e7;border-color:#9ccbaa}
.failed,.fail{color:#fff;background:var(--red);border-color:var(--red)}
.inconclusive{color:#6b4b00;background:#fff4d6;border-color:#d9b65a}
.recorded{color:#173b73;background:#e5eefb;border-color:#a9c2e8}
.skipped{color:var(--quiet);background:var(--ground);border-color:var(--line)}
details{margin:8px 0}
summary{cursor:pointer;font-weight:600}
pre{background:#f4f6f9;border:1px solid var(--line);border-radius:6px;padding:10px;overflow:auto;max-height:420px;font-size:12px}
ol.steps{list-style:none;padding:0;margin:0}
ol.steps li{display:grid;grid-template-columns:92px 84px 1fr;gap:10px;padding:2px 0;border-bottom:1px solid #edf0f4}
ol.steps .problem{color:var(--red);font-weight:600}
@media (max-width:620px){.answers{grid-template-columns:1fr}main,header{padding:0 12px}}
@media print{body{background:#fff}.answer,.card{break-inside:avoid}}
"""
