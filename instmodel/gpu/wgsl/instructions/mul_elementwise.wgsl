// in *= parameters, of which a denormal one is 0 also where a GPU keeps it: times a large value, it
// would be a result.
fn instmodel_mul_elementwise(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    let parameters = instmodel_parameters(model) + op.p0;
    for (var i = 0u; i < op.size; i++) {
        let factor = instmodel_flush(instmodel_value(parameters + i));
        instmodel_set(buffer, op.output + i, instmodel_get(buffer, op.input + i) * factor);
    }
}
