// Where threads meet, twice a step or oftener. They spin a little and then yield: where processors are
// oversubscribed, spinning alone would keep the one they wait for from running.

#pragma once

#include <atomic>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace steepest {

class Barrier {
 public:
  explicit Barrier(int threads) : threads_(threads) {}

  void wait() {
    if (threads_ == 1) return;
    const int phase = current_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      current_.store(phase + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; current_.load(std::memory_order_acquire) == phase; ++spins) {
      if (spins < 4000) {
#if defined(__x86_64__)
        _mm_pause();
#endif
      } else {
        std::this_thread::yield();
      }
    }
  }

 private:
  const int threads_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> current_{0};
};

}  // namespace steepest
