"""What a model's tokens cost, and how many of them an image is: the package `genai-prices`, or the user's own file.

`genai-prices` is data in a wheel: nothing is asked of the network, and a newer version brings newer prices. What it has
not, how a model counts an image's tokens (`ghostbench_remote.tokens`), is a dated table here, `images.json`.

The user's file is JSON: `date` and `source` (texts), and `models`, where each model has `input`, `cached_input` and
`output` in US dollars per million tokens, `batch_factor` (what the Batch API's price is of that, e.g. 0.5), and
optionally `image`, and `cache_write` for tokens that are put into the cache (else they cost what others do).
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

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


ImageFormula = Annotated[Tiles | Patches, Field(discriminator="formula")]


class ModelPrice(Protocol):
    """One model's price, and how it counts an image's tokens (None: unknown)."""

    @property
    def image(self) -> Tiles | Patches | None:
        """The formula of an image's tokens."""

    def cost(self, usage: Usage, *, batch: bool, written_tokens: int = 0) -> float | None:
        """What the usage costs, US dollars >= 0; None where the server did not count it.

        written_tokens : how many of the input tokens the server put into its cache, which some charge more for.
        """

    def facts(self) -> dict[str, Any]:
        """The rates for the manifest, US dollars per million tokens."""


class Prices(Protocol):
    """Prices by model, with where they are from (and of which day, where that is known)."""

    @property
    def source(self) -> str:
        """Where the prices are from."""

    @property
    def date(self) -> str | None:
        """The day they were read; None where the source has a version instead."""

    def find(self, *names: str | None) -> ModelPrice | None:
        """The price of the first name that has one."""


class Price(_Strict):
    """One model of the user's file: US dollars per million tokens."""

    input: Amount
    cached_input: Amount
    output: Amount
    batch_factor: Amount = 0.5
    cache_write: Amount | None = None
    image: ImageFormula | None = None

    def cost(self, usage: Usage, *, batch: bool, written_tokens: int = 0) -> float | None:
        """What the usage costs, US dollars >= 0; None where the server did not count it."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        written = min(written_tokens, usage.input_tokens - cached)
        full = (
            (usage.input_tokens - cached - written) * self.input
            + cached * self.cached_input
            + written * (self.input if self.cache_write is None else self.cache_write)
            + usage.output_tokens * self.output
        ) / _MILLION
        return full * self.batch_factor if batch else full

    def facts(self) -> dict[str, Any]:
        """As it stands in the file."""
        return self.model_dump()


class PriceTable(_Strict):
    """The user's file."""

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


class _Images(_Strict):
    date: str
    source: str
    models: dict[str, ImageFormula]


class PublicPrice:
    """A model of a provider as `genai-prices` knows it, at the rates of today."""

    def __init__(self, model: str, image: Tiles | Patches | None, provider: str) -> None:
        self._model = model
        self._provider = provider
        self.image = image

    def cost(self, usage: Usage, *, batch: bool, written_tokens: int = 0) -> float | None:
        """What the usage costs, US dollars >= 0; None where the server did not count it.

        batch : at the Batch API's rates; where the package has none for the model, at half of all others.
        """
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        full = self._cost(usage, {}, written_tokens)
        if not batch:
            return full
        reduced = self._cost(usage, {"processing": "batch"}, written_tokens)
        return reduced if reduced < full else full / 2

    def facts(self) -> dict[str, Any]:
        """What a million tokens of each kind cost, US dollars, and the image formula."""
        from genai_prices import Usage as Counted
        from genai_prices import calc_price

        def of(**counts: int) -> float:
            return float(calc_price(Counted(**counts), self._model, provider_id=self._provider).total_price)

        return {
            "input": of(input_tokens=_MILLION, output_tokens=0),
            "cached_input": of(input_tokens=_MILLION, cache_read_tokens=_MILLION, output_tokens=0),
            "output": of(input_tokens=0, output_tokens=_MILLION),
            "image": self.image.model_dump() if self.image is not None else None,
        }

    def _cost(self, usage: Usage, context: dict[str, str], written_tokens: int) -> float:
        from genai_prices import Usage as Counted
        from genai_prices import calc_price

        assert usage.input_tokens is not None
        counted = Counted(
            input_tokens=usage.input_tokens,
            cache_read_tokens=min(usage.cached_tokens or 0, usage.input_tokens),
            cache_write_tokens=written_tokens,
            output_tokens=usage.output_tokens,
        )
        return float(calc_price(counted, self._model, provider_id=self._provider, price_context=context).total_price)


class PublicPrices:
    """A provider's public prices as the installed `genai-prices` has them."""

    date = None

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self.source = f"genai-prices {version('genai-prices')}"
        self._images = _Images.model_validate_json(files("ghostbench_remote").joinpath("images.json").read_bytes())

    def find(self, *names: str | None) -> PublicPrice | None:
        """The price of the first name that the provider lists; a dated snapshot has the one stated for it."""
        from genai_prices import Usage as Counted
        from genai_prices import calc_price

        for name in names:
            if not name:
                continue
            try:
                found = calc_price(Counted(input_tokens=1, output_tokens=1), name, provider_id=self._provider)
            except LookupError:
                continue
            images = self._images.models if self._provider == "openai" else {}
            return PublicPrice(name, images.get(name) or images.get(found.model.id), self._provider)
        return None


@cache
def _public_prices(provider: str) -> PublicPrices:
    return PublicPrices(provider)


def read_prices(price_file: str | None, provider: str = "openai") -> Prices:
    """The public prices of a provider, by its name in `genai-prices`, or the user's file.

    Raises `BadInput` when that cannot be read as one.
    """
    if price_file is None:
        return _public_prices(provider)
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
