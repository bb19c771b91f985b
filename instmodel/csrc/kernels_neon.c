/* The kernels for 64-bit Arm: 8 x 12 blocks take 24 of 32 registers for sums, 3 for samples. */
#include "simd_neon.h"

#define IM_DENSE_VECTORS 3
#define IM_DENSE_OUTPUTS 8
#define IM_DENSE_OUTPUTS_1 16
#define IM_DENSE_OUTPUTS_2 8
#define IM_FEW_PANELS_1 4
#define IM_FEW_PANELS_2 2
#define IM_FEW_PANELS_4 1
#define IM_TABLE im_kernels_neon
#include "kernels_template.h"
