/* The kernels in standard C, for every CPU: fmaf and fma of the C library, the same bits. */
#include "simd_generic.h"

#define IM_DENSE_VECTORS 4
#define IM_DENSE_OUTPUTS 4
#define IM_DENSE_OUTPUTS_1 4
#define IM_DENSE_OUTPUTS_2 4
#define IM_FEW_PANELS_1 1
#define IM_FEW_PANELS_2 1
#define IM_FEW_PANELS_4 1
#define IM_TABLE im_kernels_generic
#include "kernels_template.h"
