# The four serving images: docker buildx bake [--push] [--set '*.platform=linux/arm64'] [TARGET]
#
# `make deploy` builds them with this file and pushes them by digest. By hand:
#   VARIANT= docker buildx bake            the CPU images, into the local Docker
#   REGISTRY=host/screener docker buildx bake --push

variable "VARIANT" {
  default = "-gpu"
  description = "Which lock file: \"-gpu\" for NVIDIA GPUs, \"\" for CPU only."
}

variable "PYTHON_IMAGE" {
  default = "python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d"
  description = "Base image, by the digest of its index of platforms; tests hold the Dockerfiles to the same."
}

variable "REGISTRY" {
  default = "screener"
}

variable "TAG" {
  default = "latest"
}

group "default" {
  targets = ["moderation", "faces", "transcription", "objects"]
}

target "serving" {
  context = "."
  platforms = ["linux/amd64"]
  args = {
    VARIANT = VARIANT
    PYTHON_IMAGE = PYTHON_IMAGE
  }
  # SageMaker takes a single image, not an index with attestations beside it.
  attest = ["type=provenance,disabled=true", "type=sbom,disabled=true"]
}

target "moderation" {
  inherits = ["serving"]
  dockerfile = "model_servers/moderation/Dockerfile"
  tags = ["${REGISTRY}/moderation:${TAG}"]
}

target "faces" {
  inherits = ["serving"]
  dockerfile = "model_servers/faces/Dockerfile"
  tags = ["${REGISTRY}/faces:${TAG}"]
}

target "transcription" {
  inherits = ["serving"]
  dockerfile = "model_servers/transcription/Dockerfile"
  tags = ["${REGISTRY}/transcription:${TAG}"]
}

target "objects" {
  inherits = ["serving"]
  dockerfile = "model_servers/objects/Dockerfile"
  tags = ["${REGISTRY}/objects:${TAG}"]
}
