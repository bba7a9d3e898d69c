"""Whether torchvision is here, on which transformers writes its video processors; looked at before transformers is."""

from __future__ import annotations

import importlib
import importlib.util

from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import one_line


def has_torchvision() -> bool:
    """Whether it is installed. Raises `CheckpointError` where it is and fails, as transformers would with it."""
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # its compiled part may raise anything
        raise CheckpointError(
            f"torchvision is installed and cannot be imported ({one_line(error)}): install the version that belongs "
            "to this torch, or remove it"
        ) from error
    return True
