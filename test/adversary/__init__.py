"""A seeded, replayable random enemy of nmanager. See README.md in this folder."""
