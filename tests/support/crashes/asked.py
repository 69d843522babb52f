"""Looks at every question to a person from outside, as `observer` does at all else."""

import json

from graflow.machine.state import Phase
from graflow_operator import outbox, questions
from graflow_operator.cluster import FEEDBACK_REQUESTS, PODS
from graflow_operator.refs import AttemptRef
from support.crashes.promises import ANSWERS, COMMIT_FIRST, KEPT, NOBODY, PODLESS, TOLD

SAID = ("approved", "text", "selected", "selectedMultiple")
GOES_S = 100.0
"""Until a pod is gone whose attempt has parked, and a question is withdrawn whose run has ended:
news may be lost, and all is compared each 72 s."""


class Asked:
    """What the tasks of one run have asked, and what became of it.

    Args:
        cluster: Everything in it.
        wrong: Is told of a broken promise, and in which words.
        checked: Counts how often each was asked about.
    """

    def __init__(self, cluster, wrong, checked):
        self._cluster = cluster
        self._wrong = wrong
        self._checked = checked
        self._objects = {}
        """The latest of each name; also when it is gone."""

        self._heard = {}
        """What the run knows, by activation and key."""

        self._kept = set()
        """(activation, key) of values whose runners were told that they are kept."""

        self._told = set()
        """(name of the object, notification) that somebody was told."""

        self._parked = {}
        """Since when activations have waited, by number."""

        self._ended = None
        """When the run did."""

        self._live = {}
        """Committed activations, by number."""

    def __bool__(self):
        return bool(self._objects)

    @property
    def answers(self):
        """What people, or nobody, have said to each question: by task, pass and key."""
        found = {}
        for request in self._objects.values():
            answer = (request.get("status") or {}).get("answer") or {}
            by_people = not (answer.get("default") or answer.get("expired"))
            said = {name: answer[name] for name in SAID if name in answer}
            found[which(request["spec"])] = said if by_people else {}
        return found

    # -- objects ----------------------------------------------------------------------------------

    def object_seen(self, request):
        """Look at a question's object that has just been written."""
        self._checked[ANSWERS] += 1
        name = request["metadata"]["name"]
        before, self._objects[name] = self._objects.get(name), request
        if before is None or before["metadata"]["uid"] != request["metadata"]["uid"]:
            return
        was, now = ((one.get("status") or {}) for one in (before, request))
        said = was.get("responses") or []
        if (now.get("responses") or [])[: len(said)] != said:
            self._wrong(ANSWERS, f"{name}: what was said is not there any more: {was}, {now}")
        if not questions.is_open(before) and _decided(was) != _decided(now):
            self._wrong(ANSWERS, f"{name} was decided, and then otherwise: {was}, {now}")
        if now.get("phase") == "Answered":
            self._compare_with_responses(request)

    def _compare_with_responses(self, request):
        """See whether what was decided is what the first response that decides says."""
        asked = questions.Asked({**request, "status": {"responses": _responses(request)}})
        [first, *_] = asked.status.responses
        answer = request["status"]["answer"]
        told = first.manifest()
        said = {name: told[name] for name in SAID if name in told}
        of_answer = {name: answer[name] for name in SAID if name in answer}
        if of_answer != said or answer["respondedBy"] != [first.by]:
            words = f"{first.by} was first, with {said}, and the answer is {answer}"
            self._wrong(ANSWERS, f"{asked.request['metadata']['name']}: {words}")

    def told(self, name, entry):
        """Take note that somebody was told something of a question."""
        self._told.add((name, entry))

    # -- the run ----------------------------------------------------------------------------------

    def committed(self, state, now):
        """Look at what a commit says of questions."""
        self._live = dict(state.activations)
        if state.phase.ended and self._ended is None:
            self._ended = now
        self._parked = {
            number: self._parked.get(number, now)
            for number, found in state.activations.items()
            if found.phase is Phase.PARKED
        }
        for number, found in state.activations.items():
            for question in found.questions:
                if question.answer is not None:
                    self._hears(question.name, number, question.key, question.answer)

    def _hears(self, name, activation, key, answer):
        """See whether an answer is what the object says, and what was known before."""
        self._checked[ANSWERS] += 1
        known = self._heard.setdefault((activation, key), answer)
        if known != answer:
            self._wrong(ANSWERS, f"{name} was answered with {known}, and with {answer}")
        says = {"json": questions.heard(self._objects[name])} if name in self._objects else None
        if answer != says:
            self._wrong(ANSWERS, f"{activation} hears {answer}, and {name} says {says}")

    def order_given(self, order):
        """Look at an order that a runner has just been given."""
        self._checked[KEPT] += 1
        number = order["activation"]
        for activation, key in self._kept:
            if activation == number and key not in order["kept"]:
                self._wrong(KEPT, f"{key} of activation {number} is kept, and its order lacks it")
        for key, question in order["questions"].items():
            if question["answer"] is not None:
                self._hears(question["name"], number, key, question["answer"])

    def ask_answered(self, ref, body, answer):
        """Look at what a runner is told of its question, and what is committed then."""
        self._checked[COMMIT_FIRST] += 1
        key, live = body["key"], self._live.get(ref.activation)
        is_current = live is not None and live.attempt == ref.attempt
        if answer["holdSeconds"] and is_current and key not in {q.key for q in live.questions}:
            self._wrong(COMMIT_FIRST, f"{ref} was told that {key} is asked, before its commit")
        if answer["answer"] is not None:
            self._hears(answer["name"], ref.activation, key, answer["answer"])

    def step_ran(self, ref, key):
        """Take note that a task has done what it wants to keep."""
        self._checked[KEPT] += 1
        if (ref.activation, key) in self._kept:
            self._wrong(KEPT, f"{ref} has done {key} again")

    def keep_answered(self, ref, key):
        """Take note that a runner was told that a value is kept; it is committed by then."""
        self._checked[COMMIT_FIRST] += 1
        live = self._live.get(ref.activation)
        if live is not None and key not in dict(live.kept):
            self._wrong(COMMIT_FIRST, f"{ref} was told that {key} is kept, before its commit")
        self._kept.add((ref.activation, key))

    # -- what should not be there -----------------------------------------------------------------

    def look(self, now, since):
        """See whether pods of those who wait have gone, and nobody is asked in vain.

        Args:
            now: Seconds.
            since: Since when there has been an operator all the time.
        """
        self._look_at_pods(now, since)
        if self._ended is not None and now - max(self._ended, since) > GOES_S:
            self._look_at_questions()

    def _look_at_questions(self):
        for request in self._cluster.all(FEEDBACK_REQUESTS):
            self._checked[NOBODY] += 1
            if questions.is_open(request):
                name = request["metadata"]["name"]
                self._wrong(NOBODY, f"{name} waits for an answer, and its run has ended")

    def _look_at_pods(self, now, since):
        """See whether pods have gone; what has failed stays to be looked at."""
        self._checked[PODLESS] += len(self._parked)
        for pod in self._cluster.all(PODS):
            ref = AttemptRef.of(pod["metadata"]["labels"])
            waits = self._parked.get(ref.activation)
            if waits is None or pod.get("status", {}).get("phase") == "Failed":
                continue
            waited_s = now - max(waits, since)
            if waited_s > GOES_S:
                words = f"pod {pod['metadata']['name']} is there, and its task waits for a person"
                self._wrong(PODLESS, f"{words} since {waited_s:.0f} s")
                self._parked[ref.activation] = now

    def look_for_leaks(self):
        """Look at what is there when a run has ended, and there was time."""
        self._look_at_questions()
        for request in self._cluster.all(FEEDBACK_REQUESTS):
            self._checked[TOLD] += 1
            name = request["metadata"]["name"]
            if left := outbox.pending(request):
                self._wrong(TOLD, f"{name} has {left} to be told")
            for noted in (request.get("status") or {}).get("notifications", ()):
                entry = outbox.Entry.of(noted)
                if (name, entry) not in self._told:
                    self._wrong(TOLD, f"nobody was told {entry} of {name}")


def which(spec):
    """Return what tells a question from the others of a run."""
    return spec["task"], spec["iteration"], spec["key"]


def _decided(status):
    return json.dumps([status.get(name) for name in ("phase", "answer", "decidedAt", "message")])


def _responses(request):
    return request["status"].get("responses") or []
