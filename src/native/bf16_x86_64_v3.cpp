#define STEEPEST_ISA x86_64_v3
#define STEEPEST_NAME "x86-64-v3"
#define STEEPEST_WIDTH 8
#define STEEPEST_REGISTERS 16
#include "bf16.inc"
