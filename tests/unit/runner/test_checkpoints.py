"""K2 in a pod: a checkpoint with the task's success, or at once."""

from graflow import task
from unit.runner.fake_operator import usual_but_reply_lost
from unit.runner.harness import bundle, with_bundle


def carries(operator, func):
    portable = task("t", inject_context=True)(func).portable()
    data, hashes = bundle(functions={"t": portable})
    with_bundle(operator, data)
    operator.order["call"] = {"function": hashes["t"]}


def reported(operator, runners, code=0):
    runner = runners.run()
    assert runner.process.returncode == code, runner.stderr
    return operator.reports[0]


def test_k2_a_deferred_checkpoint_goes_with_the_report_and_the_last_call_counts(operator, runners):
    def saves(ctx):
        ctx.checkpoint({"epoch": 1})
        ctx.checkpoint({"epoch": 2}, path="half")

    carries(operator, saves)
    wish = reported(operator, runners)["checkpoint"]
    assert wish["path"] == "half"
    assert wish["metadata"]["epoch"] == 2
    assert wish["metadata"]["mode"] == "deferred"
    assert operator.saved == []


def test_k2_a_checkpoint_at_once_is_named_by_run_and_number(operator, runners):
    def saves(ctx):
        path, found = ctx.checkpoint({"epoch": 1}, deferred=False)
        return [path, found.steps, found.user_metadata["epoch"]]

    carries(operator, saves)
    assert reported(operator, runners)["value"] == {"json": ["r@41", 3, 1]}
    [asked] = operator.saved
    assert (asked["stream"], asked["n"], asked["metadata"]["mode"]) == (0, 1, "immediate")


def test_k2_a_call_whose_answer_was_lost_is_made_again_under_its_number(operator, runners):
    def saves(ctx):
        return [ctx.checkpoint(deferred=False)[0] for _ in range(2)]

    carries(operator, saves)
    operator.next("checkpoint", usual_but_reply_lost)
    assert reported(operator, runners)["value"] == {"json": ["r@41", "r@42"]}
    assert [asked["n"] for asked in operator.saved] == [1, 1, 2]


def test_k2_without_a_store_the_call_fails_in_words_that_say_what_to_set(operator, runners):
    def saves(ctx):
        ctx.checkpoint()

    carries(operator, saves)
    operator.order["limits"]["checkpoints"] = False
    error = reported(operator, runners, code=1)["error"]
    assert error["type"].endswith("CheckpointError")
    assert "GRAFLOW_STORE_BUCKET" in error["message"]
    assert "checkpoint" not in operator.reports[0]


def test_a_task_that_fails_takes_no_checkpoint(operator, runners):
    def saves(ctx):
        ctx.checkpoint()
        raise ValueError("no")

    carries(operator, saves)
    assert "checkpoint" not in reported(operator, runners, code=1)
