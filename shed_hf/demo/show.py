"""The demo's tables: which clusters were kept and why, and the comparison with random rows and with no tuning."""

from collections import Counter

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shed_hf.demo.run import DemoResult, damaged_in
from shed_hf.demo.settings import DRAWS, TUNINGS


def show(result: DemoResult) -> None:
    """Prints the clusters, best first, the comparison with random rows, and what to type next.

    Args:
        result: What the demo measured.
    """
    console = Console()
    console.print(_clusters(result))
    console.print(_comparison(result))
    console.print(
        f"\nThe rows kept are {escape(result.verdict)}.\nThe loss is that of answers to questions on all topics that "
        "no choice was made by.\nA single tuning is partly luck, and so is one draw of random rows: so there are "
        f"{TUNINGS} and {DRAWS}, and the interval in brackets\ncounts the luck of both, and that of the questions.\n\n"
        f"{result.n_fine_tunings} fine-tunings valued the clusters; {result.seconds:.0f} s in all with {result.model}. "
        f"Damaged clusters rank last with AUC {result.auc_damaged_last:.2f}\n(1 is perfect, 0.5 is chance).\n\n"
        "Next, on data of your own:\n  [bold]shed-hf curate rows.jsonl --size 0.1 --output curated "
        "--ledger run.ledger[/bold]\nor in Python:\n  [bold]import shed_hf[/bold]\n  [bold]curated = "
        "shed_hf.curate(dataset, size=0.1)[/bold]"
    )


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
    n_rows = len(result.curated)
    table = Table(title="what it came to", title_justify="left")
    table.add_column("")
    table.add_column("damaged rows", justify="right")
    table.add_column("held-out loss, nats a token (lower is better)", justify="right")
    table.add_row("untuned model", "", f"{result.heldout_loss_untuned:.3f}")
    before, after = f"{result.damaged_share_before:.0%} of the pool", f"{result.damaged_share_after:.0%}"
    table.add_row(f"tuned on {n_rows} random rows ({DRAWS} draws)", before, f"{result.heldout_loss_random:.3f}")
    kept = f"tuned on the {n_rows} rows kept ({TUNINGS} times)"
    table.add_row(kept, after, f"{result.heldout_loss_curated:.3f}", style="bold")
    return table
