"""Every document as HTML.

    python -m tests.render DIRECTORY

renders the reStructuredText and the manual pages, with links between them, and prints
what is wrong with them.  `make docs` does so.
"""

import io
import re
import subprocess
import sys
from pathlib import Path

from docutils.core import publish_string

ROOT = Path(__file__).resolve().parents[1]

MANUALS = sorted((ROOT / "carppcap" / "man").iterdir())

PAGES = [
    *sorted(ROOT.glob("*.rst")),
    *sorted((ROOT / "carppcap").rglob("README.rst")),
    *sorted((ROOT / "tests").rglob("README.rst")),
]


def render_page(page: Path) -> tuple[str, str]:
    """Return a page of reStructuredText as HTML, and the remarks of docutils."""
    remarks = io.StringIO()
    html = publish_string(
        page.read_text("utf-8"),
        source_path=str(page),
        writer="html5",
        settings_overrides={
            "report_level": 1,
            "warning_stream": remarks,
            "raw_enabled": False,  # as package indexes have it
            "file_insertion_enabled": False,
            "output_encoding": "unicode",
        },
    )
    return str(html), remarks.getvalue()


def lint_manual(page: Path) -> list[str]:
    """The remarks of mandoc; that the pages of others are missing here is none."""
    lint = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "style", str(page)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = lint.stdout.splitlines()
    return [line for line in lines if "referenced manual not found" not in line]


def render_manual(page: Path) -> str:
    """Return a manual page as HTML; pages that are not ours link to Debian's."""
    options = "man=%N.%S;https://manpages.debian.org/%N.%S"
    return subprocess.run(
        ["mandoc", "-T", "html", "-O", options, page.name],
        cwd=page.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def main(target: Path) -> int:
    """Render everything into `target`; 1 if there was a remark."""
    found: list[str] = []
    rendered = {}
    for page in PAGES:
        rendered[page.with_suffix(".html")], remarks = render_page(page)
        found += remarks.splitlines()
    for page in MANUALS:
        rendered[page.with_name(f"{page.name}.html")] = render_manual(page)
        found += lint_manual(page)
    for page, html in rendered.items():
        linked = re.sub(r'(href="[^":]*)\.rst"', r'\1.html"', html)
        linked = re.sub(r'(href="[^":]*carppcap[\w.-]*\.\d)"', r'\1.html"', linked)
        path = target / page.relative_to(ROOT)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(linked, "utf-8")
    print("\n".join((*found, f"{len(rendered)} documents in {target}")))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
