"""What a run took: loading, warm-up, latency, throughput, memory, tokens and money."""

from __future__ import annotations

from ghostbench.folder.lines import STAGES
from ghostbench.report.columns import MODEL, Rows, line
from ghostbench.report.table import Column, Table, Value
from ghostbench.scoring.account import QUANTILES
from ghostbench.scoring.warm_up import WHOLE

_TITLES = {"wall_s": "Attempt", "batch_share_s": "Share of batch", "clip_s": "Clip"}


def start_up(rows: Rows) -> Table:
    """What each model paid once: loading, warm-up by device, and attempts that were marked as warm-up."""
    columns = (MODEL, Column("what", "What"), Column("n", "n", "count"), Column("seconds", "Time", "seconds"))
    lines: list[tuple[Value, ...]] = []
    for name, row in rows.items():
        if row["attempts"] is None or row["probe"] or row["baseline"]:
            continue
        warm = row.get("warm_up_s") or {}
        if row["load_s"] is not None:
            lines.append((name, "loading, with the warm-up below" if warm else "loading", 1, row["load_s"]))
        for device, taken in warm.items():
            lines.append((name, "warm-up" if device == WHOLE else f"warm-up, {device}", 1, taken))
        marked = row.get("warm_up_attempts")
        if marked is not None:
            lines.append((name, "attempts marked as warm-up", marked["n"], marked["wall_s"]))
    note = (
        "Paid once, and in no percentile. Warm-up: compiling and first use, where the model states it. Probes are asked"
        " of the model that is loaded already."
    )
    return Table("start_up", "Loading and warm-up", columns, tuple(lines), note)


def attempt_time(rows: Rows) -> Table:
    """An attempt's own latency beside its share of the batch, one line a model."""
    columns = (
        MODEL,
        Column("n", "Attempts", "count"),
        Column("batch", "Batch", "number"),
        *(
            Column(f"{stage}_{quantile}", f"{title} {quantile}", "seconds")
            for quantile, _ in QUANTILES
            for stage, title in _TITLES.items()
        ),
    )
    lines = []
    for name, row in rows.items():
        found = row.get("latency", {})
        wall, batch = found.get("wall_s"), row.get("batch_size")
        if wall is None:
            continue
        values: dict[str, Value] = {"model": name, "n": wall["n"], "batch": batch["median"] if batch else None}
        for stage in _TITLES:
            taken = found[stage]
            values |= {f"{stage}_{quantile}": taken[quantile] if taken else None for quantile, _ in QUANTILES}
        lines.append(line(columns, values))
    note = (
        "Attempt: the wall time of one attempt; every clip of a batch waits for the whole batch. Share of batch: that "
        "time divided by the size of the batch, which is what a clip costs. Clip: all attempts of a clip with the "
        "waits between them. Batch: the median size. All without loading and warm-up, and without lines for which no "
        "model was asked."
    )
    return Table("time", "Time of an attempt and its share of the batch", columns, tuple(lines), note)


def latency(rows: Rows) -> Table:
    """Percentiles of each stage, one line a stage."""
    columns = (
        MODEL,
        Column("stage", "Stage"),
        Column("n", "n", "count"),
        *(Column(name, name, "seconds") for name, _ in QUANTILES),
        Column("max", "max", "seconds"),
    )
    lines: list[tuple[Value, ...]] = []
    for name, row in rows.items():
        for stage in (*_TITLES, *STAGES):
            found = row.get("latency", {}).get(stage)
            if found is not None:
                title = _TITLES.get(stage, stage.removesuffix("_s").replace("_", " ")).lower()
                lines.append(line(columns, {"model": name, "stage": title, **found}))
    return Table("latency", "Latency by stage", columns, tuple(lines), "Without loading and warm-up.")


def workers(rows: Rows) -> Table:
    """What each worker did, of models that had several."""
    columns = (
        MODEL,
        Column("worker", "Worker"),
        Column("attempts", "Attempts", "count"),
        Column("answered", "Answered", "count"),
        Column("clips_per_s", "Clips/s", "number"),
        Column("ended_s", "Ended after", "seconds"),
        Column("idle", "Idle at the end", "share"),
    )
    lines = tuple(
        line(columns, {"model": name, "worker": worker, **share, "idle": row["workers"]["idle_at_the_end"]})
        for name, row in rows.items()
        if "workers" in row
        for worker, share in row["workers"]["by_name"].items()
    )
    note = (
        "Answered: attempts. Clips/s: clips answered at all their moments, of which workers that shared one have a "
        "part each, by the time until the worker's last attempt ended, counted from the model's first. "
        "Idle at the end: the share of all workers' time in which they had nothing left to do while another had."
    )
    return Table("workers", "Workers", columns, lines, note)


def cost(rows: Rows) -> Table:
    """Throughput, memory, tokens and money."""
    columns = (
        MODEL,
        Column("throughput_clips_per_s", "Clips/s", "number"),
        Column("peak_allocated_bytes", "Peak allocated", "bytes"),
        Column("peak_reserved_bytes", "Peak reserved", "bytes"),
        Column("process_bytes", "Process", "bytes"),
        Column("input_tokens", "Input tokens", "count"),
        Column("cached_tokens", "Cached", "count"),
        Column("output_tokens", "Output tokens", "count"),
        Column("cost_usd", "Cost", "usd"),
        Column("attempts_without_price", "Unpriced attempts", "count"),
    )
    lines = tuple(
        line(columns, {"model": name, **row, **row["memory"], **row["usage"]})
        for name, row in rows.items()
        if row["attempts"] is not None
    )
    note = (
        "Clips/s: answered clips per second in which the model had an attempt under way, warm-up attempts included. "
        "Unpriced attempts: those that used tokens whose price is not known; the cost does not hold them."
    )
    return Table("cost", "Throughput, memory and cost", columns, lines, note)
