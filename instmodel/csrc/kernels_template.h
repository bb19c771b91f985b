/* kernels_template.h: all kernels over one set of primitives, and their table.
 *
 * Included once by each kernels_<isa>.c, after simd_<isa>.h and the block shapes of that set:
 *   IM_DENSE_VECTORS, IM_DENSE_OUTPUTS      the dense register block, in vectors x outputs
 *   IM_DENSE_OUTPUTS_1, IM_DENSE_OUTPUTS_2  outputs of the block with one and two vectors
 *   IM_FEW_PANELS_1, … _2, … _4             panels of the block with one, two and four samples
 *   IM_TABLE                                name of the exported table
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fpmode.h"
#include "kernels.h"

#define IM_DENSE_OUTPUTS_MAX 16
#define IM_DENSE_VECTORS_MAX (2 * IM_DENSE_VECTORS)
#define IM_FEW_SAMPLES 4 /* the most, in a block */
#define IM_FEW_PANELS 8

#include "vmath.h"

#include "activations.h"
#include "count.h"
#include "dense.h"
#include "elementwise.h"
#include "embedding.h"
#include "lanes.h"
#include "peak.h"
#include "reduce.h"
#include "tile.h"

#include "dense_rows.h" /* asks ahead as tile.h does */

const im_kernels IM_TABLE = {
    .name = IM_ISA_NAME,
    .lanes = IM_W,
    .block = IM_DENSE_VECTORS * IM_W,
    .load_tile = load_tile,
    .store_tile = store_tile,
    .load_lanes = load_lanes,
    .store_lanes = store_lanes,
    .dense = dense,
    .dense_few = dense_few,
    .dense_rows = dense_rows,
    .activate = activate,
    .softmax = softmax,
    .add_parameters = add_parameters,
    .mul_parameters = mul_parameters,
    .clip = clip,
    .add_buffers = add_buffers,
    .mul_buffers = mul_buffers,
    .add_heads = add_heads,
    .mul_heads = mul_heads,
    .copy_masked = copy_masked,
    .reduce_sum = reduce_sum,
    .map_transform = map_transform,
    .flush = flush,
    .canonical = canonical,
    .all_finite = all_finite,
    .count_at_least = count_at_least,
    .peak = peak,
};
