"""Links of the docs lead somewhere, every page is led to, and commands and values shown exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from graflow.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
ENTRY = ROOT / "README.md"
OTHERS = [ENTRY, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "README.md"]
PAGES = [*OTHERS, *DOCS]
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
ANCHOR = re.compile(r'<a id="([^"]+)">')
CALL = re.compile(r"(?:`|\$ )graflow ([a-z]+)([^`|;\n]*)")
OPTION = re.compile(r"(?<!\S)--?[a-z][a-z-]*")
VALUE = re.compile(r"`([a-z]\w+(?:\.[a-z]\w+)+)(?::[^`]*)?`")


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor of each link to a file of this repository."""
    for file, anchor in LINK.findall(FENCED.sub("", page.read_text())):
        if not file.startswith("http"):
            yield ((page.parent / file).resolve() if file else page), anchor


def anchors(page: Path) -> set[str]:
    """Return what can stand behind the `#` of a link to a page, as GitHub makes it."""
    text = FENCED.sub("", page.read_text())
    heads = (re.sub(r"[^\w\- ]", "", head.strip().lower()) for head in HEADING.findall(text))
    return {head.replace(" ", "-") for head in heads} | set(ANCHOR.findall(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for file, anchor in links(page):
        assert file.exists(), f"{file} does not exist"
        assert not anchor or anchor in anchors(file), f"{file} has no heading #{anchor}"


def test_the_readme_leads_to_every_page_at_once() -> None:
    assert {*DOCS, *OTHERS} - {ENTRY} <= {file for file, _ in links(ENTRY)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_are_commands(page: Path) -> None:
    for name, rest in CALL.findall(page.read_text()):
        command = cli.commands.get(name)
        assert isinstance(command, click.Command), f"there is no `graflow {name}`"
        known = {"-h", "--help"} | {one for param in command.params for one in param.opts}
        assert {*OPTION.findall(rest.partition(" -- ")[0])} <= known, f"graflow {name}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_values_of_the_chart_that_a_page_names_exist(page: Path) -> None:
    values = yaml.safe_load((ROOT / "charts" / "graflow" / "values.yaml").read_text())
    for path in VALUE.findall(page.read_text()):
        first, *rest = path.split(".")
        # Names of files, and `resources`, which pods have too.
        if first not in values or first == "resources" or rest == ["yaml"]:
            continue
        found = values[first]
        for part in rest:
            assert isinstance(found, dict), f"values.yaml has no {path}"
            assert part in found, f"values.yaml has no {path}"
            found = found[part]
