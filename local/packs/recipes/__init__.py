"""Exports to ONNX with the real libraries, run in the build environment and nowhere else.

`screener packs build` starts `python -m local.packs.recipes JOB` there; PyTorch and its
company never enter the laptop's environment. Each recipe exports, then runs library and
export over the same real images and reports how far apart they are.
"""
