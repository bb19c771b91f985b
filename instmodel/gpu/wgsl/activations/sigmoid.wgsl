// 1 / (1 + e^-x), from e^-|x|, which cannot overflow.
fn instmodel_sigmoid(x: f32) -> f32 {
    if (instmodel_is_nan(x)) {
        return x;
    }
    let e = instmodel_power_of_e(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}
