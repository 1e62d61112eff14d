"""What a GPU machine needs to be brought: a frame bundle, speech, and packs.

python -m bench.gpu.material FOLDER     # on a machine with the clips; then copy the folder
"""

import shutil
import sys
from pathlib import Path

BUNDLE, AUDIO, PACKS = "frames.tar", "speech.flac", "packs"


def main(folder: Path) -> None:
    # Late: the GPU machine reads the names above and has none of these.
    from bench.material import prepare
    from local.packs.places import Places
    from local.packs.selection import select_packs

    material = prepare(folder)
    shutil.rmtree(material.frames)
    for packs in select_packs(Places().home).values():
        for installed in packs:
            target = folder / PACKS / installed.folder.name
            shutil.copytree(installed.folder, target, dirs_exist_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
