// Runs a grid of CUDA threads as fibers on one OS thread: blocks in turn, the threads of a block in an order of
// choice, each until its next barrier. Never built with a sanitizer itself; -DHOST_CUDA_ASAN or -DHOST_CUDA_TSAN
// makes it tell the sanitizer of the kernels about fibers and about what a barrier orders.
#include <sys/mman.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
};
struct HostCudaCopy {
  void* to;
  const void* from;
  int bytes, group;
};

extern "C" {
#ifdef HOST_CUDA_ASAN
void __sanitizer_start_switch_fiber(void**, const void*, size_t);
void __sanitizer_finish_switch_fiber(void*, const void**, size_t*);
void __asan_unpoison_memory_region(void const volatile*, size_t);
#endif
#ifdef HOST_CUDA_TSAN
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned);
void __tsan_destroy_fiber(void*);
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
#endif
extern char __start_host_cuda_shared[] __attribute__((weak));
extern char __stop_host_cuda_shared[] __attribute__((weak));
uint3 host_cuda_thread, host_cuda_block;
dim3 host_cuda_block_size, host_cuda_grid_size;
int host_cuda_lane;
void host_cuda_switch(void** save, void* to);
}

__asm__(
    ".text\n.globl host_cuda_switch\n.hidden host_cuda_switch\n.type host_cuda_switch,@function\nhost_cuda_switch:\n"
#if defined(__x86_64__)
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
#else
#error "host_cuda_switch is written for x86-64 alone"
#endif
    ".size host_cuda_switch,.-host_cuda_switch\n");

namespace {

enum State { kReady, kAtBarrier, kAtWarp, kDone };

struct Fiber {
  void* stack_pointer = nullptr;
  char* stack = nullptr;
  uint3 thread{};
  int index = 0, line = 0;
  State state = kDone;
  void *tsan = nullptr, *fake_stack = nullptr;
  int copy_group = 0;
  std::vector<HostCudaCopy> copies;
};

// One collective of a warp at a time; two slots, so that late readers of one do not see the next.
struct Warp {
  unsigned arrived = 0, mask = 0, generation = 0;
  uint64_t value[2][32];
  unsigned predicate[2] = {0, 0};
  char tag[2];
};

constexpr size_t kStack = 128 * 1024;
std::vector<Fiber> fibers;
std::vector<Warp> warps;
Fiber* current;
void* main_stack_pointer;
[[maybe_unused]] void *main_tsan, *main_fake_stack;
[[maybe_unused]] const void* main_stack;
[[maybe_unused]] size_t main_stack_size;
void (*kernel)(void**);
void** kernel_args;
void* shared_memory;
[[maybe_unused]] char start_tag, end_tag,
    barrier_tag[2];  // a late waker must not acquire what the next barrier releases: two tags
unsigned barrier_generation;
int errors;
std::string report;

void leave() {  // to the scheduler, until it comes back to this fiber
  Fiber* self = current;
#ifdef HOST_CUDA_ASAN
  __sanitizer_start_switch_fiber(self->state == kDone ? nullptr : &self->fake_stack, main_stack, main_stack_size);
#endif
#ifdef HOST_CUDA_TSAN
  __tsan_switch_to_fiber(main_tsan, 1);  // 1: a switch orders nothing
#endif
  host_cuda_switch(&self->stack_pointer, main_stack_pointer);
#ifdef HOST_CUDA_ASAN
  __sanitizer_finish_switch_fiber(self->fake_stack, &main_stack, &main_stack_size);
#endif
}

void fail(const char* format, ...) {
  char text[256];
  va_list list;
  va_start(list, format);
  std::vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (errors++ < 8) {
    char where[64];
    std::snprintf(where, sizeof where, "block %u thread %d: ", host_cuda_block.x, current ? current->index : -1);
    report += std::string(where) + text + "\n";
  }
}

void run_thread() {
#ifdef HOST_CUDA_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &main_stack, &main_stack_size);
#endif
#ifdef HOST_CUDA_TSAN
  __tsan_acquire(&start_tag);
#endif
  kernel(kernel_args);
  if (!current->copies.empty()) fail("exits before its cp.async has landed");
#ifdef HOST_CUDA_TSAN
  __tsan_release(&end_tag);
#endif
  current->state = kDone;
  leave();
  std::abort();
}

void enter(Fiber& fiber) {
  current = &fiber;
  host_cuda_thread = fiber.thread;
  host_cuda_lane = fiber.index & 31;
#ifdef HOST_CUDA_ASAN
  __sanitizer_start_switch_fiber(&main_fake_stack, fiber.stack, kStack);
#endif
#ifdef HOST_CUDA_TSAN
  __tsan_switch_to_fiber(fiber.tsan, 1);
#endif
  host_cuda_switch(&main_stack_pointer, fiber.stack_pointer);
#ifdef HOST_CUDA_ASAN
  __sanitizer_finish_switch_fiber(main_fake_stack, nullptr, nullptr);
#endif
}

void start_block(const unsigned* block) {
  for (size_t i = 0; i < fibers.size(); ++i) {
    Fiber& f = fibers[i];
    const unsigned t = unsigned(i);
    f.index = int(i);
    f.thread = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]};
    f.state = kReady;
    f.copies.clear();
    f.copy_group = 0;
    f.fake_stack = nullptr;
#ifdef HOST_CUDA_ASAN
    __asan_unpoison_memory_region(f.stack, kStack);
#endif
    void** top = reinterpret_cast<void**>(f.stack + kStack - 16);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(run_thread);
    for (int k = 0; k < 6; ++k) *--top = nullptr;
    f.stack_pointer = top;
  }
  for (Warp& w : warps) w.arrived = 0;
}

