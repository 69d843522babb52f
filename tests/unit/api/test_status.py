"""What a status tells of a run, and that it stays small whatever the run does."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graflow.api import cut
from graflow.api import entries as lines
from graflow.api.conditions import refused
from graflow.api.entries import MOST_TASKS, View, entries
from graflow.api.status import MAX_SUMMARY_BYTES, PodNote, summarize
from graflow.api.workflow_status import Cursor, TaskStatus, WorkflowStatus
from graflow.machine import reasons
from graflow.machine.check import Problem
from graflow.machine.directives import Cancel, Iterate, Jump, Spawn, Terminate
from graflow.machine.events import (
    AttemptClaimed,
    AttemptFailed,
    AttemptSucceeded,
    CancelRequested,
    RunStarted,
    TimerFired,
)
from graflow.machine.plan import BestEffort, Custom, GroupPlan, Plan, Retry, TaskPlan
from graflow.machine.reducer import reduce
from graflow.machine.state import Error, GroupValue, State

TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: boom'
BOOM = Error(reasons.TASK_FAILED, "ValueError: boom", {"traceback": TRACEBACK})


class Told:
    """A run that is told about after each fact, as the operator does. Time is the fact's number."""

    def __init__(self, plan, pods=None):
        self.plan, self.pods, self.state, self.status = plan, pods or {}, State(), None
        self.now = 1000.0
        self.hear(RunStarted)

    def hear(self, fact, *which, **more):
        self.now += 1
        self.state = reduce(self.plan, self.state, fact(*which, at=self.now, **more))
        self.tell()

    def tell(self):
        self.status = summarize(
            3, self.plan, self.state, self.status, now=self.now, pods=self.pods
        ).model_copy(update={"cursor": Cursor(seq=self.state.seq)})

    def attempt(self, node):
        found = next(a for a in self.state.activations.values() if a.node == node)
        return found.number, found.attempt

    def run(self, node, value=None, *directives):
        which = self.attempt(node)
        self.hear(AttemptClaimed, *which, "pod/nonce")
        self.hear(AttemptSucceeded, *which, {"json": value}, directives=directives)

    def fail(self, node, error=BOOM):
        self.hear(AttemptFailed, *self.attempt(node), error)

    def task(self, name):
        return next(task for task in self.status.tasks if task.name == name)

    def condition(self, kind):
        return next(c for c in self.status.conditions if c.type == kind)


def chain(*names, **changes):
    nodes = tuple(TaskPlan(name, **changes) for name in names)
    return Plan(nodes, tuple(itertools.pairwise(names)), start=names[:1])


def at(seconds):
    return f"1970-01-01T00:{int(seconds) // 60:02}:{int(seconds) % 60:02}.000Z"


def test_lines_are_made_of_what_is_shown_alone(monkeypatch):
    made = []

    def counted(**fields):
        made.append(fields["name"])
        return TaskStatus(**fields)

    monkeypatch.setattr(lines, "TaskStatus", counted)
    names = tuple(f"t{n}" for n in range(5000))
    plan = Plan(tuple(map(TaskPlan, names)), start=names)
    held = PodNote(reason=reasons.PARALLELISM, message="spec.parallelism allows 20 at one time")
    told = Told(plan, pods={(n, 1): held for n in range(21, 5001)})

    assert len(made) <= MOST_TASKS

    made.clear()
    told.run("t0")

    assert len(made) <= 2 * MOST_TASKS, "once as it is claimed, once as it has succeeded"
    assert told.status.waiting_count == 4999
    assert told.status.counts.starting == 4999


def test_a_run_that_began_waits_for_its_first_pod():
    run = Told(chain("a", "b"))
    assert (run.status.phase, run.status.progress) == ("Running", "0/2")
    assert run.status.start_time == at(1001)
    (waiting,) = run.status.waiting
    assert (waiting.task, waiting.reason, waiting.since) == ("a", reasons.POD_PENDING, at(1001))
    assert run.condition("Accepted").status == "True"
    assert run.condition("Succeeded").status == "Unknown"
    assert run.condition("Finished").status == "False"
    assert run.status.observed_generation == 3


def test_a_pods_own_words_are_told():
    note = PodNote("pod-a", "", "Pending", reasons.UNSCHEDULABLE, "0/3 nodes are available")
    run = Told(chain("a"), {(1, 1): note})
    (waiting,) = run.status.waiting
    assert (waiting.reason, waiting.message) == (note.reason, note.message)
    assert run.task("a").pod == "pod-a"


