/* The kernels for AVX-512: 8 x 48 blocks take 24 of 32 registers for sums, 3 for samples. */
#include "simd_avx512.h"

#define IM_DENSE_VECTORS 3
#define IM_DENSE_OUTPUTS 8
#define IM_DENSE_OUTPUTS_1 16
#define IM_DENSE_OUTPUTS_2 8
#define IM_FEW_PANELS_1 8
#define IM_FEW_PANELS_2 8
#define IM_FEW_PANELS_4 4
#define IM_TABLE im_kernels_avx512
#include "kernels_template.h"
