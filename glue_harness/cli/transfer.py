"""What training together did to each task, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

    from glue_harness.transfer import Effect, Transfer

COLUMNS = ("task", "alone", "together", "change", "95 % interval", "p", "epochs", "")
NUMBERS = ("alone", "together", "change", "95 % interval", "p", "epochs")


def print_transfer(transfer: Transfer) -> None:
    from glue_harness.console import say, show, table
    from glue_harness.transfer import GAIN, LOSS, OTHER

    show(table(COLUMNS, map(cells, transfer.effects), right=NUMBERS, whole=("task", "change", "epochs")))
    verdicts = [effect.verdict for effect in transfer.effects]
    gains, losses, others = verdicts.count(GAIN), verdicts.count(LOSS), verdicts.count(OTHER)
    unlike = f", {others} not comparable" if others else ""
    rest = len(verdicts) - gains - losses - others
    say(f"{gains} gained, {losses} lost, {rest} without a difference beyond chance{unlike}")
    say(
        "together minus alone: paired over the same examples, p after Holm's correction over all rows;"
        " epochs alone > together",
        style="dim",
    )
    say(f"together: {transfer.together.name}", style="dim")
    for run, labels in by_run(transfer.effects).items():
        say(f"alone: {run} ({', '.join(labels)})", style="dim")
    for note in transfer.notes:
        say(f"Note: {note}", style="yellow")
    for effect in transfer.effects:
        if effect.difference.untested:
            say(f"Not tested: {effect.label}: {effect.difference.untested}", style="dim")


def by_run(effects: tuple[Effect, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for effect in effects:
        found.setdefault(effect.run, []).append(effect.label)
    return found


def cells(effect: Effect) -> list[str | Text]:
    from rich.text import Text

    from glue_harness.cli.compare import probability
    from glue_harness.formats import written
    from glue_harness.transfer import GAIN, LOSS

    found = effect.difference
    between = "-" if found.low is None else f"{found.low:+.2f} to {found.high:+.2f}"
    p = "-" if found.p_holm is None else probability(found.p_holm)
    epochs = " > ".join("-" if n is None else f"{n:.1f}" for n in (effect.epochs_alone, effect.epochs_together))
    verdict = Text(effect.verdict, style={GAIN: "bold green", LOSS: "bold red"}.get(effect.verdict, "yellow"))
    numbers = (written(effect.alone), written(effect.together), f"{found.value:+.2f}", between, p, epochs)
    return [effect.label, *numbers, verdict]
