// Which table of kernels this processor runs.

#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels.h"

namespace steepest {

#if defined(__x86_64__)
namespace x86_64_v2 {
extern const Kernels kernels;
}
namespace x86_64_v3 {
extern const Kernels kernels;
}
namespace x86_64_v4 {
extern const Kernels kernels;
}
namespace x86_64_v4_bf16 {
extern const Bf16Kernels bf16_kernels;
}
#elif defined(__aarch64__)
namespace neon {
extern const Kernels kernels;
}
#endif

namespace {

struct Candidate {
  const Kernels* kernels;
  bool runs;
};

// From the widest to the narrowest.
#if defined(__x86_64__)
const Candidate* candidates(int* count) {
  __builtin_cpu_init();
  static const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  static const bool v3 =
      v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  static const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512cd");
  static const Candidate all[] = {{&x86_64_v4::kernels, v4}, {&x86_64_v3::kernels, v3}, {&x86_64_v2::kernels, v2}};
  *count = 3;
  return all;
}
#else
const Candidate* candidates(int* count) {
  static const Candidate all[] = {{&neon::kernels, true}};
  *count = 1;
  return all;
}
#endif

}  // namespace

const Kernels& choose_kernels(const char* forced) {
  int count = 0;
  const Candidate* all = candidates(&count);
  std::string names;
  for (int i = 0; i < count; ++i) {
    const bool wanted = !forced || !*forced || std::strcmp(forced, all[i].kernels->name) == 0;
    if (wanted && all[i].runs) return *all[i].kernels;
    if (all[i].runs) names += std::string(names.empty() ? "" : ", ") + all[i].kernels->name;
  }
  throw std::runtime_error("this processor runs " + (names.empty() ? "none of the kernels" : names) +
                           (forced ? std::string(", not ") + forced : ""));
}

Kernels with_bf16(const Kernels& kernels, bool forced) {
  const Bf16Kernels* bf16 = kernels.bf16;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!forced && &kernels == &x86_64_v4::kernels && __builtin_cpu_supports("avx512bf16")) {
    bf16 = &x86_64_v4_bf16::bf16_kernels;
  }
#else
  (void)forced;
#endif
  Kernels with = kernels;
  with.linear = bf16->linear;
  with.linear_back = bf16->linear_back;
  with.update = bf16->update;
  with.collect = bf16->collect;
  with.finish = bf16->finish;
  with.bf16 = bf16;
  return with;
}

}  // namespace steepest
