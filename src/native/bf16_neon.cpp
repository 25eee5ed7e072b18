#define STEEPEST_ISA neon
#define STEEPEST_NAME "neon"
#define STEEPEST_WIDTH 4
#define STEEPEST_REGISTERS 32
#include "bf16.inc"
