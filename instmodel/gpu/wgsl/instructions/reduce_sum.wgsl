// out = the sum of p1 values. If it overflows on its way, it is added up once more in units of 2^17:
// no more than 2^16 values of a buffer can overflow those.
fn instmodel_reduce_sum(model: u32, op: instmodel_op, buffer: instmodel_buffer) {
    var total = instmodel_sum_of(op, buffer, 1.0);
    if (instmodel_is_nan(total) || instmodel_is_infinite(total)) {
        total = instmodel_sum_of(op, buffer, 7.6293945e-6) * 131072.0;
    }
    instmodel_set(buffer, op.output, total);
}

fn instmodel_sum_of(op: instmodel_op, buffer: instmodel_buffer, scale: f32) -> f32 {
    var sum = instmodel_sum(0.0, 0.0);
    for (var i = 0u; i < op.p1; i++) {
        sum = instmodel_plus(sum, scale * instmodel_get(buffer, op.input + i));
    }
    return instmodel_sum_value(sum);
}