// Lets every thread that can run do so, in this order, until all are done; false when they wait for ever.
bool run_block(std::vector<int>& turns, bool shuffled, uint64_t& random) {
  for (;;) {
    for (int i : turns)
      if (fibers[i].state == kReady) enter(fibers[i]);
    current = nullptr;
    size_t done = 0, waiting = 0, ready = 0;
    for (const Fiber& f : fibers) {
      done += f.state == kDone;
      waiting += f.state == kAtBarrier;
      ready += f.state == kReady;
    }
    if (shuffled)
      for (size_t i = turns.size() - 1; i > 0; --i) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::swap(turns[i], turns[random % (i + 1)]);
      }
    if (done == fibers.size()) return true;
    if (ready) continue;
    if (waiting + done < fibers.size()) {
      for (Fiber& f : fibers)
        if (f.state == kAtWarp) {
          current = &f;
          fail("line %d: a warp collective waits for lanes that never come", f.line);
          return false;
        }
    }
    ++barrier_generation;
    int line = 0, other = 0;
    for (Fiber& f : fibers)
      if (f.state == kAtBarrier) {
        if (line == 0) line = f.line;
        if (f.line != line) other = f.line;
        f.state = kReady;
      }
    if (done) fail("line %d: __syncthreads although %d threads have returned", line, int(done));
    if (other) fail("lines %d and %d: threads of one block meet at different __syncthreads", line, other);
  }
}

}  // namespace

