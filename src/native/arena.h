// All floats of a plan in one block, zeroed, each matrix beginning on 64 bytes.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace steepest {

// Used twice in the same way: first to measure, then, after `allocate`, to take memory.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  ~Arena() { std::free(memory_); }

  // While it measures, an address that must not be used.
  float* take(size_t floats) {
    const size_t at = used_;
    used_ += (floats + 15) / 16 * 16;
    return memory_ ? memory_ + at : reinterpret_cast<float*>(uintptr_t{64});
  }

  void allocate() {
    const size_t bytes = (used_ + 16) * sizeof(float);
    memory_ = static_cast<float*>(std::aligned_alloc(64, bytes));
    if (!memory_) throw std::bad_alloc();
    bytes_ = bytes;
    clear();
    used_ = 0;
  }

  void clear() { std::memset(memory_, 0, bytes_); }

 private:
  float* memory_ = nullptr;
  size_t used_ = 0, bytes_ = 0;
};

}  // namespace steepest
