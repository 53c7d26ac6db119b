"""The demo's tables: which clusters were kept and why, and the comparison with random rows and with no tuning."""

import shlex
from collections import Counter

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shed_hf.demo.run import DemoResult, damaged_in


def show(result: DemoResult) -> None:
    """Prints the clusters, best first, the comparison with random rows, and what to type next.

    Args:
        result: What the demo measured.
    """
    console = Console()
    console.print(_clusters(result))
    console.print(_comparison(result))
    for paragraph in (_verdict(result), _ranking(result), _next(result)):
        console.print(f"\n{paragraph}")


def _verdict(result: DemoResult) -> str:
    tunings, draws = _runs(result)
    return (
        f"The rows kept are {escape(result.verdict)}.\nThe loss is that of answers to questions on all topics that no "
        "choice was made by. A single tuning is partly luck, and so is one draw of random rows: so there are "
        f"{tunings} and {draws}, and the interval in brackets counts the luck of both, and that of the questions."
    )


def _ranking(result: DemoResult) -> str:
    agree = f"halves of its measurements agree to {result.reliability:.2f} of 1"
    if result.ranking_holds:
        own = f"The curation's own checks, which know nothing of the damage, find the order of clusters real: {agree}."
    else:
        own = (
            f"The curation's own checks, which know nothing of the damage, don't tell the order of clusters from noise "
            f"({agree}): a larger budget would. The comparison above does not rest on that order, but on tuning."
        )
    return (
        f"{own} By the damage, which the demo knows, damaged clusters rank last with AUC {result.auc_damaged_last:.2f} "
        f"(1 is perfect, 0.5 is chance). {result.n_fine_tunings} fine-tunings valued the clusters{_before(result)}; "
        f"{result.seconds:.0f} s in all with {result.model}."
    )


def _before(result: DemoResult) -> str:
    n_before = result.n_fine_tunings - result.curated.recipe["bill"]["fine_tunings"]
    return f", {n_before} of which were measured before" if n_before else ""


def _next(result: DemoResult) -> str:
    """What to type next: commands that work on this machine as it is."""
    with_model = result.curate_with.items()
    options = "".join(f" --{name} {shlex.quote(value)}" for name, value in with_model)
    keywords = "".join(f", {name}={value!r}" for name, value in with_model)
    return (
        "Next, on data of your own:\n  [bold]"
        + escape(f"shed-hf curate rows.jsonl --size 10% --output curated --ledger run.ledger{options}")
        + "[/bold]\nor in Python:\n  [bold]import shed_hf[/bold]\n  [bold]"
        + escape(f'curated = shed_hf.curate("rows.jsonl", size=0.1{keywords})')
        + "[/bold]"
    )


def _runs(result: DemoResult) -> tuple[int, int]:
    """How often the kept rows were tuned on, and how many random subsets."""
    verdict = result.curated.verdict
    assert verdict is not None  # `run` asks for one
    return verdict.n_seeds, verdict.n_draws


def _clusters(result: DemoResult) -> Table:
    curated = result.curated
    table = Table(
        title=f"{len(curated)} of {len(curated.pool_rows)} rows kept, clusters by value", title_justify="left"
    )
    table.add_column("cluster", justify="right")
    table.add_column("mostly about")
    for column in ("rows", "damaged", "worth ± standard error (higher is better)", "kept"):
        table.add_column(column, justify="right")
    shares = damaged_in(curated, result.damaged)
    for line in sorted(curated.clusters, key=lambda line: -(line["value"] or 0.0)):
        style = "bold green" if line["selected"] else "red" if shares[line["cluster"]] > 0.5 else None
        table.add_row(
            str(line["cluster"]),
            _topics(result, line["cluster"]),
            str(line["size"]),
            f"{shares[line['cluster']]:.0%}",
            f"{line['value']:+.4f} ± {line['stderr']:.4f}",
            str(line["selected"] or ""),
            style=style,
        )
    return table


def _topics(result: DemoResult, cluster: int) -> str:
    """The topics that make up most of a cluster."""
    curated = result.curated
    rows = curated.pool_rows[curated.clustering.labels == cluster]
    topics = Counter(np.array(result.topics)[rows].tolist()).most_common(2)
    named = [topic for topic, count in topics if count >= 0.25 * len(rows)]
    return ", ".join(named or [topics[0][0]])


def _comparison(result: DemoResult) -> Table:
    n_rows, (tunings, draws) = len(result.curated), _runs(result)
    table = Table(title="what it came to", title_justify="left")
    table.add_column("")
    table.add_column("damaged rows", justify="right")
    table.add_column("held-out loss, nats a token (lower is better)", justify="right")
    table.add_row("untuned model", "", f"{result.heldout_loss_untuned:.3f}")
    before, after = f"{result.damaged_share_before:.0%} of the pool", f"{result.damaged_share_after:.0%}"
    table.add_row(f"tuned on {n_rows} random rows ({draws} draws)", before, f"{result.heldout_loss_random:.3f}")
    kept = f"tuned on the {n_rows} rows kept ({tunings} times)"
    table.add_row(kept, after, f"{result.heldout_loss_curated:.3f}", style="bold")
    return table
