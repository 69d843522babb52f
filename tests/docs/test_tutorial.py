"""What the README, tutorial, how-to guides and the page of rules show runs and prints just that."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from graflow.api.convert import plan_of
from graflow.api.parse import parse_runner_profile, parse_workflow
from graflow.api.shape import pod_problems

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MEANING = DOCS / "concepts" / "state-machine.md"
GUIDES = sorted(page for kind in ("tutorial", "how-to") for page in (DOCS / kind).glob("*.md"))
PAGES = [ROOT / "README.md", *GUIDES, MEANING]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MAIN = 'if __name__ == "__main__":\n'
LOGGED = ("task 'review' asks", "the run waits for an answer", "question ")
"""What a run says in the log, with ids of its own, when it waits for people."""

NEEDS_NO_CLUSTER = re.compile(r"(\S*python|(?P<graph>graflow graph)) \S+\.py$")


class Shown(NamedTuple):
    """A program as a reader has it in the file, how Python is called, and what the page shows."""

    page: Path
    line: int
    program: str
    words: list[str]
    printed: str


def blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the language and the text of every code block of a page."""
    text = page.read_text()
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


def programs() -> Iterator[Shown]:
    """Yield every program; one without imports takes the place of the last one's main part."""
    for page in PAGES:
        program, waiting = "", 0
        for line, language, text in blocks(page):
            if language == "python":
                assert not waiting, (
                    f"{page.name}:{waiting}: no console block shows what this prints"
                )
                program, waiting = completed(program, text), line
            elif language == "console" and program:
                for words, printed in outputs(text):
                    yield Shown(page, line, program, words, printed)
                    waiting = 0
        assert not waiting, f"{page.name}:{waiting}: no console block shows what this prints"


def completed(before: str, text: str) -> str:
    """Return what is in the reader's file after this block."""
    return text if text.startswith("from ") else before.partition(MAIN)[0] + text


def outputs(console: str) -> Iterator[tuple[list[str], str]]:
    """Yield the commands of a console block that need no cluster, and what is shown below each."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        if match := NEEDS_NO_CLUSTER.match(command):
            yield (["-m", "graflow", "graph"] if match["graph"] else []), printed


def manifests(kind: str) -> Iterator[tuple[str, object]]:
    """Yield every object of a kind in YAML with its place."""
    for page in PAGES:
        for line, language, text in blocks(page):
            if language == "yaml":
                for document in yaml.safe_load_all(text):
                    if document.get("kind") == kind:
                        yield f"{page.name}:{line}", document


@pytest.mark.parametrize(
    "shown", list(programs()), ids=lambda shown: f"{shown.page.name}:{shown.line}"
)
def test_a_program_of_the_docs_prints_what_the_docs_show(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text(shown.program)
    done = subprocess.run(
        [sys.executable, *shown.words, "pipeline.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if not line.startswith(LOGGED)]
    assert (done.stdout, errors, done.returncode) == (shown.printed, [], 0)


@pytest.mark.parametrize(
    "document", [pytest.param(document, id=place) for place, document in manifests("Workflow")]
)
def test_a_workflow_of_the_docs_is_one_that_can_run(document: object) -> None:
    assert plan_of(parse_workflow(document).spec).start


@pytest.mark.parametrize(
    "document",
    [pytest.param(document, id=place) for place, document in manifests("RunnerProfile")],
)
def test_a_profile_of_the_docs_is_one_that_pods_can_be_made_from(document: object) -> None:
    spec = parse_runner_profile(document).spec
    assert not [*pod_problems(spec, "spec")]
    assert spec.manifest()


def test_the_docs_show_programs_and_workflows() -> None:
    guides = {
        "01-first-workflow.md",
        "ask-a-person.md",
        "checkpoint-and-resume.md",
        "use-a-gpu-profile.md",
    }
    showing = {"README.md", *guides, MEANING.name}
    assert {shown.page.name for shown in programs()} == showing
    assert list(manifests("Workflow"))


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md"],
    ids=lambda page: page.name,
)
def test_a_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
