// in += parameters
fn instmodel_add_elementwise(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    let parameters = instmodel_parameters(model) + op.p0;
    for (var i = 0u; i < op.size; i++) {
        let x = instmodel_get(buffer, op.input + i);
        instmodel_set(buffer, op.output + i, x + instmodel_value(parameters + i));
    }
}
