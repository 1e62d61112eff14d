"""faster-whisper's simplest call with word times: AUDIO MODEL_FOLDER."""

import sys

from faster_whisper import WhisperModel  # type: ignore[import-untyped]

from bench.baseline.report import report


def main(audio: str, folder: str) -> None:
    model = WhisperModel(folder, device="cpu")

    def work() -> int:
        segments, _ = model.transcribe(audio, word_timestamps=True)
        return sum(len(segment.words or []) for segment in segments)

    report(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