extern "C" {

void* host_cuda_shared_memory() { return shared_memory; }

const char* host_cuda_report() { return report.c_str(); }

void host_cuda_fail(const char* format, int a, int b) { fail(format, a, b); }

void host_cuda_barrier(int line) {
  current->line = line;
  current->state = kAtBarrier;
#ifdef HOST_CUDA_TSAN
  char* tag = &barrier_tag[barrier_generation & 1];
  __tsan_release(tag);
#endif
  leave();
#ifdef HOST_CUDA_TSAN
  __tsan_acquire(tag);
#endif
}

void host_cuda_warp(unsigned mask, uint64_t value, int predicate, int line, [[maybe_unused]] int fence,
                    uint64_t* values, unsigned* predicates) {
  Fiber* self = current;
  Warp& w = warps[self->index >> 5];
  const int lane = self->index & 31;
  if (!(mask >> lane & 1)) fail("line %d: lane %d is not in its own mask", line, lane);
  const unsigned slot = w.generation & 1;
  if (w.arrived == 0) {
    w.mask = mask;
    w.predicate[slot] = 0;
  } else if (w.mask != mask) {
    fail("line %d: lanes of one warp name different masks", line);
  }
  w.value[slot][lane] = value;
  w.predicate[slot] |= unsigned(predicate != 0) << lane;
  w.arrived |= 1u << lane;
#ifdef HOST_CUDA_TSAN
  if (fence) __tsan_release(&w.tag[slot]);  // __syncwarp orders memory, a shuffle does not
#endif
  self->line = line;
  if (w.arrived == w.mask) {
    w.arrived = 0;
    ++w.generation;
    for (size_t i = size_t(self->index & ~31); i < fibers.size() && i <= size_t(self->index | 31); ++i)
      if (fibers[i].state == kAtWarp) fibers[i].state = kReady;
  } else {
    self->state = kAtWarp;
    leave();
  }
#ifdef HOST_CUDA_TSAN
  if (fence) __tsan_acquire(&w.tag[slot]);
#endif
  std::memcpy(values, w.value[slot], sizeof w.value[slot]);
  *predicates = w.predicate[slot];
}

// cp.async lands at its wait and no earlier, so that a missing wait shows.
void host_cuda_copy(void* to, const void* from, int bytes) {
  current->copies.push_back({to, from, bytes, current->copy_group});
}
void host_cuda_copy_commit() { ++current->copy_group; }
int host_cuda_copy_next(int keep, HostCudaCopy* copy) {
  auto& copies = current->copies;
  if (copies.empty() || copies[0].group >= current->copy_group - keep) return 0;
  *copy = copies[0];
  copies.erase(copies.begin());
  return 1;
}

// order: 0 forward, 1 backward, else a seed. Returns the number of errors; host_cuda_report() has their text.
int host_cuda_run(void (*entry)(void**), const unsigned* grid, const unsigned* block, size_t shared, void** args,
                  int order) {
  kernel = entry;
  kernel_args = args;
  errors = 0;
  report.clear();
  host_cuda_grid_size = {grid[0], grid[1], grid[2]};
  host_cuda_block_size = {block[0], block[1], block[2]};
  const size_t threads = size_t(block[0]) * block[1] * block[2];
  fibers.resize(threads);
  warps.assign((threads + 31) / 32, Warp{});
  for (Fiber& f : fibers)
    if (!f.stack)
      f.stack = static_cast<char*>(
          mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
#ifdef HOST_CUDA_TSAN
  main_tsan = __tsan_get_current_fiber();
  for (Fiber& f : fibers) f.tsan = __tsan_create_fiber(0);
#endif
  uint64_t random = 0x9E3779B97F4A7C15ull * uint64_t(order + 1);
  std::vector<int> turns(threads);
  for (size_t i = 0; i < threads; ++i) turns[i] = int(order == 1 ? threads - 1 - i : i);
  bool alive = true;
  for (unsigned z = 0; alive && z < grid[2]; ++z)
    for (unsigned y = 0; alive && y < grid[1]; ++y)
      for (unsigned x = 0; alive && x < grid[0]; ++x) {
        host_cuda_block = {x, y, z};
        if (shared) {  // exactly this size, so that ASan guards its end; NaN, so that reading before writing shows
          shared_memory = std::malloc(shared);
          std::memset(shared_memory, 0xFF, shared);
        }
        if (__start_host_cuda_shared)
          std::memset(__start_host_cuda_shared, 0xFF, size_t(__stop_host_cuda_shared - __start_host_cuda_shared));
#ifdef HOST_CUDA_TSAN
        __tsan_release(&start_tag);
#endif
        start_block(block);
        alive = run_block(turns, order > 1, random);
#ifdef HOST_CUDA_TSAN
        __tsan_acquire(&end_tag);
#endif
        std::free(shared_memory);
        shared_memory = nullptr;
      }
#ifdef HOST_CUDA_TSAN
  for (Fiber& f : fibers) {
    __tsan_destroy_fiber(f.tsan);
    f.tsan = nullptr;
  }
#endif
  return errors;
}

}  // extern "C"
