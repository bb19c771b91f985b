// 1 - x
fn instmodel_inverse(x: f32) -> f32 {
    return 1.0 - x;
}
