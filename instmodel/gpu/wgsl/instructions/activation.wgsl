// in = activation(in)
fn instmodel_activation(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    for (var i = op.output; i < op.output + op.size; i++) {
        instmodel_set(buffer, i, instmodel_activate(op.p2, instmodel_get(buffer, i)));
    }
    instmodel_activate_all(op.p2, buffer, op.output, op.size);
}
