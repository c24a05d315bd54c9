"""TensorBoard's event files: records of TFRecord, each an Event of protobuf; only scalars are read.

The messages are declared here with the fields that are needed (tensorflow/core/util/event.proto and
framework/summary.proto, tensor.proto); protobuf passes over all others.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from .messages import declare, read_message

FLOAT, DOUBLE = 1, 2  # DataType of a tensor
FIELDS = {  # message -> field -> (number, kind, repeated)
    "Event": {"wall_time": (1, "double", False), "step": (2, "int64", False), "summary": (5, "Summary", False)},
    "Summary": {"value": (1, "Value", True)},
    "Value": {"tag": (1, "string", False), "simple_value": (2, "float", False), "tensor": (8, "Tensor", False)},
    "Tensor": {
        "dtype": (1, "int32", False),
        "content": (4, "bytes", False),
        "floats": (5, "float", True),
        "doubles": (6, "double", True),
    },
}


def is_events(path: Path) -> bool:
    """Whether the first record is the version that each event file begins with."""
    with path.open("rb") as file:
        return b"brain.Event:" in file.read(64)


def read(path: Path) -> tuple[list[dict[str, Any]], str]:
    """A row per scalar: {step, time, <tag>: value}; a file that breaks off in a record is read up to it."""
    data, rows = path.read_bytes(), []
    message = _messages()["Event"]
    end = 0
    for record, end in _records(data):  # noqa: B007 the last end is asked below
        event = read_message(message, record, str(path))
        for value in event.summary.value:
            found = _scalar(value)
            if found is not None:
                rows.append({"step": event.step, "time": event.wall_time, value.tag: found})
    return rows, "" if end == len(data) else "the file breaks off in a record"


def _records(data: bytes) -> Iterator[tuple[bytes, int]]:
    """(content, end) of each whole TFRecord: length [8], its checksum [4], content, checksum [4]."""
    at = 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        end = at + 12 + length + 4
        if end > len(data):
            return
        yield data[at + 12 : at + 12 + length], end
        at = end


def _scalar(value: Any) -> float | None:
    """The number of a value, written as such or as a tensor of one element."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    tensor = value.tensor
    for kind, code, listed in ((FLOAT, "<f", tensor.floats), (DOUBLE, "<d", tensor.doubles)):
        if tensor.dtype == kind:
            if len(listed) == 1:
                return float(listed[0])
            if len(tensor.content) == struct.calcsize(code):
                return float(struct.unpack(code, tensor.content)[0])
    return None


@cache
def _messages() -> dict[str, Any]:
    return declare("event", FIELDS)
