"""torch's layers without their random beginnings: every weight comes from a checkpoint, or is drawn by name."""

from __future__ import annotations

from torch import nn
from typing_extensions import override


class Linear(nn.Linear):
    """A linear layer whose weights are not set yet."""

    @override
    def reset_parameters(self) -> None:
        """Leave them as they are: on the meta device, drawing them would cost a second of imports, and set nothing."""


class Embedding(nn.Embedding):
    """An embedding whose rows are not set yet."""

    @override
    def reset_parameters(self) -> None:
        """Leave them as they are."""


class Convolution(nn.Conv2d):
    """A convolution whose weights are not set yet."""

    @override
    def reset_parameters(self) -> None:
        """Leave them as they are."""


class LayerNorm(nn.LayerNorm):
    """A layer norm whose weights are not set yet."""

    @override
    def reset_parameters(self) -> None:
        """Leave them as they are."""
