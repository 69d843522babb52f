"""Agents of a program, one that travels and one that each pod makes; and what a cluster ignores."""

from graflow.core.decorators import task
from graflow.core.task import parallel
from graflow.core.workflow import workflow
from graflow.llm.agents.base import LLMAgent
from graflow.trace import NoopTracer


class Echo(LLMAgent):
    """An agent that needs no model."""

    def __init__(self, name):
        self._name = name

    def run(self, input_text, **kwargs):
        return {"output": f"{self._name}: {input_text}", "steps": [], "metadata": kwargs}

    @property
    def name(self):
        return self._name


with workflow("agents", tracer=NoopTracer()) as wf:
    wf.register_llm_agent("given", Echo("given"))
    wf.register_llm_agent("made", lambda context: Echo(f"of {len(context.session_id) > 0}"))

    @task(inject_llm_agent="made")
    def ask(llm_agent):
        return llm_agent.run("hi")["output"]

    @task(inject_context=True)
    def other(ctx):
        return ctx.get_llm_agent("given").run("ho")["output"]

    both = parallel(ask, other).with_execution("direct").set_group_name("both")

    @task
    def end(both):
        return sorted(both.items())

    both >> end
    print(wf.execute())
