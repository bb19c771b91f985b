// Softmax and gate of an ATTENTION whose W key + bias instmodel_dense_rows has computed.
@compute @workgroup_size(64)
fn instmodel_finish_attention(@builtin(global_invocation_id) id: vec3<u32>) {
    instmodel_know_zero(0u);
    if (id.x < instmodel_moment.samples) {
        instmodel_attend(instmodel_op_at(0u, instmodel_step.first), id.x);
    }
}
