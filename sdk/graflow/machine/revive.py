"""A state from a checkpoint made live again: what had no success recorded begins anew (K3).

Nothing that has succeeded runs again: its results, tokens, passes and what it spawned stand. What
was under way, waited for another attempt or had failed for good begins again, in the same pass and
with the same input, as the next attempt where a runner of the last one may have existed. Failures
are taken back, those of branches that a policy would have borne with among them: they did not
complete. Then the joint rules go on where they were.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from graflow.machine.check import hint
from graflow.machine.creation import activate, begin, release
from graflow.machine.events import RunStarted
from graflow.machine.fold import Fold
from graflow.machine.graph import scope_graph
from graflow.machine.groups import judge
from graflow.machine.joins import Tracker
from graflow.machine.plan import Exit, GroupPlan, Plan
from graflow.machine.reasons import TERMINATED
from graflow.machine.reducer import fold, settle
from graflow.machine.scopes import plan_at
from graflow.machine.state import (
    RUN_SCOPE,
    Activation,
    GroupValue,
    Phase,
    RunPhase,
    Scope,
    Sent,
    State,
    Token,
    Value,
)

_NO_RESULTS: Final[Mapping[str, Value]] = {}


class RevivalError(ValueError):
    """A state cannot go on as asked; the text names the node, the value and the way out."""


def revived(  # noqa: PLR0913 - what can be changed on the way
    plan: Plan,
    state: State,
    now: float,
    *,
    results: Mapping[str, Value] = _NO_RESULTS,
    rerun: Iterable[str] = (),
    keep_open_questions: bool = False,
) -> State:
    """Return a live state that goes on from a state at rest, which stays as it is.

    A run that has failed or was cancelled goes on; one that has succeeded stays ended unless
    `rerun` says otherwise; one that had not begun begins.

    Args:
        plan: Of the run that goes on. It may differ from that of the state where nothing stands;
            `codec.decode` needs the state's own.
        state: At any sequence number, ended or not.
        now: Seconds since the epoch; the new start of the run.
        results: By id, what its recorded results are to be instead, for what has not run yet; the
            value of a group is a `GroupValue`.
        rerun: Tasks or groups of the plan that run again, as if a task had jumped to them in the
            run's own scope, on what their predecessors have brought by now; in the latest round, so
            that what is under way is not held up. One that is alive already only goes on.
        keep_open_questions: Whether questions that nothing has come of stand as they were asked,
            for a host where they can still be answered; otherwise they are asked as new ones, as
            those are that nobody has answered in time.

    Raises:
        RevivalError: If something stands on a node that the plan does not have, an id has no result
            to be replaced or is no task or member, or the run may make no more activations.
    """
    again = _checked(plan, rerun)
    _check_members(plan, results)
    made = state.copy()
    if not made.scopes:
        _replace_results(made, results)
        made = State(seq=state.seq)
        fold(plan, made, RunStarted(now))
        return made
    over = made.phase is RunPhase.SUCCEEDED
    if over and again:
        _forget_what_was_stopped(made)
    _stand(plan, made)
    _replace_results(made, results)
    if over and not again:
        return made
    step = Fold(plan, made, now)
    _take_back_ends(step)
    for activation in tuple(made.activations.values()):
        _begin_again(step, activation, keep_open_questions=keep_open_questions)
    _judge_again(step)
    for node in again:
        _run_again(step, node)
    _go_on(step)
    if failure := made.scopes[RUN_SCOPE].failure:
        raise RevivalError(failure.error.message)
    made.seq = step.seq
    return made


def without_answers(state: State) -> State:
    """Return the state as if nothing had come of the questions of what is under way."""
    made = state.copy()
    for number, activation in state.activations.items():
        made.activations[number] = activation._replace(questions=())
    made.asking.clear()
    return made


def _checked(plan: Plan, rerun: Iterable[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(rerun))
    for name in names:
        if name not in plan.by_id:
            raise RevivalError(
                f"{name!r} cannot be run again, for the workflow has no such task; "
                f"{hint(name, plan.by_id)}"
            )
    return names


def _check_members(plan: Plan, results: Mapping[str, Value]) -> None:
    for name, value in results.items():
        node = plan.by_id.get(name)
        if isinstance(node, GroupPlan) and isinstance(value, GroupValue):
            for member, _ in value.branches:
                if member not in node.members:
                    raise RevivalError(
                        f"the result of {name!r} cannot have {member!r}, which is no member of it; "
                        f"{hint(member, node.members)}"
                    )


def _forget_what_was_stopped(state: State) -> None:
    """Drop what a task's termination has stopped: the run was over for good, and has its value."""
    run = state.scopes[RUN_SCOPE]
    run.tokens, run.queues, run.children = {}, {}, 0
    state.scopes = {RUN_SCOPE: run}
    for kept in (state.activations, state.starting, state.backoff, state.asking):
        kept.clear()


