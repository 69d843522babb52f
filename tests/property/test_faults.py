"""Any faults in any order: each spends its own budget, and none spends another's (F2)."""

from hypothesis import given
from hypothesis import strategies as st

from graflow.machine import faults
from graflow.machine.events import AttemptClaimed, RunStarted, TimerFired
from graflow.machine.faults import FaultKind
from graflow.machine.state import Activation, Phase, RunPhase
from graflow_operator import program, verdicts
from graflow_operator.facts import Taken, of_pod
from graflow_operator.folding import Draft
from graflow_operator.refs import AttemptRef
from graflow_operator.snapshot import Snapshot
from graflow_operator.verdicts import Failed, Lost, Verdict
from support.statuses import ENDED, PENDING, Row, pod

MOST_LOSSES = 5
RETRIES = 3
PROGRAM = program.read(
    {
        "apiVersion": "graflow.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "etl", "namespace": "team", "uid": "uid-1"},
        "spec": {
            "tasks": [
                {
                    "name": "a",
                    "script": "return 1",
                    "retry": {"maxAttempts": RETRIES + 1, "initialSeconds": 1},
                }
            ]
        },
    },
    None,
)


def _ended(row: Row) -> Verdict:
    fact = of_pod(pod(row.status, resources=row.resources, **row.metadata))
    assert fact is not None
    assert fact.ended is not None
    if row.container:
        return verdicts.of_container("p", fact.ended)
    return verdicts.of_runner("p", fact.ended, claimed=row.claimed)


def _of(kind: FaultKind) -> list[Row]:
    return [row for row in ENDED if faults.of(row.reason).kind is kind]


LOSSES = st.sampled_from(_of(FaultKind.INFRASTRUCTURE)).map(_ended) | st.builds(
    lambda claimed, by: verdicts.gone("p", claimed=claimed, taken=by),
    st.booleans(),
    st.none() | st.sampled_from(["", "PreemptionByScheduler", "Other"]).map(Taken),
)
BLAMES = st.sampled_from(_of(FaultKind.USER)).map(_ended)


class OneTask:
    """A run of one task, to which things happen."""

    def __init__(self) -> None:
        self.now = 100.0
        self.snapshot = Snapshot()
        self.waits: list[float] = []
        draft = self.draft()
        draft._fold(RunStarted(self.now))
        self.take(draft)

    def draft(self) -> Draft:
        return Draft(PROGRAM, self.snapshot, self.now, {})

    def take(self, draft: Draft) -> None:
        self.snapshot = draft.snapshot(self.snapshot, ())

    @property
    def task(self) -> Activation | None:
        return self.snapshot.state.activations.get(1)

    @property
    def over(self) -> bool:
        return self.snapshot.state.phase is not RunPhase.RUNNING

    def happen(self, verdict: Verdict, *, claimed: bool) -> None:
        """Let an attempt end so, after which its successor becomes due."""
        if self.over or self.task is None:
            return
        attempt = AttemptRef(1, self.task.attempt)
        draft = self.draft()
        if claimed:
            draft._fold(AttemptClaimed(1, attempt.attempt, "pod/nonce", self.now))
        draft.judged(attempt, verdict)
        self.take(draft)
        if not self.over and self.task is not None and self.task.phase is Phase.BACKOFF:
            self.waits.append(self.task.not_before - self.now)
            self.now = self.task.not_before
            draft = self.draft()
            draft._fold(TimerFired(self.now))
            self.take(draft)


@given(st.lists(st.tuples(LOSSES, st.booleans()), max_size=20))
def test_f2_no_faults_of_the_infrastructure_ever_spend_a_retry(
    found: list[tuple[Lost, bool]],
) -> None:
    run = OneTask()
    spent = 0
    for verdict, claimed in found:
        before = run.over
        run.happen(verdict, claimed=claimed)
        spent += verdict.spends and not before
        if run.over:
            failure = run.snapshot.state.failure
            assert failure is not None
            assert failure.failures == 0
            assert faults.of(failure.error.reason).kind is FaultKind.INFRASTRUCTURE
        else:
            assert run.task is not None
            assert run.task.failures == 0
            assert run.task.losses == spent
    assert run.over == (spent > MOST_LOSSES)


@given(st.lists(st.tuples(LOSSES, st.booleans()), min_size=1, max_size=20))
def test_lost_attempts_follow_each_other_less_and_less_often(
    found: list[tuple[Lost, bool]],
) -> None:
    run = OneTask()
    for verdict, claimed in found:
        run.happen(verdict, claimed=claimed)
    assert run.waits == sorted(run.waits)
    assert run.waits == [min(3.0**n, 30.0) for n in range(len(run.waits))]


@given(
    st.lists(st.tuples(LOSSES, st.booleans()), max_size=4),
    st.sampled_from(
        [row for row in PENDING if faults.of(row.reason).kind.value == "Configuration"]
    ),
)
def test_f2_a_fault_of_the_configuration_spends_nothing_and_ends_the_task_once_its_time_is_over(
    lost: list[tuple[Lost, bool]], row: Row
) -> None:
    run = OneTask()
    for verdict, claimed in lost:
        run.happen(verdict, claimed=claimed)
    assert run.task is not None
    losses = run.task.losses
    assert losses <= len(lost)
    fact = of_pod(pod(row.status))
    assert fact is not None
    assert fact.pending is not None
    error = verdicts.Error(fact.pending.reason, fact.pending.message)
    run.happen(verdicts.given_up(error), claimed=False)
    failure = run.snapshot.state.failure
    assert failure is not None
    assert (failure.failures, failure.error.reason) == (0, row.reason)


@given(st.lists(st.tuples(LOSSES | BLAMES, st.booleans()), max_size=20))
def test_f2_each_fault_spends_its_own_budget(found: list[tuple[Lost | Failed, bool]]) -> None:
    run = OneTask()
    lost = failed = 0
    for verdict, claimed in found:
        if run.over:
            break
        run.happen(verdict, claimed=claimed)
        lost += isinstance(verdict, Lost) and verdict.spends
        failed += isinstance(verdict, Failed)
        assert run.over == (
            lost > MOST_LOSSES
            or failed > RETRIES
            or (isinstance(verdict, Failed) and not verdict.error.retryable)
        )
