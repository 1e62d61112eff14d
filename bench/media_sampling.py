"""How much brief content each sampling strategy finds, and how many frames that costs.

    python -m bench.media_sampling [--seconds 100] [--plot docs/images/sampling.svg]

Real clips are interrupted by another one for 0.2, 0.5, 1 and 3 s at random moments, in the whole
picture and in a quarter of its width and height. An interruption is found when a kept frame lies
within it. Frames are counted on the same clips without interruptions.
"""

import argparse
import random
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.media_material import RATE, VIDEO, Insert, clip_with_inserts
from bench.media_run import probed, run
from screener.sampling import Sampling, SamplingStrategy

LENGTHS = [Fraction(1, 5), Fraction(1, 2), Fraction(1), Fraction(3)]
PER_LENGTH = 4
BASES = {
    "dialogue": "his_girl_friday_6s.mp4",
    "silent film": "chaplin_silent_film_9s.mp4",
    "street from above": "street_person_bicycle_car_38s.mp4",
    "cartoon": "big_buck_bunny_30s.webm",
    "action": "tears_of_steel_battle_70s.webm",
}
FOREIGN = "nasa_webb_narrated_13s.mp4"
STRATEGIES = {
    "fixed 0.5 fps": Sampling(frames_per_second=0.5),
    "fixed 1 fps": Sampling(frames_per_second=1),
    "fixed 2 fps": Sampling(frames_per_second=2),
    "key frames": Sampling(strategy=SamplingStrategy.KEY_FRAMES),
    "scene change, 5 fps, 24": Sampling(
        strategy=SamplingStrategy.SCENE_CHANGE, frames_per_second=5, change_threshold=24
    ),
    "adaptive, 5 fps, 8": Sampling(
        strategy=SamplingStrategy.ADAPTIVE, frames_per_second=5, change_threshold=8
    ),
    "adaptive, 5 fps, 16": Sampling(
        strategy=SamplingStrategy.ADAPTIVE, frames_per_second=5, change_threshold=16
    ),
    "adaptive, 5 fps, 32": Sampling(
        strategy=SamplingStrategy.ADAPTIVE, frames_per_second=5, change_threshold=32
    ),
}


def plan_inserts(seconds: int, seed: int) -> list[Insert]:
    """Interruptions of every length, at random frames, at least two seconds apart."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    lengths = LENGTHS * PER_LENGTH
    rng.shuffle(lengths)
    slot = Fraction(seconds, len(lengths))
    return [
        Insert(
            Fraction(round((slot * n + 1 + rng.random() * float(slot - 2 - length)) * RATE), RATE),
            length,
        )
        for n, length in enumerate(lengths)
    ]


def found(times_ms: list[int], insert: Insert) -> bool:
    start_ms, end_ms = insert.start * 1000, (insert.start + insert.length) * 1000
    return any(start_ms <= time_ms < end_ms for time_ms in times_ms)


def measure(
    seconds: int,
) -> tuple[dict[str, dict[tuple[float, Fraction], float]], dict[str, dict[str, float]]]:
    """Recall by strategy, share and length; frames a minute by strategy and material."""
    hits: dict[str, dict[tuple[float, Fraction], list[bool]]] = defaultdict(
        lambda: defaultdict(list)
    )
    frames: dict[str, dict[str, float]] = defaultdict(dict)
    with TemporaryDirectory() as folder:
        for seed, (material, base) in enumerate(BASES.items()):
            for share in (0.0, 1.0, 0.25):
                inserts = plan_inserts(seconds, seed) if share else []
                clip = Path(folder) / "clip.mp4"
                clip_with_inserts(clip, VIDEO / base, VIDEO / FOREIGN, seconds, inserts, share or 1)
                facts = probed(clip)
                for name, sampling in STRATEGIES.items():
                    extraction = run(clip, facts, sampling).extraction
                    times_ms = [frame.timestamp_ms for frame in extraction.frames]
                    if not share:
                        frames[name][material] = len(times_ms) * 60 / seconds
                    for insert in inserts:
                        hits[name][share, insert.length].append(found(times_ms, insert))
    recall = {
        name: {key: sum(values) / len(values) for key, values in by_key.items()}
        for name, by_key in hits.items()
    }
    return recall, frames


def table(
    recall: dict[str, dict[tuple[float, Fraction], float]], frames: dict[str, dict[str, float]]
) -> str:
    heads = [f"{float(length):g} s" for length in LENGTHS]
    lines = [
        "| strategy | " + " | ".join([*heads, *(f"{h}, small" for h in heads), *BASES]) + " |",
        "|---|" + "---|" * (2 * len(heads) + len(BASES)),
    ]
    for name in STRATEGIES:
        cells = [
            f"{recall[name][share, length]:.0%}" for share in (1.0, 0.25) for length in LENGTHS
        ]
        cells += [f"{frames[name][material]:.0f}" for material in BASES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(
    target: Path,
    recall: dict[str, dict[tuple[float, Fraction], float]],
    frames: dict[str, dict[str, float]],
) -> None:
    """Recall of interruptions up to one second against frames a minute."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "screener"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    for name in STRATEGIES:
        brief = [recall[name][1.0, length] for length in LENGTHS if length <= 1]
        cost = sum(frames[name].values()) / len(BASES)
        axes.scatter(cost, sum(brief) / len(brief) * 100, s=45)
        axes.annotate(name, (cost, sum(brief) / len(brief) * 100), xytext=(6, 4),
                      textcoords="offset points", fontsize=8)  # fmt: skip
    axes.set_xlabel("frames analysed per minute, mean of five materials")
    axes.set_ylabel("interruptions of 0.2 to 1 s found, %")
    axes.set_ylim(0, 108)
    axes.grid(alpha=0.3)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=100)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    recall, frames = measure(arguments.seconds)
    print(table(recall, frames))
    if arguments.plot:
        plot(arguments.plot, recall, frames)


if __name__ == "__main__":
    main()
