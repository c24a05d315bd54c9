"""Protobuf messages declared by a table, for files of which only some fields are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrobench.errors import InputError, first_line

Fields = Mapping[str, Mapping[str, tuple[int, str, bool]]]  # message -> field -> (number, kind, repeated)


def declare(package: str, fields: Fields) -> dict[str, Any]:
    """The classes of messages by name; a kind that is no scalar is the name of another message of the table."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name=f"entrobench/{package}.proto", package=package, syntax="proto2")
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in members.items():
            added = message.field.add(name=field, number=number)
            added.label = added.LABEL_REPEATED if repeated else added.LABEL_OPTIONAL
            if kind in fields:
                added.type, added.type_name = added.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = getattr(added, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{package}.{name}") for name in fields}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}


def read_message(message: Any, record: bytes, where: str) -> Any:
    """The message in a record. Raises InputError where the record is damaged."""
    from google.protobuf.message import DecodeError

    try:
        return message.FromString(record)
    except (DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: a damaged record: {first_line(error)}") from None
