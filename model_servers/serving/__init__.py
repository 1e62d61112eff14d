"""What the four model servers share: HTTP, packs, runtimes, the frame pipeline. Written once."""
