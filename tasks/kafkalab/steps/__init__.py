"""One container command each: parse, compose, run, write the manifest. Nothing here decides."""
