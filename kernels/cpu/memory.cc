// Memory for results. The system clears a fresh page before it hands it out, and a large array is all fresh pages: that
// can take as long as the transform. So arrays lie on huge pages, and freed ones are kept for the next of their size.
// No more is kept than was once in use at one time, nor than `most`; all but the `newest` of it the system may take
// whenever it likes (MADV_FREE, which interrupts every processor that runs a thread of ours, so not for all).
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <vector>

#include "fastspec.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
#define FASTSPEC_MMAP 1
#endif

namespace {

constexpr size_t page = size_t(2) << 20;   // a huge one
constexpr size_t small = size_t(4) << 20;  // below, malloc keeps pages itself
constexpr int64_t newest = int64_t(64) << 20, most = int64_t(1) << 30;

// To huge pages, from 16 MB on to an eighth of the next lower power of two: arrays of nearly one length can follow each
// other. What is not touched takes no memory.
size_t rounded(size_t bytes) {
  size_t step = page;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

#ifdef FASTSPEC_MMAP
void* map(size_t size) {
  char* const start =
      static_cast<char*>(mmap(nullptr, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (start == MAP_FAILED) return nullptr;
  const size_t before = (page - reinterpret_cast<uintptr_t>(start) % page) % page;
  if (before) munmap(start, before);
  munmap(start + before + size, page - before);
#ifdef MADV_HUGEPAGE
  madvise(start + before, size, MADV_HUGEPAGE);
#endif
  return start + before;
}

struct Block {
  void* memory;
  size_t size;
  bool offered;  // to the system
};

struct Shelf {
  std::mutex mutex;
  std::vector<Block> blocks;  // freed last comes last
  int64_t kept = 0;

  void* take(size_t size) {
    std::lock_guard<std::mutex> lock(mutex);
    for (size_t i = blocks.size(); i-- > 0;) {
      if (blocks[i].size != size) continue;
      void* const memory = blocks[i].memory;
      blocks.erase(blocks.begin() + ptrdiff_t(i));
      kept -= int64_t(size);
      return memory;
    }
    return nullptr;
  }

  void put(Block block) {
    std::lock_guard<std::mutex> lock(mutex);
    blocks.push_back(block);
    kept += int64_t(block.size);
  }

  // What was freed first goes first.
  void keep(int64_t limit) {
    std::lock_guard<std::mutex> lock(mutex);
    size_t gone = 0;
    for (; kept > limit; ++gone) {
      kept -= int64_t(blocks[gone].size);
      munmap(blocks[gone].memory, blocks[gone].size);
    }
    blocks.erase(blocks.begin(), blocks.begin() + ptrdiff_t(gone));
#ifdef MADV_FREE
    int64_t size = 0;
    for (size_t i = blocks.size(); i-- > 0;) {
      size += int64_t(blocks[i].size);
      if (size <= newest || blocks[i].offered) continue;
      madvise(blocks[i].memory, blocks[i].size, MADV_FREE);
      blocks[i].offered = true;
    }
#endif
  }
};

// Never destroyed: arrays are freed until the process ends. A forked child begins anew, for the parent's threads may
// have held the mutex.
std::atomic<Shelf*> shelf{new Shelf};
[[maybe_unused]] const int at_fork = pthread_atfork(nullptr, nullptr, [] { shelf.store(new Shelf); });

std::atomic<int64_t> in_use{0}, peak{0};

void count(size_t size) {
  const int64_t now = in_use += int64_t(size);
  int64_t before = peak;
  while (before < now && !peak.compare_exchange_weak(before, now)) {}
}
#endif

}  // namespace

extern "C" {

void* fastspec_allocate(int64_t bytes) {
  if (bytes < 0 || uint64_t(bytes) > uint64_t(std::numeric_limits<ptrdiff_t>::max()) / 2) return nullptr;
#ifdef FASTSPEC_MMAP
  if (size_t(bytes) >= small) {
    const size_t size = rounded(size_t(bytes));
    void* memory = shelf.load()->take(size);
    if (!memory) memory = map(size);
    if (memory) count(size);
    return memory;
  }
#endif
  return std::malloc(bytes ? size_t(bytes) : 1);
}

void fastspec_free(void* memory, int64_t bytes) {
  if (!memory) return;
#ifdef FASTSPEC_MMAP
  if (size_t(bytes) >= small) {
    const size_t size = rounded(size_t(bytes));
    in_use -= int64_t(size);
    try {
      shelf.load()->put({memory, size, false});
    } catch (const std::bad_alloc&) { munmap(memory, size); }
    shelf.load()->keep(std::min(peak.load(), most));
    return;
  }
#endif
  std::free(memory);
}

void fastspec_empty_cache(void) {
#ifdef FASTSPEC_MMAP
  peak = int64_t(in_use);
  shelf.load()->keep(0);
#endif
}
}
