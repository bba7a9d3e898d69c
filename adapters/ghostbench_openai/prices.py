"""What a model's tokens cost, and how many of them an image is: a dated table, or the user's own file.

The file is JSON: `date` and `source` (texts), and `models`, where each model has `input`, `cached_input` and `output`
in US dollars per million tokens, `batch_factor` (what the Batch API's price is of that, e.g. 0.5), and optionally
`image`, how the model counts an image's tokens (`ghostbench_openai.tokens`).
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ghostbench import BadInput, Usage

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_MILLION = 1_000_000

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tiles(_Strict):
    """An image costs `base_tokens`, and at high detail `tokens_per_tile` for each 512-pixel tile that covers it."""

    formula: Literal["tile"]
    base_tokens: int = Field(ge=0)
    tokens_per_tile: int = Field(ge=0)


class Patches(_Strict):
    """An image costs `multiplier` for each 32-pixel patch that covers it, shrunk to at most `most_patches`."""

    formula: Literal["patch"]
    multiplier: Amount
    most_patches: int = Field(ge=1)


class Price(_Strict):
    """One model's prices, US dollars per million tokens, and how it counts an image's tokens (None: unknown)."""

    input: Amount
    cached_input: Amount
    output: Amount
    batch_factor: Amount = 0.5
    image: Annotated[Tiles | Patches, Field(discriminator="formula")] | None = None

    def cost(self, usage: Usage, *, batch: bool) -> float | None:
        """What the usage costs, US dollars >= 0; None where the server did not count it."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        full = (
            (usage.input_tokens - cached) * self.input + cached * self.cached_input + usage.output_tokens * self.output
        ) / _MILLION
        return full * self.batch_factor if batch else full


class PriceTable(_Strict):
    """Prices by model, with the day they were read and where."""

    date: str
    source: str
    unit: Literal["US dollars per million tokens"] = "US dollars per million tokens"
    models: dict[str, Price]

    def find(self, *names: str | None) -> Price | None:
        """The price of the first name that has one; a dated snapshot (…-2025-04-14) has its model's price."""
        for name in names:
            if name is not None:
                price = self.models.get(name) or self.models.get(_SNAPSHOT.sub("", name))
                if price is not None:
                    return price
        return None


def read_prices(price_file: str | None) -> PriceTable:
    """The built-in table, or the user's file. Raises `BadInput` when that cannot be read as one."""
    if price_file is None:
        return PriceTable.model_validate_json(files("ghostbench_openai").joinpath("prices.json").read_bytes())
    try:
        return PriceTable.model_validate_json(Path(price_file).read_bytes())
    except OSError as error:
        raise BadInput(f"price_file {price_file!r} cannot be read ({error.strerror}); name a JSON file") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise BadInput(
            f"price_file {price_file!r} is not a price table: {where}: {first['msg']}; docs/gpt-4.1.md shows its form"
        ) from None
