"""`graflow completion`: what a shell needs to complete the command line."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    \b
      source <(graflow completion bash)          # in ~/.bashrc
      source <(graflow completion zsh)           # in ~/.zshrc
      graflow completion fish | source           # in config.fish
    """  # noqa: D301 - \b keeps click from filling the lines
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(found(ctx.find_root().command, {}, "graflow", "_GRAFLOW_COMPLETE").source())
