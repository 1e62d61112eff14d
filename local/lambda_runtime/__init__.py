"""AWS Lambda on a laptop: the real runtime client in real processes, behind our Runtime API."""
