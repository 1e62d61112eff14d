import pytest

from bench import file_sink
from bench.file_sink import FileSink
from screener.media import sink


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(sink, "HEAD_BYTES", 100)
    monkeypatch.setattr(file_sink, "_COPIED_BYTES", 50)


def test_a_file_is_written_behind_its_prefix_with_its_beginning_corrected(tmp_path):
    target = FileSink(tmp_path / "out")
    for _ in range(50):
        target.append(b"0123456789")
    target.patch(5, b"XY")
    target.finish(b"prefix")
    assert (tmp_path / "out").read_bytes() == b"prefix" + b"01234XY789" + b"0123456789" * 49
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_was_handed_on_cannot_be_corrected(tmp_path):
    target = FileSink(tmp_path / "out")
    target.append(bytes(200))
    with pytest.raises(ValueError, match="not kept open"):
        target.patch(99, b"XY")
    target.abort()
    assert list(tmp_path.iterdir()) == []
