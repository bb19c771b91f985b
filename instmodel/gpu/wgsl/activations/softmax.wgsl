// e^(x_i - max) / sum over j of e^(x_j - max), for `size` values from `start` on, in place. With a
// NaN among them, or an infinite largest one, all are NaN.
fn instmodel_softmax(buffer: instmodel_buffer, start: u32, size: u32) {
    var largest = instmodel_get(buffer, start);
    for (var i = start + 1u; i < start + size; i++) {
        let x = instmodel_get(buffer, i);
        if (!instmodel_is_nan(largest) && (instmodel_is_nan(x) || x > largest)) {
            largest = x;
        }
    }
    if (instmodel_is_nan(largest) || instmodel_is_infinite(largest)) {
        for (var i = start; i < start + size; i++) {
            instmodel_set(buffer, i, instmodel_nan(largest));
        }
        return;
    }
    var sum = instmodel_sum(0.0, 0.0);
    for (var i = start; i < start + size; i++) {
        let e = instmodel_power_of_e(instmodel_get(buffer, i) - largest);
        instmodel_set(buffer, i, e);
        sum = instmodel_plus(sum, e);
    }
    let total = instmodel_sum_value(sum);
    for (var i = start; i < start + size; i++) {
        instmodel_set(buffer, i, instmodel_get(buffer, i) / total);
    }
}
