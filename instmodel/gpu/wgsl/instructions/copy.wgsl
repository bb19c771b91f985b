// out = in, a part of a buffer
fn instmodel_copy(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    for (var i = 0u; i < op.size; i++) {
        instmodel_set(buffer, op.output + i, instmodel_get(buffer, op.input + i));
    }
}
