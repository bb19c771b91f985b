// Between the caller's rows, (samples, count), and `count` values from `first` on of the compute
// buffers: a tile of 16 x 16 turns round in workgroup memory, so that both sides are contiguous.
// A row of the tile has 17 floats, which keeps its columns in different banks.

@group(0) @binding(3)
var<storage, read_write> instmodel_rows: array<f32>;

var<workgroup> instmodel_tile: array<f32, 272>;

@compute @workgroup_size(16, 16)
fn instmodel_load(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let count = instmodel_step.count;
    let column = 16u * group.y + local.x;
    if (column < count) {
        let sample = 16u * group.x + local.y;
        instmodel_tile[17u * local.y + local.x] = instmodel_rows[sample * count + column];
    }
    workgroupBarrier();
    let index = 16u * group.y + local.y;
    if (index < count) {
        let value = instmodel_tile[17u * local.x + local.y];
        instmodel_set(16u * group.x + local.x, instmodel_step.first + index, value);
    }
}

@compute @workgroup_size(16, 16)
fn instmodel_store(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let count = instmodel_step.count;
    let index = 16u * group.y + local.y;
    if (index < count) {
        let value = instmodel_get(16u * group.x + local.x, instmodel_step.first + index);
        instmodel_tile[17u * local.x + local.y] = value;
    }
    workgroupBarrier();
    let column = 16u * group.y + local.x;
    if (column < count) {
        let sample = 16u * group.x + local.y;
        instmodel_rows[sample * count + column] = instmodel_tile[17u * local.y + local.x];
    }
}
