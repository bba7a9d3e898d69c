"""A checkpoint in memory: network, processor and tokenizer, as transformers' Auto classes read them."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import transformers
from transformers import ImageProcessingMixin
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING, processor_class_from_name

from ghostbench_hf.conversation import Conversation
from ghostbench_hf.features import Features
from ghostbench_hf.settings import HFSettings
from ghostbench_hf.source import needs_code
from ghostbench_hf.torchvision import has_torchvision
from ghostbench_local import memory
from ghostbench_local.answer.grammar import Vocabulary
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import CONFIG_FILE, one_line, read_json

_HERE = {"trust_remote_code": False, "local_files_only": True}
"""Whatever the files say: no code of a repository's, nothing from the network."""
_LIBRARY: Any = transformers
"""Its Auto classes make what no type of theirs says."""

# Progress and advice for whoever writes programs would stand between the lines of a run.
_LIBRARY.utils.logging.set_verbosity_error()
_LIBRARY.utils.logging.disable_progress_bar()

_ONE_LOAD = threading.Lock()
"""While transformers loads, it changes torch's default type for the whole process."""
_PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json", CONFIG_FILE)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded network. pad_id : fills the left of shorter prompts. eos_ids : tokens that end an answer.

    width : columns of the head. position_limit : most positions; None where the configuration states none.
    vision : the module that pictures go through; None where it has no usual name. features : what came of it.
    """

    network: Any
    pad_id: int
    eos_ids: tuple[int, ...]
    width: int
    position_limit: int | None
    vision: torch.nn.Module | None
    features: Features

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return torch.device(self.network.device)


class Reader:
    """What turns requests into tensors; a copy for every thread, since tokenizers are not to be shared by threads."""

    def __init__(self, folder: Path, frames_as: str) -> None:
        self.processor = load_processor(folder, frames_as)
        self.conversation = Conversation(self.processor, frames_as)
        self._lock, self._own = threading.Lock(), threading.local()

    def of_this_thread(self) -> Any:
        """The processor, for the calling thread alone."""
        if not hasattr(self._own, "processor"):
            with self._lock:
                self._own.processor = copy.deepcopy(self.processor)
        return self._own.processor

    def vocabulary(self, checkpoint: Checkpoint) -> Vocabulary:
        """The tokens as grammars see them. Raises `CheckpointError` for a tokenizer without a fast form."""
        backend = getattr(self.processor.tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise CheckpointError("the checkpoint's tokenizer has no tokenizer.json, from which grammars are made")
        try:
            return Vocabulary(backend, checkpoint.width, checkpoint.eos_ids)
        except ValueError as error:
            raise CheckpointError(
                f"no grammar can be made from the checkpoint's tokenizer: {one_line(error)}"
            ) from None

    @property
    def facts(self) -> dict[str, Any]:
        """What reads the pictures, for the manifest."""
        names = ("image_processor", "video_processor", "tokenizer")
        classes = {name: type(getattr(self.processor, name, None)).__name__ for name in names}
        known = {name: kind for name, kind in classes.items() if kind not in ("NoneType", _NoVideo.__name__)}
        return {"processor": {"class": type(self.processor).__name__, **known}, "prompt": self.conversation.facts}


def load_checkpoint(folder: Path, settings: HFSettings, dtype: str, device: str) -> Checkpoint:
    """Load the network onto a device.

    Raises
    ------
    CheckpointError
        transformers cannot load it as an image-text-to-text model without code of others, or a weight is missing or
        of another shape, in whose place there would be random numbers.
    RuntimeError
        Memory ran out, as torch says it.
    """
    config = _config(folder)
    try:
        with _ONE_LOAD:
            network, report = _LIBRARY.AutoModelForImageTextToText.from_pretrained(
                folder,
                config=config,
                dtype=getattr(torch, dtype),
                attn_implementation=settings.attention,
                use_safetensors=True,
                output_loading_info=True,
                # Straight to the device, without a copy in this machine's memory.
                **({"device_map": device} if device != "cpu" else {}),
                **_HERE,
            )
    except Exception as error:  # a stranger's files may raise anything
        if memory.ran_out(error):
            raise
        raise CheckpointError(f"transformers cannot load it: {one_line(error)}") from error
    lacking = sorted(report["missing_keys"]) + sorted(str(key[0]) for key in report["mismatched_keys"])
    if lacking:
        more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        raise CheckpointError(f"tensor {lacking[0]} is missing or of another shape{more}")
    network.eval()
    network.generation_config = _greedy(network.generation_config)
    text = config.get_text_config()
    eos = network.generation_config.eos_token_id
    eos = text.eos_token_id if eos is None else eos
    eos_ids = tuple(eos) if isinstance(eos, list | tuple) else () if eos is None else (int(eos),)
    if not eos_ids:
        raise CheckpointError("neither generation_config.json nor config.json states an eos_token_id")
    pad = network.generation_config.pad_token_id
    head = network.get_output_embeddings()
    vision = network.get_encoder(modality="image")
    return Checkpoint(
        network=network,
        pad_id=int(eos_ids[0] if pad is None else pad),
        eos_ids=eos_ids,
        width=int(text.vocab_size if head is None else head.weight.shape[0]),
        position_limit=getattr(text, "max_position_embeddings", None),
        vision=vision if vision is not network and vision is not network.base_model else None,
        features=Features(network),
    )


def load_processor(folder: Path, frames_as: str) -> Any:
    """The checkpoint's processor.

    Video processors are written on torchvision. Where that is not installed, the processor is made without one, unless
    frames are to be shown as video.

    Raises `CheckpointError`.
    """
    video, torchvision = frames_as == "video", has_torchvision()
    if video and not torchvision:
        raise CheckpointError(
            "frames_as=video needs torchvision, which every video processor of transformers is written on: "
            "pip install torchvision, or leave frames_as=images"
        )
    try:
        processor = _LIBRARY.AutoProcessor.from_pretrained(folder, **_HERE) if torchvision else _without_video(folder)
    except CheckpointError:
        raise
    except Exception as error:  # a stranger's files may raise anything
        raise CheckpointError(f"transformers cannot load its processor: {one_line(error)}") from error
    if getattr(processor, "tokenizer", None) is None or getattr(processor, "image_processor", None) is None:
        raise CheckpointError("it has no processor of text and pictures")
    if video and getattr(processor, "video_processor", None) is None:
        raise CheckpointError("frames_as=video: this checkpoint takes no video; leave frames_as=images")
    return processor


def _without_video(folder: Path) -> Any:
    """As AutoProcessor makes it, but with nothing in the video processor's place where it has such a place."""
    kind = _processor_class(folder)
    if "video_processor" not in kind.get_attributes():
        return _LIBRARY.AutoProcessor.from_pretrained(folder, **_HERE)

    def check(self: Any, name: str, argument: Any) -> Any:
        return None if name == "video_processor" else kind.check_argument_for_proper_class(self, name, argument)

    relaxed: Any = type(
        kind.__name__, (kind,), {"check_argument_for_proper_class": check, "__module__": kind.__module__}
    )
    made: dict[str, Any] = {
        # What the processors ask of it where no video is shown.
        "video_processor": _NoVideo,
        "tokenizer": lambda: _LIBRARY.AutoTokenizer.from_pretrained(folder, **_HERE),
        "image_processor": lambda: _LIBRARY.AutoImageProcessor.from_pretrained(folder, **_HERE),
    }
    unknown = [name for name in kind.get_attributes() if name not in made]
    if unknown:
        raise CheckpointError(f"its processor needs torchvision beside its {unknown[0]}: pip install torchvision")
    stated, _ = kind.get_processor_dict(folder, **_HERE)
    return relaxed.from_args_and_dict([made[name]() for name in kind.get_attributes()], stated)


