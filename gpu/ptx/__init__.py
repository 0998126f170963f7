"""An interpreter of PTX in NumPy, with checks and counters.

    module = parse(text)
    run = launch(module, "kernel", grid, block, [x, out, 400], shared_bytes=0)
    run.problems, counts(run)

All threads of a batch of blocks run in lock-step: a register is an array with an element a thread. Divergent
threads wait at their own program counters, the lowest runs first, so that they meet again.

Found while it runs: accesses out of bounds or misaligned; reads of shared or uninitialised global memory that nobody
wrote; races in shared memory between two barriers; global words that one thread of a block writes and another reads
or writes after it without a barrier between; two blocks that write one word; shuffles and barriers that some threads
miss; cp.async without wait. Counted: warp instructions by kind, wavefronts of shared memory, 32-byte sectors.

Not modelled: wgmma, tcgen05, TMA, mbarrier, textures, clusters, atomics, calls, weak memory order between blocks, the
last bit of `.approx`. Compile for sm_80, with everything inlined.
"""

from .counters import Counts, counts
from .machine import Machine, launch
from .memory import aligned
from .parse import Kernel, Module, PTXError, parse

__all__ = ["Counts", "Kernel", "Machine", "Module", "PTXError", "aligned", "counts", "launch", "parse"]
