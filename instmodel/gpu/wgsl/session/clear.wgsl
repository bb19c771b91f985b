// Sets `count` values from `first` on to 0: what no instruction writes.
@compute @workgroup_size(64)
fn instmodel_clear(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < instmodel_moment.samples) {
        instmodel_set(id.x, instmodel_step.first + id.y, 0.0);
    }
}
