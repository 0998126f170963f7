#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace fastspec {
namespace {

// To put a thread to sleep and to wake it takes tens of microseconds, as long as a short call: whoever waits looks
// about for so long before.
template <class Ready> void look_about(Ready&& ready) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
  while (!ready() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
}

struct Work {
  Job job;
  void* context;
  long long tasks;
  std::atomic<long long> next{0};
  std::atomic<int> helpers{0};  // workers inside run(), written under the pool's mutex
  std::mutex failure_mutex;
  std::exception_ptr failure;

  void run() {
    for (long long i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      try {
        job(context, i);
      } catch (...) {
        std::lock_guard<std::mutex> lock(failure_mutex);
        if (!failure) failure = std::current_exception();
        next.store(tasks, std::memory_order_relaxed);
      }
    }
  }
};

struct Pool {
  std::mutex mutex;
  std::condition_variable wake, done;
  std::deque<Work*> waiting;   // one entry a wanted helper
  std::atomic<int> wanted{0};  // how many entries; under the mutex, too
  int workers = 0;

  void work() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return !waiting.empty(); });
      Work* w = waiting.front();
      waiting.pop_front();
      --wanted;
      ++w->helpers;
      lock.unlock();
      w->run();
      lock.lock();
      if (--w->helpers == 0) done.notify_all();
      lock.unlock();
      look_about([&] { return wanted > 0; });
      lock.lock();
    }
  }

  void run(Work& w, int helpers) {
    {
      std::lock_guard<std::mutex> lock(mutex);
      for (; workers < helpers; ++workers) {
        try {
          std::thread([this] { work(); }).detach();
        } catch (const std::system_error&) {
          break;  // fewer threads than asked for; the work is done all the same
        }
      }
      helpers = std::min(helpers, workers);
      try {
        for (int i = 0; i < helpers; ++i, ++wanted) waiting.push_back(&w);
      } catch (const std::bad_alloc&) {  // those that are in the queue will do
      }
    }
    if (helpers == 1)
      wake.notify_one();
    else
      wake.notify_all();
    w.run();
    std::unique_lock<std::mutex> lock(mutex);
    wanted -= int(std::erase(waiting, &w));
    lock.unlock();
    look_about([&] { return w.helpers == 0; });
    lock.lock();
    done.wait(lock, [&] { return w.helpers == 0; });
  }
};

// Never destroyed: its threads sleep until the process ends. The parent's threads do not exist in a child.
std::atomic<Pool*> pool{new Pool};
std::atomic<bool> forked{false};
#if defined(__unix__) || defined(__APPLE__)
[[maybe_unused]] const int at_fork = pthread_atfork(nullptr, nullptr, [] {
  pool.store(new Pool);
  forked = true;
});
#endif

// OpenMP's threads, where the process has some (torch's do its own parallel work): they go on spinning for milliseconds
// after it, and ours would wait for their processors. Not in a forked child, where OpenMP hangs.
using OpenMp = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);
OpenMp open_mp() {
#if defined(__unix__) || defined(__APPLE__)
  static const OpenMp found = reinterpret_cast<OpenMp>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  return forked ? nullptr : found;
#else
  return nullptr;
#endif
}

const int64_t most_threads = 4 * std::max<int64_t>(1, std::thread::hardware_concurrency());

struct Arena {
  void* memory = nullptr;
  size_t size = 0;
  ~Arena() { std::free(memory); }
};
thread_local Arena arena;

}  // namespace

int threads_of(int64_t asked) { return int(std::clamp<int64_t>(asked, 1, most_threads)); }

void parallel_for(long long tasks, int threads, Job job, void* context) {
  Work w{job, context, tasks};
  const int helpers = int(std::min<long long>(threads_of(threads), tasks)) - 1;
  if (helpers <= 0)
    w.run();
  else if (const OpenMp parallel = open_mp())
    parallel([](void* work) { static_cast<Work*>(work)->run(); }, &w, unsigned(helpers) + 1, 0);
  else
    pool.load()->run(w, helpers);
  if (w.failure) std::rethrow_exception(w.failure);
}

void no_memory() { throw std::bad_alloc(); }

void* scratch(size_t bytes) {
  constexpr size_t page = 4096;
  if (arena.size < bytes) {
    std::free(arena.memory);
    arena.size = 0;
    const size_t size = (bytes + page - 1) / page * page;
    arena.memory = std::aligned_alloc(page, size);
    if (!arena.memory) no_memory();
    arena.size = size;
  }
  return arena.memory;
}

}  // namespace fastspec
