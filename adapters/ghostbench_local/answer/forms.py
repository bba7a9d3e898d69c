"""The forms of answers that a checkpoint's vocabulary is asked for: grammars and readers of grades, each made once."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from ghostbench import GRADES, RequestRejected
from ghostbench_local.answer.grammar import Grammar, Vocabulary
from ghostbench_local.answer.schema_text import UnsupportedSchema
from ghostbench_local.answer.score import GradeReader


class Forms:
    """Grammars by schema and readers by verdict; safe to use from several threads.

    model : its name, as `--set` has it.
    """

    def __init__(self, model: str, vocabulary: Vocabulary) -> None:
        self._model, self._vocabulary = model, vocabulary
        self._lock = threading.Lock()
        self._grammars: dict[str, Grammar] = {}
        self._readers: dict[tuple[str, tuple[str, ...]], GradeReader] = {}

    def grammar(self, schema: Mapping[str, Any]) -> Grammar:
        """What an answer must look like. Raises `RequestRejected` for a schema that no grammar can keep."""
        key = json.dumps(schema)
        with self._lock:
            if key not in self._grammars:
                try:
                    self._grammars[key] = Grammar(schema, self._vocabulary)
                except UnsupportedSchema as error:
                    free = f"--set {self._model}.grammar=false leaves the answer free"
                    raise RequestRejected(f"{error}; {free}") from None
            return self._grammars[key]

    def reader(self, field: str | None, values: tuple[str, ...]) -> GradeReader | None:
        """What reads the grades' probabilities; None where the schema does not fix the verdict's values."""
        if field is None or len(values) != len(GRADES):
            return None
        with self._lock:
            if (field, values) not in self._readers:
                self._readers[field, values] = GradeReader(field, values, self._vocabulary)
            return self._readers[field, values]
