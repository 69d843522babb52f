"""What every fold keeps to, told by the words of the rules and not by how the machine does it."""

from graflow.machine.state import RUN_SCOPE, Scope, State


def least_loops(scope: Scope, start: str) -> dict[str, int]:
    """For every node that edges lead to from `start`: the least number of loop edges on the way."""
    after = scope.tracker.graph.after
    found: dict[str, int] = {}
    todo = [(start, 0)]
    while todo:
        node, loops = todo.pop()
        for successor, weight in after.get(node, ()):
            if loops + weight < found.get(successor, 10**6):
                found[successor] = loops + weight
                todo.append((successor, loops + weight))
    return found


def may_still_come(state: State, number: int, node: str, round_: int) -> list[str]:
    """R3: what is alive in the scope and may come to the node by that round."""
    scope = state.scopes[number]
    alive = [(a.node, a.round) for a in state.activations.values() if a.scope == number] + [
        (t.node, t.round)
        for tokens in scope.tokens.values()
        for t in tokens
        if t.explicit or (t.node, t.round) != (node, round_)
    ]
    return [
        at
        for at, q in alive
        if q <= round_ and least_loops(scope, at).get(node, 10**6) <= round_ - q
    ]


def inside(state: State, number: int, outer: int) -> bool:
    while number != outer:
        if number == RUN_SCOPE:
            return False
        number = state.scopes[number].parent
    return True


def halted(state: State, number: int) -> bool:
    while not state.scopes[number].failure:
        if number == RUN_SCOPE:
            return False
        number = state.scopes[number].parent
    return True


def nothing_was_created_too_early(before: State, after: State) -> None:
    """R3: what was made of tokens had nothing to wait for any more."""
    decided = {
        name
        for made in after.transitions
        if made.number > before.transitions_made
        for name in made.target.split(", ")
    }
    for made in after.activations.values():
        scope = after.scopes[made.scope]
        explicit = scope.is_branch and scope.path[-1][1] == made.node and made.iteration == 1
        if made.number > before.steps and not explicit and made.node not in decided:
            late = may_still_come(after, made.scope, made.node, made.round)
            late = [at for at in late if at != made.node]
            assert not late, f"{made.node!r} was created while {late} may still come to it"


def nothing_left_its_branch(before: State, after: State, activation: int) -> None:
    """G6: while the branch of the task that succeeded is open, all that is new is inside it."""
    number = before.activations[activation].scope
    while number != RUN_SCOPE and not before.scopes[number].is_branch:
        number = before.scopes[number].parent
    branch = after.scopes.get(number)
    if number == RUN_SCOPE or branch is None or branch.ended:
        return
    for made in after.activations.values():
        if made.number > before.steps:
            assert inside(after, made.scope, number), f"{made.node!r} left its branch"


def spawners_hold(state: State) -> None:
    """T5: a spawner stays at its node until all that it spawned has ended."""
    for scope in state.scopes.values():
        if scope.plan is not None and not scope.is_branch and not scope.ended:
            holder = state.activations[scope.owner]
            assert holder.phase == "Holding", f"{holder.node!r} does not hold what it spawned"
