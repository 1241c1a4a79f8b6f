"""Units that shingles are made of.

A unit is a module of this package, and has the name of its module. It defines

- `LETTER: str`: its letter in the name of a `SignatureScheme`, which no other unit has (a test compares them);
- `hash_units(words: NormalWords) -> tuple[UInt64Array, NDArray[np.int64]]`: the hashes of the units of all texts end to
  end, (n_units,) uint64, and the number of units of each text, (n_texts,) int64. Equal units have equal hashes.
  `NormalWords` is in `pipeline/dedup/shingles.py`.
"""
