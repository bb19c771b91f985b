// out = ((a * b) * c) ...; a list of p1 pointers. out may be among them.
fn instmodel_multiply_elementwise_buffers(
    model: u32,
    op: instmodel_op,
    buffer: instmodel_buffer,
) {
    let pointers = instmodel_integers(model) + op.p0;
    for (var i = 0u; i < op.size; i++) {
        var x = instmodel_get(buffer, op.input + i);
        for (var j = 1u; j < op.p1; j++) {
            x = x * instmodel_get(buffer, instmodel_word(pointers + j) + i);
        }
        instmodel_set(buffer, op.output + i, x);
    }
}
