"""Charts as SVG from the server: no script, no inline style, coloured by CSS, sharp on paper.

Also the one hot loop of the pages, the rows of the access matrix. Everything from outside is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from governance.web.kinds import KINDS


def bars(values: Sequence[int], label: str, *, width: int = 220, height: int = 36) -> SafeString:
    """Return one bar for each value. A zero keeps a tick of two pixels, so that "no use" can be seen."""
    top = max(values, default=0) or 1
    step = width / max(len(values), 1)
    heights = [max(2.0, value / top * height) for value in values]
    rects = format_html_join(
        "",
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1.5"/>',
        (
            (
                "v" if value else "z",
                f"{at * step:.1f}",
                f"{height - high:.1f}",
                f"{max(step - 3, 1):.1f}",
                f"{high:.1f}",
            )
            for at, (value, high) in enumerate(zip(values, heights, strict=True))
        ),
    )
    return format_html(
        '<svg class="chart chart-bars" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        width,
        height,
        label,
        rects,
    )


def requests(hours: Sequence[tuple[int, int]], label: str, *, width: int = 120, height: int = 24) -> SafeString:
    """Return one bar for each hour (requests, errors): errors at the foot, in their own colour and with a gap above.

    An hour with errors shows at least two pixels of them, however many requests there were.
    """
    top = max((requests for requests, _ in hours), default=0) or 1
    step = width / max(len(hours), 1)
    drawn: list[tuple[str, str, str, str, str]] = []
    for at, (total, errors) in enumerate(hours):
        x, wide = f"{at * step:.1f}", f"{step * 0.72:.1f}"
        bad = max(2.0, errors / top * height) if errors else 0.0
        good = max(2.0, total / top * height - bad) if total > errors else 0.0
        foot = height - bad - (1 if bad and good else 0)
        if bad:
            drawn.append(("e", x, f"{height - bad:.1f}", wide, f"{bad:.1f}"))
        if good:
            drawn.append(("v", x, f"{max(foot - good, 0):.1f}", wide, f"{min(good, foot):.1f}"))
        if not total:
            drawn.append(("z", x, f"{height - 1:.1f}", wide, "1.0"))
    return format_html(
        '<svg class="chart chart-bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        "{}</svg>",
        width,
        height,
        label,
        format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', drawn),
    )


def stacked(
    parts: Iterable[tuple[str, int]], total: int, label: str, *, width: int = 600, height: int = 8
) -> SafeString:
    """Return parts (CSS class, amount) side by side on a track as long as `total`."""
    drawn, at = [], 0.0
    for name, amount in parts:
        if amount and total:
            part = amount / total * width
            drawn.append((name, f"{at:.1f}", f"{max(part - 2, 2):.1f}", height))
            at += part
    return format_html(
        '<svg class="chart chart-stack" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" '
        'aria-label="{label}">'
        '<rect class="track" width="{w}" height="{h}"/>{rects}</svg>',
        w=width,
        h=height,
        label=label,
        rects=format_html_join("", '<rect class="{}" x="{}" width="{}" height="{}"/>', drawn),
    )


def dots(have: int, size: int, *, most: int = 24) -> SafeString:
    """Return one dot for each peer, filled for those with the same role. More than `most` are drawn in proportion."""
    if size > most:
        have, size = max(round(have / size * most), 1 if have else 0), most
    circles = format_html_join(
        "",
        '<circle class="{}" cx="{}" cy="6" r="4.5"/>',
        (("v" if at < have else "z", 6 + at * 13) for at in range(size)),
    )
    width = max(size, 1) * 13
    return format_html(
        '<svg class="chart chart-dots" viewBox="0 0 {0} 12" width="{0}" height="12" aria-hidden="true">{1}</svg>',
        width,
        circles,
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix: a person's most telling access in one application.

    `text` is what the cell shows (the role, or the time left), `role` what is spoken. `share` is the part of the
    time that is left, from 0 to 1; none for access without an end. `more` counts further roles there.
    """

    href: str
    application: str
    kind: str
    role: str
    text: str
    is_privileged: bool = False
    is_ending: bool = False
    share: float | None = None
    more: int = 0


_EMPTY = '<td role="gridcell"></td>'
_CELL = (
    '<td role="gridcell"><a class="g k-{kind}{marks}" href="{href}" data-app="{application}" data-peek tabindex="-1">'
    '<svg class="i" aria-hidden="true"><use href="{icons}#{icon}"/></svg><span aria-hidden="true">{text}</span>'
    '<span class="vh">{application}: {word}, {role}{powerful}{others}</span>{more}{bar}</a></td>'
)
_BAR = (
    '<svg class="tb" viewBox="0 0 36 2" preserveAspectRatio="none" aria-hidden="true">'
    '<rect width="{:.1f}" height="2"/></svg>'
)


def row_cells(cells: Iterable[Cell | None], icons: str) -> SafeString:
    """Return the cells of one matrix row as HTML. `icons` is the address of the icon sprite."""
    # Built from escaped parts: this is the hot loop, where format_html for each cell costs too much.
    return mark_safe("".join(_EMPTY if cell is None else _cell(cell, icons) for cell in cells))  # noqa: S308


def _cell(cell: Cell, icons: str) -> str:
    word, icon, _ = KINDS[cell.kind]
    return _CELL.format(
        kind=cell.kind,
        marks=(" priv" if cell.is_privileged else "") + (" soon" if cell.is_ending else ""),
        href=escape(cell.href),
        application=escape(cell.application),
        icons=icons,
        icon=icon,
        text=escape(cell.text),
        word=word,
        role=escape(cell.role),
        powerful=", powerful role" if cell.is_privileged else "",
        others=f", and {cell.more} more" if cell.more else "",
        more=f'<span class="plus" aria-hidden="true">+{cell.more}</span>' if cell.more else "",
        bar="" if cell.share is None else _BAR.format(36 * min(max(cell.share, 0), 1)),
    )
