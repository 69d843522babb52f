"""What tasks decide while they run, through the operator: claims, reports, commits, crashes."""

import base64
import random

import pytest

from graflow.api.workflow_status import WorkflowStatus
from graflow.cluster.failures import failure
from graflow.exceptions import ParallelGroupError
from graflow.machine.state import Error
from graflow_operator import orders
from graflow_operator.refs import AttemptRef
from graflow_operator.verdicts import Failed
from support.world import HANGS, World, returned, script

CODE = {"pickle": "gASVBQAAAAAAAACMAWGULg=="}


def jump(target, reason=""):
    return {"kind": "Jump", "target": target, "reason": reason}


def again(given=None, reason=""):
    return {"kind": "Iteration", "again": given, "reason": reason}


def spawn(  # noqa: PLR0913 - what a fragment is made of
    *tasks, edges=(), groups=(), start=None, goto=False, reason="", exits=(), **task
):
    """A fragment of functions, each with its code, as a runner reports it."""
    fragment = {
        "tasks": [{"name": name, "function": name, **task} for name in tasks],
        "groups": list(groups),
        "edges": [list(edge) for edge in edges],
        "exits": list(exits),
        "start": list(start or tasks[:1]),
        "code": dict.fromkeys(tasks, CODE)
        | {g["name"]: CODE for g in groups if g.get("policy", {}).get("type") == "Custom"},
    }
    return {"kind": "Spawn", "fragment": fragment, "goto": goto, "reason": reason}


def scripted(**tasks):
    """Tasks by name: a list of reports, one for each time they run; others return their name."""
    left = {name: list(told) for name, told in tasks.items()}

    def work(task, order):
        del order
        told = left.get(task)
        return told.pop(0) if told else returned(task)

    return work


async def ran(spec, work, **options):
    """Run a spec to its end; return the world as it is then."""
    async with World(spec, work=work, **options) as world:
        world.start()
        await world.end()
        return world


def order_of(world, task, number=0):
    return [one for one in world.orders if one["task"]["id"] == task][number]


FLOW = {"tasks": [script("a"), script("b", "a"), script("c", "b"), script("handler")]}


async def test_r5_a_jump_to_a_task_outside_of_the_flow_skips_the_successors():
    world = await ran(FLOW, scripted(a=[returned(1, jump("handler", "no rows"))]))
    assert world.executed == ["a", "handler"]
    assert world.status["result"] == {"json": "handler"}
    [moved] = world.status["transitions"]
    assert (moved["from"], moved["to"], moved["kind"]) == ("a", "handler", "Jump")
    assert (moved["sequence"], moved["iteration"], moved["reason"]) == (1, 1, "no rows")
    assert order_of(world, "handler")["sent"] == [{"task": "a", "value": {"json": 1}}]


async def test_t6_a_pass_is_given_its_data_and_successors_start_after_the_last_one():
    work = scripted(
        a=[returned(1, again({"data": {"json": {"n": 2}}})), returned(2, again()), returned(3)]
    )
    world = await ran(FLOW, work)
    assert world.executed == ["a", "a", "a", "b", "c"]
    assert [order_of(world, "a", n)["again"] for n in range(3)] == [
        None,
        {"data": {"json": {"n": 2}}},
        {"data": {"json": {"n": 2}}},
    ]
    assert [order_of(world, "a", n)["task"]["identity"] for n in range(3)] == ["a#1", "a#2", "a#3"]
    assert order_of(world, "b")["sent"] == [{"task": "a", "value": {"json": 3}}]


async def test_t4_a_pass_with_bound_arguments_gets_them_and_large_ones_go_to_the_store():
    bound = {"bound": {"json": {"x": "y" * 2000}}}
    world = await ran(FLOW, scripted(a=[returned(1, again(bound))]))
    [form] = order_of(world, "a", 1)["again"]["bound"]
    assert form == "blob"


