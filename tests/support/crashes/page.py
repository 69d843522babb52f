"""The table of crash points in the docs."""

from pathlib import Path

from support.crashes.points import AWAY, BEFORE, DELETED, FAULTS, PAIR, SAMPLES
from support.crashes.promises import INVARIANTS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "concepts" / "crash-safety.md"
GROUPS = {"killed": BEFORE, "twice": PAIR, "away long": AWAY, "each other fault": DELETED}
"""Faults of which as much is tried, by the name of their column."""

BEGIN, END = "<!-- crash points begin -->", "<!-- crash points end -->"
EFFECTS = {
    "status": "a commit: the Workflow's status is written",
    "reply (claim)": "a runner is given its order",
    "reply (report)": "a runner is told that its report is committed",
    "reply (channel)": "a runner is told what came of an operation on the channel",
    "reply (results)": "a runner is told a result",
    "reply (blob)": "a runner is told where a large value goes",
    "reply (ask)": "a runner is told that its question is asked, or the answer",
    "reply (keep)": "a runner is told that a value is kept for later attempts",
    "reply (respond)": "somebody is told that their answer counts, or who was first",
    "question create": "a question is put where people find it",
    "question status": "what has become of a question, and who is to be told, or was",
    "notification": "somebody is told of a question",
    "pod create": "a pod is made",
    "pod delete": "a pod is deleted",
    "finalizer off": "a pod is let go whose status was the only record",
    "Secret create": "the run's key is put where its pods find it",
    "run delete": "a run is deleted whose time is over",
    "store put (state)": "a state that is too large for the status",
    "store put (changes)": "what has changed since",
    "store put (blobs)": "a value",
    "store put (channel)": "operations on the channel, or the channel as it is",
    "store put (history)": "what tasks have decided",
    "store put (checkpoints)": "a checkpoint",
    "store put (outcomes)": "a tombstone",
    "store put (completion)": "how the work of a `runId` has ended",
    "store put (mark)": "the mark by which a deleted run's objects are found",
    "store delete (state)": "a state that another one has replaced",
    "store delete (changes)": "what is in a later state, or a longer segment",
    "store delete (channel)": "what the channel has behind it",
    "store delete (history)": "a segment that a longer one has replaced",
    "store delete (blobs)": "of a run that is gone",
    "store delete (checkpoints)": "of a run that is gone",
    "store delete (outcomes)": "of a run that is gone",
    "store delete (mark)": "of a run that is gone, last of all",
}
"""What the operator does to anything outside it, in words."""


def table(tally, lengths, *, seed, most):
    """Return the lines of the page for what was tried."""
    runs = tally.runs.total()
    how = f"seed {seed}, {_how_many(most)}"
    lines = [
        f"{runs} runs of {len(lengths)} programs, {how}; violations: {len(tally.broken)}.",
        "",
        _line("effect", "what it is", *FAULTS),
        _line(*["---"] * 2, *["---:"] * len(FAULTS)),
    ]
    for kind, words in EFFECTS.items():
        lines.append(_line(kind, words, *(str(tally.runs[kind, fault] or "") for fault in FAULTS)))
    lines += [_line("all", "", *(str(_all(tally, fault)) for fault in FAULTS)), ""]
    lines += [_line("promise", "times asked", "broken"), _line("---", "---:", "---:")]
    for promise in INVARIANTS:
        broken = sum(found == promise for found, *_ in tally.broken)
        lines.append(_line(promise, str(tally.checked[promise]), str(broken)))
    return lines if most else [*lines, "", *_samples(lengths)]


def _how_many(most):
    if most is None:
        return (
            "every effect of each killed before and after it, of all else what the last table says"
        )
    return f"for each program and fault {most} points drawn by lot"


def _samples(lengths):
    """Return the lines that say how much of the programs was tried."""
    lines = [_line("programs", "effects", *GROUPS), _line("---", "---:", *["---:"] * len(GROUPS))]
    for sample in SAMPLES:
        group = [length for length in lengths if length.sample == sample]
        if group:
            effects = [length.effects for length in group]
            names = ", ".join(length.name for length in group)
            of = f"{min(effects)} to {max(effects)}"
            lines.append(
                _line(names, of, *(_part(sample.size(fault)) for fault in GROUPS.values()))
            )
    return lines


def _part(size):
    return "every point" if size is None else f"{size} by lot, or all"


def _all(tally, fault):
    return sum(number for (_, found), number in tally.runs.items() if found == fault)


def _line(*cells):
    return f"| {' | '.join(cells)} |"


def written():
    """Return the lines that the page has between its marks."""
    text = PAGE.read_text()
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip("\n").splitlines()


def write(tally, lengths, *, seed, most):
    """Write the table into the page, and leave all else as it is."""
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    tail = rest[rest.index(END) :]
    lines = "\n".join(table(tally, lengths, seed=seed, most=most))
    PAGE.write_text(f"{head}{BEGIN}\n{lines}\n{tail}")
