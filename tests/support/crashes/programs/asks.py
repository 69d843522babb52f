"""A task keeps what it has written, asks whether that may go out, and then what it is called."""

from graflow import task, workflow
from graflow.hitl.types import AnswerWith


def write():
    return "words " * 400


@task(inject_context=True)
def review(context):
    draft = context.step("draft", write)
    goes_out = context.request_approval(f"Publish {len(draft)} letters?", timeout=None)
    title = context.request_text_input(
        "What is it called?", timeout=100.0, on_timeout=AnswerWith("untitled")
    )
    return {"title": title, "goes_out": goes_out, "letters": len(draft)}


@task
def publish(review):
    verb = "published" if review["goes_out"] else "kept back"
    return f"{review['title']}: {review['letters']} letters {verb}"


with workflow("asks") as wf:
    review >> publish

if __name__ == "__main__":
    print(wf.execute())
