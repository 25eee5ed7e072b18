// With the processor's own products of bfloat16.
#define STEEPEST_ISA x86_64_v4_bf16
#define STEEPEST_NAME "x86-64-v4"
#define STEEPEST_WIDTH 16
#define STEEPEST_REGISTERS 32
#include "bf16.inc"
