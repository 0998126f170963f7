// Threads and scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastspec {

// How many threads a caller gets who asks for so many: at least one, at most four for each processor.
int threads_of(int64_t asked);

// Runs job(context, i) for every i in [0, tasks), at most `threads` at a time, the caller among them. Tasks start in
// order; who runs which is not defined, so a task's result must not depend on it. What a task throws reaches the
// caller once all have stopped. Safe after fork (the child gets threads of its own) and from many threads at once.
using Job = void (*)(void* context, long long task);
void parallel_for(long long tasks, int threads, Job job, void* context);

// This thread's scratch memory, at least `bytes`, aligned to a page; the next call on this thread may reuse it.
void* scratch(size_t bytes);

[[noreturn]] void no_memory();  // throws std::bad_alloc

}  // namespace fastspec
