"""What a host must make true, derived from the state alone.

A host that was restarted derives again whatever its predecessor committed and did not live to do.
"""

from graflow.machine.commands import (
    AskPerson,
    Command,
    FinishRun,
    StartAttempt,
    StopAttempt,
    WakeAt,
)
from graflow.machine.plan import Plan
from graflow.machine.state import State


def due(plan: Plan, state: State) -> tuple[Command, ...]:
    """Return every command whose effect is not known to the state yet, starts in their order."""
    del plan  # part of the interface of every rule; what is due today follows from the state
    if state.phase.ended:
        return (*_stops(state), FinishRun())
    starts = [StartAttempt(n, state.activations[n].attempt) for n in state.starting]
    return (*starts, *asks(state), *wakes(state))


def asks(state: State) -> tuple[AskPerson, ...]:
    """Return the questions that are open, in the order in which they were asked."""
    return tuple(
        AskPerson(number, question.key)
        for number in state.asking
        for question in state.activations[number].questions
        if question.answer is None
    )


def wakes(state: State) -> tuple[WakeAt, ...]:
    """Return the timers of a run that goes on, without its starts, which may be thousands."""
    found = [state.activations[n].not_before for n in state.backoff]
    return (WakeAt(min(found)),) if found else ()


def _stops(state: State) -> list[StopAttempt]:
    return [
        StopAttempt(activation.number, activation.attempt)
        for activation in state.activations.values()
        if activation.phase.has_attempt
    ]