async def test_t3_a_made_task_runs_with_its_own_code_and_pod_before_its_makers_successors():
    pod = {"image": "mine:1"}
    one = spawn("Load Part/1", pod=pod, reason="a part")
    world = await ran(FLOW, scripted(a=[returned(1, one)]))
    assert world.executed == ["a", "Load Part/1", "b", "c"]
    order = order_of(world, "Load Part/1")
    assert order["call"] == {"code": CODE, "id": "Load Part/1"}
    assert order["task"]["identity"] == "a#1/0/Load Part/1#1"
    assert order["sent"] == [{"task": "a", "value": {"json": 1}}]
    assert order["fragment"][0]["tasks"] == [{"id": "Load Part/1", "group": False, "members": []}]
    [made] = [name for name in world.made("pods") if "load-part-1" in name]
    assert len(made) <= 63
    assert order_of(world, "b")["sent"] == [{"task": "a", "value": {"json": 1}}]


async def test_the_pod_of_a_made_task_has_its_settings_and_its_labels():
    async with World(FLOW, work=lambda *_: HANGS) as world:
        world.work = lambda task, order: (
            returned(1, spawn("Part 1", pod={"image": "mine:1"})) if task == "a" else HANGS
        )
        world.start()
        await world.until(lambda: "Part 1" in world.executed)
        pod = world.pod_of("part-1")
        assert pod["metadata"]["annotations"]["graflow.dev/task-id"] == "Part 1"
        assert pod["spec"]["containers"][0]["image"] == "mine:1"


PARTS = spawn(
    "p1",
    "p2",
    "sum",
    groups=[{"name": "P", "members": ["p1", "p2"]}],
    edges=[["P", "sum"]],
    start=["P"],
)


async def test_t3_a_made_group_is_a_barrier_and_what_follows_gets_its_value():
    world = await ran(FLOW, scripted(a=[returned(1, PARTS)]))
    assert world.executed[0] == "a"
    assert sorted(world.executed[1:3]) == ["p1", "p2"]
    assert world.executed[3:] == ["sum", "b", "c"]
    group = {"group": {"p1": {"json": "p1"}, "p2": {"json": "p2"}}}
    assert order_of(world, "sum")["sent"] == [{"task": "P", "value": group}]
    assert order_of(world, "p1")["task"]["inside"] == ["P"]
    assert world.status["progress"] == "6/6"
    results = {task["name"]: task.get("result") for task in world.status["tasks"]}
    assert results["P"] == group


async def test_t5_while_what_it_made_runs_a_task_is_held_and_says_by_what():
    async with World(FLOW, work=scripted(a=[returned(1, PARTS)], sum=[HANGS])) as world:
        world.start()
        await world.until(lambda: "sum" in world.executed)
        await world.until(lambda: world.status["counts"]["running"] == 1)
        held = next(task for task in world.status["tasks"] if task["name"] == "a")
        assert (held["phase"], held["reason"]) == ("Running", "Holding")
        [waiting] = world.status["waiting"]
        assert (waiting["task"], waiting["reason"]) == ("a", "Holding")
        assert "'sum'" in waiting["message"]
        assert world.status["progress"] == "3/6"


async def test_t5_fragments_nest_and_each_task_knows_those_around_it():
    work = scripted(a=[returned(1, spawn("m"))], m=[returned(2, spawn("n"))])
    world = await ran(FLOW, work)
    assert world.executed == ["a", "m", "n", "b", "c"]
    order = order_of(world, "n")
    assert [[t["id"] for t in around["tasks"]] for around in order["fragment"][:2]] == [
        ["n"],
        ["m"],
    ]
    assert order["task"]["identity"] == "a#1/0/m#1/0/n#1"


async def test_t8_an_edge_to_a_task_of_the_flow_at_the_end_of_a_fragment_leaves_it():
    one = spawn("m", edges=[["m", "c"]], exits=["c"])
    world = await ran(FLOW, scripted(a=[returned(1, one)]))
    assert world.executed.count("c") == 1
    assert world.executed == ["a", "m", "b", "c"]


async def test_t5_a_jump_out_of_a_fragment_is_one_of_its_maker():
    work = scripted(a=[returned(1, spawn("m", goto=True))], m=[returned(2, jump("handler"))])
    world = await ran(FLOW, work)
    assert world.executed == ["a", "m", "handler"]
    assert world.status["result"] == {"json": "handler"}


