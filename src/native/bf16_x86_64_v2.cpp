#define STEEPEST_ISA x86_64_v2
#define STEEPEST_NAME "x86-64-v2"
#define STEEPEST_WIDTH 4
#define STEEPEST_REGISTERS 16
#include "bf16.inc"
