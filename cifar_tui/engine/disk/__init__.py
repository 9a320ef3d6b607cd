"""The folder of a run and its files, which may have been made or moved by somebody else."""
