"""Bars of what environments cost, as SVG by hand: the same bytes for the same bills. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape

from psm_cloud.cost.bill import Bill
from psm_cloud.cost.report import LIMIT_USD, usd

COLOURS: Final = (
    "#1f6feb",
    "#54aeff",
    "#2da44e",
    "#bf8700",
    "#8250df",
    "#d4a72c",
    "#8c959f",
    "#cf222e",
    "#57606a",
    "#0a3069",
)
LEFT: Final = 70
WIDTH: Final = 640
BAR: Final = 44
ROW: Final = 66
LEGEND_ROW: Final = 20


def chart(bills: Sequence[Bill]) -> str:
    """Return one bar for each environment, split by group, with the limit as a line."""
    groups = sorted({group for bill in bills for group in bill.by_group()})
    colours = {group: COLOURS[index % len(COLOURS)] for index, group in enumerate(groups)}
    limit = max(LIMIT_USD.values())
    most = max([bill.total for bill in bills] + [limit]) * Decimal("1.05")
    height = ROW * len(bills) + 50 + LEGEND_ROW * ((len(groups) + 2) // 3)
    size = f'viewBox="0 0 {LEFT + WIDTH + 90} {height}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<title>{escape(', '.join(f'{bill.environment} {usd(bill.total)} USD a month' for bill in bills))}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for index, bill in enumerate(bills):
        parts += _bar(bill, 20 + ROW * index, most, colours)
    x = LEFT + _pixels(limit, most)
    bottom = 20 + ROW * len(bills) - 10
    parts.append(f'<line x1="{x}" x2="{x}" y1="10" y2="{bottom}" stroke="#cf222e" stroke-dasharray="4 3"/>')
    parts.append(
        f'<text x="{x}" y="{bottom + 14}" text-anchor="middle" fill="#cf222e">{usd(limit)}: limit of prod</text>'
    )
    parts += _legend(colours, bottom + 34)
    return "\n".join([*parts, "</svg>", ""])


def _bar(bill: Bill, top: int, most: Decimal, colours: Mapping[str, str]) -> list[str]:
    middle = top + BAR // 2 + 4
    parts = [f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(bill.environment)}</text>']
    x = Decimal(LEFT)
    for group, amount in bill.by_group().items():
        width = _pixels(amount, most)
        told = f"{escape(group)}: {usd(amount)} USD"
        parts.append(
            f'<rect x="{x}" y="{top}" width="{width}" height="{BAR}" fill="{colours[group]}"><title>{told}</title></rect>'
        )
        x += width
    parts.append(f'<text x="{x + 6}" y="{middle}" font-weight="bold">{usd(bill.total)} USD</text>')
    return parts


def _legend(colours: Mapping[str, str], top: int) -> list[str]:
    parts = []
    for index, (group, colour) in enumerate(colours.items()):
        x, y = LEFT + (index % 3) * 220, top + (index // 3) * LEGEND_ROW
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="{y}">{escape(group)}</text>')
    return parts


def _pixels(amount: Decimal, most: Decimal) -> Decimal:
    return (amount / most * WIDTH).quantize(Decimal("0.1"))