def _stand(plan: Plan, state: State) -> None:
    """Derive what is alive where anew: the plan need not be the one that the state was made by."""
    for number, scope in state.scopes.items():
        here = plan_at(plan, state, number)
        for node in (*scope.tokens, *scope.queues):
            _demand(here, node)
        _check_ways_out(plan, state, number)
        for live in (n for queue in scope.queues.values() for n in queue):
            _check_kind(here, state, state.activations[live])
        standing = [(t.node, t.round) for tokens in scope.tokens.values() for t in tokens]
        standing += [(a.node, a.round) for a in state.activations.values() if a.scope == number]
        graph = scope_graph(here, scope.path, whole=scope.whole)
        if any(node not in graph.after for node, _ in standing):
            scope.whole = True
            graph = scope_graph(here, scope.path, whole=True)
        scope.tracker = Tracker(graph)
        for node, round_ in standing:
            scope.tracker.appear(node, round_)


def _demand(plan: Plan, node: str) -> None:
    if node not in plan.by_id:
        raise RevivalError(
            f"{node!r} was alive at the checkpoint, and the workflow has no such task any more;"
            " keep it, or go on from a checkpoint in which it is not alive;"
            f" {hint(node, plan.by_id)}"
        )


def _check_ways_out(plan: Plan, state: State, number: int) -> None:
    """Look for what a fragment leads to outside, and spawners of the scope have yet to jump to."""
    known = {
        node.id
        for at in _around(state, number)
        for node in plan_at(plan, state, at).nodes
        if not isinstance(node, Exit)
    }
    scope = state.scopes[number]
    ways = [node.id for node in scope.plan.nodes if isinstance(node, Exit)] if scope.plan else []
    for queue in scope.queues.values():
        for live in queue:
            then = state.activations[live].then
            ways += [target for target, _ in then.jumps] if then else []
    for way in ways:
        if way not in known:
            _demand(plan, way)


def _around(state: State, number: int) -> Iterable[int]:
    while number != RUN_SCOPE:
        yield number
        number = state.scopes[number].parent


def _check_kind(plan: Plan, state: State, activation: Activation) -> None:
    node = plan.by_id[activation.node]
    scopes = [state.scopes[number] for number in activation.scopes]
    branches = tuple(scope.path[-1][1] for scope in scopes if scope.is_branch)
    members = node.members if isinstance(node, GroupPlan) else ()
    waits = activation.phase is Phase.PENDING and not scopes
    if not waits and branches != members:
        raise RevivalError(
            f"{node.id!r} was alive at the checkpoint {_made_of(branches)}, and is now"
            f" {_made_of(members)}; leave it as it was, or go on from a checkpoint in which it is"
            " not alive"
        )


def _made_of(members: tuple[str, ...]) -> str:
    named = ", ".join(repr(member) for member in members)
    return f"as a group of {named}" if members else "as a task"


def _replace_results(state: State, results: Mapping[str, Value]) -> None:
    """Put values in the place of recorded ones, and of their copies that are on their way."""
    if not results:
        return
    known = {
        name: found for scope in state.scopes.values() for name, found in scope.results.items()
    }
    for name, value in results.items():
        if name not in known:
            raise RevivalError(f"{name!r} has no result to replace{_nearest(name, known)}")
        if isinstance(known[name][-1].value, GroupValue) != isinstance(value, GroupValue):
            raise RevivalError(
                f"the result of {name!r} cannot be replaced by that; the value of a group is one"
                " value for each member that succeeded, and that of a task is not"
            )
    for scope in state.scopes.values():
        _replace_in_scope(scope, results)
    for number, activation in state.activations.items():
        value = results.get(activation.node, activation.value) if activation.then else None
        state.activations[number] = activation._replace(
            sent=tuple(_instead(activation.sent, results)), value=value
        )
    end = state.scopes[RUN_SCOPE].end
    if state.phase is RunPhase.SUCCEEDED and state.reason != TERMINATED and end:
        state.value = end.value


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    names = ", ".join(repr(other) for other in sorted(known)[:10])
    return f"; there are results of {names}" if names else ", for there are no results yet"