def test_a_task_is_followed_from_its_start_to_its_end():
    run = Told(chain("a", "b"), {(1, 1): PodNote("pod-a", "node-1", "Running")})
    run.run("a", [1, 2])
    task = run.task("a")
    assert (task.phase, task.pod, task.node) == ("Succeeded", "pod-a", "node-1")
    assert (task.start_time, task.completion_time) == (at(1002), at(1003))
    assert (task.activation, task.iteration, task.attempt) == (1, 1, 1)
    assert task.result == {"json": [1, 2]}
    assert run.status.progress == "1/2"


def test_a_run_that_succeeded_has_its_result_and_all_conditions():
    run = Told(chain("a", "b"))
    run.run("a", 1)
    run.run("b", {"n": 2})
    assert (run.status.phase, run.status.progress) == ("Succeeded", "2/2")
    assert run.status.result == {"json": {"n": 2}}
    assert run.status.completion_time == at(1005)
    assert (run.condition("Succeeded").status, run.condition("Finished").status) == ("True", "True")
    assert run.condition("Succeeded").last_transition_time == at(1005)
    assert run.condition("Accepted").last_transition_time == at(1001)
    assert run.status.waiting == ()


def test_a_failed_task_is_told_with_its_traceback():
    run = Told(chain("a", "b"))
    run.fail("a")
    assert (run.status.phase, run.status.reason) == ("Failed", reasons.TASK_FAILED)
    assert run.status.message == "task 'a' failed: ValueError: boom"
    condition = run.condition("Succeeded")
    assert (condition.status, condition.reason) == ("False", reasons.TASK_FAILED)
    assert condition.message == f"task 'a' failed: ValueError: boom\n\n{TRACEBACK}"
    assert run.task("a").message == f"ValueError: boom\n\n{TRACEBACK}"
    assert run.status.counts.failed == 1


def test_of_a_long_traceback_the_end_is_told():
    long = "\n".join(f"  File {n}" for n in range(5000)) + "\nValueError: boom"
    run = Told(chain("a"))
    run.fail("a", Error(reasons.TASK_FAILED, "ValueError: boom", {"traceback": long}))
    message = run.condition("Succeeded").message
    assert cut.size_of(message) <= 4096
    assert message.startswith("task 'a' failed: ValueError: boom\n\n…")
    assert message.endswith("ValueError: boom")


def test_a_retry_says_when_it_comes_and_why():
    run = Told(chain("a", retry=Retry(max_attempts=3, initial_s=10)))
    run.fail("a")
    (waiting,) = run.status.waiting
    assert waiting.reason == reasons.BACKOFF
    assert waiting.message == (
        f"attempt 2 starts at {at(1012)}; the last one failed: ValueError: boom"
    )
    assert (run.task("a").phase, run.task("a").attempt, run.task("a").pod) == ("Waiting", 2, None)
    run.now += 100
    run.hear(TimerFired)
    assert run.task("a").phase == "Pending"


def test_the_attempts_that_were_made_are_told():
    run = Told(chain("a", retry=Retry(max_attempts=2)))
    run.fail("a")
    assert run.task("a").max_attempts is None
    run.fail("a")
    assert run.status.message == "task 'a' failed after 2 attempts: ValueError: boom"
    assert (run.task("a").failures, run.task("a").max_attempts) == (2, 2)
    assert (run.task("a").attempt, run.task("a").failures) == (2, 2)


def test_what_a_cancelled_run_left_is_cancelled():
    run = Told(chain("a", "b"))
    run.hear(CancelRequested, "no longer needed")
    assert (run.status.phase, run.status.message) == ("Cancelled", "no longer needed")
    assert (run.task("a").phase, run.task("a").completion_time) == ("Cancelled", at(1002))
    assert (run.condition("Succeeded").status, run.condition("Finished").status) == (
        "False",
        "True",
    )
    assert run.status.counts.starting == 0


def test_telling_the_same_twice_changes_nothing():
    run = Told(chain("a", "b"))
    run.run("a", 1)
    before = run.status
    run.now += 100
    run.tell()
    assert run.status == before


def test_a_restarted_operator_goes_on_from_the_status_that_is_stored():
    run = Told(chain("a", "b"))
    run.run("a", 1)
    stored = WorkflowStatus.model_validate_json(run.status.model_dump_json(by_alias=True))
    again = summarize(3, run.plan, run.state, stored, now=run.now + 60, pods={})
    assert again.manifest() | {"cursor": None} == run.status.manifest() | {"cursor": None}


