// W x + bias of instruction `first` (with its activation, unless that is one of the whole buffer)
// for 64 outputs x 64 samples by 256 threads. Each thread has 4 outputs, 4 local.y + 0 ... 3, and 4
// samples, local.x + 0, 16, 32, 48, as vectors; both factors go through workgroup memory in tiles of
// 16 columns of W, whose products are added on their own as in instmodel_affine. A column of the
// tile of W has 65 floats, which keeps its rows in different banks.

var<workgroup> instmodel_w: array<f32, 1040>; // [16 columns][64 outputs + 1]
var<workgroup> instmodel_x: array<f32, 1024>; // [16 columns][64 samples]

@compute @workgroup_size(16, 16)
fn instmodel_dense_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    instmodel_know_zero(0u);
    let op = instmodel_op_at(0u, instmodel_step.first);
    let rows = op.size;
    let cols = op.p1;
    let weights = instmodel_weights(0u) + op.p0;
    let first_sample = 64u * group.x;
    let first_output = 64u * group.y;
    var total = array<vec4<f32>, 4>(); // [output][sample]
    for (var start = 0u; start < cols; start += 16u) {
        for (var i = 0u; i < 4u; i++) {
            let w_column = thread % 16u;
            let w_row = thread / 16u + 16u * i;
            var w = 0.0;
            if (start + w_column < cols && first_output + w_row < rows) {
                w = instmodel_value(weights + (first_output + w_row) * cols + start + w_column);
            }
            instmodel_w[65u * w_column + w_row] = w;
            let x_column = thread / 64u + 4u * i;
            let x_sample = thread % 64u;
            var x = 0.0;
            if (start + x_column < cols) {
                x = instmodel_get(first_sample + x_sample, op.input + start + x_column);
            }
            instmodel_x[64u * x_column + x_sample] = x;
        }
        workgroupBarrier();
        var part = array<vec4<f32>, 4>();
        for (var k = 0u; k < 16u; k++) {
            let x_at = 64u * k + local.x;
            let x = vec4<f32>(
                instmodel_x[x_at],
                instmodel_x[x_at + 16u],
                instmodel_x[x_at + 32u],
                instmodel_x[x_at + 48u],
            );
            let w_at = 65u * k + 4u * local.y;
            part[0] = fma(vec4<f32>(instmodel_w[w_at]), x, part[0]);
            part[1] = fma(vec4<f32>(instmodel_w[w_at + 1u]), x, part[1]);
            part[2] = fma(vec4<f32>(instmodel_w[w_at + 2u]), x, part[2]);
            part[3] = fma(vec4<f32>(instmodel_w[w_at + 3u]), x, part[3]);
        }
        total[0] += part[0];
        total[1] += part[1];
        total[2] += part[2];
        total[3] += part[3];
        workgroupBarrier();
    }
    let activation = select(0u, op.p2, op.opcode == 1u); // only a DOT has one there
    for (var i = 0u; i < 4u; i++) {
        let row = first_output + 4u * local.y + i;
        if (row < rows) {
            let bias = instmodel_value(weights + rows * cols + row);
            for (var j = 0u; j < 4u; j++) {
                let sample = first_sample + local.x + 16u * j;
                if (sample < instmodel_moment.samples) {
                    let value = instmodel_activate(activation, total[i][j] + bias);
                    instmodel_set(sample, op.output + row, value);
                }
            }
        }
    }
}
