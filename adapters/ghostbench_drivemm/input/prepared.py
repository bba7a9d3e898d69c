"""A request's work on the CPU: what a prompt and its pictures become before they are embedded."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from typing_extensions import override

from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.input.beginning import Beginning, Shown, beginnings
from ghostbench_drivemm.input.frame_digests import FrameDigests
from ghostbench_drivemm.input.lengths import closing_length, frame_length, image_length, video_length
from ghostbench_drivemm.input.pixels import Pixels, frame_pixels, image_pixels, is_wide
from ghostbench_drivemm.input.prompt import IMAGE_ID, IMAGE_MARK, PromptRenderer

Kind = Literal["video", "videos", "image", "images", "text"]
"""What a request shows: the frames of one video, those of several, one picture, several, none."""


class PromptTooLong(ValueError):
    """The prompt has more positions than the checkpoint allows; it is never cut."""


class Visual(ABC):
    """The pixels of one visual item: a video's frames or a picture's tiles, uint8 [3, 384, 384] each."""

    @abstractmethod
    def __len__(self) -> int:
        """How many they are; known at once."""

    @abstractmethod
    def __getitem__(self, place: int) -> Pixels:
        """One of them; waits for it where threads are still making it, and raises what making it raised."""

    def __iter__(self) -> Iterator[Pixels]:
        """Each of them, waited for in turn."""
        return (self[place] for place in range(len(self)))

    def some(self, places: Sequence[int]) -> npt.NDArray[Any]:
        """Those at some places, [count, 3, 384, 384]; waits for these alone."""
        return np.stack([self[place] for place in places])

    @property
    def digests(self) -> tuple[bytes, ...] | None:
        """What each of them shows, before anything was done to it; None where that is not looked at. Waits for it."""
        return None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All of them, [count, 3, 384, 384]."""
        return np.stack(list(self)).astype(dtype or np.uint8, copy=False)

    @property
    def seconds(self) -> float:
        """Time that threads spent on making them, added up; waits until all are made."""
        return 0.0


class Resized(Visual):
    """Pixels that are there, or that threads are making."""

    def __init__(self, made: Sequence[Future[tuple[Pixels, float]]], digests: FrameDigests | None = None) -> None:
        self._made = made
        self._digests = digests

    @classmethod
    def of(cls, pixels: Sequence[Pixels], digests: FrameDigests | None = None) -> Resized:
        """Pixels that are there already."""
        made = []
        for one in pixels:
            done: Future[tuple[Pixels, float]] = Future()
            done.set_result((one, 0.0))
            made.append(done)
        return cls(made, digests)

    @override
    def __len__(self) -> int:
        return len(self._made)

    @override
    def __getitem__(self, place: int) -> Pixels:
        return self._made[place].result()[0]

    @property
    @override
    def digests(self) -> tuple[bytes, ...] | None:
        return None if self._digests is None else self._digests.all()

    @property
    @override
    def seconds(self) -> float:
        return sum(one.result()[1] for one in self._made)


class Raw(Visual):
    """A video's frames as they were decoded, which the device resizes.

    frames : uint8 [F, height, width, 3].
    """

    def __init__(self, frames: Pixels, config: DriveMMConfig, digests: FrameDigests) -> None:
        self.frames = frames
        self._config = config
        self._digests = digests

    @property
    @override
    def digests(self) -> tuple[bytes, ...]:
        return self._digests.all()

    @override
    def __len__(self) -> int:
        return len(self.frames)

    @override
    def __getitem__(self, place: int) -> Pixels:
        return frame_pixels(Image.fromarray(self.frames[place]), self._config)


@dataclass(frozen=True)
class Prepared:
    """One request after its CPU work.

    input_ids : int64 [n], -200 for each visual item, in order.
    visuals : one for each visual item, in order: the frames of a video, the tiles of an image (the whole image first),
        in RGB.
    sizes : (width, height) in pixels of each visual item before anything was done to it (a video's: its first frame's).
    video : whether the visual items are videos, whose tokens are pooled.
    length : number of positions after merging: text tokens and visual tokens.
    prompt_text : the prompt as text, as the tokenizer saw it.
    beginnings : what other prompts may begin with too, shortest first.
    """

    input_ids: npt.NDArray[np.int64]
    visuals: tuple[Visual, ...]
    sizes: tuple[tuple[int, int], ...]
    video: bool
    length: int
    prompt_text: str
    beginnings: tuple[Beginning, ...] = ()

    def wait(self) -> None:
        """Wait until threads have made all pixels that are theirs to make. Raises what making them raised."""
        for visual in self.visuals:
            if isinstance(visual, Resized):
                for _ in visual:
                    pass


