// Where threads meet, twice a step or oftener. They spin a little and then sleep: where other work wants the
// processors, too, one that spins or yields on keeps the one that it waits for from running.

#pragma once

#include <atomic>

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
      current_.notify_all();
      return;
    }
    for (int spins = 0; spins < kSpins; ++spins) {
      if (current_.load(std::memory_order_acquire) != phase) return;
#if defined(__x86_64__)
      _mm_pause();
#endif
    }
    current_.wait(phase, std::memory_order_acquire);
  }

 private:
  static constexpr int kSpins = 4000;  // some 50 microseconds, longer than threads are apart where all run

  const int threads_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> current_{0};
};

}  // namespace steepest
