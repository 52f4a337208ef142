"""Models made runnable: networks, weights, importers of public checkpoints, runtimes. Imports nothing by itself."""
