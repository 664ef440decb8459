"""`glue tasks`: what can be run."""

import click


@click.command()
def command() -> None:
    """List the tasks."""
    from glue_harness.registry import load_tasks

    for name in load_tasks().tasks:
        click.echo(name)
