// All floats of a plan in one block, zeroed, each matrix beginning on 64 bytes.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace steepest {

// Memory of whole lines, or of large pages where there is much: rows of wide matrices lie on pages of their own,
// of which a processor finds only some at once.
inline void* allocate_floats(size_t bytes) {
  constexpr size_t kLargePage = size_t{2} << 20;
  if (bytes < 2 * kLargePage) return std::aligned_alloc(64, bytes);
  void* memory = std::aligned_alloc(kLargePage, (bytes + kLargePage - 1) / kLargePage * kLargePage);
#if defined(MADV_HUGEPAGE)
  if (memory)
    madvise(memory, bytes / kLargePage * kLargePage, MADV_HUGEPAGE);  // no more memory: whole pages alone
#endif
  return memory;
}

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
    memory_ = static_cast<float*>(allocate_floats(bytes));
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
