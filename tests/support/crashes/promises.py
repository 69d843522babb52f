"""What is promised of every run, whatever is done to the operator."""

ONCE = "a result is committed once"
NEVER_AGAIN = "what is committed never runs again"
COMMIT_FIRST = "nothing starts, and nobody is answered, before the commit"
DIRECTIVES = "what tasks decide takes effect once"
ONE_RUNNER = "one runner holds an attempt"
CHANNEL = "an operation on the channel counts once"
ENDS = "the run ends as it does undisturbed"
LEAKS = "nothing is left over"
CURSOR = "what the cursor names is there"
OUTCOMES = "an outcome that the store or a held pod has counts"

ANSWERS = "an answer counts once, and is the one that the question's object says"
KEPT = "what a task has kept before it waits is never done again"
PODLESS = "who waits for a person has no pod"
NOBODY = "nobody is asked for a run that has ended"
TOLD = "who is to be told of a question is, at least once"

INVARIANTS = (
    ONCE,
    NEVER_AGAIN,
    COMMIT_FIRST,
    DIRECTIVES,
    ONE_RUNNER,
    CHANNEL,
    CURSOR,
    OUTCOMES,
    ANSWERS,
    KEPT,
    PODLESS,
    NOBODY,
    TOLD,
    ENDS,
    LEAKS,
)