async def test_t8_a_task_of_the_program_in_a_fragment_gets_its_code_from_the_bundle(bundled):
    fragment = {
        "tasks": [{"name": "spare", "function": "spare"}],
        "start": ["spare"],
    }
    work = scripted(a=[returned(1, {"kind": "Spawn", "fragment": fragment})])
    async with bundled(work=work) as world:
        world.start()
        await world.end()
        assert world.executed == ["a", "spare"]
        call = order_of(world, "spare")["call"]
        assert call == {"function": "1" * 64, "id": "spare"}


async def test_a_made_task_without_any_code_fails_its_maker_in_words(bundled):
    fragment = {"tasks": [{"name": "x", "function": "lost"}], "start": ["x"]}
    work = scripted(a=[returned(1, {"kind": "Spawn", "fragment": fragment})])
    async with bundled(work=work) as world:
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidTransition")
        assert "'lost' is not in the workflow's bundle" in status["message"]


BRANCHES = {
    "tasks": [script("x"), script("y"), script("after", "G")],
    "groups": [{"name": "G", "members": ["x", "y"]}],
}


@pytest.mark.parametrize(
    ("directive", "phase", "reason"),
    [
        ({"kind": "Termination", "message": "enough"}, "Succeeded", "Terminated"),
        ({"kind": "Cancellation", "message": "enough"}, "Cancelled", "Cancelled"),
    ],
    ids=["terminate", "cancel"],
)
@pytest.mark.parametrize("place", ["branch", "fragment"])
async def test_t1_a_task_ends_the_whole_run_from_a_branch_and_from_a_fragment(
    directive, phase, reason, place
):
    ends = returned(7, directive)
    if place == "branch":
        spec, work = BRANCHES, scripted(x=[ends], y=[HANGS])
    else:
        spec, work = FLOW, scripted(a=[returned(1, PARTS)], p1=[ends], p2=[HANGS])
    async with World(spec, work=work) as world:
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"], status["message"]) == (phase, reason, "enough")
        if phase == "Succeeded":
            assert status["result"] == {"json": 7}
        last = status["transitions"][-1]
        assert (last["kind"], last["reason"]) == (directive["kind"], "enough")
        # Whatever else runs is stopped.
        await world.until(lambda: world.actor.done)
        hanging = [o["task"]["id"] for o in world.orders if o["task"]["id"] in ("y", "p2")]
        deleted = [name for verb, _, name in world.cluster.writes if verb == "delete"]
        assert len(deleted) == len(hanging)


def judged_by(*verdicts, **group):
    spec = {
        "tasks": [script("x"), script("y"), script("after", "G")],
        "groups": [
            {
                "name": "G",
                "members": ["x", "y"],
                "policy": {"type": "Custom", "function": "G"},
                **group,
            }
        ],
        "bundle": {"name": "code-x", "sha256": "0" * 64},
    }
    return spec, scripted(G=list(verdicts), y=[Failed(Error("TaskFailed", "ValueError: no"))])


SAID_NO = {
    "outcome": "Failed",
    "error": {
        "reason": "TaskFailed",
        "type": "graflow.exceptions.ParallelGroupError",
        "message": "too few rows",
        "traceback": "Traceback: …",
    },
}


async def test_g2_a_policy_of_the_programs_own_is_asked_in_a_pod_when_all_branches_have_ended(
    bundled,
):
    spec, work = judged_by(returned(None))
    async with bundled(spec, work=work) as world:
        world.start()
        status = await world.end()
        assert sorted(world.executed[:2]) == ["x", "y"]
        assert world.executed[2:] == ["G", "after"]
        order = order_of(world, "G")
        assert order["call"]["policy"] == {"function": "1" * 64, "id": "G"}
        assert (order["call"]["group"], order["call"]["members"]) == ("G", ["x", "y"])
        results = order["call"]["results"]
        assert results["x"]["success"] is True
        assert results["y"]["success"] is False
        assert results["y"]["error"] == "An error occurred: no (caused by no)"
        assert status["phase"] == "Succeeded"
        assert order_of(world, "after")["sent"] == [
            {"task": "G", "value": {"group": {"x": {"json": "x"}}}}
        ]


async def test_g2_a_policy_reads_what_the_branches_brought(bundled):
    spec, work = judged_by(returned(None))
    seen = {}

    def look(task, order):
        held = world.actor._snapshot.state
        seer = held.activations[order["activation"]]
        seen[task] = orders.results(held, seer, ["x", "y"])
        return work(task, order)

    async with bundled(spec, work=look) as world:
        world.start()
        assert (await world.end())["phase"] == "Succeeded"
    assert seen["G"] == {"x": {"result": {"json": "x"}}, "y": None}
    assert seen["after"] == seen["G"]


