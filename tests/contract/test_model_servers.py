"""What every model server does alike, shown on real processes with real weights."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from screener.observations import RESULT_TYPES, Analyzer
from screener.packs import read_pack
from tests.contract.conftest import ATTRIBUTES, BODY_LIMIT, FRAMES, Subject, hum
from tests.frame_bundles import bundle_of, group_photo, jpeg
from tests.server_process import ServerProcess

on_frame_servers = pytest.mark.parametrize(
    "subject", [Analyzer.MODERATION, Analyzer.FACES, Analyzer.OBJECTS], indirect=True
)


def problem(response: httpx.Response) -> str:
    """The error type of a typed refusal."""
    error = response.json()["error"]
    assert set(error) == {"type", "message"}
    assert error["message"]
    return str(error["type"])


def trickle(data: bytes, pause_s: float = 0.0, pieces: int = 8) -> Iterator[bytes]:
    """A body without a length, in pieces."""
    size = -(-len(data) // pieces)
    for start in range(0, len(data), size):
        yield data[start : start + size]
        time.sleep(pause_s)


def test_ping_is_never_anything_but_503_before_200_and_200_from_then_on(
    server: ServerProcess,
) -> None:
    # How often depends on the packs: small ones may be loaded before the first ping.
    assert set(server.pings[:-1]) <= {503}
    assert server.pings[-1] == 200
    assert httpx.get(f"{server.url}/ping").status_code == 200


def test_good_input_gives_observations_that_follow_the_contract(
    subject: Subject, server: ServerProcess
) -> None:
    response = server.post(subject.good, subject.content_type, ATTRIBUTES)
    assert response.status_code == 200
    result = RESULT_TYPES[subject.analyzer].model_validate_json(response.content)
    expected = {(read_pack(path).pack.role, read_pack(path).pack.digest) for path in subject.packs}
    assert {(pack.role, pack.sha256) for pack in result.packs} == expected
    assert result.provider
    assert result.timings_ms["total"] > 0
    if subject.takes_frames:
        frames = response.json()["frames"]
        assert [frame["timestamp_ms"] for frame in frames] == [0, 1000, 2000]
        assert [frame["index"] for frame in frames] == list(range(FRAMES))


def test_a_body_without_length_is_read_as_it_arrives(
    subject: Subject, server: ServerProcess
) -> None:
    streamed = server.post(trickle(subject.good, 0.02), subject.content_type)
    whole = server.post(subject.good, subject.content_type)
    assert streamed.status_code == 200
    assert _without_timings(streamed) == _without_timings(whole)


def test_empty_body_is_refused(subject: Subject, server: ServerProcess) -> None:
    response = server.post(b"", subject.content_type)
    assert response.status_code == 400
    assert problem(response) in {"InvalidBundle", "MalformedRequest"}


@on_frame_servers
def test_a_bundle_without_frames_has_no_observations(
    subject: Subject, server: ServerProcess
) -> None:
    response = server.post(bundle_of([], size=(640, 480)), subject.content_type)
    assert response.status_code == 200
    assert response.json()["frames"] == []


@pytest.mark.parametrize("damage", ["noise", "cut off", "other media"])
def test_malformed_input_is_refused_and_the_server_goes_on(
    subject: Subject, server: ServerProcess, damage: str
) -> None:
    other = hum() if subject.takes_frames else bundle_of([jpeg(group_photo())])
    body = {
        "noise": bytes(range(256)) * 64,
        "cut off": subject.good[: len(subject.good) // 2],
        "other media": other,
    }[damage]
    response = server.post(body, subject.content_type)
    assert response.status_code == 400
    assert problem(response) in {"InvalidBundle", "MalformedRequest"}
    assert server.post(subject.good, subject.content_type).status_code == 200


@on_frame_servers
@pytest.mark.parametrize(
    ("pictures", "reason"),
    [
        ([b"\xff\xd8\xff\xe0 not really a picture"], "not a JPEG"),
        ([jpeg(group_photo())[:-500]], "cut off"),
        ([jpeg(group_photo()), jpeg(group_photo()[:100])], "1280x100"),
    ],
)
def test_a_frame_that_is_not_what_the_manifest_says_is_named(
    subject: Subject, server: ServerProcess, pictures: list[bytes], reason: str
) -> None:
    response = server.post(bundle_of(pictures, size=(1280, 886)), subject.content_type)
    assert response.status_code == 400
    assert problem(response) == "InvalidBundle"
    assert reason in response.json()["error"]["message"]
    assert f"frame_{len(pictures) - 1:06d}.jpg" in response.json()["error"]["message"]


@pytest.mark.parametrize("announced", [True, False])
def test_more_than_the_limit_is_refused(
    subject: Subject, server: ServerProcess, announced: bool
) -> None:
    if subject.takes_frames:
        huge = bundle_of([jpeg(group_photo()) + b"\0" * BODY_LIMIT])
    else:
        huge = subject.good + b"\0" * BODY_LIMIT
    response = server.post(huge if announced else trickle(huge), subject.content_type)
    assert response.status_code == 413
    assert problem(response) == "BodyTooLarge"


def test_wrong_content_type_is_refused(subject: Subject, server: ServerProcess) -> None:
    for wrong in (subject.wrong_type, "text/plain", None):
        response = server.post(subject.good, wrong)
        assert response.status_code == 415
        assert problem(response) == "UnsupportedContentType"
        assert subject.content_type.partition("/")[0] in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "attributes", ["not json", {"chunk": 0}, {"video_id": "v", "chunk": -1}, '{"video_id": 1e999}']
)
def test_wrong_attributes_are_refused(
    subject: Subject, server: ServerProcess, attributes: object
) -> None:
    response = server.post(subject.good, subject.content_type, attributes)
    assert response.status_code == 400
    assert problem(response) == "MalformedRequest"


@on_frame_servers
def test_a_bundle_of_another_video_than_the_header_says_is_refused(
    subject: Subject, server: ServerProcess
) -> None:
    response = server.post(subject.good, subject.content_type, {**ATTRIBUTES, "chunk": 5})
    assert response.status_code == 400
    assert problem(response) == "MalformedRequest"


def test_other_paths_and_methods_are_refused_in_the_same_form(server: ServerProcess) -> None:
    assert problem(httpx.get(f"{server.url}/other")) == "HttpError"
    refused = httpx.get(f"{server.url}/invocations")
    assert refused.status_code == 405
    assert problem(refused) == "HttpError"


def test_a_client_that_stops_sending_does_not_hold_the_server(
    subject: Subject, server: ServerProcess
) -> None:
    release = threading.Event()

    def stalls() -> Iterator[bytes]:
        yield subject.good[:2000]
        release.wait()
        yield subject.good[2000:]

    with ThreadPoolExecutor() as pool:
        stalled = pool.submit(server.post, stalls(), subject.content_type)
        try:
            # Whichever has its turn first: the good request gets its answer.
            assert server.post(subject.good, subject.content_type).status_code == 200
            # Longer than the timeout of 1 s that this server has.
            time.sleep(2.5)
        finally:
            release.set()
        response = stalled.result()
    assert response.status_code == 408
    assert problem(response) == "BodyTimeout"


def test_two_requests_at_once_both_get_their_answer(
    subject: Subject, server: ServerProcess
) -> None:
    with ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(lambda _: server.post(subject.good, subject.content_type), range(2))
        )
    assert [answer.status_code for answer in answers] == [200, 200]
    assert _without_timings(answers[0]) == _without_timings(answers[1])


def test_logs_are_json_and_hold_no_observation(subject: Subject, server: ServerProcess) -> None:
    server.post(subject.good, subject.content_type, ATTRIBUTES)
    lines = server.log_lines()
    answered = [line for line in lines if line["message"] == "answered"]
    assert answered[-1]["video_id"] == ATTRIBUTES["video_id"]
    assert {"time", "level", "analyzer", "status", "body_bytes", "timings_ms"} <= set(answered[-1])
    for line in lines:
        assert not {"frames", "segments", "text", "words", "embedding"} & set(line)


def test_the_log_names_the_provider_and_the_packs_at_start(
    subject: Subject, server: ServerProcess
) -> None:
    lines = {str(line["message"]): line for line in server.log_lines()}
    assert "CPU" in str(lines["runtime chosen"]["provider"]).upper()
    packs = [read_pack(path).pack for path in subject.packs]
    assert lines["ready"]["packs"] == {pack.role: f"{pack.name} {pack.version}" for pack in packs}


def test_sigterm_finishes_the_request_in_hand_and_refuses_new_ones(subject: Subject) -> None:
    with ServerProcess(subject.analyzer, subject.packs) as process:
        process.wait_ready()
        with ThreadPoolExecutor() as pool:
            slow = pool.submit(
                process.post, trickle(subject.good, pause_s=0.15), subject.content_type
            )
            time.sleep(0.4)
            process.terminate()
            time.sleep(0.2)
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{process.url}/ping")
            assert slow.result().status_code == 200
        process.process.wait(timeout=10)


def _without_timings(response: httpx.Response) -> dict[str, object]:
    return {key: value for key, value in response.json().items() if key != "timings_ms"}
