"""Where in an answer something stands, said so that equal spots go on equally whatever was written before.

The text of `schema_text` has one form: a key's field alone says what comes behind it, and of a free string only its
length matters for what may follow. So masks and forced tokens belong to spots, and need not be computed for every row.
"""

from __future__ import annotations

from typing import NamedTuple

_ESCAPE, _QUOTE, _COLON, _COMMA = b'\\":,'


class Spot(NamedTuple):
    """place : which field. in_value : behind its key. in_string : between quotation marks.

    characters : whole characters of a free string so far. written : bytes of what else is being written: the key, a
    value that is no free string, the one behind a value, or what a free string has of a character that is not whole.
    """

    place: int = 0
    in_value: bool = False
    in_string: bool = False
    characters: int = 0
    written: bytes = b""

    def after(self, text: bytes, free: tuple[bool, ...]) -> Spot:
        """The spot behind some more bytes. free : of each field, whether a string in it is free."""
        spot = self
        for byte in text:
            spot = spot._after(byte, spot.in_value and spot.place < len(free) and free[spot.place])
        return spot

    def _after(self, byte: int, is_free: bool) -> Spot:
        if not self.in_string:
            return self._outside(byte, is_free)
        return self._in_free_string(byte) if is_free else self._in_fixed_string(byte)

    def _outside(self, byte: int, is_free: bool) -> Spot:
        if byte == _COLON:
            return Spot(self.place, True)
        if byte == _COMMA:
            return Spot(self.place + 1)
        opens = byte == _QUOTE
        written = b"" if opens and is_free else b'"' if opens else self.written + bytes([byte])
        return Spot(self.place, self.in_value, opens, 0, written)

    def _in_fixed_string(self, byte: int) -> Spot:
        ends = byte == _QUOTE and not _is_escaping(self.written)
        return Spot(self.place, self.in_value, not ends, 0, self.written + bytes([byte]))

    def _in_free_string(self, byte: int) -> Spot:
        place, _, _, characters, written = self
        if written:
            written += bytes([byte])
            whole = written[0] == _ESCAPE or len(written) >= _length(written[0])
            return Spot(place, True, True, characters + whole, b"" if whole else written)
        if byte == _ESCAPE or byte >= 0x80:
            return Spot(place, True, True, characters, bytes([byte]))
        if byte == _QUOTE:
            return Spot(place, True, False, 0, b'"')
        return Spot(place, True, True, characters + 1)


def _is_escaping(written: bytes) -> bool:
    """Whether a quotation mark behind this belongs to the string."""
    return (len(written) - len(written.rstrip(b"\\"))) % 2 == 1


def _length(first: int) -> int:
    """Bytes of a character in UTF-8 by its first one."""
    return 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2
