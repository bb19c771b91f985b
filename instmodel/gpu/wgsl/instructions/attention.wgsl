// out = softmax(W key + bias) * in, value by value; the key is at `input`, in at p2.
fn instmodel_attention(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    let weights = instmodel_weights(model) + op.p0;
    for (var row = 0u; row < op.size; row++) {
        let x = instmodel_affine(weights, op.size, op.p1, row, op.input, buffer);
        instmodel_set(buffer, op.output + row, x);
    }
    instmodel_attend(op, buffer);
}

// The part after W key + bias.
fn instmodel_attend(op: instmodel_op, buffer: instmodel_buffer) {
    instmodel_softmax(buffer, op.output, op.size);
    for (var i = 0u; i < op.size; i++) {
        let gate = instmodel_get(buffer, op.output + i);
        instmodel_set(buffer, op.output + i, gate * instmodel_get(buffer, op.p2 + i));
    }
}
