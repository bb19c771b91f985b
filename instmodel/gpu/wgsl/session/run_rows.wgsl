// `count` instructions from `first` on, one thread a sample.
@compute @workgroup_size(64)
fn instmodel_run_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < instmodel_moment.samples) {
        instmodel_run(0u, instmodel_step.first, instmodel_step.count, id.x);
    }
}
