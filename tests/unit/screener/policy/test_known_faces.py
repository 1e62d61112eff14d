import io
import pickle
import zipfile

import numpy as np
import pytest

from screener.policy.known_faces import (
    IdentityNote,
    IndexMetadata,
    InvalidKnownFaces,
    dump_known_faces,
    load_known_faces,
)
from tests.observation_examples import RECOGNISER, person_vector

METADATA = IndexMetadata(
    recogniser=RECOGNISER, identities={"bob": IdentityNote(urls=["https://example.org/bob"])}
)


def whole(**changes):
    arrays = {
        "embeddings": np.stack([person_vector(0), person_vector(1)]).astype(np.float16),
        "labels": np.array(["bob", "ann"]),
        "metadata": np.array(METADATA.model_dump_json()),
    } | changes
    target = io.BytesIO()
    np.savez(target, **{name: value for name, value in arrays.items() if value is not None})
    return target.getvalue()


def test_what_is_written_is_read_again():
    data = dump_known_faces(
        np.stack([person_vector(0), person_vector(1), person_vector(0, 0.1)]),
        ["bob", "ann", "bob"],
        METADATA,
    )
    known = load_known_faces(data)
    assert known.people == ("ann", "bob")
    assert known.labels == ("ann", "bob", "bob")
    assert known.note("bob").urls == ["https://example.org/bob"]
    assert known.note("ann") == IdentityNote()
    similarity = known.similarities(np.stack([person_vector(0), person_vector(1)]))
    assert similarity.shape == (2, 2)
    assert similarity[0].argmax() == 1
    assert similarity[1].argmax() == 0


def test_equal_content_has_equal_bytes():
    once, again = (
        dump_known_faces(np.stack([person_vector(0)]), ["ann"], METADATA) for _ in range(2)
    )
    assert once == again


def test_a_person_is_as_similar_as_the_most_similar_of_any_number_of_portraits():
    random = np.random.default_rng(3)
    rows = {"ann": 3, "bob": 1, "cyd": 7, "dee": 2}
    labels = [name for name, count in rows.items() for _ in range(count)]
    portraits = random.standard_normal((len(labels), 32)).astype(np.float32)
    known = load_known_faces(dump_known_faces(portraits, labels, METADATA))
    faces = random.standard_normal((5, 32)).astype(np.float32)
    each = faces @ known.embeddings.T
    of = np.array(known.labels)
    expected = np.stack([each[:, of == name].max(axis=1) for name in known.people], axis=1)
    assert np.array_equal(known.similarities(faces), expected)


def test_an_index_of_nobody_matches_nobody():
    known = load_known_faces(dump_known_faces(np.zeros((0, 32), np.float32), [], METADATA))
    assert known.people == ()


class Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('pickle was run')",))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a readable"),
        (b"PK\x03\x04", "not a readable"),
        (pickle.dumps(Harmful()), "not a readable"),
        (whole(labels=np.array([Harmful(), Harmful()], dtype=object)), "not a readable"),
        (whole(embeddings=None), "lacks embeddings"),
        (whole(metadata=None), "lacks metadata"),
        (whole(embeddings=np.zeros(64, np.float32)), "table of floats"),
        (whole(embeddings=np.zeros((2, 32), np.int32)), "table of floats"),
        (whole(embeddings=np.zeros((2, 32), np.float32)), "empty or infinite"),
        (whole(embeddings=np.full((2, 32), np.nan, np.float32)), "empty or infinite"),
        (whole(embeddings=np.ones((3, 32), np.float32)), "labels must be 3"),
        (whole(embeddings=np.ones((2, 0), np.float32)), "out of bounds"),
        (whole(labels=np.array(["a", "b\n"])), "not a usable label"),
        (whole(labels=np.array(["a", ""])), "not a usable label"),
        (whole(labels=np.array(["a", "b" * 201])), "not a usable label"),
        (whole(labels=np.array([1, 2])), "labels must be"),
        (whole(metadata=np.array("{}")), "metadata: recogniser"),
        (whole(metadata=np.array("x")), "metadata"),
        (
            whole(
                metadata=np.array(
                    METADATA.model_dump_json().replace("https://example", "javascript:alert")
                )
            ),
            "metadata: identities",
        ),
    ],
)
def test_anything_else_is_refused_with_the_reason(data, reason):
    with pytest.raises(InvalidKnownFaces, match=reason):
        load_known_faces(data)


def test_a_bomb_is_refused_before_it_unfolds():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("embeddings", "labels", "metadata"):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                for _ in range(360):
                    member.write(bytes(1 << 20))
    with pytest.raises(InvalidKnownFaces, match="unpacks to more than"):
        load_known_faces(target.getvalue())


def test_a_cut_off_file_is_refused():
    data = whole()
    for length in range(0, len(data), 97):
        with pytest.raises(InvalidKnownFaces):
            load_known_faces(data[:length])
