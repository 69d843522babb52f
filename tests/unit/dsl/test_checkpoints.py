"""What `ctx.checkpoint` takes, alike on every host (K2)."""

from pathlib import Path

import pytest

from graflow.dsl.checkpoints import (
    MAX_METADATA_BYTES,
    CheckpointMetadata,
    asked,
    checked_metadata,
    checked_path,
)
from graflow.dsl.context import TaskExecutionContext, TaskFacts
from graflow.dsl.lone import LoneBackend
from graflow.exceptions import CheckpointError, InvalidTransitionError

FACTS = TaskFacts(task_id="train", cycle_count=3)


def test_what_is_asked_for_tells_which_task_asked_and_how():
    found = asked({"epoch": 7}, Path("a/b"), FACTS, deferred=False)
    told = dict(found.metadata)
    assert told.pop("elapsed_time") >= 0
    assert told == {"epoch": 7, "task_id": "train", "cycle_count": 3, "mode": "immediate"}
    assert found.portable() == {"metadata": found.metadata, "path": "a/b"}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("epoch 7", "not 'epoch 7'"),
        ({"at": object()}, "not JSON serializable"),
        ({"loss": float("nan")}, "JSON"),
        ({"note": "x" * MAX_METADATA_BYTES}, "takes 1036 bytes"),
    ],
)
def test_metadata_that_is_no_small_json_object_is_refused(metadata, words):
    with pytest.raises(CheckpointError, match=words):
        checked_metadata(metadata)


def test_metadata_is_what_it_will_be_once_it_is_read_back():
    assert checked_metadata({"shape": (2, 3)}) == {"shape": [2, 3]}
    assert checked_metadata(None) == {}


@pytest.mark.parametrize("path", [7, b"a", ""])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(CheckpointError, match="path of a checkpoint"):
        checked_path(path)


def test_of_several_deferred_checkpoints_of_a_task_the_last_one_counts():
    context = TaskExecutionContext(FACTS, LoneBackend())
    assert context.checkpoint({"n": 1}) is None
    context.checkpoint({"n": 2}, path="here")
    assert context.decisions.checkpoint.metadata["n"] == 2
    assert not context.decisions.calls


def test_a_task_that_has_ended_or_runs_alone_takes_none():
    context = TaskExecutionContext(FACTS, LoneBackend())
    with pytest.raises(CheckpointError, match="runs alone"):
        context.checkpoint(deferred=False)
    context.over = True
    with pytest.raises(InvalidTransitionError, match="has ended"):
        context.checkpoint()


def test_metadata_is_read_back_whatever_later_releases_add():
    made = CheckpointMetadata.create("abc", 4, start_node="a", user_metadata={"n": 1})
    assert CheckpointMetadata.from_dict({**made.to_dict(), "new": 1}) == made
    assert made.checkpoint_id.startswith("abc_4_")
