"""How much brief content each sampling strategy finds, and how many frames that costs.

    python -m bench.media_sampling [--held-out NAME=CLIP ...] [--plot docs/images/sampling.svg]

Real clips are interrupted by others for 0.2, 0.5, 1 and 3 s at random moments, in the whole
picture and in a quarter of its width and height at random places. An interruption is found when a
kept frame lies within it. Frames are counted on the same clips without interruptions. Clips given
as held out have a table of their own: those on which nothing was chosen. At the end: what the
comparison takes beside the rest of the extraction.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import av

from bench.media_material import VIDEO
from bench.media_run import probed, run
from bench.sampling_material import Footage, Insert, plan_inserts, write_interrupted
from screener.media.selection import Candidate, Selector, signature_of
from screener.sampling import Sampling, SamplingStrategy

LENGTHS = [Fraction(1, 5), Fraction(1, 2), Fraction(1), Fraction(3)]
SHARES = (1.0, 0.25)
BASES = {
    "dialogue": VIDEO / "his_girl_friday_6s.mp4",
    "silent film": VIDEO / "chaplin_silent_film_9s.mp4",
    "street from above": VIDEO / "street_person_bicycle_car_38s.mp4",
    "cartoon": VIDEO / "big_buck_bunny_30s.webm",
    "action": VIDEO / "tears_of_steel_battle_70s.webm",
}
FOREIGN = [
    VIDEO / "nasa_webb_narrated_13s.mp4",
    BASES["dialogue"],
    BASES["action"],
    BASES["cartoon"],
]
CANDIDATES_PER_SECOND = 5
THRESHOLDS = (22, 28, 34)


def comparing(strategy: SamplingStrategy, threshold: float) -> Sampling:
    return Sampling(
        strategy=strategy,
        frames_per_second=CANDIDATES_PER_SECOND,
        change_threshold=threshold,
    )


STRATEGIES = {
    "fixed 0.5 fps": Sampling(frames_per_second=0.5),
    "fixed 1 fps": Sampling(frames_per_second=1),
    "fixed 2 fps": Sampling(frames_per_second=2),
    "key frames": Sampling(strategy=SamplingStrategy.KEY_FRAMES),
    "scene change, 5 fps, 28": comparing(SamplingStrategy.SCENE_CHANGE, 28),
    **{f"adaptive, 5 fps, {t}": comparing(SamplingStrategy.ADAPTIVE, t) for t in THRESHOLDS},
}


class Findings(NamedTuple):
    """What was found on some material."""

    materials: list[str]
    found: dict[str, dict[tuple[float, Fraction], list[bool]]]
    """By strategy, then by share and length of the interruption."""
    frames_a_minute: dict[str, dict[str, float]]
    """By strategy, then by material."""

    def recall(self, strategy: str, share: float, lengths: list[Fraction]) -> float:
        hits = [hit for length in lengths for hit in self.found[strategy][share, length]]
        return sum(hits) / len(hits)


def is_found(times_ms: list[int], insert: Insert) -> bool:
    start_ms, end_ms = insert.start * 1000, (insert.start + insert.length) * 1000
    return any(start_ms <= time_ms < end_ms for time_ms in times_ms)


def measure(bases: dict[str, Path], seconds: int, per_length: int, first_seed: int) -> Findings:
    """Run every strategy over every clip, `per_length` interruptions of each length in it."""
    findings = Findings(list(bases), defaultdict(lambda: defaultdict(list)), defaultdict(dict))
    with TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        for number, (material, path) in enumerate(bases.items()):
            base = Footage(path)
            foreign = [Footage(other) for other in FOREIGN if other != path]
            for share in (0.0, *SHARES):
                seed = first_seed + 10 * number + SHARES.index(share) if share else 0
                inserts = (
                    plan_inserts(seconds, LENGTHS, per_length, len(foreign), seed) if share else []
                )
                write_interrupted(clip, base, foreign, seconds, inserts, share or 1)
                for name, times_ms in _sampled(clip):
                    if not share:
                        findings.frames_a_minute[name][material] = len(times_ms) * 60 / seconds
                    for insert in inserts:
                        hits = findings.found[name][share, insert.length]
                        hits.append(is_found(times_ms, insert))
    return findings


def _sampled(clip: Path) -> Iterator[tuple[str, list[int]]]:
    """Times of the kept frames by strategy."""
    facts = probed(clip)
    for name, sampling in STRATEGIES.items():
        extraction = run(clip, facts, sampling).extraction
        yield name, [frame.timestamp_ms for frame in extraction.frames]


def table(findings: Findings) -> str:
    heads = [f"{float(length):g} s" for length in LENGTHS]
    materials = findings.materials
    lines = [
        "| strategy | " + " | ".join([*heads, *(f"{h}, small" for h in heads), *materials]) + " |",
        "|---|" + "---|" * (2 * len(heads) + len(materials)),
    ]
    for name in STRATEGIES:
        cells = [
            f"{findings.recall(name, share, [length]):.0%}"
            for share in SHARES
            for length in LENGTHS
        ]
        cells += [f"{findings.frames_a_minute[name][material]:.0f}" for material in materials]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cost(path: Path, sampling: Sampling) -> str:
    """What comparing takes of one thread, and what all else takes, for each candidate."""
    selector = Selector(sampling)
    spent, candidates = 0.0, 0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            moment = Fraction(frame.pts or 0) * Fraction(frame.time_base or 1)
            if moment * CANDIDATES_PER_SECOND < candidates:
                continue
            picture = frame.reformat(format="yuvj420p")
            started = time.thread_time()
            selector.keeps(Candidate(b"", signature_of(picture)), moment)
            spent += time.thread_time() - started
            candidates += 1
    facts = probed(path)
    rest = run(path, facts, Sampling(frames_per_second=CANDIDATES_PER_SECOND))
    return (
        f"{path.name}, {facts.width}x{facts.height}: comparing {spent / candidates * 1000:.2f} ms "
        f"a candidate, all else {rest.cost.cpu_s / len(rest.extraction.frames) * 1000:.1f} ms"
    )


_MARKS = {
    SamplingStrategy.FIXED_RATE: ("^", (6, -9), "left"),
    SamplingStrategy.KEY_FRAMES: ("s", (6, -9), "left"),
    SamplingStrategy.SCENE_CHANGE: ("D", (0, 8), "center"),
    SamplingStrategy.ADAPTIVE: ("o", (0, -14), "center"),
}
"""By strategy: marker, where its label lies from it in points, and which part of the label."""


def plot(target: Path, findings: list[Findings]) -> None:
    """Recall of interruptions from half a second to one against frames a minute."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "screener"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True)
    materials = sum(len(one.materials) for one in findings)
    lengths = [length for length in LENGTHS if length <= 1]
    for axes, share, title in zip(
        panels, SHARES, ("whole picture", "a quarter of width and height"), strict=True
    ):
        for name, sampling in STRATEGIES.items():
            recall = sum(one.recall(name, share, lengths) * len(one.materials) for one in findings)
            frames = sum(sum(one.frames_a_minute[name].values()) for one in findings) / materials
            marker, offset, side = _MARKS[sampling.strategy]
            point = (frames, recall / materials * 100)
            axes.scatter(*point, s=45, marker=marker)
            axes.annotate(name.replace(", 5 fps,", ""), point, xytext=offset, ha=side,
                          textcoords="offset points", fontsize=7.5)  # fmt: skip
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(f"frames a minute, mean of {materials} clips")
        axes.set_ylim(-8, 114)
        axes.set_xlim(0, 148)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("interruptions of 0.2 to 1 s found, %")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(target, bbox_inches="tight", metadata={"Date": None})


def _named_clip(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"{text}: want NAME=CLIP")
    return name, Path(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=128, help="of each clip")
    parser.add_argument("--per-length", type=int, default=8, help="interruptions in each clip")
    parser.add_argument("--held-out", type=_named_clip, nargs="*", default=[], metavar="NAME=CLIP")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    findings = [measure(BASES, arguments.seconds, arguments.per_length, first_seed=1000)]
    print(table(findings[0]), flush=True)
    if arguments.held_out:
        held_out = dict(arguments.held_out)
        findings.append(measure(held_out, arguments.seconds, arguments.per_length, 2000))
        print("\nHeld out:\n\n" + table(findings[1]))
    print("\n" + cost(BASES["action"], STRATEGIES["adaptive, 5 fps, 28"]))
    if arguments.plot:
        plot(arguments.plot, findings)


if __name__ == "__main__":
    main()
