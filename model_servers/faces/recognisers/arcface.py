"""ArcFace and its kin from InsightFace."""

from model_servers.faces.embedding import Contract, FaceEmbedder
from model_servers.serving.runtime import Runtime
from screener.packs import InstalledPack

# As InsightFace prepares its input; a few old exports subtract inside the network instead,
# and their `pack.json` says so.
CONTRACT = Contract(input_mean=127.5, input_std=127.5)


def load(pack: InstalledPack, runtime: Runtime) -> FaceEmbedder:
    return FaceEmbedder(pack, runtime, CONTRACT)