def group_of(*members, policy, after=()):
    nodes = (*(TaskPlan(name) for name in (*members, *after)), GroupPlan("G", members, policy))
    return Plan(nodes, tuple(("G", name) for name in after), start=("G",))


def test_a_group_goes_on_without_a_failed_member_that_stays_visible():
    run = Told(group_of("a", "b", policy=BestEffort(), after=("c",)))
    run.fail("a")
    assert run.task("a").phase == "Failed"
    run.run("b", 2)
    run.run("c", 3)
    assert run.status.phase == "Succeeded"
    assert {t.name: t.phase for t in run.status.tasks} == {
        "a": "Failed",
        "b": "Succeeded",
        "c": "Succeeded",
        "G": "Succeeded",
    }
    assert TRACEBACK.splitlines()[-1] in run.task("a").message


def test_the_result_of_a_group_is_a_ref_of_its_members():
    run = Told(group_of("a", "b", policy=BestEffort()))
    run.run("a", 1)
    run.run("b", 2)
    assert run.status.result == {"group": {"a": {"json": 1}, "b": {"json": 2}}}
    assert run.task("G").result == run.status.result
    assert [task.name for task in run.status.tasks] == ["G", "b", "a"]
    assert run.status.progress == "2/2"


def test_a_loop_shows_the_run_that_is_on():
    plan = Plan((TaskPlan("a"), TaskPlan("b")), (("a", "b"), ("b", "a")), start=("a",))
    run = Told(plan)
    run.run("a")
    run.run("b")
    assert (run.task("a").phase, run.task("a").iteration) == ("Pending", 2)
    run.run("a")
    assert (run.task("a").phase, run.task("a").iteration) == ("Succeeded", 2)


def test_active_and_failed_tasks_come_before_the_newest():
    names = tuple(f"t{n}" for n in range(150))
    run = Told(chain(*names))
    for name in names[:-1]:
        run.run(name)
    shown = [task.name for task in run.status.tasks]
    assert len(shown) == 100
    assert shown[0] == "t149"
    assert shown[1:] == [f"t{n}" for n in range(148, 49, -1)]
    assert run.status.progress == "149/150"


def test_no_more_is_made_of_the_results_of_a_long_run_than_can_be_told():
    names = tuple(f"t{n}" for n in range(MOST_TASKS * 2))
    run = Told(chain(*names))
    for name in names:
        run.run(name)
    told = WorkflowStatus(tasks=(TaskStatus(name="t3", phase="Running", iteration=1),))
    found, others = entries(View(run.plan, run.state, told, {}, run.now))
    assert [entry.status.name for entry in found] == [*reversed(names[MOST_TASKS:]), "t3"]
    assert others == 0
    assert found[-1].status.phase == "Succeeded"


def test_of_the_tasks_that_wait_alike_those_without_a_place_are_only_counted():
    names = tuple(f"t{n}" for n in range(MOST_TASKS * 2))
    run = Told(Plan(tuple(map(TaskPlan, names)), start=names))
    found, others = entries(View(run.plan, run.state, WorkflowStatus(), {}, run.now))
    assert [entry.name for entry in found] == [*names[:MOST_TASKS]]
    assert others == MOST_TASKS
    assert run.status.waiting_count == MOST_TASKS * 2
    assert run.status.counts.starting == MOST_TASKS * 2


def test_a_task_that_is_only_counted_is_not_taken_for_one_that_has_gone():
    names = tuple(f"t{n}" for n in range(MOST_TASKS * 2))
    run = Told(Plan(tuple(map(TaskPlan, names)), start=names))
    told = WorkflowStatus(tasks=(TaskStatus(name=names[-1], phase="Running", iteration=1),))
    found, _ = entries(View(run.plan, run.state, told, {}, run.now))
    assert names[-1] not in {entry.name for entry in found}


FRAGMENT = Plan(
    (TaskPlan("t1"), TaskPlan("t2"), GroupPlan("P", ("t1", "t2")), TaskPlan("join")),
    (("P", "join"),),
    start=("P",),
)


def test_t5_a_task_that_made_others_is_running_and_says_what_holds_it():
    run = Told(chain("a", "b"), {(1, 1): PodNote("pod-a", "node-1", "Running")})
    run.run("a", 1, Spawn(FRAGMENT, reason="two parts"))
    task = run.task("a")
    assert (task.phase, task.reason, task.pod) == ("Running", reasons.HOLDING, "pod-a")
    assert task.start_time == at(1002)
    assert task.message == "waits for what it has started: 't1', 't2', 'join'"
    assert [(w.task, w.reason) for w in run.status.waiting] == [
        ("t1", reasons.POD_PENDING),
        ("t2", reasons.POD_PENDING),
        ("a", reasons.HOLDING),
    ]
    counts = run.status.counts
    assert (counts.running, counts.holding, counts.starting) == (0, 1, 2)
    run.run("t1")
    assert run.task("a").message == "waits for what it has started: 't2', 'join'"


