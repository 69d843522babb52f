"""What people say to the example that asks, and the program with time enough to say it.

As it is, nobody answers it in time. With these answers it prints something else, on both hosts.
"""

from pathlib import Path

from graflow.hitl.manager import FeedbackManager
from graflow.hitl.types import FeedbackResponse
from support.looking import until

PROGRAM = Path(__file__).parents[2] / "examples" / "20-ask-a-person" / "workflow.py"
HURRIED = "PATIENCE = 0.5\n"
PRINTED = "20 % of the users, south first: Hold on."
ANSWERS = {
    "approve": [{"approved": False, "reason": "too many"}, {"approved": True}],
    "where": [{"selected": "south"}],
    "words": [{"text": "Hold on."}],
}
"""By key of the question, in the order in which it is asked."""


def with_patience(folder):
    """Write the example with an hour for each answer; return the file."""
    text = PROGRAM.read_text()
    assert HURRIED in text
    patient = Path(folder, "workflow.py")
    patient.write_text(text.replace(HURRIED, "PATIENCE = 3600\n"))
    return patient


class Answers:
    """The answers that are still to be given."""

    def __init__(self):
        self._left = {key: list(said) for key, said in ANSWERS.items()}
        self._of = {}
        self.given = []
        """Keys of the questions that had one, in order."""

    def to(self, name, key):
        """Return what is said to a question by its name: the same, however often it is told of."""
        if name not in self._of:
            self._of[name] = self._left[key].pop(0)
            self.given.append(key)
        return self._of[name]


def answer_here(folder, goes_on):
    """Answer in the folder of a run on this machine while it goes on; return the keys, sorted."""
    feedback = FeedbackManager(backend_config={"data_dir": Path(folder, "feedback_data")})
    answers = Answers()

    def has_ended():
        for asked in feedback.list_pending_requests():
            said = answers.to(asked.feedback_id, asked.key)
            response = FeedbackResponse(asked.feedback_id, asked.feedback_type, **said)
            feedback.answer(asked.feedback_id, response)
        return not goes_on()

    until(has_ended, lambda: f"given: {answers.given}", pause_s=0.05)
    return sorted(answers.given)
