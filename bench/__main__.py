"""Every stage against the obvious way, in one table.

    python -m bench [STAGE ...] [--rounds 2] [--seconds 60] [--library-python PYTHON]
                    [--tensorflow-python PYTHON]

Stages: extraction, moderation, moderation-keras, moderation-tensorflow, faces, objects, clip,
transcription, whole-video, talking-heads, start-up; all of them by default, in under 15 minutes on
2 cores. A stage for which this machine lacks something is left out with the reason. The library
PYTHON is the environment of `screener packs build`, found by itself once that has run; the
TensorFlow one is any with opennsfw2 and tensorflow-cpu.
"""

import argparse
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import servers, tables
from bench.cost import best, timed
from bench.material import prepare
from bench.scripts import KerasBackend, Scripts, Unavailable, built_environment
from bench.servers import Bench
from bench.tables import Row
from screener.packs import InstalledPack
from screener.sampling import Sampling

CORES = len(os.sched_getaffinity(0))


def extraction(bench: Bench, seconds: int) -> list[Row]:
    """The two FFmpeg commands against Screener's extraction, on the clip of `whole-video`."""
    from bench.media import Commands
    from bench.media_material import VIDEO
    from bench.media_run import probed, run
    from bench.whole_video import ACTION, clip_with_speech

    folder = bench.scripts.folder / "extraction"
    folder.mkdir(exist_ok=True)
    clip = clip_with_speech(folder / "clip.mp4", VIDEO / ACTION, bench.material.audio, seconds)
    commands = Commands(clip, folder, Sampling().frame_max_side_px)
    facts = probed(clip)
    theirs, ours, decoding = [], [], []
    memory = 0.0
    for _ in range(bench.rounds):
        theirs.append(timed(commands.both))
        ours.append(timed(lambda: run(clip, facts, Sampling())))
        decoding.append(timed(commands.decode_alone))
        memory = max(memory, run(clip, facts, Sampling()).peak_mb)
    floor = f"decoding every picture {best(decoding).cpu_s:.2f} s"
    name = f"extraction, {seconds} s of 720p"
    return [Row(name, best(theirs), best(ours)._replace(peak_mb=memory), floor)]


def whole_video(bench: Bench, seconds: int) -> list[Row]:
    from bench.whole_video import ACTION, whole_video

    return whole_video(bench, "action", ACTION, [Sampling()], seconds, _scenes(bench))


def talking_heads(bench: Bench, seconds: int) -> list[Row]:
    from bench.whole_video import ADAPTIVE, TALKING, whole_video

    samplings = [Sampling(), ADAPTIVE]
    return whole_video(bench, "talking heads", TALKING, samplings, seconds, _scenes(bench))


def _scenes(bench: Bench) -> InstalledPack | None:
    """The ViT-L/14 pack that is fastest on a CPU, if there is one and it is wanted."""
    try:
        packs = bench.scripts.clip_packs() if bench.scenes else {}
    except Unavailable:
        return None
    return packs.get("int8") or next(iter(packs.values()), None)


STAGES: dict[str, Callable[[Bench, int], list[Row]]] = {
    "extraction": extraction,
    "moderation": lambda bench, _: servers.moderation(bench),
    "moderation-keras": lambda bench, _: servers.moderation_with_keras(bench, KerasBackend.TORCH),
    "moderation-tensorflow": lambda bench, _: servers.moderation_with_keras(
        bench, KerasBackend.TENSORFLOW
    ),
    "faces": lambda bench, _: servers.faces(bench),
    "objects": lambda bench, _: servers.objects(bench),
    "clip": lambda bench, _: servers.clip(bench),
    "transcription": lambda bench, _: servers.transcription(bench),
    "whole-video": whole_video,
    "talking-heads": talking_heads,
}
START_UP = "start-up"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stages", nargs="*", metavar="STAGE")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=60, help="length of a whole video")
    parser.add_argument("--library-python", type=Path, default=built_environment())
    parser.add_argument(
        "--tensorflow-python", type=Path, help="environment with opennsfw2 and tensorflow-cpu"
    )
    parser.add_argument(
        "--without-scenes",
        action="store_true",
        help="no CLIP in whole videos, though there is a pack",
    )
    parser.add_argument("--markdown", type=Path, help="write the report here as well")
    arguments = parser.parse_args()
    unknown = {*arguments.stages} - {*STAGES, START_UP}
    if unknown:
        parser.error(f"unknown stage {', '.join(sorted(unknown))}")
    wanted = arguments.stages or [*STAGES, START_UP]
    with tempfile.TemporaryDirectory() as folder:
        material = prepare(Path(folder))
        scripts = Scripts(
            Path(folder), material, arguments.library_python, arguments.tensorflow_python
        )
        bench = Bench(scripts, arguments.rounds, scenes=not arguments.without_scenes)
        text = (
            f"{CORES} cores, {platform.machine()}, Python {platform.python_version()}, load "
            f"{os.getloadavg()[0]:.1f} at the start; float32 matrix products at "
            f"{bench.gemm_rate / 1e9:.0f} GFLOP/s per core. {material.frame_count} frames of "
            f"1280x720, {material.audio_s:.0f} s of speech; best of {arguments.rounds} rounds."
        )
        print(text, tables.HEAD, sep="\n\n", flush=True)
        rows: list[Row] = []
        left_out: list[str] = []
        for name in STAGES:
            if name not in wanted:
                continue
            try:
                found = STAGES[name](bench, arguments.seconds)
            except Unavailable as reason:
                left_out.append(f"{name} left out: {reason}")
                continue
            for row in found:
                print(tables.line(row), flush=True)
            rows += found
        parts = [*left_out]
        if START_UP in wanted:
            starts = servers.start_up(bench)
            parts += ["From process start, with one frame or two seconds of audio:",
                      tables.start_up(starts)]  # fmt: skip
        print("", *parts, sep="\n\n")
        if arguments.markdown:
            report = "\n\n".join([text, tables.speed(rows), *parts])
            arguments.markdown.write_text(report + "\n")


if __name__ == "__main__":
    main()
