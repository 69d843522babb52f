"""Groups: what becomes of their branches once all of them have ended (section 3)."""

from graflow.machine.creation import next_turn, release
from graflow.machine.failing import fail
from graflow.machine.fold import Fold
from graflow.machine.plan import Custom, GroupPlan
from graflow.machine.retry import may_again
from graflow.machine.scopes import node_of
from graflow.machine.state import Activation, End, Error, GroupValue, Phase, Scope, Token
from graflow.machine.verdict import verdict


def judge(step: Fold, group: Activation) -> None:
    """All branches have ended: apply the policy (G2); a custom one is an attempt of its own."""
    plan = _plan(step, group)
    branches = _branches(step, group)
    if isinstance(plan.policy, Custom):
        phase = Phase.PENDING if step.halted(group.scope) else Phase.STARTING
        step.put(group, phase)
        return
    failures = [
        (member, branch.failure.error if branch.failure else None)
        for member, branch in zip(plan.members, branches, strict=True)
    ]
    if error := verdict(plan, failures):
        fail_verdict(step, group, error)
    else:
        complete(step, group)


def complete(step: Fold, group: Activation) -> None:
    """Hand on what the branches of a group brought: its verdict is a success (G4)."""
    plan = _plan(step, group)
    branches = _branches(step, group)
    step.close(group, group.scopes)
    values = []
    for member, branch in zip(plan.members, branches, strict=True):
        if not branch.failure:
            step.merge_results(group.scope, branch)
            values.append((member, branch.end.value if branch.end else None))
    value = GroupValue(tuple(values))
    step.record(group.scope, group.node, value)
    if not step.send(group, value):
        order = step.order_of(group)
        step.offer_end(group.scope, End(order, group.round, group.iteration, group.node, value))
    step.retire(group)
    next_turn(step, group.scope, group.node)


def fail_verdict(step: Fold, group: Activation, error: Error) -> None:
    """Run the branches that failed again (G5), or fail: the verdict is a failure."""
    retry = _plan(step, group).retry
    failures = group.failures + 1
    changes = {"failures": failures, "error": error, "claim": ""}
    if not may_again(retry, failures, retryable=error.retryable):
        fail(step, step.put(group, Phase.FAILED, **changes), error)
        return
    scopes = _reopened(step, group)
    changes |= {"attempt": group.attempt + 1, "scopes": scopes}
    wait_s = step.wait_s(group, retry, failures)
    if step.halted(group.scope):
        step.put(group, Phase.PENDING, **changes)
        step.unsettled[group.scope] = None
    elif wait_s > 0:
        step.put(group, Phase.BACKOFF, not_before=step.at + wait_s, **changes)
    else:
        run_again(step, step.put(group, Phase.HOLDING, **changes))


def run_again(step: Fold, group: Activation) -> None:
    """Let the branches of a group that wait to be run again begin; with none, ask its policy."""
    waiting = [scope for scope in group.scopes if not step.state.scopes[scope].ended]
    step.put(group, Phase.HOLDING if waiting else Phase.STARTING)
    for scope in waiting:
        release(step, scope)


def _reopened(step: Fold, group: Activation) -> tuple[int, ...]:
    """Replace the scopes of the branches that failed by fresh ones, in which nothing runs yet."""
    scopes = []
    for call, member in enumerate(_plan(step, group).members):
        scope = group.scopes[call]
        if step.state.scopes[scope].failure:
            step.close(group, (scope,))
            scope = step.open_branch(group, member, call)
            step.add_token(scope, Token(member, 0, [*group.sent], explicit=True))
        scopes.append(scope)
    return tuple(scopes)


def _plan(step: Fold, group: Activation) -> GroupPlan:
    node = node_of(step.plan, step.state, group)
    if not isinstance(node, GroupPlan):
        raise TypeError(f"{node.id!r} is no group and has no branches")
    return node


def _branches(step: Fold, group: Activation) -> list[Scope]:
    return [step.state.scopes[number] for number in group.scopes]
