"""A run as a dataset of the Hugging Face hub: Parquet files and a card, in a folder, and uploaded where asked."""

from __future__ import annotations

from pathlib import Path

from ghostbench.errors import BadInput
from ghostbench.plugins.text import printable
from ghostbench.report.escape import markdown, without_places
from ghostbench.report.export import export_run
from ghostbench.report.trackers.tracked import Tracked, missing, tracked
from ghostbench.writing import write_text


def to_hub(folder: Path, out: Path, repository: str | None) -> str:
    """Write the folder, which `datasets.load_dataset` reads; upload it to a private dataset repository where one is
    named. Return where it is.

    Raises `BadInput` where pyarrow or the hub's library is not installed, or the hub does not take it.
    """
    run = tracked(folder)
    export_run(folder, "parquet", out, places=False)
    write_text(out / "README.md", _card(run))
    if repository is None:
        return str(out)
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    except ImportError:
        raise missing("hub", "Uploading to the Hugging Face hub") from None
    try:
        hub = HfApi()
        hub.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        kept = ["*.parquet", "README.md"]
        hub.upload_folder(repo_id=repository, repo_type="dataset", folder_path=str(out), allow_patterns=kept)
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, OSError) as error:
        words = printable(" ".join(str(error).split()))[:300]
        raise BadInput(f"the hub does not take the run: {words}; the folder is in {out}") from None
    return f"https://huggingface.co/datasets/{repository}"


def _card(run: Tracked) -> str:
    parts = ("metrics", "predictions", "clips", "attempts")
    configs = "".join(f"- config_name: {part}\n  data_files: {part}.parquet\n" for part in parts)
    facts = "".join(f"| {markdown(name)} | {markdown(value)} |\n" for name, value in run.params.items())
    rows = "".join(f"- {markdown(without_places(name))}\n" for name in run.rows)
    return (
        f"---\nconfigs:\n{configs}---\n\n# {markdown(run.manifest.run_id)}\n\n{markdown(run.run.claim)}\n\n"
        "A run of ghostbench, without media. Labels and answers are under the licences of their dataset and models.\n\n"
        f"| | |\n|---|---|\n{facts}\nRows:\n\n{rows}"
    )
