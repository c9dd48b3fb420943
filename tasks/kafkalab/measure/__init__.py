"""Numbers from samples: histograms, growth, paired comparison, host noise.

Pure: samples in, numbers and verdicts out; no clock, no file, no network. A number that cannot be
computed is None (or the verdict is unknown), never NaN: a NaN passes every comparison by chance.
"""