async def test_g2_a_policy_that_says_no_fails_the_group(bundled):
    spec, work = judged_by(SAID_NO)
    async with bundled(spec, work=work) as world:
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "ParallelGroupFailed")
        assert status["message"] == "too few rows"
        error = failure("run", WorkflowStatus.model_validate(status))
        assert isinstance(error, ParallelGroupError)
        assert (error.group_id, error.successful_tasks) == ("G", ["x"])
        assert error.failed_tasks == [("y", "An error occurred: no (caused by no)")]


async def test_g5_a_policy_that_says_no_at_first_lets_what_failed_run_again(bundled):
    spec, work = judged_by(SAID_NO, returned(None), retry={"maxAttempts": 2})
    async with bundled(spec, work=work) as world:
        world.start()
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert world.executed.count("x") == 1
        assert world.executed.count("y") == world.executed.count("G") == 2


async def test_g2_a_policy_that_breaks_fails_the_group_with_what_it_raised(bundled):
    spec, work = judged_by(Failed(Error("TaskFailed", "KeyError: 'z'")))
    async with bundled(spec, work=work) as world:
        world.start()
        status = await world.end()
        assert status["reason"] == "TaskFailed"
        assert status["message"] == "the policy of group 'G' failed: KeyError: 'z'"


async def test_g2_a_policy_whose_pod_is_lost_is_asked_again(bundled):
    spec, work = judged_by(None, returned(None))
    async with bundled(spec, work=work) as world:
        ends = world.end_pod

        def evicted(name, code):
            if world.executed.count("G") == 1 and "-g-" in name:
                ends(name, 143, reason="Error", conditions=[EVICTED])
            else:
                ends(name, code)

        world.end_pod = evicted
        world.start()
        status = await world.end()
        assert status["phase"] == "Succeeded"
        assert world.executed.count("G") == 2
        assert len([name for name in world.made("pods") if "-g-" in name]) == 2


EVICTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}


async def test_g2_what_a_policy_decides_is_refused(bundled):
    spec, work = judged_by(returned(None, jump("after")))
    async with bundled(spec, work=work) as world:
        world.start()
        status = await world.end()
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidTransition")
        assert "group 'G'" in status["message"]


async def test_g2_the_policy_of_a_made_group_has_its_own_code():
    group = {"name": "P", "members": ["p1"], "policy": {"type": "Custom", "function": "P"}}
    one = spawn("p1", groups=[group], start=["P"])
    world = await ran(FLOW, scripted(a=[returned(1, one)]))
    assert world.executed == ["a", "p1", "P", "b", "c"]
    assert order_of(world, "P")["call"]["policy"] == {"code": CODE, "id": "P"}


async def test_g5_only_the_branches_that_failed_run_again():
    spec = {
        "tasks": [script("x"), script("y"), script("after", "G")],
        "groups": [
            {
                "name": "G",
                "members": ["x", "y"],
                "retry": {"maxAttempts": 3, "initialSeconds": 1},
            }
        ],
    }
    no = Failed(Error("TaskFailed", "ValueError: no"))
    world = await ran(spec, scripted(y=[no, no]))
    assert world.status["phase"] == "Succeeded"
    assert world.executed.count("x") == 1
    assert world.executed.count("y") == 3
    assert [order_of(world, "y", n)["task"]["iteration"] for n in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("directives", "words"),
    [
        ([jump("handlr")], "did you mean 'handler'?"),
        ([{"kind": "Spawn", "fragment": {"start": ["x"]}}], "start node 'x' is not in"),
        ([spawn("c")], "'c' cannot be made at run time"),
        ([{"kind": "Jumped"}], "directives[0].kind: 'Jumped' is not known"),
        ([jump("b")] * 101, "may decide 100 moves"),
        ([spawn(*[f"t{n}" for n in range(1001)])], "directives[0].fragment.tasks"),
    ],
    ids=["target", "start", "static id", "kind", "moves", "tasks"],
)
async def test_what_cannot_be_fails_the_attempt_in_words_and_is_not_retried(directives, words):
    spec = {"tasks": [*FLOW["tasks"]]}
    spec["tasks"][0] = script("a", retry={"maxAttempts": 3})
    world = await ran(spec, scripted(a=[returned(1, *directives)]))
    assert world.executed == ["a"]
    assert (world.status["phase"], world.status["reason"]) == ("Failed", "InvalidTransition")
    assert words in world.status["message"]
    assert "transitions" not in world.status or world.status["transitions"] == []


