"""Walks Protocol Buffers messages without a schema or a library for them."""

import mmap
from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, COUNTED, FIXED32 = 0, 1, 2, 5
"""Wire types; https://protobuf.dev/programming-guides/encoding/"""
_VARINT_BITS = 70


class MalformedMessage(ValueError):
    """Not a message, or one that is cut short."""


class Field(NamedTuple):
    number: int
    wire: int
    start: int
    end: int
    """Where its contents lie."""


def fields(data: bytes | bytearray | mmap.mmap, start: int, end: int) -> Iterator[Field]:
    """The fields of the message that fills [start, end).

    Raises:
        MalformedMessage: it does not.
    """
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        contents = at
        if wire == VARINT:
            _, at = _varint(data, at, end)
        elif wire == FIXED64:
            at += 8
        elif wire == FIXED32:
            at += 4
        elif wire == COUNTED:
            length, contents = _varint(data, at, end)
            at = contents + length
        else:
            raise MalformedMessage(f"wire type {wire}")
        if at > end or number == 0:
            raise MalformedMessage("cut short")
        yield Field(number, wire, contents, at)


def _varint(data: bytes | bytearray | mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """(value, position after it)"""
    value = 0
    for shift in range(0, _VARINT_BITS, 7):
        if at >= end:
            raise MalformedMessage("cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise MalformedMessage("a number is too long")