def test_of_many_waits_one_of_each_reason_is_told_and_all_are_counted():
    members = tuple(f"m{n}" for n in range(50))
    plan = Plan((*map(TaskPlan, members), GroupPlan("G", members)), start=("G",))
    full = PodNote("p", "", "", reasons.UNSCHEDULABLE, "0/1 nodes")
    odd = PodNote("q", "", "", reasons.IMAGE_PULL, "no such image", until=2000.0)
    run = Told(plan, {(n, 1): odd if n == 51 else full for n in range(2, 52)})
    assert len(run.status.waiting) == 20
    assert run.status.waiting_count == 50
    assert {one.reason for one in run.status.waiting} == {full.reason, odd.reason}
    [image] = [one for one in run.status.waiting if one.reason == odd.reason]
    assert (image.task, image.until) == ("m49", "1970-01-01T00:33:20.000Z")
    assert "image" in image.advice


def test_a_wait_for_something_else_has_a_time_of_its_own():
    run = Told(chain("a"))

    def tell(now, reason, message):
        run.now = now
        run.pods = {(1, 1): PodNote("p", "", "", reason, message)}
        run.tell()
        return run.status.waiting[0]

    full = tell(1100.0, reasons.UNSCHEDULABLE, "0/1 nodes")
    assert full.since == at(1001)  # it was for this that it waited all the time
    image = tell(1200.0, reasons.IMAGE_PULL, "no such image")
    assert image.since == at(1200)
    again = tell(1300.0, reasons.IMAGE_PULL, "back-off")
    assert (again.since, again.message) == (at(1200), "back-off")


def test_what_holds_up_the_run_as_a_whole_comes_first_since_it_was_told():
    run = Told(chain("a"))
    away = Error(reasons.STORE_UNAVAILABLE, "no answer")

    def tell(now):
        run.status = summarize(3, run.plan, run.state, run.status, now=now, pods={}, hold_up=away)

    tell(1100.0)
    tell(1200.0)
    first, second = run.status.waiting
    assert (first.task, first.reason, first.since) == (None, reasons.STORE_UNAVAILABLE, at(1100))
    assert second.task == "a"
    assert (run.status.reason, run.status.message) == (away.reason, away.message)


def test_tasks_that_were_made_count_from_when_they_exist_and_stay_counted():
    run = Told(chain("a", "b"))
    assert run.status.progress == "0/2"
    run.run("a", 1, Spawn(FRAGMENT))
    assert run.status.progress == "1/5"
    for name in ("t1", "t2", "join"):
        run.run(name)
    assert run.status.progress == "4/5"
    run.run("b")
    assert (run.status.phase, run.status.progress) == ("Succeeded", "5/5")
    assert [t.name for t in run.status.tasks] == ["b", "join", "P", "t2", "t1", "a"]


def test_a_task_outside_of_the_flow_counts_once_a_jump_has_led_there():
    plan = Plan((TaskPlan("a"), TaskPlan("b"), TaskPlan("other")), (("a", "b"),), start=("a",))
    run = Told(plan)
    assert run.status.progress == "0/2"
    run.run("a", 1, Jump("other", "b is of no use"))
    assert run.status.progress == "1/3"


def test_moves_are_told_with_their_reasons_and_the_last_20_are_kept():
    run = Told(chain("a", "b"))
    run.run("a", 1, Iterate({"data": {"json": 1}}, "score 0.6 < 0.8"))
    (moved,) = run.status.transitions
    assert moved.manifest() == {
        "sequence": 1,
        "time": at(1003),
        "from": "a",
        "to": "a",
        "kind": "Iteration",
        "iteration": 1,
        "reason": "score 0.6 < 0.8",
    }
    for _ in range(30):
        run.run("a", 1, Iterate())
    assert [moved.sequence for moved in run.status.transitions] == list(range(12, 32))


