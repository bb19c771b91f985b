// in = min(max(in, parameters_min), parameters_max); a bound at 0xffffffff is not there. NaN stays.
fn instmodel_clip_elementwise(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    let parameters = instmodel_parameters(model);
    for (var i = 0u; i < op.size; i++) {
        var x = instmodel_get(buffer, op.input + i);
        if (instmodel_is_nan(x)) {
            continue;
        }
        if (op.p0 != 0xffffffffu) {
            x = max(x, instmodel_value(parameters + op.p0 + i));
        }
        if (op.p1 != 0xffffffffu) {
            x = min(x, instmodel_value(parameters + op.p1 + i));
        }
        instmodel_set(buffer, op.output + i, x);
    }
}
