"""Benchmarks: this engine, its peers and the machine's limits, measured in one run.

``python -m perf.bench`` needs the extra ``bench``; a peer that is not installed is left out.

Design
------
A. A *contender* is a library with a number of threads, in a process of its own (`perf.workers`),
   stopped while it is not its turn: no thread of one spins during the turn of another.
B. All contenders run the same weights on the same rows (`perf.networks`), and a result that differs
   from ours is a failure, not a number. A peer that fails or dies on a network is in none of its
   figures, and the report names it; when we fail ourselves, the run ends.
C. Contenders take turns in rounds, in rotated order (`perf.rounds`). In a turn the fastest call
   counts, since whatever else the machine does only ever slows one down; a figure is the median
   over rounds, a ratio the median of the rounds' ratios.
D. The machine's limits (`perf.limits`) are contenders like the others.
E. Peers get their best: the batch size and the mode that are fastest for each network and number of
   threads, and results written where they are wanted.
"""
