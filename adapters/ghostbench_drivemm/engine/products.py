"""How the language model's matrices multiply: as they are stored, or in float8 with a scale a row on either side.

A product also takes its input from the operation before it, because in float8 that operation rounds what it gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional

from ghostbench_drivemm.engine.float8 import Rounded, scaled_product
from ghostbench_drivemm.engine.operations import Operations


class Product(Protocol):
    """A matrix [outputs, inputs] with a bias, if there is one. What it gives is [tokens, outputs]."""

    def of(self, do: Operations, x: Tensor) -> Tensor:
        """The product with x [tokens, inputs]."""

    def of_normed(self, do: Operations, x: Tensor | None, residual: Tensor, norm: Tensor, eps: float) -> Tensor:
        """The product with what `add_rmsnorm` gives of these; adds to `residual` as that does."""

    def of_active(self, do: Operations, gate_up: Tensor) -> Tensor:
        """The product with what `silu_mul` gives of gate_up [tokens, 2 * inputs]."""

    def numel(self) -> int:
        """Elements of the matrix."""

    def bytes(self) -> int:
        """Bytes that one product reads of the matrix, its scales included."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A matrix that multiplies in the type that it is stored in."""

    weight: Tensor
    bias: Tensor | None

    def of(self, do: Operations, x: Tensor) -> Tensor:
        """See `Product`."""
        return functional.linear(x, self.weight, self.bias)

    def of_normed(self, do: Operations, x: Tensor | None, residual: Tensor, norm: Tensor, eps: float) -> Tensor:
        """See `Product`."""
        return self.of(do, do.add_rmsnorm(x, residual, norm, eps))

    def of_active(self, do: Operations, gate_up: Tensor) -> Tensor:
        """See `Product`."""
        return self.of(do, do.silu_mul(gate_up))

    def numel(self) -> int:
        """See `Product`."""
        return self.weight.numel()

    def bytes(self) -> int:
        """See `Product`."""
        return self.weight.numel() * self.weight.element_size()


@dataclass(frozen=True, slots=True)
class Scaled:
    """A float8 matrix with a scale for each output; what it multiplies is rounded with a scale for each token."""

    weight: Rounded
    bias: Tensor | None

    def of(self, do: Operations, x: Tensor) -> Tensor:
        """See `Product`."""
        return self._of(do.rounded(x))

    def of_normed(self, do: Operations, x: Tensor | None, residual: Tensor, norm: Tensor, eps: float) -> Tensor:
        """See `Product`."""
        return self._of(do.add_rmsnorm_rounded(x, residual, norm, eps))

    def of_active(self, do: Operations, gate_up: Tensor) -> Tensor:
        """See `Product`."""
        return self._of(do.silu_mul_rounded(gate_up))

    def _of(self, x: Rounded) -> Tensor:
        product = scaled_product(x, self.weight)
        return product if self.bias is None else product.add_(self.bias)

    def numel(self) -> int:
        """See `Product`."""
        return self.weight.values.numel()

    def bytes(self) -> int:
        """See `Product`."""
        return self.weight.values.numel() + self.weight.scales.numel() * self.weight.scales.element_size()
