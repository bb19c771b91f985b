// out = activation(W in + bias)
fn instmodel_dot(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    let weights = instmodel_weights(model) + op.p0;
    for (var row = 0u; row < op.size; row++) {
        let x = instmodel_affine(weights, op.size, op.p1, row, op.input, buffer);
        instmodel_set(buffer, op.output + row, instmodel_activate(op.p2, x));
    }
    instmodel_activate_all(op.p2, buffer, op.output, op.size);
}