def test_a_run_that_a_task_has_ended_says_so_in_its_words():
    run = Told(chain("a", "b"))
    run.run("a", 7, Terminate("good enough"))
    assert (run.status.phase, run.status.reason) == ("Succeeded", reasons.TERMINATED)
    assert (run.status.message, run.status.result) == ("good enough", {"json": 7})
    succeeded = run.condition("Succeeded")
    assert (succeeded.status, succeeded.reason, succeeded.message) == (
        "True",
        reasons.TERMINATED,
        "good enough",
    )
    (moved,) = run.status.transitions
    assert (moved.kind, moved.target, moved.reason) == ("Termination", None, "good enough")


def test_a_run_that_a_task_has_cancelled_says_so_in_its_words():
    run = Told(chain("a", "b"))
    run.run("a", 7, Cancel("no such customer"))
    assert (run.status.phase, run.status.reason) == ("Cancelled", reasons.CANCELLED)
    assert run.condition("Succeeded").message == "no such customer"
    assert run.task("a").phase == "Succeeded"


def test_g2_a_group_whose_policy_is_asked_is_told_with_its_pod():
    run = Told(group_of("a", "b", policy=Custom(), after=("c",)))
    run.run("a")
    run.fail("b")
    run.pods = {run.attempt("G"): PodNote("pod-g", "node-1", "Running")}
    run.hear(AttemptClaimed, *run.attempt("G"), "pod/nonce")
    task = run.task("G")
    assert (task.phase, task.pod, task.attempt) == ("Running", "pod-g", 1)
    assert run.status.counts.running == 1
    run.hear(AttemptSucceeded, *run.attempt("G"), {"json": None})
    assert (run.task("G").phase, run.task("G").result) == (
        "Succeeded",
        {"group": {"a": {"json": None}}},
    )


def test_f4_what_a_policy_raised_is_told_with_its_group():
    run = Told(group_of("a", policy=Custom(), after=("c",)))
    run.run("a")
    run.fail("G")
    assert run.status.message == "the policy of group 'G' failed: ValueError: boom"


def test_g5_a_group_that_waits_to_run_its_branches_again_says_when_and_why():
    retry = Retry(max_attempts=2, initial_s=10)
    nodes = (TaskPlan("a"), TaskPlan("b"), GroupPlan("G", ("a", "b"), retry=retry))
    run = Told(Plan(nodes, start=("G",)))
    run.run("a")
    run.fail("b")
    (waiting,) = run.status.waiting
    assert (waiting.task, waiting.reason) == ("G", reasons.BACKOFF)
    assert waiting.message.startswith(f"attempt 2 starts at {at(1014)}; the last one failed:")


def test_f4_the_group_that_a_run_failed_by_names_its_members_wherever_it_was_made():
    nodes = (
        TaskPlan("x", Retry(max_attempts=2)),
        TaskPlan("y"),
        TaskPlan("z"),
        GroupPlan("P", ("x", "y")),
    )
    run = Told(chain("a", "b"))
    run.run("a", 1, Spawn(Plan(nodes, (("y", "z"),), start=("P",))))
    run.fail("x")
    run.fail("x")
    run.run("y")
    run.run("z")
    assert run.status.reason == reasons.PARALLEL_GROUP_FAILED
    assert run.status.failed_group.manifest() == {
        "name": "P",
        "failed": [
            {
                "name": "x",
                "task": "x",
                "reason": "TaskFailed",
                "message": "ValueError: boom",
                "failures": 2,
                "maxAttempts": 2,
                "iteration": 1,
            }
        ],
        "succeeded": ["y"],
    }
    assert run.status.message.startswith("Parallel group")


def test_a_run_that_failed_by_no_group_names_none():
    run = Told(group_of("a", "b", policy=BestEffort(), after=("c",)))
    run.fail("a")
    run.run("b")
    run.fail("c")
    assert run.status.failed_group is None


def test_the_failure_of_a_task_that_was_made_names_it():
    run = Told(chain("a", "b"))
    run.run("a", 1, Spawn(Plan((TaskPlan("t1"),), start=("t1",))))
    run.fail("t1")
    assert run.status.message == "task 't1' failed: ValueError: boom"


def test_a_result_that_is_too_large_is_told_to_be():
    run = Told(chain("a"))
    run.run("a", "x" * 20_000)
    assert run.status.result is None
    assert run.status.message == "the result takes more than 16384 bytes and is not shown here"


def test_a_refused_workflow_says_every_reason():
    problems = [Problem("spec.start", "no such task"), Problem("", "no mapping")]
    status = refused(2, problems, None, now=60.0)
    assert (status.phase, status.reason) == ("Failed", reasons.INVALID)
    accepted = status.conditions[0]
    assert (accepted.type, accepted.status, accepted.reason) == ("Accepted", "False", "Invalid")
    assert accepted.message == "spec.start: no such task\nno mapping"
    again = refused(2, problems, status, now=120.0)
    assert again == status


