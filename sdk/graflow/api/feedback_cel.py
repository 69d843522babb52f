"""What the API server checks of a `FeedbackRequest` by itself, with the words that users read.

`graflow.api.asking` and `graflow.api.answering` say the same and more, in more words. These rules
hold for whoever writes the object, the operator too.
"""

from graflow.api.rules import Rule, rule
from graflow.questions import ANSWERS, MOST_RESPONSES

ONE_PAYLOAD = rule(
    "[has(self.text), has(self.markdown), has(self.blob)].exists_one(given, given)",
    "a payload is exactly one of text, markdown, blob",
)

ON_DEADLINE = (
    rule("(self.action == 'Goto') == has(self.task)", "task goes with action Goto, and only there"),
    rule(
        "(self.action == 'Default') == has(self.default)",
        "default goes with action Default, and only there",
    ),
    rule("(self.action == 'Escalate') == has(self.to)", "to goes with action Escalate, only there"),
    rule("self.action == 'Escalate' || !has(self.seconds)", "seconds goes with action Escalate"),
)

QUESTION = (
    rule(
        "(self.type in ['selection', 'multi_selection']) == has(self.options)",
        "options go with types selection and multi_selection, and only with them",
    ),
    rule(
        "!has(self.options) || self.options.all(one, self.options.exists_one(other, other == one))",
        "each of the options is there once",
    ),
    rule("(self.type == 'custom') == has(self.schema)", "schema goes with type custom, only there"),
    rule(
        "self.type == 'approval' || !has(self.approvals) || self.approvals == 1",
        "approvals over 1 go with type approval",
    ),
    rule(
        "has(self.timeoutSeconds) || !has(self.onDeadline)",
        "onDeadline goes with timeoutSeconds, and only with it",
    ),
)

SPEC = (
    rule("self == oldSelf", "a question cannot be changed once it is asked"),
    rule(
        "has(self.timeoutSeconds) == has(self.deadline)",
        "deadline goes with timeoutSeconds, and only with it",
    ),
    rule(
        "!has(self.submitterMayAnswer) || self.submitterMayAnswer || has(self.submitter)",
        "submitterMayAnswer: false takes a submitter; set spec.submitter of the Workflow",
    ),
)

_BEFORE = "(has(oldSelf.status) && has(oldSelf.status.responses) ? oldSelf.status.responses : [])"
_AFTER = "(has(self.status) && has(self.status.responses) ? self.status.responses : [])"
_MORE = f"size({_AFTER}) > size({_BEFORE})"
_LAST = "self.status.responses[size(self.status.responses) - 1]"
_LAST_BEFORE = "oldSelf.status.responses[size(oldSelf.status.responses) - 1]"


def _with_words(expression: str, message: str, words: str) -> Rule:
    """Return a rule with words about what it sees; the message is for when these cannot be had."""
    return {**rule(expression, message), "messageExpression": words}


def _of_more(expression: str) -> str:
    """Return the condition that this holds if a response is new."""
    return f"!({_MORE}) || {expression}"


_KEPT = rule(
    # Lists have no slices before Kubernetes 1.34: so by position, as many as there may be.
    f"size({_BEFORE}) <= size({_AFTER}) && {list(range(MOST_RESPONSES))}.all(n,"
    f" n >= size({_BEFORE}) || {_AFTER}[n] == {_BEFORE}[n])",
    "status.responses are appended to and never changed or removed",
)

_PHASE_KEPT = rule(
    "!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase == 'Pending'"
    " || has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase"
    " && has(self.status.answer) == has(oldSelf.status.answer)"
    " && (!has(self.status.answer) || self.status.answer == oldSelf.status.answer)",
    "what has become of a question stays: status.phase and status.answer cannot be changed",
)

_OPEN = _with_words(
    _of_more(
        "(!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase == 'Pending')"
    ),
    "this question is closed: nobody can answer it any more",
    "'this question is ' + oldSelf.status.phase"
    " + (has(oldSelf.status.message) ? ': ' + oldSelf.status.message : '')"
    " + (has(oldSelf.status.decidedAt) ? ', at ' + oldSelf.status.decidedAt : '')"
    " + '; nobody can answer it any more'",
)

_UNDECIDED = _with_words(
    _of_more(
        f"(self.spec.type == 'custom' || size({_BEFORE}) == 0 || self.spec.type == 'approval'"
        f" && {_BEFORE}.all(one, has(one.approved) && one.approved)"
        f" && size({_BEFORE}) < (has(self.spec.approvals) ? self.spec.approvals : 1))"
    ),
    "this question is answered already",
    f"'this question is answered: by ' + {_LAST_BEFORE}.by + ', at ' + {_LAST_BEFORE}.at",
)
"""Also while the operator has not yet seen the answer that was first. Of JSON it alone can tell
whether that was one."""

_ONCE = _with_words(
    _of_more(f"(self.spec.type != 'approval' || !{_BEFORE}.exists(one, one.by == {_LAST}.by))"),
    "each person approves or rejects once",
    f"{_LAST}.by + ' has approved this already; it takes somebody else'",
)

_OF_THIS = rule(
    _of_more(f"{_LAST}.sha256 == self.spec.sha256"),
    "sha256 of the response is not spec.sha256: it answers something else than is asked here",
)

_CHOSEN = _with_words(
    _of_more(f"!has({_LAST}.selected) || self.spec.options.exists(one, one == {_LAST}.selected)"),
    "selected is none of spec.options",
    f"'selected: \"' + {_LAST}.selected + '\" is none of spec.options'",
)

_ALL_CHOSEN = rule(
    _of_more(
        f"!has({_LAST}.selectedMultiple) || {_LAST}.selectedMultiple.all(one, one in"
        f" self.spec.options && {_LAST}.selectedMultiple.exists_one(other, other == one))"
    ),
    "selectedMultiple are some of spec.options, each once",
)

_FIELDS = [(kind.value, field) for kind, (_, field) in ANSWERS.items()]

_IN_WORDS = rule(
    _of_more(f"!has({_LAST}.text) || size({_LAST}.text) > 0"), "text: an answer has words"
)

RESOURCE = (
    _KEPT,
    _PHASE_KEPT,
    _OPEN,
    _UNDECIDED,
    _ONCE,
    _OF_THIS,
    *(
        rule(
            _of_more(f"(self.spec.type == '{kind}') == has({_LAST}.{field})"),
            f"a question of type {kind} is answered with the field {field}, and no other one is",
        )
        for kind, field in _FIELDS
    ),
    _CHOSEN,
    _ALL_CHOSEN,
    _IN_WORDS,
)
