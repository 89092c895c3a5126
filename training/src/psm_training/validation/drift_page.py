"""drift.html: the drift report for people, in one file without scripts."""

import html
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #8884 }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.bar { background: #8883; position: relative; height: .8rem; min-width: 12rem }
.bar div { height: 100%; background: #4a90d9 }
.moved .bar div { background: #d9534f }
.worth .bar div { background: #e0a030 }
"""

_FULL: Final = 0.5
"""Index at which a bar is full: twice the limit of another population."""


def page(report: dict[str, Any]) -> str:
    """The report as HTML.

    Args:
        report: Of `drift`.
    """
    window, training = report["window"], report["training"]
    features = "".join(_feature(found) for found in report["features"])
    weeks = "".join(_week(found) for found in report["weeks"])
    limits = report["limits"]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Drift</title><style>{_STYLE}</style></head><body>
<h1>Drift: {html.escape(report["verdict"])}</h1>
<p>{window["baskets"]:,} classified baskets of weeks {window["first_week"]} to {window["last_week"]}, compared with
{training["baskets"]:,} of weeks {training["first_week"]} to {training["last_week"]} that the model was trained on.
The population stability index: above {limits["worth a look"]} worth a look, above {limits["moved"]} another population.</p>
<table><thead><tr><th>Feature</th><th>Index</th><th></th><th></th></tr></thead><tbody>{features}</tbody></table>
<h2>Week by week</h2>
<table><thead><tr><th>Week</th><th>Baskets</th><th>Largest index</th><th>Feature</th></tr></thead>
<tbody>{weeks}</tbody></table>
</body></html>
"""


def _feature(found: dict[str, Any]) -> str:
    width = min(100.0, 100 * found["index"] / _FULL)
    return (
        f'<tr class="{found["verdict"].partition(" ")[0]}"><td>{html.escape(found["name"])}</td>'
        f'<td class="n">{found["index"]:.3f}</td><td><div class="bar"><div style="width:{width:.0f}%"></div></div></td>'
        f"<td>{html.escape(found['verdict'])}</td></tr>\n"
    )


def _week(found: dict[str, Any]) -> str:
    farthest = found["farthest"]
    cells = f'<td>{found["week"]}</td><td class="n">{found["baskets"]:,}</td>'
    if farthest is None:
        return f"<tr>{cells}<td>too few baskets</td><td></td></tr>\n"
    return f'<tr>{cells}<td class="n">{farthest["index"]:.3f}</td><td>{html.escape(farthest["name"])}</td></tr>\n'
