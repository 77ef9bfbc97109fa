"""What waits for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from console.screens.style import many, short
from console.views.parked import Cluster, ParkedView


def _cluster(cluster: Cluster) -> RenderableType:
    head = Text.assemble((many(cluster.count, cluster.what), "bold red"), " at ", (cluster.where, "bold"), ": ",
                         (cluster.reason, "bold"))
    lines = [head, Text(f"    first {short(cluster.oldest)}, last {short(cluster.newest)} UTC", style="dim")]
    if cluster.summary:
        lines.append(Text(f"    {cluster.summary}"))
    lines += [Text(f"    at {cause}", style="italic") for cause in cluster.causes]
    if cluster.hint and not cluster.causes:
        lines.append(Text(f"    hint: {cluster.hint}", style="italic"))
    if cluster.example:
        lines.append(Text.assemble("    show: ", (cluster.example, "cyan"),
                                   ("   (the oldest)" if cluster.count > 1 else "", "dim")))
    lines += [Text.assemble("    look: ", (cluster.look, "cyan")),
              Text.assemble("    mend: ", (cluster.fix, "cyan"), ("   (dry run; add --yes --reason)", "dim")),
              Text(f"    page: {cluster.page}", style="dim")]
    return Group(*lines)


def parked(view: ParkedView) -> RenderableType:
    """One paragraph a cluster."""
    if not view.clusters:
        return Text("nothing waits for a person", style="green")
    parts: list[RenderableType] = [_cluster(cluster) for cluster in view.clusters]
    if view.held:
        parts.append(Text(f"held behind them: {many(view.held, 'message')} (dragoman messages --held)",
                          style="magenta"))
    return Group(*parts)
