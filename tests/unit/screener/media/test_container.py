import io
from fractions import Fraction

import av
import numpy as np
import pytest

from screener.errors import InvalidVideo, RefusalCode
from screener.media import MediaLimits
from screener.media.container import open_video
from screener.media.languages import same_language
from tests.media_clips import Sound, extract_here, probe_here, steady, tone, write_clip


def chosen(facts):
    return [track.language for track in facts.audio_tracks if track.chosen]


@pytest.fixture(scope="module")
def two_languages(tmp_path_factory):
    return write_clip(
        tmp_path_factory.mktemp("clips") / "clip.mkv",
        steady(30),
        sounds=[Sound(tone(1.0), language="eng"), Sound(tone(1.0), language="ger")],
    )


@pytest.mark.parametrize(
    ("asked", "language"),
    [(None, "eng"), ("de", "ger"), ("deu", "ger"), ("en", "eng"), ("fr", "eng")],
)
def test_the_track_in_the_asked_language_is_chosen(two_languages, asked, language):
    assert chosen(probe_here(two_languages, audio_language=asked)) == [language]


@pytest.mark.parametrize(
    ("tag", "wanted", "same"),
    [("eng", "en", True), ("en-GB", "eng", True), ("fre", "fr", True), ("fra", "fr", True),
     ("und", "en", False), (None, "en", False), ("gsw", "gsw", True)],
)  # fmt: skip
def test_language_codes_of_either_length_are_compared(tag, wanted, same):
    assert same_language(tag, wanted) is same


def test_more_streams_than_allowed_are_refused(two_languages):
    with (
        pytest.raises(InvalidVideo, match="3 streams; at most 2") as refusal,
        open_video(io.BytesIO(two_languages.read_bytes()), MediaLimits(max_streams=2), None),
    ):
        pass
    assert refusal.value.code == RefusalCode.TOO_MANY_STREAMS


def test_an_encrypted_video_is_refused_as_such(tmp_path):
    clip = write_clip(
        tmp_path / "clip.mp4",
        steady(30),
        container_options={
            "encryption_scheme": "cenc-aes-ctr",
            "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
            "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
        },
    )
    with pytest.raises(InvalidVideo) as refusal:
        probe_here(clip)
    assert refusal.value.code == RefusalCode.ENCRYPTED


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n",
        "\ufeff#EXTM3U\n",
        "ffconcat version 1.0\nfile /etc/hostname\n",
        '<?xml version="1.0"?>\n<MPD type="static"></MPD>',
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
    ],
)
def test_files_that_only_refer_to_others_are_refused_by_name(text, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_text(text)
    with pytest.raises(InvalidVideo) as refusal:
        probe_here(path)
    assert refusal.value.code == RefusalCode.UNSAFE_REFERENCE


@pytest.mark.parametrize(
    ("level", "silent"), [(0.0, True), (0.0003, True), (0.003, False), (0.3, False)]
)
def test_silence_is_recognised_by_its_level(level, silent, tmp_path):
    sound = Sound((tone(1.5) * 2 * level).astype(np.float32), codec="flac")
    clip = write_clip(tmp_path / "clip.mkv", steady(30), sounds=[sound])
    result = extract_here(clip).result
    assert result.has_audio
    assert result.audio_silent is silent


def test_a_clip_without_sound_says_so(tmp_path):
    extracted = extract_here(write_clip(tmp_path / "clip.mp4", steady(30)))
    assert not extracted.result.has_audio
    assert extracted.flac == b""


def test_a_gap_in_the_sound_becomes_silence_of_its_length(tmp_path):
    one = Sound(tone(1.0), codec="flac", rate=16_000)
    clip = write_clip(tmp_path / "one.mkv", steady(100), sounds=[one])
    # The same packets, the second half two seconds later.
    holed = tmp_path / "holed.mkv"
    with av.open(str(clip)) as source, av.open(str(holed), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        packets = [p for p in source.demux() if p.size]
        for packet in packets:
            late = packet.stream.type == "audio" and packet.pts * packet.time_base > Fraction(1, 2)
            if late:
                packet.pts += 2000
                packet.dts = packet.pts
            packet.stream = streams[packet.stream.index]
        for packet in sorted(
            packets, key=lambda p: p.dts * p.time_base if p.dts is not None else 0
        ):
            target.mux(packet)
    samples = extract_here(holed).samples()
    loud = np.abs(samples.reshape(-1)[: 3 * 16_000].astype(int)) > 3000
    assert not loud[int(0.7 * 16_000) : int(2.4 * 16_000)].any()
    assert loud[:8_000].any()
    assert loud[int(2.6 * 16_000) :].any()
