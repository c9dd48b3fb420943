"""Claims judged on histories: pure functions, history in, verdict with evidence out.

No clock, no file, no network: whoever holds a history can judge it again and gets the same
verdict. `compose.judge` is the entrance, `registry.CHECKERS` says which claim is judged where.
"""
