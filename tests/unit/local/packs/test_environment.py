import subprocess

import pytest

from local.packs import environment
from local.packs.environment import LOCK_FILE, build_environment, last_lines, split_lock
from local.packs.errors import BuildFailed


def test_the_cpu_variant_leaves_out_pytorch_and_cuda_and_keeps_every_other_hash():
    torch, rest = split_lock(LOCK_FILE.read_text())
    assert [requirement.partition("==")[0] for requirement in torch] == ["torch", "torchvision"]
    names = [line.partition("==")[0] for line in rest.splitlines() if not line.startswith(" ")]
    assert {"ultralytics", "open-clip-torch", "opennsfw2", "onnx"} <= set(names)
    assert not [name for name in names if name.startswith("nvidia-") and name != "nvidia-ml-py"]
    assert "triton" not in names
    for block in rest.replace("\n    ", " ").splitlines():
        assert "--hash=sha256:" in block


def test_an_environment_is_made_once_per_lock(tmp_path, monkeypatch):
    lock = tmp_path / "build.lock"
    lock.write_text("")
    monkeypatch.setattr(environment, "LOCK_FILE", lock)
    said = []
    python = build_environment(tmp_path / "home", said.append)
    version = subprocess.run([python, "-c", "print(6 * 7)"], capture_output=True, text=True)
    assert version.stdout == "42\n"
    assert build_environment(tmp_path / "home", said.append) == python
    assert len(said) == 1
    lock.write_text("# something else\n")
    assert build_environment(tmp_path / "home", said.append) != python


def test_a_failed_installation_is_reported_in_the_installers_words_and_tried_anew(
    tmp_path, monkeypatch
):
    lock = tmp_path / "build.lock"
    lock.write_text("not a ( requirement\n")
    monkeypatch.setattr(environment, "LOCK_FILE", lock)
    said = []
    for _ in range(2):
        with pytest.raises(BuildFailed, match=r"(?s)installing failed.*build\.lock"):
            build_environment(tmp_path / "home", said.append)
    assert len(said) == 2


def test_only_the_end_of_a_long_output_is_shown():
    assert last_lines("\n".join(map(str, range(100))) + "\n\n", 2) == "98\n99"