async def test_g6_a_jump_to_the_group_that_a_task_is_in_fails_the_attempt():
    world = await ran(BRANCHES, scripted(x=[returned(1, jump("G"))]))
    assert world.status["phase"] == "Failed"
    assert "runs in group 'G' and cannot jump to it" in str(world.status["tasks"])


async def test_t2_more_passes_than_allowed_fail_the_attempt():
    spec = {"tasks": [script("a", maxIterations=2)]}
    world = await ran(spec, scripted(a=[returned(n, again()) for n in range(5)]))
    assert world.executed == ["a", "a"]
    assert "its max_cycles is 2" in world.status["message"]


async def test_t1_what_a_failed_attempt_decided_is_dropped():
    spec = {"tasks": [script("a", retry={"maxAttempts": 2}), script("b", "a"), script("handler")]}
    failed = {
        "outcome": "Failed",
        "error": {"type": "ValueError", "message": "no"},
        "directives": [jump("handler")],
    }
    world = await ran(spec, scripted(a=[failed]))
    assert world.executed == ["a", "a", "b"]


LONG = {
    "tasks": [script("a"), script("b", "a"), script("c", "b"), script("handler")],
    "parallelism": 2,
}


def long_story():
    """Spawns inside spawns, passes, a jump out: something of each, twice."""
    return scripted(
        a=[returned(1, PARTS, again({"data": {"json": 2}})), returned(2, spawn("q1", "q2"))],
        p1=[returned("p1", spawn("inner"))],
        q1=[returned(3, again())],
        c=[returned(4, jump("handler", "done"))],
    )


