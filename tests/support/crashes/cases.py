"""The programs that are run: the examples, and some that are made to be awkward."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from unittest import mock

import yaml
from click.testing import CliRunner

from graflow.cli.main import cli
from support.crashes.observer import plan_of
from support.crashes.player import Player, bundle_bytes

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
PROGRAMS = Path(__file__).resolve().parent / "programs"
LARGE = "'x' * 2000"
SHORT_CHAIN = {"graflow_operator.channel.LONG_CHAIN": 5}
"""The channel's chain begins anew all the time."""

JOURNAL = "graflow_operator.journal"
IN_STORE = {f"{JOURNAL}.SMALL_CHARS": 0, f"{JOURNAL}.INLINE_CHARS": 0, f"{JOURNAL}.TRAIL_CHARS": 0}
"""The state of the run is in the store from the beginning, and so is each change."""

IN_SEGMENTS = {**IN_STORE, f"{JOURNAL}.TRAIL_CHARS": 600}
"""A few changes are in the status, and all else in the store."""


@dataclass
class Case:
    """One program, ready to be run."""

    name: str
    """Of the case, and of its Workflow."""

    workflow: Mapping
    plan: object
    player: Player
    others: tuple = ()
    store: bool = True
    constants: Mapping = field(default_factory=dict)
    """Of the product, that are another number here."""

    source: Mapping | None = None
    """The Workflow of a run that this one goes on from."""

    spec: Mapping = field(default_factory=dict)
    """Fields of its spec besides those that its program has."""

    together: int = 1
    """So many questions have to be asked before people answer any of them."""

    silent: tuple = ()
    """Tasks that nobody answers."""

    ends: tuple = ()
    """What of its end is the same whatever is done to it; empty: all of it."""


def _script(name, *after, returns="1", **more):
    return {"name": name, "after": list(after), "script": f"return {returns}", **more}


def _container(name, *after):
    return {"name": name, "after": list(after), "container": {"image": "tool:1"}}


def _workflow(name, spec):
    return {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": spec,
    }


CHAIN = [_script("a"), _script("b", "a"), _script("c", "b")]
LONGER = [
    _script("a", returns=LARGE),
    _script("b", "a", params=["a"], returns="a + a"),
    _script("c", "b", params=["a", "b"], returns="len(a) + len(b)"),
]
MADE = {
    "storeless": ({"tasks": CHAIN}, {"store": False}),
    "containers": ({"tasks": [_container("a"), _script("b", "a"), _container("c", "b")]}, {}),
    "containers-storeless": ({"tasks": [_container("a"), _container("b", "a")]}, {"store": False}),
    "state-in-store": (
        {
            "tasks": [
                _script("a", returns=LARGE),
                _script("b", "a", params=["a"], returns="len(a)"),
                _script("c", "a", params=["a"], returns="a + a"),
                _script("d", "b", "c"),
            ]
        },
        {"constants": IN_STORE},
    ),
    "one-at-a-time": ({"tasks": [*CHAIN, _script("d"), _script("e")], "parallelism": 1}, {}),
    "checkpoints": ({"tasks": [*CHAIN, _script("d", "a")], "checkpointEvery": 1}, {}),
    "gone-by-itself": (
        {"tasks": [_script("a"), _script("b", "a")], "ttlSecondsAfterFinished": 30},
        {},
    ),
    "with-a-run-id": ({"tasks": CHAIN, "runId": "nightly"}, {}),
    "resumed": (
        {"tasks": LONGER, "resumeFrom": {"name": "source", "rerun": ["b"]}},
        {"source": _workflow("source", {"tasks": LONGER})},
    ),
}
"""Spec, and what else is special, by name."""

ALSO = {
    "chain-begun-anew": ("15-channel-counters", {"constants": SHORT_CHAIN}),
    "channel-storeless": ("16-typed-channel", {"store": False}),
    "loop-in-store": ("14-early-stopping", {"constants": IN_SEGMENTS}),
    "fragments-in-store": ("12-dynamic-fan-out", {"constants": IN_STORE}),
}
"""An example, and what is special about it, by name."""

ONE_POD = {"spec": {"parallelism": 1}, "together": 2}
"""Whoever waits for a person has to let another one have the pod, or nobody ever answers."""

ASK = {
    "asks": ("asks", {}),
    "asks-storeless": ("asks", {"store": False}),
    "asks-in-parallel": ("asks_in_parallel", {"constants": IN_STORE, **ONE_POD}),
    "asks-in-vain": ("asks_in_vain", {"silent": ("boss",), "ends": ("phase", "reason")}),
}
"""A program that asks people, and what is special about it, by name."""


def names():
    """Return the names of all cases."""
    examples = sorted(path.parent.name for path in EXAMPLES.glob("*/workflow.py"))
    return [*examples, *MADE, *ALSO, *ASK]


@cache
def case(name):
    """Return the case of this name."""
    if name in MADE:
        return _made(name, *MADE[name])
    if name in ASK:
        program, special = ASK[name]
        return _compiled(name, PROGRAMS / f"{program}.py", special)
    example, special = ALSO.get(name, (name, {}))
    return _compiled(name, EXAMPLES / example / "workflow.py", special)


def _made(name, spec, special):
    body = _workflow(name, spec)
    where = {"metadata": {**body["metadata"], "namespace": "team", "uid": "u"}}
    return Case(name, body, plan_of({**body, **where}), Player(b""), **special)


def _compiled(name, program, special):
    folder = tempfile.mkdtemp(prefix="graflow-code-")
    with mock.patch("graflow.compile.relocation.CODE_DIR", folder):
        compiled = CliRunner().invoke(cli, ["compile", str(program)])
    if compiled.exit_code:
        raise AssertionError(compiled.stderr)
    bundle, workflow = yaml.safe_load_all(compiled.stdout)
    workflow["metadata"] = {"name": f"run-{name}"}
    workflow["spec"] |= special.get("spec", {})
    player = Player(bundle_bytes(bundle), folder)
    return Case(name, workflow, plan_of(workflow), player, (bundle,), **special)
