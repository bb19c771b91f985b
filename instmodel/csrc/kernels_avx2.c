/* The kernels for AVX2 with FMA: 4 x 24 blocks take 12 of 16 registers for sums, 3 for samples. */
#include "simd_avx2.h"

#define IM_DENSE_VECTORS 3
#define IM_DENSE_OUTPUTS 4
#define IM_DENSE_OUTPUTS_1 8
#define IM_DENSE_OUTPUTS_2 4
#define IM_FEW_PANELS_1 4
#define IM_FEW_PANELS_2 2
#define IM_FEW_PANELS_4 1
#define IM_TABLE im_kernels_avx2
#include "kernels_template.h"
