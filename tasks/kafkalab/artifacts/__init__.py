"""What a run leaves behind: S3 store and keys, run documents, baselines, the index."""
