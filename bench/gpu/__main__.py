"""The model servers and their networks on an NVIDIA GPU.

    python -m bench.gpu.material FOLDER            # here, where the clips and packs are
    python -m bench.gpu FOLDER [--torch]           # there, where the GPU is

Prints three tables: the real servers on CUDA against the processor, with how far their answers
lie apart; the networks alone in ONNX Runtime; with --torch, CLIP and YOLO compiled by PyTorch.
"""

import argparse
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.gpu import networks, servers
from bench.gpu.material import AUDIO, BUNDLE, PACKS
from screener.bundles import BundleReader, write_bundle
from screener.observations import Analyzer
from screener.packs import InstalledPack, find_packs

BATCHES = (1, 8, 32, 64)
_FRAME = {
    # One frame of 1280x720 as each network takes it; faces' detectors take one at a time.
    (Analyzer.MODERATION, "detector"): (3, 320, 320),
    (Analyzer.MODERATION, "classifier"): (224, 224, 3),
    (Analyzer.FACES, "recogniser"): (3, 112, 112),
    (Analyzer.OBJECTS, "detector"): (3, 384, 640),
    (Analyzer.OBJECTS, "clip"): (3, 224, 224),
}


def repeated(path: Path, times: int) -> tuple[bytes, int]:
    """A bundle that holds the frames of another several times over, and their number."""
    with path.open("rb") as file:
        reader = BundleReader(file)
        manifest, jpegs = reader.manifest, [frame.jpeg for frame in reader]
    numbers = range(times * len(jpegs))
    frames = [
        manifest.frames[number % len(jpegs)].model_copy(
            update={
                "index": number,
                "name": f"frame_{number:06d}.jpg",
                "pts": number,
                "timestamp_ms": number * 1000,
                "span_start_ms": number * 1000,
                "span_end_ms": number * 1000 + 1000,
            }
        )
        for number in numbers
    ]
    target = io.BytesIO()
    write_bundle(
        target,
        manifest.model_copy(update={"frames": frames}),
        (jpegs[number % len(jpegs)] for number in numbers),
    )
    return target.getvalue(), len(frames)


def server_table(folder: Path, only: Sequence[Analyzer], times: int) -> None:
    bundle, frames = repeated(folder / BUNDLE, times)
    print("\n| server | provider | batch | ready | whole | per second | stages, ms | apart |")
    print("|---|---|---|---|---|---|---|---|")
    for analyzer in only:
        packs = servers.folders(folder / PACKS, analyzer)
        speech = analyzer is Analyzer.TRANSCRIPTION
        if not packs or (speech and not (folder / AUDIO).exists()):
            print(f"| {analyzer} | left out: no pack or no material |")
            continue
        body = (folder / AUDIO).read_bytes() if speech else bundle
        kind = "audio/flac" if speech else "application/x-tar"
        cpu = servers.run(analyzer, packs, body, kind, "cpu")
        runs = [cpu] + [servers.run(analyzer, packs, body, kind, "cuda", size) for size in (0, 8)]
        for run in runs:
            rate = "" if speech else f"{frames / run.seconds:.0f} frames"
            stages = ", ".join(f"{name} {value:.0f}" for name, value in run.timings_ms.items())
            apart = "" if run is cpu else servers.differences(cpu, run)
            print(
                f"| {analyzer} | {run.provider} | {run.batch_size} | {run.ready_s:.1f} s "
                f"| {run.seconds:.2f} s | {rate} | {stages} | {apart} |",
                flush=True,
            )


def network_table(folder: Path) -> None:
    peak = networks.half_precision_rate()
    print(f"\nHalf-precision matrix product of 8192 x 8192: {peak / 1e12:.0f} TFLOP/s")
    _print_header()
    for pack in find_packs(folder / PACKS):
        shape = _FRAME.get((pack.pack.analyzer, pack.pack.role))
        if shape is not None:
            for halve in (False, True):
                _print_speeds(_network(pack, shape, halve=halve), peak)


def _network(
    pack: InstalledPack, shape: tuple[int, ...], *, halve: bool
) -> Sequence[networks.Speed]:
    # Of CLIP the image tower: texts are encoded once.
    file = next(item.path for item in pack.pack.files if item.path.endswith(".onnx"))
    if halve and pack.pack.parameters.get("precision") == "fp16":
        return []
    return networks.measure(pack.pack.name, pack.path_of(file), shape, BATCHES, halve=halve)


def torch_table() -> None:
    import open_clip
    import torch
    from ultralytics import YOLO

    from bench.gpu import pytorch

    peak = pytorch.half_precision_rate()
    print(
        f"\nPyTorch {torch.__version__}, {torch.cuda.get_device_name()}, {peak / 1e12:.0f} TFLOP/s"
    )
    _print_header()
    clip = open_clip.create_model("ViT-L-14", pretrained=None).visual
    # Operations of one frame: ViT-L/14 from its layers (24 of width 1024, 257 tokens), YOLOv8n
    # from its published 8.7 GFLOP at 640x640.
    yolo = YOLO("yolov8n.yaml").model
    for name, network, shape, gflop in (
        ("clip ViT-L/14", clip, (3, 224, 224), 162.0),
        ("yolov8n", yolo, (3, 384, 640), 8.7 * 384 / 640),
    ):
        for compiled in (False, True):
            _print_speeds(
                pytorch.measure(name, network, shape, (1, 32, 64), gflop, compiled=compiled), peak
            )


def _print_header() -> None:
    print("| network | precision | batch | ms a frame, resident | from host | of the peak |")
    print("|---|---|---|---|---|---|")


def _print_speeds(speeds: Iterable[networks.Speed], peak: float) -> None:
    for speed in speeds:
        print(
            f"| {speed.network} | {speed.precision} | {speed.batch} | {speed.resident_ms:.3f} "
            f"| {speed.from_host_ms:.3f} | {speed.share_of_peak(peak):.0%} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeat", type=int, default=8, help="times the 120 frames")
    parser.add_argument("--only", type=Analyzer, action="append", default=[])
    parser.add_argument("--no-servers", action="store_true")
    parser.add_argument("--no-networks", action="store_true")
    parser.add_argument("--torch", action="store_true")
    arguments = parser.parse_args()
    if not arguments.no_servers:
        server_table(arguments.folder, arguments.only or list(Analyzer), arguments.repeat)
    if not arguments.no_networks:
        network_table(arguments.folder)
    if arguments.torch:
        torch_table()


if __name__ == "__main__":
    main()
