"""Randomized, replayable fault injection for nmanager. See README.md in this folder."""
