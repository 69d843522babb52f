"""Whatever runs share a namespace, and whatever becomes of their pods, the limit holds."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from graflow_operator.facts import PodFact
from graflow_operator.places import OFFER_S, Places, Sharer, shares
from graflow_operator.refs import AttemptRef, RunRef

LIMIT = 3
standings = st.lists(
    st.builds(
        Sharer,
        st.uuids().map(str),
        st.tuples(st.sampled_from("123"), st.just("")),
        st.integers(0, 5),
        st.integers(0, 6),
    ),
    max_size=6,
    unique_by=lambda one: one.run,
)


@given(st.integers(-2, 12), standings)
def test_free_places_are_dealt_as_evenly_as_can_be(free, runs):
    found = shares(free, runs)
    by_run = {one.run: one for one in runs}
    assert sum(found.values()) == max(0, min(free, sum(one.wants for one in runs)))
    assert all(0 < count <= by_run[run].wants for run, count in found.items())
    for run, count in found.items():
        for other in runs:
            hungry = found.get(other.run, 0) < other.wants
            assert not hungry or (
                by_run[run].has + count - 1,
                by_run[run].age,
            ) <= (other.has + found.get(other.run, 0), other.age)


class Namespace(RuleBasedStateMachine):
    """Runs come, start pods, lose them, are left by their actors, do not answer."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.places = Places(LIMIT, lambda: self.now)
        self.runs = {}
        self.todo = {}
        self.pods = {}
        self.rung = set()
        self.attempts = 0

    def _step(self, uid):
        """Do what an actor does: say what there is, ask, make pods."""
        self.rung.discard(uid)
        has = {fact.attempt for fact in self.pods.values() if fact.run == uid}
        wanted = self.todo[uid]
        for attempt in sorted(self.places.take(self.runs[uid], has, wanted)):
            wanted.remove(attempt)
            pod = f"pod-{attempt.activation}"
            self.pods[pod] = PodFact(pod, pod, uid, attempt, 1, "team")

    @precondition(lambda self: len(self.runs) < 5)
    @rule(tasks=st.integers(0, 4))
    def come(self, tasks):
        uid = f"run-{len(self.runs)}"
        self.runs[uid] = RunRef("team", uid, uid)
        self.todo[uid] = []
        for _ in range(tasks):
            self.attempts += 1
            self.todo[uid].append(AttemptRef(self.attempts, 1))
        self.places.enter(self.runs[uid], uid, lambda: self.rung.add(uid))
        self._step(uid)

    @precondition(lambda self: self.todo)
    @rule(data=st.data())
    def ask(self, data):
        self._step(data.draw(st.sampled_from(sorted(self.todo))))

    @precondition(lambda self: self.pods)
    @rule(data=st.data(), heard=st.booleans())
    def end(self, data, heard):
        fact = self.pods.pop(data.draw(st.sampled_from(sorted(self.pods))))
        if fact.run not in self.todo:
            self.places.undriven(fact, there=False)
        elif heard:
            self._step(fact.run)

    @precondition(lambda self: self.todo)
    @rule(data=st.data(), again=st.booleans())
    def leave(self, data, again):
        uid = data.draw(st.sampled_from(sorted(self.todo)))
        self.places.leave(self.runs[uid], [fact for fact in self.pods.values() if fact.run == uid])
        if again:
            self.places.enter(self.runs[uid], uid, lambda: self.rung.add(uid))
        else:
            del self.todo[uid]
            self.rung.discard(uid)

    @rule()
    def wait(self):
        self.now += OFFER_S

    @invariant()
    def no_more_pods_than_there_are_places(self):
        assert len(self.pods) <= LIMIT

    def teardown(self):
        """When everybody answers and pods end, every task gets its turn."""
        for _ in range(3 * self.attempts + 3):
            for uid in self.todo:
                self._step(uid)
            while self.rung:
                self._step(next(iter(self.rung)))
            assert not any(self.todo.values()) or len(self.pods) == LIMIT
            for pod in [*self.pods][:1]:
                self.end_quietly(pod)
        assert not any(self.todo.values())

    def end_quietly(self, pod):
        fact = self.pods.pop(pod)
        if fact.run not in self.todo:
            self.places.undriven(fact, there=False)


TestNamespace = Namespace.TestCase
TestNamespace.settings = settings(max_examples=100, stateful_step_count=25)
