import pytest

from local.faces.place import read_index
from screener.policy.known_faces import InvalidKnownFaces


def test_no_index_is_no_error(tmp_path):
    assert read_index(str(tmp_path / "none.npz")) is None


def test_a_broken_index_is_named(tmp_path):
    path = tmp_path / "broken.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(InvalidKnownFaces, match=r"broken\.npz: not a readable"):
        read_index(str(path))
