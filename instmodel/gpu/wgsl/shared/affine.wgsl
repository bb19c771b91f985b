// One value of W x + bias: W is (rows, cols) at `weights`, row by row, its bias after it; x is at
// `input`. Blocks of 32 products are added on their own, so that the rounding errors of a long sum
// grow with cols / 32 only.
fn instmodel_affine(
    weights: u32,
    rows: u32,
    cols: u32,
    row: u32,
    input: u32,
    buffer: instmodel_buffer,
) -> f32 {
    var total = instmodel_value(weights + rows * cols + row);
    let first = weights + row * cols;
    var k = 0u;
    while (k < cols) {
        let stop = min(k + 32u, cols);
        var block = 0.0;
        for (; k < stop; k++) {
            block = fma(instmodel_value(first + k), instmodel_get(buffer, input + k), block);
        }
        total += block;
    }
    return total;
}
