"""What the writer writes, the reader and Google's own library read."""

import pytest
from onnx import TensorProto

from screener.protobuf import COUNTED, VARINT, fields, write_bytes, write_number


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**32, 2**63 - 1])
def test_a_number_is_read_back(value: int) -> None:
    written = write_number(1000, value)
    [field] = fields(written, 0, len(written))
    assert (field.number, field.wire, field.value) == (1000, VARINT, value)
    assert field.end == len(written)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 70_000])
def test_bytes_are_read_back(size: int) -> None:
    contents = bytes(index % 251 for index in range(size))
    written = write_bytes(7, contents) + write_number(1, 5)
    counted, _ = fields(written, 0, len(written))
    assert (counted.number, counted.wire) == (7, COUNTED)
    assert written[counted.start : counted.end] == contents


def test_a_message_is_what_the_protocols_own_library_writes() -> None:
    tensor = TensorProto(dims=[300, 2], data_type=TensorProto.FLOAT, name="w", raw_data=b"\0\1")
    written = b"".join(
        [
            write_number(1, 300),
            write_number(1, 2),
            write_number(2, TensorProto.FLOAT),
            write_bytes(8, b"w"),
            write_bytes(9, b"\0\1"),
        ]
    )
    assert written == tensor.SerializeToString(deterministic=True)
