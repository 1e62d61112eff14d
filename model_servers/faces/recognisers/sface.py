"""SFace from OpenCV's model zoo, whose weights may be used commercially."""

from model_servers.faces.embedding import Contract, FaceEmbedder
from model_servers.serving.runtime import Runtime
from screener.packs import InstalledPack

# Red, green, blue as they are: the network scales them itself. So does `cv2.FaceRecognizerSF`.
CONTRACT = Contract(input_mean=0.0, input_std=1.0)


def load(pack: InstalledPack, runtime: Runtime) -> FaceEmbedder:
    return FaceEmbedder(pack, runtime, CONTRACT)