class Preparer:
    """Prepares requests for one checkpoint; safe to use from several threads.

    resizes_later : leave the frames of videos to the device where `FrameResize` can take them.
    """

    def __init__(self, config: DriveMMConfig, renderer: PromptRenderer, *, resizes_later: bool = False) -> None:
        self._config = config
        self._renderer = renderer
        self._resizes_later = resizes_later

    def prepare(
        self,
        images: Sequence[Image.Image] | Pixels | Sequence[Pixels],
        question: str,
        *,
        kind: Kind,
        system: str | None = None,
        threads: Executor | None = None,
    ) -> Prepared:
        """Prompt, token ids and pixels of a request.

        Parameters
        ----------
        images : the frames of one video (`video`), as pictures or as one array uint8 [F, height, width, 3]; such an
            array for each video (`videos`), of which the last is the clip; one picture (`image`), several (`images`),
            none (`text`).
        question : user text with one `<image>` for each visual item (a video is one item).
        system : system text; None is the authors' own.
        threads : makes the frames of a video in these, one by one, without waiting for them (only for their digests);
            None makes them here.

        Raises
        ------
        PromptTooLong
            See `DriveMMConfig.position_limit`.
        ValueError
            The number of images or of `<image>` marks does not fit `kind`, or an id is outside the vocabulary.
        """
        _check_counts(len(images), question, kind)
        config = self._config
        video = kind in ("video", "videos")
        if video:
            videos = cast("Sequence[Pixels]", images if kind == "videos" else [images])
            made = [self._video(own, threads) for own in videos]
            visuals = tuple(own for own, _ in made)
            sizes = tuple(size for _, size in made)
            visual = sum(video_length(len(own), config) for own in visuals)
        else:
            pictures = [_rgb(image) for image in cast("Sequence[Image.Image]", images)]
            visuals = tuple(Resized.of(list(image_pixels(picture, config))) for picture in pictures)
            sizes = tuple(picture.size for picture in pictures)
            visual = sum(image_length(size, config) for size in sizes)
        ids = self._renderer.ids(question, system)
        prepared = Prepared(
            input_ids=ids,
            visuals=visuals,
            sizes=sizes,
            video=video,
            length=len(ids) - len(visuals) + visual,
            prompt_text=self._renderer.render(question, system),
            beginnings=self._beginnings(ids, visuals, video=video),
        )
        check_ids(prepared, config.vocab_size)
        limit = config.position_limit
        if limit is not None and prepared.length > limit:
            raise PromptTooLong(
                f"the prompt has {prepared.length} positions; the checkpoint allows {limit} "
                "(tokenizer_model_max_length, or its rotary embedding)"
            )
        return prepared

    def _beginnings(
        self, ids: npt.NDArray[np.int64], visuals: Sequence[Visual], *, video: bool
    ) -> tuple[Beginning, ...]:
        marks = [int(mark) for mark in np.flatnonzero(ids == IMAGE_ID)]
        frame, closing = frame_length(self._config), closing_length(self._config)
        digests = [visual.digests for visual in visuals] if video else []
        shown = [Shown(own, frame, closing) for own in digests if own is not None]
        return beginnings(ids, marks, shown if shown and len(shown) == len(marks) else None)

    def _video(
        self, frames: Sequence[Image.Image] | Pixels, threads: Executor | None
    ) -> tuple[Visual, tuple[int, int]]:
        """The frames as one visual item, and the first one's size."""
        if not isinstance(frames, np.ndarray):
            pictures = [_rgb(frame) for frame in frames]
            if len({picture.size for picture in pictures}) > 1:
                return self._resized(pictures, threads), pictures[0].size
            frames = np.stack([np.asarray(picture) for picture in pictures])
        height, width = frames.shape[1:3]
        if self._resizes_later and is_wide(width, height):
            return Raw(frames, self._config, FrameDigests(frames, threads)), (width, height)
        pictures = [Image.fromarray(frame) for frame in frames]
        return self._resized(pictures, threads, FrameDigests(frames, threads)), (width, height)

    def _resized(
        self, pictures: Sequence[Image.Image], threads: Executor | None, digests: FrameDigests | None = None
    ) -> Visual:
        if threads is None:
            return Resized.of([frame_pixels(picture, self._config) for picture in pictures], digests)
        made = [threads.submit(_timed, partial(frame_pixels, picture, self._config)) for picture in pictures]
        return Resized(made, digests)


def _rgb(picture: Image.Image) -> Image.Image:
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def check_ids(request: Prepared, vocabulary: int) -> None:
    """Let no id outside the embedding's rows through, so that none ever reaches the device.

    Raises
    ------
    ValueError
        An id is outside the vocabulary of so many rows, or the `<image>` marks do not match the visual items.
    """
    ids = request.input_ids
    outside = ids[((ids < 0) | (ids >= vocabulary)) & (ids != IMAGE_ID)]
    if outside.size:
        raise ValueError(f"token id {int(outside[0])} is outside the vocabulary of {vocabulary}")
    marks = int((ids == IMAGE_ID).sum())
    if marks != len(request.visuals):
        raise ValueError(f"the prompt has {marks} image tokens for {len(request.visuals)} visual items")


def _timed(make: Callable[[], Pixels]) -> tuple[Pixels, float]:
    started = time.perf_counter()
    made = make()
    return made, time.perf_counter() - started


def _check_counts(images: int, question: str, kind: str) -> None:
    some = images >= 1
    wanted = {"video": some, "videos": some, "image": images == 1, "images": some, "text": images == 0}
    if kind not in wanted:
        raise ValueError(f"kind {kind!r} is not known; known: {', '.join(wanted)}")
    if not wanted[kind]:
        raise ValueError(f"kind {kind!r} does not go with {images} images")
    items = 1 if kind == "video" else images
    if question.count(IMAGE_MARK) != items:
        raise ValueError(f"the question has {question.count(IMAGE_MARK)} {IMAGE_MARK} marks for {items} visual items")