def _replace_in_scope(scope: Scope, results: Mapping[str, Value]) -> None:
    for name in scope.results.keys() & results.keys():
        scope.results[name] = tuple(
            found._replace(value=results[name]) for found in scope.results[name]
        )
    scope.tokens = {
        node: tuple(token._replace(sent=_instead(token.sent, results)) for token in tokens)
        for node, tokens in scope.tokens.items()
    }
    if scope.end and scope.end.node in results:
        scope.end = scope.end._replace(value=results[scope.end.node])


def _instead(sent: Iterable[Sent], results: Mapping[str, Value]) -> list[Sent]:
    return [Sent(one.sender, results.get(one.sender, one.value)) for one in sent]


def _take_back_ends(step: Fold) -> None:
    """Let the run and all scopes that failed go on."""
    state = step.state
    state.phase, state.reason, state.message = RunPhase.RUNNING, "", ""
    state.value, state.failure, state.started_at, state.ended_at = None, None, step.at, 0.0
    for scope in state.scopes.values():
        if scope.failure:
            scope.failure, scope.ended = None, False


def _begin_again(step: Fold, activation: Activation, *, keep_open_questions: bool) -> None:
    """Give a live activation without a success its next attempt, or its place in the queue."""
    state = step.state
    if activation.then:
        return  # it has succeeded, and holds what it spawned
    scopes = [state.scopes[number] for number in activation.scopes]
    existed = activation.phase.has_attempt or activation.phase is Phase.FAILED
    fresh = step.put(
        activation,
        Phase.HOLDING if scopes else Phase.PENDING,
        attempt=activation.attempt + existed,
        failures=0,
        losses=0,
        claim="",
        not_before=0.0,
        error=None,
        parks=0,
        questions=tuple(
            known
            for known in activation.questions
            if (keep_open_questions if known.answer is None else not known.lapsed)
        ),
    )
    if not scopes and state.scopes[fresh.scope].queues[fresh.node][0] == fresh.number:
        begin(step, fresh)


def _judge_again(step: Fold) -> None:
    """Ask the policies of groups that wait for nothing else."""
    state = step.state
    for activation in tuple(state.activations.values()):
        waits = activation.scopes and not activation.then
        if waits and all(state.scopes[number].ended for number in activation.scopes):
            judge(step, activation)


def is_alive(state: State, node: str) -> bool:
    """Whether a node of the run is under way, or waits for its turn or for others."""
    homes = [scope for scope in state.scopes.values() if scope.home == RUN_SCOPE]
    return any(node in scope.queues or node in scope.tokens for scope in homes)


def _run_again(step: Fold, node: str) -> None:
    """Make an explicit activation of a node of the run, unless it is alive."""
    state = step.state
    if is_alive(state, node):
        return
    run = state.scopes[RUN_SCOPE]
    rounds = [round_ for alive in run.tracker.alive.values() for round_ in alive]
    rounds += [run.end.round] if run.end else []
    activate(step, RUN_SCOPE, Token(node, max(rounds, default=0), _brought(step.plan, run, node)))


def _brought(plan: Plan, run: Scope, node: str) -> list[Sent]:
    """Return what the predecessors of a node have brought by now; a member's are its group's."""
    while True:
        before = [source for source, target in dict.fromkeys(plan.edges) if target == node]
        found = [name for name in before if name in run.results]
        if found or node not in plan.group_of:
            return [Sent(name, run.results[name][-1].value) for name in found]
        node = plan.group_of[node]


def _go_on(step: Fold) -> None:
    """Apply the joint rules to everything that stands."""
    scopes = step.state.scopes
    for number in sorted(scopes):
        release(step, number)
    for number in sorted(scopes):
        order = plan_at(step.plan, step.state, number).order
        for node in sorted(scopes[number].tokens, key=order.__getitem__):
            step.candidates[number, node] = None
        step.unsettled[number] = None
    settle(step)
