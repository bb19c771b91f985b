// e^x, x clamped to [-88, 88].
fn instmodel_exp(x: f32) -> f32 {
    if (instmodel_is_nan(x)) {
        return x;
    }
    return instmodel_power_of_e(clamp(x, -88.0, 88.0));
}
