"""Run one recipe: `python -m local.packs.recipes JOB.json`."""

import importlib
import sys
from pathlib import Path

from local.packs.catalogue import Recipe
from local.packs.recipes.contract import EXPORT_FILE, Export, Job

_MODULES = {
    Recipe.ULTRALYTICS: "yolo",
    Recipe.OPEN_CLIP: "clip",
    Recipe.OPENNSFW2: "open_nsfw",
}


def main(job_file: Path) -> None:
    job = Job.model_validate_json(job_file.read_bytes())
    # Only the one that is wanted: importing all three libraries takes half a minute.
    recipe = importlib.import_module(f"local.packs.recipes.{_MODULES[job.recipe]}")
    export: Export = recipe.export(job)
    (job.folder / EXPORT_FILE).write_text(export.model_dump_json(indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
