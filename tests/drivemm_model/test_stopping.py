"""A fault found while weights are read ends the reading at once, in every thread, and is the one that is told."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Barrier, Event

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import save_file  # noqa: E402

from ghostbench_drivemm.checkpoint.inventory import Checkpoint, inspect  # noqa: E402
from ghostbench_drivemm.checkpoint.weights import LoadStopped, read_tensors, side_by_side  # noqa: E402
from ghostbench_local.checkpoint.errors import CheckpointError  # noqa: E402

SHARDS, TENSORS, WIDTH = 4, 50, 16_384
SHARD_BYTES = TENSORS * WIDTH * 2
CPU = torch.device("cpu")


def shard(number: int) -> str:
    return f"model-{number:05d}-of-{SHARDS:05d}.safetensors"


def many_tensors(folder: Path, *, bad: int | None = None) -> Checkpoint:
    """A checkpoint of many tensors in some shards; tensor `bad` of the first shard ends in a NaN."""
    weight_map = {}
    for number in range(1, SHARDS + 1):
        tensors = {f"tensor.{number}.{at:02d}": torch.full((WIDTH,), float(at)).bfloat16() for at in range(TENSORS)}
        if number == 1 and bad is not None:
            tensors[f"tensor.1.{bad:02d}"][-1] = float("nan")
        save_file(tensors, folder / shard(number))
        weight_map |= dict.fromkeys(tensors, shard(number))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    return inspect(folder)


def bytes_read() -> int:
    """Bytes that this process has read from files so far."""
    counters = Path("/proc/self/io")
    if not counters.is_file():
        pytest.skip("this system does not count the bytes that a process reads")
    return int(counters.read_text().split("rchar:")[1].split()[0])


def test_a_sound_checkpoint_is_read_whole(tmp_path: Path) -> None:
    found = many_tensors(tmp_path)
    before = bytes_read()
    tensors = read_tensors(found, dtype=torch.float32, device=CPU)
    assert bytes_read() - before >= SHARDS * SHARD_BYTES
    assert len(tensors) == SHARDS * TENSORS
    assert all(float(tensor[0]) == int(name[-2:]) for name, tensor in tensors.items())


def test_a_value_that_is_not_finite_in_the_first_shard_leaves_the_later_ones_unread(tmp_path: Path) -> None:
    found = many_tensors(tmp_path, bad=3)
    before = bytes_read()
    stop = Event()
    with pytest.raises(CheckpointError, match=r"tensor\.1\.03 in model-00001.*not finite"):
        read_tensors(found, dtype=torch.float32, device=CPU, stop=stop)
    assert stop.is_set()
    assert bytes_read() - before < SHARD_BYTES


def test_a_first_shard_cut_short_while_it_is_read_leaves_the_later_ones_unread(tmp_path: Path) -> None:
    found = many_tensors(tmp_path)
    with (tmp_path / shard(1)).open("r+b") as file:
        file.truncate(SHARD_BYTES // 2)
    before = bytes_read()
    with pytest.raises(CheckpointError, match=r"model-00001.* ends inside tensor"):
        read_tensors(found, dtype=torch.float32, device=CPU)
    assert bytes_read() - before < SHARD_BYTES


def test_a_load_that_is_stopped_from_outside_reads_nothing_further(tmp_path: Path) -> None:
    found = many_tensors(tmp_path)
    stop = Event()
    stop.set()
    before = bytes_read()
    with pytest.raises(LoadStopped):
        read_tensors(found, dtype=torch.float32, device=CPU, stop=stop)
    assert bytes_read() - before < WIDTH


def test_a_fault_in_one_thread_stops_the_others_where_they_are() -> None:
    stop, all_at_work = Event(), Barrier(4)
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        all_at_work.wait()
        if number == 2:
            raise CheckpointError("the fault")
        stop.wait()
        raise LoadStopped("stopped")

    with pytest.raises(CheckpointError, match="the fault"):
        side_by_side(1000, 4, work, stop)
    assert sorted(begun) == [0, 1, 2, 3]


def test_of_several_faults_the_first_in_order_is_told() -> None:
    all_at_work = Barrier(3)

    def work(number: int) -> int:
        all_at_work.wait()
        raise CheckpointError(f"fault {number}")

    with pytest.raises(CheckpointError, match="fault 0"):
        side_by_side(3, 3, work, Event())


def test_results_come_in_order_whichever_thread_made_them() -> None:
    assert side_by_side(500, 4, lambda number: number * number, Event()) == [n * n for n in range(500)]
    assert side_by_side(0, 4, lambda number: number, Event()) == []
