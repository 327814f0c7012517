#!/usr/bin/env python3
"""Roots and proofs of RFC 6962 section 2.1, word for word from its definitions, with hashlib alone.

Reads JSON from standard input: {"leaves": [text, ...], "roots": [size, ...],
"inclusion": [[index, size], ...], "consistency": [[old, new], ...]}, and prints the same fields with
hashes in hexadecimal.
"""

import functools
import hashlib
import json
import sys


def split(count):
    """The largest power of two smaller than count."""
    return 1 << (count - 1).bit_length() - 1


def of_leaves(leaves):
    hashes = [hashlib.sha256(b"\x00" + leaf.encode()).digest() for leaf in leaves]

    @functools.lru_cache(maxsize=None)
    def mth(start, end):
        if end == start:
            return hashlib.sha256(b"").digest()
        if end - start == 1:
            return hashes[start]
        middle = start + split(end - start)
        return hashlib.sha256(b"\x01" + mth(start, middle) + mth(middle, end)).digest()

    def path(index, start, end):
        """PATH(m, D[n]) of section 2.1.1."""
        if end - start == 1:
            return []
        middle = start + split(end - start)
        if index < middle:
            return path(index, start, middle) + [mth(middle, end)]
        return path(index, middle, end) + [mth(start, middle)]

    def subproof(old, start, end, whole):
        """SUBPROOF(m, D[n], b) of section 2.1.2; old counts from the tree's first leaf."""
        if old == end:
            return [] if whole else [mth(start, end)]
        middle = start + split(end - start)
        if old <= middle:
            return subproof(old, start, middle, whole) + [mth(middle, end)]
        return subproof(old, middle, end, False) + [mth(start, middle)]

    return mth, path, subproof


def main():
    asked = json.load(sys.stdin)
    mth, path, subproof = of_leaves(asked["leaves"])
    json.dump({
        "roots": [mth(0, size).hex() for size in asked["roots"]],
        "inclusion": [[h.hex() for h in path(i, 0, n)] for i, n in asked["inclusion"]],
        "consistency": [[h.hex() for h in subproof(m, 0, n, True)] for m, n in asked["consistency"]],
    }, sys.stdout)


if __name__ == "__main__":
    main()
