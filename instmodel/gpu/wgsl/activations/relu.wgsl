// max(0, x)
fn instmodel_relu(x: f32) -> f32 {
    if (instmodel_is_nan(x)) {
        return x;
    }
    return max(x, 0.0);
}
