"""The demo's tables: which clusters were selected and why, and the comparison with random rows."""

from collections import Counter

import numpy as np
from rich.console import Console
from rich.table import Table

from shed_hf.demo.run import DemoResult, damaged_in
from shed_hf.demo.settings import COMPARISONS


def show(result: DemoResult) -> None:
    """Prints the clusters, best first, the comparison with random rows, and what to type next.

    Args:
        result: What the demo measured.
    """
    console = Console()
    console.print(_clusters(result))
    console.print(_comparison(result))
    console.print(
        f"\n{result.n_fine_tunings} fine-tunings valued the clusters; {result.seconds:.0f} s in all with "
        f"{result.model}.\nDamaged clusters ranked last with AUC {result.auc_damaged_last:.2f} (1 is perfect, 0.5 is "
        "chance).\n\nNext, on data of your own:\n  [bold]shed-hf curate rows.jsonl --size 0.1 --output curated "
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
    for column in ("rows", "damaged", "value ± stderr (nats a token)", "kept"):
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
    table = Table(title="what it came to", title_justify="left")
    table.add_column("")
    table.add_column("damaged rows", justify="right")
    table.add_column(f"held-out loss after tuning (mean ± sd of {COMPARISONS} runs)", justify="right")
    table.add_row("untuned model", "", f"{result.heldout_loss_untuned:.3f}")
    random = f"{result.heldout_loss_random:.3f} ± {result.heldout_loss_random_sd:.3f}"
    curated = f"{result.heldout_loss_curated:.3f} ± {result.heldout_loss_curated_sd:.3f}"
    table.add_row("random rows", f"{result.damaged_share_before:.0%} of the pool", random)
    table.add_row("curated rows", f"{result.damaged_share_after:.0%}", curated, style="bold")
    return table
