// The activation of the whole output of a DOT that instmodel_dense_rows has computed.
@compute @workgroup_size(64)
fn instmodel_finish_dot(@builtin(global_invocation_id) id: vec3<u32>) {
    instmodel_know_zero(0u);
    let op = instmodel_op_at(0u, instmodel_step.first);
    if (id.x < instmodel_moment.samples) {
        instmodel_activate_all(op.p2, id.x, op.output, op.size);
    }
}
