"""What work costs in a number that a busy machine does not change."""

import sys


def lines_run(work):
    """Return how many lines of Python code a call executes, passes of a loop counted each."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