STORY = ["a", "a", "b", "c", "handler", "inner", "p1", "p2", "q1", "q1", "sum"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("store", [False, True], ids=["storeless", "stored"])
async def test_k1_a_crash_at_any_write_loses_nothing_of_what_was_decided_and_does_nothing_twice(
    after, store
):
    for number in range(1, 46):
        async with World(LONG, work=long_story(), store=store) as world:
            world.start(dies_at=number, dies_after=after)
            status = await world.end(restart=True)
            assert status["phase"] == "Succeeded", number
            assert sorted(world.executed) == STORY, number
            assert status["result"] == {"json": "handler"}, number
            told = [(t["sequence"], t["kind"]) for t in status["transitions"]]
            assert [number for number, _ in told] == list(range(1, len(told) + 1)), number
            assert sorted(kind for _, kind in told) == [
                *("Iteration", "Iteration", "Jump"),
                *("Spawn", "Spawn", "Spawn"),
            ], number
            names = world.made("pods")
            assert len(names) == len(set(names)), number


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_k1_a_crash_at_any_write_neither_asks_a_policy_twice_nor_runs_a_branch_too_often(
    bundled, after
):
    for number in range(1, 28):
        spec, work = judged_by(SAID_NO, returned(None), retry={"maxAttempts": 2})
        async with bundled(spec, work=work) as world:
            world.start(dies_at=number, dies_after=after)
            status = await world.end(restart=True)
            assert status["phase"] == "Succeeded", number
            assert sorted(world.executed) == ["G", "G", "after", "x", "y", "y"], number
            names = world.made("pods")
            assert len(names) == len(set(names)), number


@pytest.mark.parametrize("seed", range(15))
async def test_k1_crashes_again_and_again_change_nothing_either(seed):
    rng = random.Random(seed)

    def faults():
        return {"dies_at": rng.randint(1, 8), "dies_after": rng.random() < 0.5}

    async with World(LONG, work=long_story(), store=rng.random() < 0.5) as world:
        world.start(**faults())
        status = await world.end(restart=faults)
        assert status["phase"] == "Succeeded"
        assert sorted(world.executed) == STORY


async def test_code_that_many_tasks_share_is_in_the_store_once():
    shared = {"pickle": base64.b64encode(b"x" * 3000).decode()}
    one = spawn("t1", "t2", groups=[{"name": "P", "members": ["t1", "t2"]}], start=["P"])
    for number, name in enumerate(("t1", "t2")):
        parts = {"code": shared, "python": {"json": "3.11"}, "arguments": {"json": number}}
        one["fragment"]["code"][name] = {"group": parts}
    async with World(FLOW, work=scripted(a=[returned(1, one)])) as world:
        world.start()
        assert (await world.end())["phase"] == "Succeeded"
        parts = [order_of(world, name)["call"]["code"]["group"] for name in ("t1", "t2")]
        assert parts[0]["code"] == parts[1]["code"]
        assert parts[0]["code"]["blob"]["size"] == 3000
        assert [part["arguments"] for part in parts] == [{"json": 0}, {"json": 1}]
        assert len([key for key in world.store._objects if "/blobs/" in key]) == 1


async def test_a_fragment_too_large_for_the_object_is_in_the_store():
    rng = random.Random(1)
    names = [f"{rng.getrandbits(400):x}" for _ in range(120)]
    group = {"name": "P", "members": names}
    one = spawn(*names, groups=[group], start=["P"])
    async with World({**FLOW, "parallelism": 40}, work=scripted(a=[returned(1, one)])) as world:
        world.start()
        await world.until(lambda: len(world.executed) > 40)
        assert "key" in world.status["cursor"]
        await world.crash()
        world.start()
        status = await world.end()
        assert (status["phase"], status["progress"]) == ("Succeeded", "123/123")
        assert sorted(world.executed) == sorted(["a", "b", "c", *names])


async def test_without_a_store_a_fragment_that_outgrows_the_object_says_what_to_set():
    rng = random.Random(1)
    names = [f"{rng.getrandbits(400):x}" for _ in range(900)]
    world = await ran(FLOW, scripted(a=[returned(1, spawn(*names))]), store=False)
    assert (world.status["phase"], world.status["reason"]) == ("Failed", "StoreRequired")
    assert "GRAFLOW_STORE_BUCKET" in world.status["message"]


async def test_an_outcome_that_was_left_in_the_store_keeps_what_was_decided():
    async with World(FLOW, work=scripted(a=[None])) as world:
        world.auto_run = True
        ends = world.end_pod

        def left(name, code):
            if world.executed == ["a"]:
                pod = next(p for p in world.pods if p["metadata"]["name"] == name)
                uid = pod["metadata"]["uid"]
                claim = f"{uid}/{uid.rjust(32, '0')}"
                report = returned(5, jump("handler", "away"))
                document = world.outcome(AttemptRef(1, 1), claim, report)
                run = world.workflow["metadata"]["uid"]
                world.store.put(f"team/{run}/outcomes/1/1", document.encode())
            ends(name, code)

        world.end_pod = left
        world.start()
        status = await world.end()
        assert world.executed == ["a", "handler"]
        assert status["transitions"][0]["reason"] == "away"


async def test_a_termination_message_keeps_what_was_decided():
    async with World(FLOW, work=scripted(a=[None])) as world:
        ends = world.end_pod

        def said(name, code):
            if world.executed != ["a"]:
                ends(name, code)
                return
            pod = next(p for p in world.pods if p["metadata"]["name"] == name)
            uid = pod["metadata"]["uid"]
            report = returned(5, jump("nowhere"))
            message = world.outcome(AttemptRef(1, 1), f"{uid}/{uid.rjust(32, '0')}", report)
            ends(name, code, message=message)

        world.end_pod = said
        world.start()
        status = await world.end()
        assert status["reason"] == "InvalidTransition"
        assert "'nowhere' is not in the workflow" in status["message"]


async def test_results_of_a_fragment_are_seen_inside_and_outside_only_when_it_has_ended():
    work = scripted(a=[returned(1, spawn("m", "n", edges=[["m", "n"]]))], b=[HANGS])
    async with World(FLOW, work=work) as world:
        world.start()
        await world.until(lambda: "b" in world.executed)
        state = world.actor._snapshot.state
        assert state.scopes[0].results["m"][-1].value == {"json": "m"}
        assert [order["names"] for order in world.orders if order["task"]["id"] == "n"] == [{}]
