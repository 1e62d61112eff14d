"""Thresholds with numbers: how well the models do on a labelled set of one's own."""
