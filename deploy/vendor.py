"""Copy the vendored files of the pages out of a folder of npm packages, and draw the icons.

For people who change a version or add an icon; nothing needs it at run time. In an empty folder:

    npm install --no-save htmx.org@4.0.1 lucide-static@1.62.0 simple-icons@16.37.0 \
        @fontsource-variable/inter@5.3.0 @fontsource-variable/geist-mono@5.3.0
    python deploy/vendor.py node_modules

Commit what it writes under `static/`, with the list in `static/vendor/README.md`.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
STATIC = PROJECT / "static"
CATALOGUE = PROJECT / "governance" / "catalog" / "data" / "app_catalog.json"

#: Package, its version, its licence.
PACKAGES = {
    "htmx.org": ("4.0.1", "0BSD"),
    "lucide-static": ("1.62.0", "ISC (some icons: MIT, Feather)"),
    "simple-icons": ("16.37.0", "CC0-1.0; the marks belong to their owners"),
    "@fontsource-variable/inter": ("5.3.0", "OFL-1.1"),
    "@fontsource-variable/geist-mono": ("5.3.0", "OFL-1.1"),
}

#: File in the packages, file under static/.
FILES = {
    "htmx.org/dist/htmx.min.js": "vendor/htmx-4.0.1.min.js",
    "htmx.org/dist/ext/hx-preload.min.js": "vendor/hx-preload-4.0.1.min.js",
    "htmx.org/dist/ext/hx-sse.min.js": "vendor/hx-sse-4.0.1.min.js",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "fonts/inter-latin.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2": "fonts/inter-latin-ext.woff2",
    "@fontsource-variable/geist-mono/files/geist-mono-latin-wght-normal.woff2": "fonts/geist-mono-latin.woff2",
}

_ICON_NAMES = """
activity archive arrow-down arrow-left arrow-right arrow-up badge-check ban bell book-open bot briefcase building-2
cable calendar calendar-clock calendar-days calendar-x chart-column check check-check chevron-down chevron-left
chevron-right chevron-up chevrons-up-down circle-alert circle-check circle-dashed circle-dot circle-help circle-pause
circle-slash circle-x clipboard-check clipboard-list clock cloud code-xml copy corner-down-left credit-card database
door-closed door-open download ellipsis external-link eye eye-off file-archive file-check-2 file-text filter
fingerprint flag gauge git-branch globe grid-3x3 hand hash heart-pulse history hourglass house id-card inbox info key
key-round keyboard landmark layers layout-grid life-buoy link list-checks lock lock-open log-in log-out mail menu
message-square minus monitor moon network package panel-left pencil plug plus power refresh-cw rotate-ccw scale
scroll-text search send server settings shield shield-alert shield-check shield-x signature siren skip-forward
sliders-horizontal star sun table-2 tag ticket timer timer-off timer-reset trash-2 trending-down trending-up
triangle-alert undo-2 unlink user user-check user-minus user-plus user-x users users-round webhook workflow wrench x
zap
"""
ICONS = _ICON_NAMES.split()


def main(modules: Path) -> None:
    """Write everything under static/ that comes from somebody else."""
    check_versions(modules)
    for source, target in FILES.items():
        copy(modules / source, STATIC / target)
    lucide = modules / "lucide-static" / "icons"
    symbols = "\n".join(symbol(name, (lucide / f"{name}.svg").read_text()) for name in sorted(ICONS))
    (STATIC / "icons.svg").write_text(drawing(symbols))
    brands = draw_brands(modules / "simple-icons" / "icons")
    for package in PACKAGES:
        licence = STATIC / "vendor" / "licences" / f"{package.split('/')[-1]}.txt"
        licence.parent.mkdir(exist_ok=True)
        licence.write_bytes(next((modules / package).glob("LICENSE*")).read_bytes())
    (STATIC / "vendor" / "README.md").write_text(listing(brands))


def check_versions(modules: Path) -> None:
    """Stop when a package has another version than the one named above."""
    for package, (version, _) in PACKAGES.items():
        found = json.loads((modules / package / "package.json").read_text())["version"]
        if found != version:
            sys.exit(f"{package} is {found}, but {version} is wanted.")


def copy(source: Path, target: Path) -> None:
    """Copy one file; scripts lose the line that points at a source map we do not ship."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".js":
        target.write_text(re.sub(r"\n?//# sourceMappingURL=.*", "", source.read_text()))
    else:
        shutil.copyfile(source, target)


def draw_brands(source: Path) -> list[str]:
    """Write one small file for each mark in the shipped catalogue, so that a page loads only those it shows."""
    names = sorted({app["icon"] for app in json.loads(CATALOGUE.read_text())["apps"] if app["icon"]})
    folder = STATIC / "brands"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for name in names:
        (folder / f"{name}.svg").write_text(drawing(symbol("mark", (source / f"{name}.svg").read_text())))
    return names


def symbol(name: str, svg: str) -> str:
    """Return the drawing inside `svg` as a symbol that a page can use by name."""
    svg = re.sub(r"<!--.*?-->|<title>.*?</title>", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', svg)
    inner = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
    if box is None or inner is None:
        sys.exit(f"{name} is not a drawing.")
    shapes = re.sub(r"\s*\n\s*", "", inner[1]).strip()
    return f'<symbol id="{name}" viewBox="{box[1]}">{shapes}</symbol>'


def drawing(symbols: str) -> str:
    """Return a file of symbols."""
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{symbols}\n</svg>\n'


def listing(brands: list[str]) -> str:
    """Return the page that says what comes from where, under which licence, with which digest."""
    packages = "\n".join(f"| {name} | {version} | {licence} |" for name, (version, licence) in PACKAGES.items())
    files = "\n".join(
        f"| `static/{target}` | `{source}` | `{hashlib.sha256((STATIC / target).read_bytes()).hexdigest()}` |"
        for source, target in FILES.items()
    )
    sprite = hashlib.sha256((STATIC / "icons.svg").read_bytes()).hexdigest()
    return f"""# What comes from somebody else

Written by `deploy/vendor.py`, which says how to run it. The files are committed: nobody needs npm to run, test or
deploy Gatehouse, and the pages load nothing from other hosts.

| package | version | licence |
|---|---|---|
{packages}

| file | from | SHA-256 |
|---|---|---|
{files}
| `static/icons.svg` | {len(ICONS)} icons of `lucide-static/icons`, as one sprite | `{sprite}` |
| `static/brands/*.svg` | {len(brands)} marks of `simple-icons/icons`, one file each | |

The full licences are in `static/vendor/licences/`. The scripts are as published, without the line that points at a
source map. A mark is shown in ink, not in its own colours, and only beside the name of the application. Applications
without a mark get a tile with two letters.
"""


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "node_modules"))
