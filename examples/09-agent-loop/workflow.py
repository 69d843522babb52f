"""An agent and its tool: a loop in the graph, which the agent leaves when it knows the answer.

The agent looks for the next thing to work out, the tool does it, and the agent looks again.
"""

import operator
import re

from graflow import task, workflow

QUESTION = "(2 + 3) * (10 - 4) - 7 * 2"
NUMBER = r"-?\d+"
STEPS = [
    re.compile(rf"\(({NUMBER}) ([-+*]) ({NUMBER})\)"),
    re.compile(rf"({NUMBER}) (\*) ({NUMBER})"),
    re.compile(rf"({NUMBER}) ([-+]) ({NUMBER})"),
]
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


@task
def ask():
    return QUESTION


@task(inject_context=True)
def agent(context, expression):
    for step in STEPS:
        if found := step.search(expression):
            return {"expression": expression, "step": found.group(), "parts": found.groups()}
    answer = f"{QUESTION} = {expression} after {context.cycle_count - 1} steps"
    context.terminate_workflow("nothing is left to work out", result=answer)
    return None


@task
def calculator(agent):
    left, sign, right = agent["parts"]
    value = OPERATORS[sign](int(left), int(right))
    return agent["expression"].replace(agent["step"], str(value), 1)


with workflow("agent-loop") as wf:
    ask >> agent >> calculator >> agent

if __name__ == "__main__":
    print(wf.execute())
