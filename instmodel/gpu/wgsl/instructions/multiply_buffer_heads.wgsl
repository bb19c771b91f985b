// out[h d + j] = data[h d + j] * heads[h]; p1 heads at p0.
fn instmodel_multiply_buffer_heads(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    let d = op.size / op.p1;
    for (var i = 0u; i < op.size; i++) {
        let head = instmodel_get(buffer, op.p0 + i / d);
        instmodel_set(buffer, op.output + i, instmodel_get(buffer, op.input + i) * head);
    }
}
