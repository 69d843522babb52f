"""`graflow inbox`, `answer`: what tasks ask people, and what people say."""

from typing import TYPE_CHECKING, Any

import click

from graflow.cli.options import output_option, where_options
from graflow.cli.told import tell_json

if TYPE_CHECKING:
    from graflow.cluster.questions import Asked, Questions
    from graflow.cluster.whoami import Ourselves


@click.command()
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Of all namespaces.")
@click.option("--all", "all_", is_flag=True, help="Also questions that are decided.")
@click.option("--mine", is_flag=True, help="Only questions that you are asked and may answer.")
@click.option("-l", "--selector", default="", metavar="LABELS", help="Labels, as kubectl has them.")
@click.option("--watch", is_flag=True, help="Go on with those that are asked from now on.")
@output_option("table", "json", "name", default="table", help="Form of the output.")
@where_options
def inbox(  # noqa: PLR0913 - one parameter for each option
    *,
    everywhere: bool,
    all_: bool,
    mine: bool,
    selector: str,
    watch: bool,
    output: str,
    namespace: str | None,
    context: str | None,
) -> None:
    """List the questions that wait on a cluster, the oldest first.

    What a program on this machine asks is answered at its terminal, or with FeedbackManager.

    With --mine those of them that you may answer: you are named, or one of your groups is, or
    nobody is; and you have not approved already.

    \b
      graflow inbox -n team
      graflow inbox -A --mine --watch
      graflow inbox -l graflow.dev/workflow=etl-7f3k9
      graflow inbox -o json | jq -r '.[] | [.name, .prompt] | @tsv'
    """  # noqa: D301 - \b keeps click from filling the lines
    # Imported here, as in all commands: `graflow --help` starts in no time.
    from graflow.cli.show import utc_now  # noqa: PLC0415
    from graflow.cli.show_questions import Inbox  # noqa: PLC0415

    questions = _questions(namespace, context, everywhere=everywhere)
    ourselves = _ourselves(questions) if mine else None
    shown = Inbox(output, everywhere=everywhere, decided=all_)

    def wanted(one: "Asked") -> bool:
        is_open = one.closed(utc_now().timestamp()) is None
        return (all_ or is_open) and (ourselves is None or one.waits_for(ourselves))

    if watch:
        for one in questions.changes(selector):
            if wanted(one):
                shown.tell(one)
        return
    found = [one for one in questions.all(selector) if wanted(one)]
    where = "any namespace" if everywhere else f"namespace {questions.namespace}"
    none = f"no question in {where} waits for {'you' if mine else 'an answer'}"
    shown.tell_all(found, none)


@click.command()
@click.argument("name")
@click.option("--approve", is_flag=True, help="Say yes.")
@click.option("--reject", is_flag=True, help="Say no.")
@click.option("--reason", metavar="TEXT", help="Why, for whoever looks at the run later.")
@click.option("--text", metavar="TEXT", help="Say this.")
@click.option(
    "--select",
    multiple=True,
    metavar="OPTION",
    help="Choose this one. May be given several times where several may be chosen.",
)
@click.option("--none", "nothing", is_flag=True, help="Choose none of the options.")
@click.option(
    "--json", "custom", metavar="VALUE|@FILE", help="A JSON object, as the question describes it."
)
@click.option("--show", is_flag=True, help="Only show the question.")
@click.option("--withdraw", is_flag=True, help="Have nobody answer any more: the call fails.")
@output_option("text", "json", default="text", help="Form of the output.")
@where_options
def answer(  # noqa: PLR0913 - one parameter for each option
    name: str,
    *,
    show: bool,
    withdraw: bool,
    output: str,
    namespace: str | None,
    context: str | None,
    **given: Any,  # noqa: ANN401 - the options that answer
) -> None:
    """Answer a question of a task that waits on a cluster.

    Without an option that answers, the whole question is shown on the terminal, and you are asked.
    The first answer that decides counts; who comes later is told who was first. Your answer is for
    the question as it was read here: should the task ask something else, it does not count.

    Who you are is known from your token. It takes the verb respond on the question, and where it
    names users or groups you must be among them.

    \b
      graflow answer etl-approve-4f1c                         shows it, and asks
      graflow answer etl-approve-4f1c --show
      graflow answer etl-approve-4f1c --approve --reason "looks right"
      graflow answer etl-region-91ab --select eu
      graflow answer etl-limits-77c0 --json @limits.json
    """  # noqa: D301 - \b keeps click from filling the lines
    from graflow.cli.replies import reply, typed  # noqa: PLC0415
    from graflow.cli.show_questions import printable  # noqa: PLC0415

    questions = _questions(namespace, context)
    said = {option: value for option, value in given.items() if value not in (None, False, ())}
    if len([one for one in (show, withdraw, said) if one]) > 1:
        raise click.UsageError("--show, --withdraw and an answer do not go together; choose one")
    asked = questions.get(name)
    if show:
        _show(questions, asked, output)
        return
    if withdraw:
        told = questions.withdraw(asked)
    else:
        content = reply(asked, said) if said else typed(asked, lambda: _show(questions, asked))
        told = questions.answer(asked, content)
    if output == "json":
        tell_json(told)
    else:
        click.echo(f"{name}: {printable(told.get('message') or 'taken')}", err=True)


def _questions(
    namespace: str | None, context: str | None, *, everywhere: bool = False
) -> "Questions":
    from graflow.cluster.questions import Questions  # noqa: PLC0415
    from graflow.cluster.submit import Target  # noqa: PLC0415

    if everywhere and namespace is not None:
        raise click.UsageError("-A is for all namespaces, and -n for one; choose one of them")
    server = Target(context=context, namespace=namespace).server()
    return Questions(server, None if everywhere else server.namespace)


def _ourselves(questions: "Questions") -> "Ourselves":
    from graflow.cluster.errors import ForbiddenError  # noqa: PLC0415
    from graflow.cluster.whoami import who_we_are  # noqa: PLC0415

    if (found := who_we_are(questions.server)) is None:
        raise ForbiddenError("the API server does not say who you are; leave --mine out")
    return found


def _show(questions: "Questions", asked: "Asked", output: str = "") -> None:
    """Print a question at length: as text or JSON, or where nothing is said as it is asked."""
    from graflow.cli.show import utc_now  # noqa: PLC0415
    from graflow.cli.show_questions import show_question  # noqa: PLC0415

    if output == "json":
        tell_json(asked.manifest())
    else:
        payload = questions.payload(asked)
        show_question(asked, payload, options=bool(output), now=utc_now())
