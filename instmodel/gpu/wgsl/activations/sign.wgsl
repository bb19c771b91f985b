// -1, 0 or 1.
fn instmodel_sign(x: f32) -> f32 {
    if (instmodel_is_nan(x)) {
        return x;
    }
    return sign(x);
}
