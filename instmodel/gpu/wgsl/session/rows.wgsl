// Between rows of the caller, of which `count` values from `column` on are meant, and as many values
// from `first` on of the compute buffers: a tile of 16 x 16 turns round in workgroup memory, so that
// both sides are contiguous. A row of the tile has 17 floats, which keeps its columns in different
// banks.

@group(0) @binding(3)
var<storage, read_write> instmodel_rows: array<f32>;

var<workgroup> instmodel_tile: array<f32, 272>;

fn instmodel_row_place(sample: u32, index: u32) -> u32 {
    let row = instmodel_moment.row + sample;
    return row * instmodel_step.width + instmodel_step.column + index;
}

@compute @workgroup_size(16, 16)
fn instmodel_load(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let count = instmodel_step.count;
    let samples = instmodel_moment.samples;
    let read = 16u * group.x + local.y;
    let column = 16u * group.y + local.x;
    if (read < samples && column < count) {
        let value = instmodel_rows[instmodel_row_place(read, column)];
        instmodel_tile[17u * local.y + local.x] = value;
    }
    workgroupBarrier();
    let written = 16u * group.x + local.x;
    let index = 16u * group.y + local.y;
    if (written < samples && index < count) {
        let value = instmodel_tile[17u * local.x + local.y];
        instmodel_set(written, instmodel_step.first + index, value);
    }
}

@compute @workgroup_size(16, 16)
fn instmodel_store(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let count = instmodel_step.count;
    let samples = instmodel_moment.samples;
    let read = 16u * group.x + local.x;
    let index = 16u * group.y + local.y;
    if (read < samples && index < count) {
        let value = instmodel_get(read, instmodel_step.first + index);
        instmodel_tile[17u * local.y + local.x] = value;
    }
    workgroupBarrier();
    let written = 16u * group.x + local.y;
    let column = 16u * group.y + local.x;
    if (written < samples && column < count) {
        let value = instmodel_tile[17u * local.x + local.y];
        instmodel_rows[instmodel_row_place(written, column)] = value;
    }
}
