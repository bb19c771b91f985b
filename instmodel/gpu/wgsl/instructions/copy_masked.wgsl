// out[i] = in[indexes[i]]
fn instmodel_copy_masked(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    let indexes = instmodel_integers(model) + op.p0;
    for (var i = 0u; i < op.size; i++) {
        let index = instmodel_word(indexes + i);
        instmodel_set(buffer, op.output + i, instmodel_get(buffer, op.input + index));
    }
}