class _NoVideo(ImageProcessingMixin):
    """Stands where a video processor would, and has what processors ask of it where no video is shown."""

    model_input_names: ClassVar[list[str]] = []
    num_frames = fps = None


def _processor_class(folder: Path) -> Any:
    for name in _PROCESSOR_FILES:
        stated = read_json(folder / name).get("processor_class") if (folder / name).is_file() else None
        found = processor_class_from_name(stated) if isinstance(stated, str) else None
        if found is not None:
            return found
    kind = type(_config(folder))
    if kind not in PROCESSOR_MAPPING:
        raise CheckpointError("it states no processor_class, and transformers knows none for its model_type")
    return PROCESSOR_MAPPING[kind]


def _config(folder: Path) -> Any:
    stated = read_json(folder / CONFIG_FILE)
    kind = stated.get("model_type")
    if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise needs_code(str(kind), stated)
    try:
        config = _LIBRARY.AutoConfig.from_pretrained(folder, **_HERE)
    except Exception as error:  # a stranger's files may raise anything
        raise CheckpointError(f"transformers cannot read {CONFIG_FILE}: {one_line(error)}") from error
    if config.is_encoder_decoder:
        raise CheckpointError(f"model_type {kind!r} writes from an encoder, which no chat template speaks to")
    return config


def _greedy(stated: Any) -> Any:
    """The most likely token each time and nothing else: of what the checkpoint states, its special tokens alone."""
    return _LIBRARY.GenerationConfig(
        bos_token_id=stated.bos_token_id,
        eos_token_id=stated.eos_token_id,
        pad_token_id=stated.pad_token_id,
        do_sample=False,
    )