names = st.text(min_size=1, max_size=200) | st.sampled_from(
    ["\x00" * 200, "\U0001f40d" * 200, '"' * 200, "é" * 200, "a"]
)
texts = st.sampled_from(["", "\x01" * 9000, "\ud800", "\U0001f40d" * 9000, "x" * 9000])


@pytest.mark.parametrize("phase", ["live", "failed", "done"])
@settings(max_examples=12, deadline=None)
@given(data=st.data(), count=st.sampled_from([1, 30, 120]))
def test_a_status_stays_under_32_kib_whatever_the_run_does(phase, data, count):
    base = data.draw(names)
    nodes = tuple(f"{base[: 200 - len(str(n))]}{n}" for n in range(count))
    plan = Plan(tuple(TaskPlan(n) for n in nodes), start=nodes)
    text = data.draw(texts)
    note = PodNote("p" * 253, "n" * 253, "Pending", text[:200], text)
    run = Told(plan, {(n, 1): note for n in range(1, count + 1)})
    for number in range(1, count + 1) if phase != "live" else ():
        if phase == "failed" and number % 2:
            error = Error(text[:300], text, {"traceback": text})
            fact = AttemptFailed(number, 1, error, 1.0)
        else:
            fact = AttemptSucceeded(number, 1, {"json": text.replace("\ud800", "")}, 1.0)
        run.state = reduce(plan, run.state, fact)
    for _ in range(2):
        run.tell()
        assert cut.size_of(run.status.manifest()) <= MAX_SUMMARY_BYTES + 100
        WorkflowStatus.model_validate_json(run.status.model_dump_json(by_alias=True))


@given(st.text(), st.integers(10, 300))
def test_a_cut_text_is_never_longer_than_it_may_be(text, limit):
    assert cut.size_of(cut.cut(text, limit)) <= limit
    assert cut.size_of(cut.cut_ends(text, text, limit * 2)) <= limit * 2


@given(st.text(alphabet="abc", max_size=20))
def test_what_fits_is_not_cut(text):
    assert cut.cut(text, 30) == text


def test_a_value_of_nested_groups_becomes_nested_refs():
    value = GroupValue((("G", GroupValue((("a", {"json": 1}),))), ("b", {"json": None})))
    assert cut.value_ref(value, 1000) == {
        "group": {"G": {"group": {"a": {"json": 1}}}, "b": {"json": None}}
    }
    assert cut.value_ref(value, 10) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_an_api_server_refuses_is_in_a_status_as_text_alone(sign):
    largest, refused = sign * (2**1022), sign * 10**400
    value = {"json": {"a": [largest]}}
    assert cut.value_ref(value, 1000) == {
        **value,
        "exact": json.dumps(value, separators=(",", ":")),
    }
    value = {"json": {"a": [refused]}}
    assert cut.value_ref(value, 1000) == {"exact": json.dumps(value, separators=(",", ":"))}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"json": "\ud800 and \u4e2d"}, id="half a character"),
        pytest.param({"json": {"a": {"\udfff": 1}}}, id="half a character in a key"),
        pytest.param({"json": json.loads("[" * 300 + "]" * 300)}, id="300 deep"),
    ],
)
def test_a_value_that_no_api_server_takes_is_told_as_text_alone(value):
    run = Told(chain("a"))
    run.run("a", value["json"])
    told = run.status.manifest()
    assert json.loads(told["result"]["exact"]) == value
    assert set(told["result"]) == set(told["tasks"][0]["result"]) == {"exact"}
    json.dumps(told, ensure_ascii=False).encode()


def test_what_is_told_of_a_group_looks_up_as_few_ids_for_each_branch_however_many_there_are():
    hashed = []

    class Id(str):
        __slots__ = ()

        def __hash__(self):
            hashed.append(str(self))
            return super().__hash__()

    def lookups_for(branches):
        members = tuple(Id(f"m{number}") for number in range(branches))
        nodes = (*map(TaskPlan, members), GroupPlan("G", members))
        plan = Plan(nodes, (), ("G",))
        state = reduce(plan, State(), RunStarted(1.0))
        hashed.clear()
        assert summarize(1, plan, state, None, now=1.0, pods={}).progress == f"0/{branches}"
        return len(hashed) / branches

    assert lookups_for(200) <= lookups_for(20) < 10
