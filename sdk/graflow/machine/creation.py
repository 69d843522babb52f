"""How activations come into being: of tokens, and explicitly (R3, R5), within bounds (R8)."""

from graflow.machine import reasons
from graflow.machine.failing import fail_scope
from graflow.machine.fold import Fold
from graflow.machine.plan import GroupPlan
from graflow.machine.scopes import plan_at
from graflow.machine.state import RUN_SCOPE, Activation, Error, Failure, Phase, Token


def activate(step: Fold, scope: int, token: Token) -> None:
    """Make an explicit activation: of a start, a jump, a pass, or a member of a group.

    Where nothing may be created its token stays, for the run to be resumed.
    """
    if step.halted(scope) or not may_create(step, token.node):
        step.add_token(scope, token._replace(explicit=True))
        return
    step.state.scope(scope).tracker.appear(token.node, token.round)
    create(step, scope, token)


def release(step: Fold, scope: int) -> None:
    """Make the activations whose explicit tokens wait in a scope."""
    found = step.state.scope(scope)
    for token in [t for tokens in found.tokens.values() for t in tokens if t.explicit]:
        if may_create(step, token.node):
            step.take(scope, token)
            create(step, scope, token)


def create(step: Fold, scope: int, token: Token) -> None:
    """Make an activation of a token that is alive; it begins when it is the first of its node."""
    node = plan_at(step.plan, step.state, scope).by_id[token.node]
    if token.node in step.state.scopes[scope].queues:
        step.create(scope, token, Phase.PENDING)
    elif isinstance(node, GroupPlan):
        begin(step, step.create(scope, token, Phase.PENDING))
    else:
        step.create(scope, token, Phase.STARTING)


def may_create(step: Fold, node: str) -> bool:
    """Whether the run may make another activation; if not, it fails (R8)."""
    steps, most = step.state.steps, step.plan.max_steps
    if steps < most:
        return True
    message = (
        f"task {node!r} would be activation {steps + 1} of this run, and maxSteps is "
        f"{most}; is there a loop without a way out, or must maxSteps be raised?"
    )
    error = Error(reasons.MAX_STEPS_EXCEEDED, message, retryable=False)
    fail_scope(step, RUN_SCOPE, Failure(node, 0, 0, 0, error, step.seq))
    return False


def begin(step: Fold, activation: Activation) -> None:
    """Give an activation its turn: a task is to be started, a group opens its branches (G1)."""
    node = plan_at(step.plan, step.state, activation.scope).by_id[activation.node]
    if not isinstance(node, GroupPlan):
        step.put(activation, Phase.STARTING)
        return
    branches = tuple(
        step.open_branch(activation, member, call) for call, member in enumerate(node.members)
    )
    step.put(activation, Phase.HOLDING, scopes=branches)
    for member, scope in zip(node.members, branches, strict=True):
        activate(step, scope, Token(member, 0, [*activation.sent]))


def next_turn(step: Fold, scope: int, node: str) -> None:
    """Let the next activation of a node begin, if one waits for its turn (R4)."""
    queue = step.state.scopes[scope].queues.get(node)
    if queue and not step.halted(scope):
        begin(step, step.state.activations[queue[0]])
